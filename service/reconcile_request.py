"""Asking for a source to be compared with its vendor's record: by a person, or by its schedule.

The comparison itself is in `reconcile.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.clock import Clock
from schemas.config import ReconcileConfig
from schemas.configured_tables import SourceRow
from schemas.jobs import Reconcile
from schemas.plain_words import in_plain_words
from schemas.reconciliation_tables import ReconciliationRow
from schemas.states import ReconciliationState
from service.audit import Who, note
from service.db import Database, Session
from service.errors import Conflict, NotFound
from service.faults import note_fault
from service.queue import Queue
from service.retention_rules import longest_look_back
from service.runtime import Runtime
from service.store import connections as connections_store
from service.store import reconciliations as store
from service.store import sources as sources_store
from service.unit_of_work import UnitOfWork, unit_of_work
from service.vendors.base import Vendor, Window

log = structlog.get_logger(__name__)

ON_ITS_WAY = timedelta(minutes=1)
"""How long a webhook may take to us: what is younger is not missed yet."""
AGAIN_AFTER_FAULT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """The comparisons that were begun, and why other sources are not compared."""

    begun: list[ReconciliationRow]
    passed_over: dict[str, str]


def ask_for_sources(
    database: Database,
    queue: Queue,
    vendors: Mapping[str, Vendor],
    clock: Clock,
    *,
    source: str | None,
    since: timedelta | None,
    who: Who = "Hookwright",
) -> Asked:
    """Begin the comparison of one source, or of every source that can be compared.

    `since` None: as far back as the source is configured to look, else 24 hours. Raises NotFound
    for an unknown source and Conflict for a named one that cannot be compared.
    """
    with unit_of_work(database, queue) as work:
        rows = sources_store.read_sources(work.session)
        chosen = [row for row in rows if source in {None, row.name}]
        if source is not None and not chosen:
            raise NotFound(f"there is no source {source!r}")
        asked = Asked([], {})
        for row in chosen:
            try:
                found = ask_to_reconcile(
                    work, vendors, row, since=since or _config_of(row).since, now=clock()
                )
            except Conflict as error:
                if source is not None:
                    raise
                asked.passed_over[row.name] = error.message
                continue
            asked.begun.append(found)
            noted = {"reconciliation_id": str(found.id)}
            note(work.session, who, "source.reconcile", row.name, now=clock(), details=noted)
        work.session.flush()
        for found in asked.begun:
            work.session.refresh(found)
            work.session.expunge(found)
        return asked


def ask_to_reconcile(
    work: UnitOfWork,
    vendors: Mapping[str, Vendor],
    source: SourceRow,
    *,
    since: timedelta,
    now: datetime,
) -> ReconciliationRow:
    """Write down that a source is to be compared with its vendor's record, and ring for it.

    `since` is cut to what deliveries are kept for. A comparison that is under way and covers the
    same time is given instead of a second. Raises Conflict for a source that cannot be compared,
    with the reason.
    """
    _refuse_impossible(work, vendors, source)
    window = Window(now - min(since, longest_look_back(work.session)), now)
    store.take_turn(work.session, source.id)
    for found in store.under_way(work.session, source.id):
        if found.since <= window.since + ON_ITS_WAY and found.until >= window.until - ON_ITS_WAY:
            work.ring(Reconcile(found.id))
            return found
    return _begin(work, source, window, now=now, by="person")


def _refuse_impossible(work: UnitOfWork, vendors: Mapping[str, Vendor], source: SourceRow) -> None:
    vendor = vendors.get(source.vendor)
    if vendor is None or not vendor.records:
        title = source.vendor if vendor is None else vendor.title
        raise Conflict(f"{title} keeps no record that {source.name!r} could be compared with")
    if connection_of(work.session, source) is None:
        raise Conflict(
            f"{source.name!r} is tied to no connection of {vendor.title}",
            hint="add `connection: NAME` to the source, or declare one connection of this vendor",
        )


def _begin(
    work: UnitOfWork,
    source: SourceRow,
    window: Window,
    *,
    now: datetime,
    by: Literal["person", "schedule"],
) -> ReconciliationRow:
    row = ReconciliationRow(
        source_id=source.id,
        source=source.name,
        vendor=source.vendor,
        by=by,
        since=window.since,
        until=window.until,
        state=ReconciliationState.PENDING,
        created_at=now,
        due_at=now,
    )
    work.session.add(row)
    work.ring(Reconcile(row.id))
    return row


def connection_of(session: Session, source: SourceRow) -> str | None:
    """Give the connection whose account a source belongs to: the one named, or the only one."""
    if source.connection is not None:
        return source.connection
    rows = connections_store.of_vendor(session, source.vendor, limit=2)
    return rows[0].name if len(rows) == 1 else None


def start_due(runtime: Runtime, work: UnitOfWork, *, now: datetime, limit: int) -> int:
    """Begin the comparisons that sources ask for by their schedule; gives how many were due."""
    sources = store.due_sources(work.session, now=now, limit=limit)
    for source in sources:
        try:
            _start(runtime, work, source, now)
        except Conflict as error:
            # One source that cannot be compared must not stop the timers of the others.
            log.warning("reconciliation_impossible", source=source.name, reason=error.message)
            source.reconcile_due_at = now + AGAIN_AFTER_FAULT
        except (KeyError, TypeError, ValueError) as error:
            note_fault(error, "reconciliation_not_begun", source=source.name)
            source.reconcile_due_at = now + AGAIN_AFTER_FAULT
    return len(sources)


def _start(runtime: Runtime, work: UnitOfWork, source: SourceRow, now: datetime) -> None:
    config = _config_of(source)
    source.reconcile_due_at = None if config.every is None else now + config.every
    _refuse_impossible(work, runtime.vendors, source)
    if store.under_way(work.session, source.id):
        return  # the next one looks back far enough for both
    # What happened before there was a source was never meant to arrive at it, and what is
    # happening now may be on its way.
    since = min(config.since, longest_look_back(work.session))
    window = Window(max(now - since, _made_at(source.id)), now - ON_ITS_WAY)
    _begin(work, source, window, now=now, by="schedule")


def _config_of(source: SourceRow) -> ReconcileConfig:
    """Give how a source is compared. Raises Conflict for what an older version let through."""
    try:
        return ReconcileConfig.model_validate(source.reconcile or {})
    except ValidationError as error:
        words = "; ".join(f"`{one['loc'][-1]}` {in_plain_words(one)}" for one in error.errors())
        raise Conflict(
            f"the source {source.name!r} cannot be compared as configured: {words}",
            hint="correct it in hookwright.yaml and run `hookwright apply`",
        ) from error


def _made_at(id_: UUID) -> datetime:
    return datetime.fromtimestamp((id_.int >> 80) / 1000, tz=UTC)

"""Comparing what a vendor has on record with what was stored, and closing the gaps.

Webhooks get lost: a vendor's retries end, a proxy was down, GitHub does not retry at all. A
comparison reads the vendor's record page by page. Its position is a row, so that a limit of the
vendor, a crash or a restart only makes it go on later. How one gap is closed is in `gaps.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.config import ReconcileConfig
from schemas.configured_tables import SourceRow
from schemas.jobs import Reconcile
from schemas.plain_words import error_in_plain_words
from schemas.reconciliation_tables import ReconciliationRow
from schemas.states import ReconciliationState
from schemas.storable import storable
from service.connections import OpenConnection
from service.db import Session
from service.errors import (
    ConfigurationError,
    HookwrightError,
    RateLimited,
    Refused,
    Transient,
    Unavailable,
)
from service.faults import note_fault
from service.gaps import Comparison, close_by_reading, close_page, entry_of, note_arrivals
from service.ingest import as_it_came
from service.losses import MOST_LOSSES, said_of
from service.reconcile_request import connection_of
from service.runtime import Runtime
from service.store import leased
from service.store import reconciliations as store
from service.unit_of_work import UnitOfWork, reading, unit_of_work
from service.vendors.base import CallContext, Record, Recorded, RecordPage, Vendor, Window

log = structlog.get_logger(__name__)

GO_ON_FOR_S = 60.0
"""After this long another job goes on, so that one long record does not keep a worker."""
MOST_FAILURES = 8
MOST_PAGES = 2_000
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
LEARN_FROM = 200
SETTLE_EVERY = timedelta(seconds=2)
SETTLE_TIMES = 5
"""How often it is looked whether what was asked for has come, before the comparison ends."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A comparison that was taken and is about to go on."""

    id: UUID
    owner: str
    source: SourceRow
    vendor: Vendor
    config: ReconcileConfig
    connection: OpenConnection
    window: Window
    position: dict[str, Any]

    @property
    def records(self) -> tuple[Record, ...]:
        """Give the records to compare: those the source names, or all."""
        named = self.config.records
        return tuple(one for one in self.vendor.records if not named or one.name in named)


def reconcile(runtime: Runtime, reconciliation_id: UUID) -> None:
    """Go on with a comparison for a while. Safe to run twice and at the same time."""
    with runtime.holding(leased.LEASE) as owner:
        taken = _take(runtime, reconciliation_id, owner)
        if taken is not None:
            _go_on(runtime, taken)


def _go_on(runtime: Runtime, taken: Taken) -> None:
    end = runtime.monotonic() + GO_ON_FOR_S
    try:
        while _step(runtime, taken):
            if runtime.monotonic() > end or runtime.stopping.is_set():
                _leave(runtime, taken)
                return
    except (Unavailable, _LeaseLostError):
        return
    except Transient as error:
        _put_off(runtime, taken, error)
    except (HookwrightError, ValidationError) as error:
        message = (
            error.message if isinstance(error, HookwrightError) else error_in_plain_words(error)
        )
        hint = error.hint if isinstance(error, HookwrightError) else None
        _next_record(runtime, taken, f"{message} ({hint})" if hint else message)
    except Exception as error:  # noqa: BLE001  # note_fault logs it
        # The outermost frame around a vendor's code: one record must not stop the others.
        fault = note_fault(error, "reconcile_raised", source=taken.source.name)
        reason = f"{type(error).__name__} while it was read (fault={fault})"
        _next_record(runtime, taken, reason)


class _LeaseLostError(Exception):
    """Another worker goes on with the comparison."""


def _take(runtime: Runtime, reconciliation_id: UUID, owner: str) -> Taken | None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        row = store.claim(work.session, reconciliation_id, owner=owner, now=now, ttl=leased.LEASE)
        if row is None:
            return None
        if row.losses >= MOST_LOSSES:
            _end(row, now, f"{said_of(row.losses)} while it was compared")
            return None
        row.state = ReconciliationState.RUNNING
        source = work.session.get(SourceRow, row.source_id)
        if source is None:
            _end(row, now, f"the source {row.source!r} was removed")
            return None
        try:
            vendor = runtime.vendors[source.vendor]
            name = connection_of(work.session, source)
            connection_row = runtime.connections.choose(work.session, vendor, name)
            connection = runtime.connections.open(connection_row, vendor)
            config = ReconcileConfig.model_validate(source.reconcile or {})
        except (ConfigurationError, ValidationError, KeyError) as error:
            _end(row, now, f"it is not usable as configured: {error_in_plain_words(error)}")
            return None
        work.session.expunge(source)
        window = Window(row.since, row.until)
        position = dict(row.position or {})
        return Taken(row.id, owner, source, vendor, config, connection, window, position)


def _step(runtime: Runtime, taken: Taken) -> bool:
    """Read a page and close its gaps, or look whether what was asked for came. False: ended."""
    number: int = taken.position.get("record", 0)
    if number >= len(taken.records):
        return _settle(runtime, taken)
    record = taken.records[number]
    comparison = _comparison(runtime, taken, record)
    page: RecordPage = record.read(
        comparison.context, comparison.options, taken.window, taken.position.get("page")
    )
    entries = [
        entry for entry in page.entries if taken.window.since <= entry.time < taken.window.until
    ]
    close_page(runtime, comparison, entries)
    if page.next is None:
        taken.position.update(record=number + 1, page=None, seen=[])
    else:
        taken.position["seen"] = _seen(taken.position.get("seen", []), page.next)
        taken.position["page"] = dict(page.next)
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = _held(work, taken)
        row.position = storable(dict(taken.position))
        row.checked += len(entries)
        _count(work.session, row)
        row.failures = 0
    return True


def _seen(marks: list[str], position: Mapping[str, Any]) -> list[str]:
    """Note a page's position. Raises Refused when the pages lead in a circle, or never end."""
    text = json.dumps(position, sort_keys=True, default=str)
    mark = hashlib.sha256(text.encode()).hexdigest()[:12]
    if mark in marks or len(marks) >= MOST_PAGES:
        raise Refused("its pages lead in a circle, or never end")
    return [*marks, mark]


def _comparison(runtime: Runtime, taken: Taken, record: Record) -> Comparison:
    configured = taken.config.records.get(record.name, {})
    learned: Mapping[str, Any] = {}
    if record.learn is not None:
        with reading(runtime.database) as session:
            rows = store.newest_deliveries(session, taken.source.id, limit=LEARN_FROM)
            learned = record.learn([as_it_came(row) for row in rows])
    options = record.options.model_validate({**learned, **configured})
    context = CallContext(
        http=taken.connection.http,
        credentials=taken.connection.credentials,
        options=taken.connection.options,
        connection=taken.connection.name,
        now=runtime.clock(),
    )
    return Comparison(taken.id, taken.source, taken.vendor, record, options, context)


def _settle(runtime: Runtime, taken: Taken) -> bool:
    """Wait a little for what was asked for; what does not come is read from the API instead."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        waiting = store.asked_gaps(work.session, taken.id)
        late = note_arrivals(runtime, work, taken.source, taken.vendor, waiting)
        work.session.flush()
        row = _held(work, taken)
        _count(work.session, row)
        looked: int = taken.position.get("looked", 0)
        if late and looked < SETTLE_TIMES:
            taken.position["looked"] = looked + 1
            row.position = storable(dict(taken.position))
            row.due_at = runtime.clock() + SETTLE_EVERY
            row.lease_owner = row.lease_until = None
            return False
        entries = [(gap.record, entry_of(gap)) for gap in late]
    for record_name, entry in entries:
        _read_instead(runtime, taken, record_name, entry)
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = _held(work, taken)
        _count(work.session, row)
        errors: dict[str, str] = taken.position.get("errors", {})
        _end(row, runtime.clock(), _all(errors))
        _tell(row)
    return False


def _read_instead(runtime: Runtime, taken: Taken, record_name: str, entry: Recorded) -> None:
    record = next((one for one in taken.records if one.name == record_name), None)
    if record is not None and record.restore is not None:
        close_by_reading(runtime, _comparison(runtime, taken, record), entry)


def _count(session: Session, row: ReconciliationRow) -> None:
    counts = store.count_gaps(session, row.id)
    row.missing, row.asked, row.filled = counts.missing, counts.asked, counts.filled
    row.unfilled = counts.open


def _held(work: UnitOfWork, taken: Taken) -> ReconciliationRow:
    row = store.held(work.session, taken.id, taken.owner)
    if row is None:
        raise _LeaseLostError
    return row


def _leave(runtime: Runtime, taken: Taken) -> None:
    """Give the comparison back; another job goes on at once."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = store.held(work.session, taken.id, taken.owner)
        if row is not None:
            row.due_at = runtime.clock()
            row.lease_owner = row.lease_until = None
            work.ring(Reconcile(taken.id))


def _put_off(runtime: Runtime, taken: Taken, error: Transient) -> None:
    limited = isinstance(error, RateLimited)
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = store.held(work.session, taken.id, taken.owner)
        if row is None:
            return
        pause = min(FIRST_PAUSE * 2 ** min(row.failures, 16), LONGEST_PAUSE)
        if error.retry_after is not None:
            pause = error.retry_after if limited else max(pause, error.retry_after)
        row.failures += 0 if limited else 1
        row.error = storable(f"{error.code}: {error.message}"[:2000])
        row.due_at = runtime.clock() + pause
        row.lease_owner = row.lease_until = None
        given_up = row.failures >= MOST_FAILURES
        if given_up:
            _end(row, runtime.clock(), row.error)
    tell = log.error if given_up else log.info
    tell(
        "reconciliation_put_off",
        source=taken.source.name,
        reason=error.message,
        given_up=given_up,
    )


def _next_record(runtime: Runtime, taken: Taken, reason: str) -> None:
    """Note why a record cannot be read, and go on with the next."""
    number: int = taken.position.get("record", 0)
    name = taken.records[number].name if number < len(taken.records) else "settling"
    log.warning("record_not_read", source=taken.source.name, record=name, reason=reason)
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = store.held(work.session, taken.id, taken.owner)
        if row is None:
            return
        errors = {**taken.position.get("errors", {}), name: storable(reason[:500])}
        row.position = {
            **taken.position,
            "record": number + 1,
            "page": None,
            "seen": [],
            "errors": errors,
        }
        if number >= len(taken.records):
            _end(row, runtime.clock(), _all(errors))
            return
        row.due_at = runtime.clock()
        row.lease_owner = row.lease_until = None
        work.ring(Reconcile(taken.id))


def _all(errors: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in errors.items())


def _end(row: ReconciliationRow, now: datetime, error: str | None) -> None:
    row.state = ReconciliationState.FAILED if error else ReconciliationState.SUCCEEDED
    row.error = storable(error[:2000]) if error else None
    row.ended_at = now
    row.due_at = None
    row.lease_owner = row.lease_until = None


def _tell(row: ReconciliationRow) -> None:
    tell = log.warning if row.missing or row.error else log.info
    tell(
        "reconciled",
        source=row.source,
        checked=row.checked,
        missing=row.missing,
        filled=row.filled,
        left=row.missing - row.filled,
        error=row.error,
    )

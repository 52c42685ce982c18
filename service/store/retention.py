"""Removing rows whose time is over, some at a time: which may go, and what goes with them.

Rows are looked at in the order of their ids, which is that of their making, so that no index of
their own is needed. Before rows go they are locked, and only then is asked whether others still
need them: nobody can begin to need a row that is locked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, literal, not_, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from schemas.evidence_tables import AuditEventRow
from schemas.ids import first_id
from schemas.reconciliation_tables import GapRow, ReconciliationRow
from schemas.run_tables import RunEventRow, RunRow, StepRow
from schemas.states import AlertState, DeliveryState, EffectState
from schemas.tables import AlertRow, DeliveryRow, EffectRow, EventRow, PayloadRow
from schemas.upkeep_tables import BulkJobRow, LeaseRow, TokenRow
from service.db import Database
from service.store.keys import forget_keys
from service.store.runs import ACTIVE

Condition = ColumnElement[bool]
Name = Literal[
    "deliveries",
    "runs",
    "events",
    "effects",
    "alerts",
    "gaps",
    "reconciliations",
    "bulk_jobs",
    "tokens",
    "audit_events",
]

_SHADOW_KEY = "shadow:"
_BLINDLY = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rows that go when their time is over.

    `over` says of a row by itself whether its time was over before a moment, `unneeded` whether
    nothing else needs it. `day` is the column whose day names the archive's file (None: such rows
    are not archived).
    """

    name: Name
    model: Any
    over: Callable[[datetime], Sequence[Condition]]
    unneeded: tuple[Condition, ...] = ()
    day: str | None = None


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows that may go now, and how far was looked (None: to the end).

    `branches`: these are branches of runs, which go before their runs do.
    """

    ids: list[UUID]
    reached: UUID | None
    branches: bool = False


def _is_in_doubt() -> Condition:
    # As a literal, so that both databases see that the partial index has all of these.
    return col(EffectRow.state) == literal(EffectState.IN_DOUBT.value, literal_execute=True)


def _runs_in_doubt() -> Any:
    run = aliased(RunRow)
    return (
        select(func.coalesce(col(run.root_id), col(run.id)))
        .join(EffectRow, col(EffectRow.run_id) == col(run.id))
        .where(_is_in_doubt())
    )


def _has_unfinished_branch() -> Condition:
    branch = aliased(RunRow)
    return exists().where(col(branch.root_id) == col(RunRow.id), col(branch.status).in_(ACTIVE))


DELIVERIES = Kind(
    "deliveries",
    DeliveryRow,
    lambda before: (
        col(DeliveryRow.received_at) < before,
        col(DeliveryRow.state) != DeliveryState.RECEIVED.value,
    ),
    day="received_at",
)
RUNS = Kind(
    "runs",
    RunRow,
    lambda before: (
        # Branches have one. To ask for `parent_id` would lead SQLite through all runs there are.
        col(RunRow.number).is_(None),
        col(RunRow.status).not_in(ACTIVE),
        col(RunRow.ended_at) < before,
    ),
    # A run with an effect that nobody could tell of stays until somebody has settled it.
    unneeded=(col(RunRow.id).not_in(_runs_in_doubt()), ~_has_unfinished_branch()),
    day="created_at",
)
EVENTS = Kind(
    "events",
    EventRow,
    lambda before: (col(EventRow.received_at) < before,),
    unneeded=(
        ~exists().where(col(RunRow.event_id) == col(EventRow.id)),
        ~exists().where(col(RunEventRow.event_id) == col(EventRow.id)),
        ~exists().where(col(DeliveryRow.id) == col(EventRow.delivery_id)),
    ),
    day="received_at",
)
EFFECTS = Kind(
    "effects",
    EffectRow,
    lambda before: (col(EffectRow.intended_at) < before, ~_is_in_doubt()),
    unneeded=(~exists().where(col(RunRow.id) == col(EffectRow.run_id)),),
    day="intended_at",
)
ALERTS = Kind(
    "alerts",
    AlertRow,
    lambda before: (
        col(AlertRow.state) == AlertState.RESOLVED.value,
        col(AlertRow.resolved_at) < before,
    ),
    day="opened_at",
)
GAPS = Kind("gaps", GapRow, lambda before: (col(GapRow.changed_at) < before,))
RECONCILIATIONS = Kind(
    "reconciliations",
    ReconciliationRow,
    lambda before: (col(ReconciliationRow.ended_at) < before,),
    unneeded=(~exists().where(col(GapRow.reconciliation_id) == col(ReconciliationRow.id)),),
)
BULK_JOBS = Kind("bulk_jobs", BulkJobRow, lambda before: (col(BulkJobRow.ended_at) < before,))
TOKENS = Kind(
    "tokens",
    TokenRow,
    lambda before: (or_(col(TokenRow.expires_at) < before, col(TokenRow.revoked_at) < before),),
)
AUDIT_EVENTS = Kind(
    "audit_events", AuditEventRow, lambda before: (col(AuditEventRow.at) < before,), day="at"
)


def find_portion(
    session: Session,
    kind: Kind,
    *,
    after: UUID,
    before: datetime,
    limit: int,
    until: UUID | None = None,
) -> Portion:
    """Look at the next `limit` rows behind an id, and give those that may go.

    Rows made at `before` or later are not looked at: their time cannot be over; nor are those from
    `until` on. Of runs with branches the branches are given first, again and again until there are
    none.
    """
    ident = col(kind.model.id)
    # Where it ends is no part of the question: told of a range, PostgreSQL's stored plans take it
    # for short, and sort all that is in it.
    found = session.execute(select(ident).where(ident > after).order_by(ident).limit(limit))
    end = first_id(before)
    if until is not None and until < end:
        end, behind = until, UUID(int=until.int - 1)
    else:
        behind = None
    page = [id_ for id_ in found.scalars() if id_ < end]
    ids = find_going(session, kind, page, before)
    if kind is RUNS and ids and (leaves := _leaves(session, ids, limit)):
        return Portion(leaves, after, branches=True)
    return Portion(ids, page[-1] if len(page) == limit else behind)


def find_going(session: Session, kind: Kind, ids: Collection[UUID], before: datetime) -> list[UUID]:
    """Give those of these rows that may go, in the order of their ids."""
    if not ids:
        return []
    # Asked of ids that are named, PostgreSQL knows for how few rows it has to find out whether
    # others need them. Of a page within the statement its stored plans know nothing, and read
    # whole tables.
    ident = col(kind.model.id)
    goes = select(ident).where(ident.in_(ids), *kind.over(before), *kind.unneeded)
    return list(session.execute(goes.order_by(ident)).scalars())


def all_over(session: Session, kind: Kind, after: UUID, last: UUID, before: datetime) -> bool:
    """Say whether the time of all rows is over that follow an id, up to another."""
    ident = col(kind.model.id)
    stays = exists().where(ident > after, ident <= last, not_(and_(*kind.over(before))))
    return not session.execute(select(stays)).scalar_one()


def lock_portion(session: Session, kind: Kind, portion: Portion, *, before: datetime) -> list[UUID]:
    """Lock what may still go of a portion."""
    if portion.branches:
        return _lock_branches(session, portion.ids, before)
    return _lock(session, kind, portion.ids, before)


def remove_locked(
    session: Session, kind: Kind, gone: Sequence[UUID], *, spare_since: datetime
) -> None:
    """Remove rows that are locked, with all that belongs to them.

    `spare_since`: effects that were intended later than this stay, whoever had them.
    """
    if not gone:
        return
    if kind is RUNS:
        _remove_of_runs(session, gone, spare_since)
    if kind is EVENTS:
        _remove_payloads(session, col(EventRow.payload_id), col(EventRow.id).in_(gone))
    if kind in {DELIVERIES, EVENTS}:
        forget_keys(session, kind.name, gone)
    session.execute(
        delete(kind.model).where(col(kind.model.id).in_(gone)), execution_options=_BLINDLY
    )


def forget_leases(session: Session, *, before: datetime) -> None:
    """Remove leases that ran out long ago: their owners are dead, and nobody took them over."""
    session.execute(
        delete(LeaseRow).where(col(LeaseRow.until) < before), execution_options=_BLINDLY
    )


def write_out(database: Database) -> None:
    """Let SQLite copy from its log what was removed: here, and not while somebody commits."""
    if not database.is_sqlite:
        return
    connection = database.engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.close()


def _lock(session: Session, kind: Kind, ids: Collection[UUID], before: datetime) -> list[UUID]:
    ident = col(kind.model.id)
    locked = session.execute(
        select(ident).where(ident.in_(ids), *kind.over(before)).with_for_update(skip_locked=True)
    ).scalars()
    found = list(locked)
    if not found or not kind.unneeded:
        return found
    # A statement of its own sees all that was committed before the rows were locked.
    return list(session.execute(select(ident).where(ident.in_(found), *kind.unneeded)).scalars())


def _leaves(session: Session, roots: Collection[UUID], limit: int) -> list[UUID]:
    """Give branches of these runs that have no branches themselves."""
    return list(
        session.execute(
            select(col(RunRow.id)).where(col(RunRow.root_id).in_(roots), ~_has_child()).limit(limit)
        ).scalars()
    )


def _has_child() -> Condition:
    child = aliased(RunRow)
    return exists().where(col(child.parent_id) == col(RunRow.id))


def _lock_branches(session: Session, ids: Collection[UUID], before: datetime) -> list[UUID]:
    branch = select(col(RunRow.id)).where(col(RunRow.id).in_(ids), ~_has_child())
    roots = set(session.execute(branch.with_only_columns(col(RunRow.root_id))).scalars())
    locked = _lock(session, RUNS, roots, before)
    return list(session.execute(branch.where(col(RunRow.root_id).in_(locked))).scalars())


def _remove_of_runs(session: Session, ids: Sequence[UUID], spare_since: datetime) -> None:
    """Remove what the database does not remove with runs by itself."""
    _remove_payloads(session, col(StepRow.output_id), col(StepRow.run_id).in_(ids))
    rows = session.execute(
        select(col(EffectRow.id), col(EffectRow.key), col(EffectRow.run_id)).where(
            col(EffectRow.run_id).in_(ids),
            col(EffectRow.intended_at) < spare_since,
            ~_is_in_doubt(),
            ~_is_found_by_target(),
        )
    )
    own = [id_ for id_, key, run_id in rows if key.startswith((f"{run_id}:", _SHADOW_KEY))]
    session.execute(delete(EffectRow).where(col(EffectRow.id).in_(own)), execution_options=_BLINDLY)


def _is_found_by_target() -> Condition:
    """Say of an effect that what it left outside is found again through it alone."""
    newer = aliased(EffectRow)
    return and_(
        col(EffectRow.target).is_not(None),
        col(EffectRow.state) == EffectState.MADE.value,
        col(EffectRow.reference).is_not(None),
        ~exists().where(
            col(newer.connection) == col(EffectRow.connection),
            col(newer.target) == col(EffectRow.target),
            col(newer.made_at) > col(EffectRow.made_at),
            col(newer.state) == EffectState.MADE.value,
            col(newer.reference).is_not(None),
        ),
    )


def _remove_payloads(session: Session, column: Any, whose: Condition) -> None:
    apart = list(session.execute(select(column).where(whose, column.is_not(None))).scalars())
    if apart:
        session.execute(
            delete(PayloadRow).where(col(PayloadRow.id).in_(apart)), execution_options=_BLINDLY
        )

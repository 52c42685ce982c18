"""What runs wait for (`wait_for`), which of them an event can concern, and events to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from schemas.run_tables import AwaitedRow, RunEventRow, RunRow
from schemas.tables import EventRow
from service.store.insert import in_parts
from service.store.runs import ACTIVE, wake


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells an event apart before it is read as a whole."""

    id: UUID
    type: str
    vendor: str
    source: str | None
    received_at: datetime


def remember(
    session: Session, run_id: UUID, step: str, *, awaited: str, field: str, values: Iterable[str]
) -> None:
    """Let events of a type (or pattern) with one of these values wake a run."""
    session.add_all(
        AwaitedRow(run_id=run_id, step=step, type=awaited, field=field, value=value)
        for value in values
    )


def forget(session: Session, run_id: UUID) -> None:
    """Let no event wake this run any more."""
    session.execute(
        delete(AwaitedRow)
        .where(col(AwaitedRow.run_id) == run_id)
        .execution_options(synchronize_session=False)
    )


def types_in_use(session: Session) -> list[str]:
    """Give each type and pattern that any run waits for, once.

    However many runs wait, one row of each type is read: the index is followed from type to type.
    """
    used = select(func.min(col(AwaitedRow.type)).label("name")).cte("used", recursive=True)
    following = (
        select(func.min(col(AwaitedRow.type)))
        .where(col(AwaitedRow.type) > used.c.name)
        .scalar_subquery()
    )
    used = used.union_all(select(following).where(used.c.name.is_not(None)))
    return list(session.execute(select(used.c.name).where(used.c.name.is_not(None))).scalars())


def fields_in_use(session: Session, awaited: str) -> list[str]:
    """Give each field by which runs that wait for a type are found, once, in the same way."""
    of_type = col(AwaitedRow.type) == awaited
    used = (
        select(func.min(col(AwaitedRow.field)).label("name"))
        .where(of_type)
        .cte("used", recursive=True)
    )
    following = (
        select(func.min(col(AwaitedRow.field)))
        .where(of_type, col(AwaitedRow.field) > used.c.name)
        .scalar_subquery()
    )
    used = used.union_all(select(following).where(used.c.name.is_not(None)))
    return list(session.execute(select(used.c.name).where(used.c.name.is_not(None))).scalars())


def waiting_runs(session: Session, keys: Collection[tuple[str, str, str]]) -> list[UUID]:
    """Give the runs that wait for one of these (type or pattern, field, value)."""
    found: set[UUID] = set()
    values: dict[tuple[str, str], list[str]] = {}
    for awaited, name, value in sorted(keys):
        values.setdefault((awaited, name), []).append(value)
    # Not by all three at once: SQLite would go through every run that waits.
    for (awaited, name), wanted in values.items():
        fits = (col(AwaitedRow.type) == awaited, col(AwaitedRow.field) == name)
        for part in in_parts(wanted, each=1):
            found.update(
                session.execute(
                    select(col(AwaitedRow.run_id)).where(*fits, col(AwaitedRow.value).in_(part))
                ).scalars()
            )
    return sorted(found)


def wake_in_order(session: Session, run_ids: Sequence[UUID], *, now: datetime) -> None:
    """Let these runs go on now; the rows are locked in one order, whoever wakes them."""
    for part in in_parts(sorted(run_ids), each=2):
        session.execute(
            select(col(RunRow.id))
            .where(col(RunRow.id).in_(part), col(RunRow.status).in_(ACTIVE))
            .order_by(col(RunRow.id))
            .with_for_update()
        ).all()
        wake(session, part, now=now)


def stored_after(
    session: Session,
    after: UUID,
    *,
    of_type: str | None,
    received_from: datetime,
    received_until: datetime,
    limit: int,
) -> list[Seen]:
    """Give events in the order in which they were stored, beginning behind an id.

    `of_type` of None: of every type.
    """
    statement = (
        select(
            col(EventRow.id),
            col(EventRow.type),
            col(EventRow.vendor),
            col(EventRow.source),
            col(EventRow.received_at),
        )
        .where(
            col(EventRow.id) > after,
            col(EventRow.received_at) >= received_from,
            col(EventRow.received_at) <= received_until,
        )
        .order_by(col(EventRow.id))
        .limit(limit)
    )
    if of_type is not None:
        # Not by the index of types: it would give every event of the type there ever was.
        statement = statement.where(func.coalesce(col(EventRow.type), "") == of_type)
    return [Seen(*row) for row in session.execute(statement)]


def read_events(session: Session, ids: Sequence[UUID]) -> dict[UUID, EventRow]:
    """Give these events by id."""
    rows = session.exec(select_rows(EventRow).where(col(EventRow.id).in_(ids)))
    return {row.id: row for row in rows}


def joined_events(session: Session, run_id: UUID) -> set[UUID]:
    """Give the events that a run sees beside its own."""
    return set(
        session.exec(select_rows(RunEventRow.event_id).where(RunEventRow.run_id == run_id)).all()
    )

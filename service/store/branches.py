"""Branches of runs: how far they have come, and the items they go through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from schemas.run_tables import RunRow, SpreadItemsRow, SpreadRow
from schemas.workflow import RunStatus
from service.store.insert import in_parts
from service.store.runs import ACTIVE, wake

CHUNK = 100
"""Items that are kept, and loaded, together."""


def store_items(session: Session, run_id: UUID, step: str, items: Sequence[Any]) -> None:
    """Keep the items of a `for_each`."""
    for first in range(0, len(items), CHUNK):
        chunk = list(items[first : first + CHUNK])
        session.add(SpreadItemsRow(run_id=run_id, step=step, first=first, items=chunk))


def item(session: Session, run_id: UUID, step: str, number: int) -> Any:
    """Give one item of a `for_each`."""
    first = number - number % CHUNK
    row = session.get_one(SpreadItemsRow, (run_id, step, first))
    return row.items[number - first]


def find_spread(session: Session, run_id: UUID, step: str) -> SpreadRow | None:
    """Give how far the branches of a step have come, locked; None when it has not spread."""
    return session.exec(_spread(run_id, step)).first()


def lock_spread(session: Session, run_id: UUID, step: str) -> SpreadRow:
    """Give how far the branches of a step have come, locked until the transaction ends."""
    return session.exec(_spread(run_id, step)).one()


def _spread(run_id: UUID, step: str) -> SelectOfScalar[SpreadRow]:
    found = select(SpreadRow).where(SpreadRow.run_id == run_id, SpreadRow.step == step)
    return found.with_for_update().execution_options(populate_existing=True)


def outputs(session: Session, run_id: UUID, step: str) -> Iterator[Any]:
    """Give what the branches of a step gave, in their order, null for those that gave nothing."""
    statement = (
        select(RunRow.number, RunRow.output)
        .where(RunRow.parent_id == run_id, RunRow.container == step)
        .order_by(col(RunRow.number))
        .execution_options(yield_per=CHUNK)
    )
    for _, output in session.exec(statement):
        yield output


def wake_resting(session: Session, run_id: UUID, step: str, *, due_at: datetime) -> list[UUID]:
    """Let the branches of a step begin that have rested since their run was retried.

    `due_at` is when they are rung for again, should their bells be lost.
    """
    statement = (
        update(RunRow)
        .where(
            col(RunRow.parent_id) == run_id,
            col(RunRow.container) == step,
            col(RunRow.status) == RunStatus.PENDING,
            col(RunRow.due_at).is_(None),
        )
        .values(due_at=due_at)
        .returning(col(RunRow.id))
        .execution_options(synchronize_session=False)
    )
    return list(session.execute(statement).scalars())


def wake_free(session: Session, root_id: UUID, *, now: datetime) -> list[UUID]:
    """Let the branches of a run, at any depth, that nobody has locked go on now; gives these.

    A branch locks what it belongs to. Who holds a run and waited for its branches could wait for
    one that waits for him; so those that are locked are left out, and are to be woken later.
    """
    free = session.exec(
        select(RunRow.id)
        .where(RunRow.root_id == root_id, col(RunRow.status).in_(ACTIVE))
        .with_for_update(skip_locked=True)
    ).all()
    for part in in_parts(free):
        wake(session, part, now=now)
    return list(free)

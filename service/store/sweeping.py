"""Rows whose time has come: found so that everybody gets a share, and put off while rung for.

Deliveries belong to their sources, runs to their workflows. Whoever has few rows that wait has all
of them found; of those who have many each has a share. It goes from one owner to the next through
an index that tells them apart, so that 200,000 rows of one cost the others nothing. What somebody
has locked is at work this moment, and is looked at the next time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, false, or_, update
from sqlalchemy import select as select_rows
from sqlmodel import Session, col, select

from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow
from schemas.workflow import RunStatus
from service.store.insert import in_parts

MOST_OWNERS = 100
"""Owners whose rows are found at once; of more, others are chosen each time."""
FEW = 20
"""Who has no more rows that wait than so many has few."""
UNDER_WAY = (RunStatus.RUNNING.value, RunStatus.WAITING.value)
NEW = (RunStatus.PENDING.value,)

Owner = TypeVar("Owner")
Row = TypeVar("Row", DeliveryRow, RunRow)


class Due(NamedTuple):
    """Rows whose time has come: all of those who have few, and a share of those who have many."""

    few: Sequence[UUID]
    many: Sequence[UUID]


class Rung(NamedTuple):
    """A row that is rung for; `rings` counts how often that was since it last came further."""

    id: UUID
    rings: int


def due_deliveries(session: Session, *, by: datetime, limit: int) -> Due:
    """Give deliveries that wait past their time; of sources that have many no more than `limit`."""
    received = col(DeliveryRow.state) == DeliveryState.RECEIVED.value

    def of(source_id: UUID, most: int) -> Sequence[UUID]:
        waits = select(DeliveryRow.id).where(
            received, DeliveryRow.source_id == source_id, col(DeliveryRow.due_at) <= by
        )
        return session.exec(waits.order_by(col(DeliveryRow.due_at)).limit(most)).all()

    return _share_out(_owners(session, _source_after, UUID(int=0)), of, limit)


def due_runs(
    session: Session, statuses: Sequence[str], *, by: datetime, limit: int, lost: bool
) -> Due:
    """Give runs of these statuses that want to be carried on.

    Of workflows that have many no more than `limit`. `lost`: also those whose worker said nothing
    for too long.
    """
    due = select(RunRow.id).where(col(RunRow.status).in_(statuses), col(RunRow.due_at) <= by)
    # What was woken while somebody holds it is taken up by him, or as soon as his lease is over: to
    # ring and to put it off would be to wait for longer.
    is_over = col(RunRow.lease_until) < by if lost else false()
    due = due.where(or_(col(RunRow.lease_owner).is_(None), is_over))
    due = due.order_by(col(RunRow.due_at))
    # Going through the workflows costs more than this, which is done twice a second.
    found = session.exec(due.limit(FEW + 1)).all()
    if len(found) <= FEW:
        return Due(found, ())

    def of(workflow: str, most: int) -> Sequence[UUID]:
        return session.exec(due.where(RunRow.workflow == workflow).limit(most)).all()

    return _share_out(_owners(session, _workflow_after, ""), of, limit)


def put_off_deliveries(
    session: Session, ids: Sequence[UUID], *, by: datetime, until: datetime
) -> list[Rung]:
    """Let those of these deliveries that are still due wait for `until`, and give them."""
    waits = col(DeliveryRow.state) == DeliveryState.RECEIVED.value
    return _put_off(session, DeliveryRow, ids, waits, by=by, until=until)


def put_off_runs(
    session: Session, ids: Sequence[UUID], statuses: Sequence[str], *, by: datetime, until: datetime
) -> list[Rung]:
    """Let those of these runs that are still due wait for `until`, and give them."""
    waits = col(RunRow.status).in_(statuses)
    return _put_off(session, RunRow, ids, waits, by=by, until=until)


def _put_off(
    session: Session,
    model: type[Row],
    ids: Sequence[UUID],
    waits: ColumnElement[bool],
    *,
    by: datetime,
    until: datetime,
) -> list[Rung]:
    """Put rows off, and give them in the order of `ids`."""
    rung: dict[UUID, int] = {}
    for part in in_parts(ids):
        due = select(model.id).where(col(model.id).in_(part), waits, col(model.due_at) <= by)
        free = session.exec(due.order_by(col(model.id)).with_for_update(skip_locked=True)).all()
        put_off = session.execute(
            update(model)
            .where(col(model.id).in_(free))
            .values(due_at=until, rings=col(model.rings) + 1)
            .returning(col(model.id), col(model.rings))
            .execution_options(synchronize_session=False)
        )
        rung.update((row_id, rings) for row_id, rings in put_off)
    return [Rung(row_id, rung[row_id]) for row_id in ids if row_id in rung]


def _owners(session: Session, after: Callable[[Any], Select[Any]], first: Any) -> list[Any]:
    """Give whose rows wait: each is found from the one before by one look into the index.

    `after` gives the owner that comes next in the order of the index; `first` comes before all.
    """
    known = select(after(first).scalar_subquery().label("owner")).cte("owners", recursive=True)
    following = select(after(known.c.owner).scalar_subquery())
    known = known.union_all(following.where(known.c.owner.is_not(None)))
    found = session.execute(select(known.c.owner).where(known.c.owner.is_not(None)))
    return list(found.scalars())


def _source_after(source_id: Any) -> Select[Any]:
    # Ordered by all columns of the index that is meant: by another one, which gives the sources in
    # their order too, a database would go through all that has been ingested.
    source = col(DeliveryRow.source_id)
    waits = col(DeliveryRow.state) == DeliveryState.RECEIVED.value
    found = select_rows(source).where(waits, source > source_id)
    return found.order_by(source, col(DeliveryRow.due_at)).limit(1)


def _workflow_after(workflow: Any) -> Select[Any]:
    name = col(RunRow.workflow)
    found = select_rows(name).where(col(RunRow.due_at).is_not(None), name > workflow)
    return found.order_by(name, col(RunRow.status), col(RunRow.due_at)).limit(1)


def _share_out(
    owners: Sequence[Owner], of: Callable[[Owner, int], Sequence[UUID]], limit: int
) -> Due:
    """Part the rows of owners that have few from those of the others, which come by turns.

    `of` gives an owner's rows, at most so many.
    """
    if len(owners) > MOST_OWNERS:
        owners = random.sample(owners, MOST_OWNERS)
    lots = {owner: of(owner, FEW + 1) for owner in owners}
    few = [row_id for lot in lots.values() if len(lot) <= FEW for row_id in lot]
    busy = [owner for owner, lot in lots.items() if len(lot) > FEW]
    if not busy or not limit:
        return Due(few, ())
    # More than the equal share, because what some leave others may have.
    most = min(limit, 2 * limit // len(busy) + 1)
    return Due(few, list(_by_turns([of(owner, most) for owner in busy]))[:limit])


def _by_turns(lots: Sequence[Sequence[UUID]]) -> Iterator[UUID]:
    for turn in zip_longest(*lots):
        yield from (one for one in turn if one is not None)

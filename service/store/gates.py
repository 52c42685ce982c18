"""Gates and the places of runs before them.

Locks are taken in one order everywhere: runs that have begun, gates by their names, places, runs
that have not begun. So whoever ends a run may touch a gate, and whoever holds a gate never waits
for a run that has begun.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from schemas.run_tables import GateRow, RunEventRow, RunRow, TurnRow, WaitRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus
from service.store.insert import in_parts
from service.store.runs import ACTIVE


def lock_gates(session: Session, keep_until: Mapping[str, datetime]) -> None:
    """Lock the gates of these names until the transaction ends; those that are missing are made.

    `keep_until`: when each may be forgotten, at the earliest.
    """
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    # One after another in the order of their names: two who lock the same gates never cross.
    rows = [
        {"name": name, "starts": [], "keep_until": until}
        for name, until in sorted(keep_until.items())
    ]
    for part in in_parts(rows, each=3):
        insert = dialect.insert(GateRow).values(part)
        later = func.greatest if dialect is postgresql else func.max
        session.execute(
            insert.on_conflict_do_update(
                index_elements=["name"],
                set_={"keep_until": later(col(GateRow.keep_until), insert.excluded.keep_until)},
            )
        )


def gate(session: Session, name: str) -> GateRow:
    """Give a gate that this transaction has locked."""
    found = select(GateRow).where(GateRow.name == name)
    return session.exec(found.execution_options(populate_existing=True)).one()


def forget_gates(session: Session, *, now: datetime, limit: int) -> int:
    """Remove gates that say nothing any more and that nobody uses now; gives how many."""
    stale = (
        select(GateRow.name)
        .where(GateRow.keep_until < now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone = session.execute(
        delete(GateRow)
        .where(col(GateRow.name).in_(stale), col(GateRow.keep_until) < now)
        .returning(col(GateRow.name))
        .execution_options(synchronize_session=False)
    )
    return len(gone.scalars().all())


# --- places -----------------------------------------------------------------------------------


def turns_of(session: Session, run_id: UUID) -> list[TurnRow]:
    """Give the places of a run."""
    found = select(TurnRow).where(TurnRow.run_id == run_id).order_by(col(TurnRow.gate))
    return list(session.exec(found.execution_options(populate_existing=True)).all())


def give_up_turns(session: Session, run_id: UUID) -> list[str]:
    """Remove a run's places; gives the names of the gates."""
    gone = session.execute(
        delete(TurnRow)
        .where(col(TurnRow.run_id) == run_id)
        .returning(col(TurnRow.gate))
        .execution_options(synchronize_session=False)
    )
    return sorted(gone.scalars())


def leave_gate(session: Session, name: str, run_id: UUID) -> None:
    """Remove a run's place before one gate."""
    session.execute(
        delete(TurnRow)
        .where(col(TurnRow.gate) == name, col(TurnRow.run_id) == run_id)
        .execution_options(synchronize_session=False)
    )


def remove_turn(session: Session, turn_id: UUID) -> None:
    """Remove one place."""
    session.execute(
        delete(TurnRow)
        .where(col(TurnRow.id) == turn_id)
        .execution_options(synchronize_session=False)
    )


def lock_front(session: Session, name: str, limit: int) -> Sequence[TurnRow]:
    """Give the places that are to be under way: those that are, then the first that wait.

    They are locked: a run that leaves while we look either has left, or finds who waits for it.
    """
    holding = select(TurnRow).where(TurnRow.gate == name, col(TurnRow.holds).is_(True))
    found = list(session.exec(_locked(holding.order_by(col(TurnRow.id)))).all())
    if len(found) < limit:
        waiting = select(TurnRow).where(TurnRow.gate == name, col(TurnRow.holds).is_(False))
        first = waiting.order_by(col(TurnRow.id)).limit(limit - len(found))
        found += session.exec(_locked(first)).all()
    return found


def _locked(statement: SelectOfScalar[TurnRow]) -> SelectOfScalar[TurnRow]:
    return statement.with_for_update().execution_options(populate_existing=True)


def waiting_before(session: Session, turn: TurnRow) -> Sequence[TurnRow]:
    """Give the places before the same gate that wait longer than this one."""
    return session.exec(
        select(TurnRow)
        .where(TurnRow.gate == turn.gate, col(TurnRow.holds).is_(False), col(TurnRow.id) < turn.id)
        .order_by(col(TurnRow.id))
    ).all()


def count_before(session: Session, turn: TurnRow) -> int:
    """Give how many wait longer before the same gate."""
    return session.exec(
        select(func.count())
        .select_from(TurnRow)
        .where(TurnRow.gate == turn.gate, col(TurnRow.holds).is_(False), col(TurnRow.id) < turn.id)
    ).one()


def first_waiting(session: Session, name: str) -> UUID | None:
    """Give the run that waits longest before a gate."""
    return session.exec(
        select(TurnRow.run_id)
        .where(TurnRow.gate == name, col(TurnRow.holds).is_(False))
        .order_by(col(TurnRow.id))
        .limit(1)
    ).first()


def inherit_turn(session: Session, name: str, *, giver: UUID, heir: UUID) -> bool:
    """Hand a run's place before a gate on to another run; False when it has none there."""
    handed = session.execute(
        update(TurnRow)
        .where(
            col(TurnRow.gate) == name, col(TurnRow.run_id) == giver, col(TurnRow.holds).is_(False)
        )
        .values(run_id=heir)
        .returning(col(TurnRow.id))
        .execution_options(synchronize_session=False)
    )
    return handed.scalar_one_or_none() is not None


# --- runs that have not begun -----------------------------------------------------------------


def bring_forward(session: Session, run_id: UUID, *, due_at: datetime) -> None:
    """Let a run that waits be looked at no later than this."""
    for model, ident in ((RunRow, RunRow.id), (WaitRow, WaitRow.run_id)):
        due = col(model.due_at)
        waits = [col(RunRow.status) == RunStatus.WAITING.value] if model is RunRow else []
        session.execute(
            update(model)
            .where(col(ident) == run_id, or_(due.is_(None), due > due_at), *waits)
            .values(due_at=due_at)
            .execution_options(synchronize_session=False)
        )


def how_far(session: Session, run_ids: Sequence[UUID]) -> dict[UUID, tuple[bool, bool]]:
    """Say of each of these runs whether it has begun, and whether it shall end. Locks nothing."""
    found = select(RunRow.id, RunRow.started_at, RunRow.cancel_requested)
    rows = session.exec(found.where(col(RunRow.id).in_(run_ids)))
    return {id_: (started_at is not None, shall_end) for id_, started_at, shall_end in rows}


def gathering_runs(
    session: Session, names: Collection[str]
) -> dict[str, tuple[RunRow, WaitRow, datetime]]:
    """Give the runs that gather events before these gates, locked, by the gates' names.

    Each with its wait, and when its own event was received. Of several before one gate the newest
    counts.
    """
    found: dict[str, tuple[RunRow, WaitRow, datetime]] = {}
    for part in in_parts(sorted(names)):
        rows = session.exec(
            select(TurnRow.gate, RunRow, WaitRow, EventRow.received_at)
            .join(RunRow, col(RunRow.id) == col(TurnRow.run_id))
            .join(WaitRow, col(WaitRow.run_id) == col(RunRow.id))
            .join(EventRow, col(EventRow.id) == col(RunRow.event_id))
            .where(col(TurnRow.gate).in_(part), col(RunRow.status).in_(ACTIVE))
            .order_by(col(TurnRow.gate), col(TurnRow.id))
            .with_for_update(of=RunRow)
            .execution_options(populate_existing=True)
        )
        found.update({gate_: (run, wait, received) for gate_, run, wait, received in rows})
    return found


def count_events(session: Session, run_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Give how many events each of these runs has gathered."""
    rows = session.exec(
        select(RunEventRow.run_id, func.count())
        .where(col(RunEventRow.run_id).in_(run_ids))
        .group_by(col(RunEventRow.run_id))
    )
    return dict(rows.all())

"""Runs with their steps, attempts and waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, delete, false, or_, update
from sqlmodel import Session, col, select

from schemas.configured_tables import WorkflowRow, WorkflowVersionRow
from schemas.run_tables import AttemptRow, RunEventRow, RunRow, SpreadRow, StepRow, WaitRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus, WaitKind
from service.store.insert import insert_new
from service.store.leases import RUNG_AFTER

CONTAINERS = {"for_each", "parallel"}
_FOREIGN_WAITS = {WaitKind.TARGET.value, WaitKind.PERSON.value}
"""Waits that are no state of the step: it is pending, or in doubt."""
ACTIVE = (RunStatus.PENDING.value, RunStatus.RUNNING.value, RunStatus.WAITING.value)

Pause = tuple[datetime | None, WaitKind | None]


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run, or a branch of one, with all that is needed to carry it on.

    `chain` is the row itself and what it is a branch of, up to the run. `steps` are its own steps
    by id, `around` those of the sequences around it and of arms that have ended. `pauses` tells of
    the steps that wait until when and why: what the wait's row says, kept up to date while the run
    is being carried on. `spreads` are its own containers.
    """

    row: RunRow
    chain: tuple[RunRow, ...]
    event: EventRow
    version: WorkflowVersionRow
    steps: dict[str, StepRow]
    around: dict[str, StepRow]
    wait: WaitRow | None
    pauses: dict[str, Pause]
    spreads: dict[str, SpreadRow]

    @property
    def root(self) -> RunRow:
        """The run that people know."""
        return self.chain[-1]

    @property
    def cancel_requested(self) -> bool:
        """Whether it, or what it is a branch of, shall end."""
        return any(row.cancel_requested for row in self.chain)


def current_versions(session: Session) -> Sequence[tuple[WorkflowRow, WorkflowVersionRow]]:
    """Give every enabled workflow with its current version."""
    statement = (
        select(WorkflowRow, WorkflowVersionRow)
        .join(
            WorkflowVersionRow,
            col(WorkflowVersionRow.id) == col(WorkflowRow.current_version_id),
        )
        .where(col(WorkflowRow.enabled).is_(True))
        .order_by(WorkflowRow.name)
    )
    return session.exec(statement).all()


def store_runs(session: Session, rows: Sequence[RunRow]) -> list[RunRow]:
    """Store runs and give those that are new: one event starts a version once."""
    new = insert_new(session, RunRow, rows, unique=["event_id", "workflow_version_id", "replay"])
    return [row for row in rows if row.id in new]


def claim(
    session: Session,
    run_id: UUID,
    *,
    owner: str,
    now: datetime,
    ttl: timedelta,
    lost: bool = True,
) -> LoadedRun | None:
    """Take a run that has not ended for this worker. None when it ended or another has it.

    `lost`: also one whose worker said nothing for too long. Its `losses` say how many workers were
    lost since it last came further.
    """
    is_over = col(RunRow.lease_until) < now if lost else false()
    statement = (
        update(RunRow)
        .where(
            col(RunRow.id) == run_id,
            col(RunRow.status).in_(ACTIVE),
            or_(col(RunRow.lease_until).is_(None), is_over),
        )
        .values(
            lease_owner=owner,
            lease_until=now + ttl,
            due_at=now + ttl + RUNG_AFTER,
            losses=case((col(RunRow.lease_owner).is_(None), 0), else_=col(RunRow.losses) + 1),
        )
        .returning(col(RunRow.id))
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).scalar_one_or_none() is None:
        return None
    return _load(session, run_id)


def load_new(session: Session, run_id: UUID) -> LoadedRun:
    """Give a run that this transaction has made, so that there is nothing of it yet."""
    row, event, version = _with_event(session, run_id)
    return LoadedRun(row, (row,), event, version, {}, {}, None, {}, {})


def hold(run: LoadedRun, *, owner: str, now: datetime, ttl: timedelta) -> None:
    """Take a run for this worker that nobody else can see yet."""
    run.row.lease_owner, run.row.lease_until = owner, now + ttl
    run.row.due_at = now + ttl + RUNG_AFTER


def reload_held(session: Session, run_id: UUID, *, owner: str) -> LoadedRun | None:
    """Lock the run again if this worker still holds it; None when its lease was lost."""
    # By its id alone: a commit that still goes on, though its line was cut, is waited for.
    row = session.exec(
        select(RunRow)
        .where(RunRow.id == run_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    return None if row is None or row.lease_owner != owner else _load(session, run_id)


def _load(session: Session, run_id: UUID) -> LoadedRun:
    row, event, version = _with_event(session, run_id)
    chain = [row]
    while chain[-1].parent_id is not None:
        # A branch has no event of its own.
        parent, event = session.exec(
            select(RunRow, EventRow)
            .outerjoin(EventRow, col(EventRow.id) == col(RunRow.event_id))
            .where(RunRow.id == chain[-1].parent_id)
            .execution_options(populate_existing=True)
        ).one()
        chain.append(parent)
    steps, around = _steps(session, chain)
    wait = session.exec(select(WaitRow).where(WaitRow.run_id == run_id)).first()
    pauses: dict[str, Pause] = {}
    if wait is not None and wait.step in steps and wait.kind not in _FOREIGN_WAITS:
        pauses[wait.step] = (wait.due_at, WaitKind(wait.kind))
    spreads: dict[str, SpreadRow] = {}
    if any(step.kind in CONTAINERS for step in steps.values()):
        found = session.exec(select(SpreadRow).where(SpreadRow.run_id == run_id))
        spreads = {spread.step: spread for spread in found}
    return LoadedRun(row, tuple(chain), event, version, steps, around, wait, pauses, spreads)


def _with_event(session: Session, run_id: UUID) -> tuple[RunRow, EventRow, WorkflowVersionRow]:
    return session.exec(
        select(RunRow, EventRow, WorkflowVersionRow)
        .join(WorkflowVersionRow, col(WorkflowVersionRow.id) == col(RunRow.workflow_version_id))
        .outerjoin(EventRow, col(EventRow.id) == col(RunRow.event_id))
        .where(RunRow.id == run_id)
        .execution_options(populate_existing=True)
    ).one()


def _steps(
    session: Session, chain: Sequence[RunRow]
) -> tuple[dict[str, StepRow], dict[str, StepRow]]:
    row = chain[0]
    ids = [link.id for link in chain]
    found = list(session.exec(select(StepRow).where(col(StepRow.run_id).in_(ids))))
    if any(step.kind == "parallel" for step in found):
        frames = [link.id for link in chain if link.frame_id is None]
        arms = select(RunRow.id).where(col(RunRow.frame_id).in_(frames), RunRow.id != row.id)
        found += session.exec(
            select(StepRow).where(col(StepRow.run_id).in_(arms), col(StepRow.run_id).not_in(ids))
        )
    own = {step.step: step for step in found if step.run_id == row.id}
    return own, {step.step: step for step in found if step.run_id != row.id}


def version_of(session: Session, run: RunRow) -> WorkflowVersionRow:
    """Give the version that a run began with. Raises NoResultFound."""
    return session.get_one(WorkflowVersionRow, run.workflow_version_id)


def events_of(session: Session, run_id: UUID, first: EventRow) -> list[EventRow]:
    """Give all events that a run sees, in the order they came; `first` is the run's own."""
    joined = session.exec(
        select(EventRow)
        .join(RunEventRow, col(RunEventRow.event_id) == col(EventRow.id))
        .where(RunEventRow.run_id == run_id)
    ).all()
    found = {event.id: event for event in (first, *joined)}
    return sorted(found.values(), key=lambda event: (event.received_at, event.id))


def step_of(session: Session, run_id: UUID, step: str) -> StepRow:
    """Give a step's row. Raises NoResultFound."""
    return session.exec(select(StepRow).where(StepRow.run_id == run_id, StepRow.step == step)).one()


def called_by(session: Session, caller_id: UUID, step: str) -> tuple[Sequence[RunRow], bool]:
    """Give the runs that a step called and that have not ended, locked, and whether these are all.

    A called run that ends locks its caller. So one that is locked is not waited for.
    """
    called = select(RunRow).where(
        RunRow.caller_id == caller_id,
        RunRow.caller_step == step,
        col(RunRow.status).in_(ACTIVE),
    )
    free = session.exec(called.with_for_update(skip_locked=True)).all()
    return free, len(session.exec(called).all()) == len(free)


def wake(session: Session, run_ids: Sequence[UUID], *, now: datetime) -> None:
    """Let runs that have not ended go on now: what they wait for may have come."""
    session.execute(
        update(RunRow)
        .where(col(RunRow.id).in_(run_ids), col(RunRow.status).in_(ACTIVE))
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )


def clear_wait(session: Session, run_id: UUID) -> None:
    """The run goes on: nothing is waited for any more."""
    session.execute(
        delete(WaitRow)
        .where(col(WaitRow.run_id) == run_id)
        .execution_options(synchronize_session=False)
    )


def attempt(session: Session, step_id: UUID, number: int) -> AttemptRow | None:
    """Give one try of a step."""
    return session.exec(
        select(AttemptRow).where(AttemptRow.step_id == step_id, AttemptRow.number == number)
    ).first()


def extend_leases(
    session: Session, owners: Sequence[str], *, now: datetime, ttl: timedelta
) -> set[str]:
    """Keep the runs of these leases for another `ttl`; gives which were renewed.

    One that is locked is at work this moment: it is not waited for, since who holds it may wait for
    another of these.
    """
    held = select(RunRow.id, RunRow.lease_owner).where(col(RunRow.lease_owner).in_(owners))
    free = session.exec(held.order_by(col(RunRow.id)).with_for_update(skip_locked=True)).all()
    session.execute(
        update(RunRow)
        .where(col(RunRow.id).in_([run_id for run_id, _ in free]))
        .values(lease_until=now + ttl, due_at=now + ttl + RUNG_AFTER)
        .execution_options(synchronize_session=False)
    )
    return {owner for _, owner in free if owner is not None}


def free_all(session: Session, *, now: datetime) -> None:
    """Take every run from its worker: they are known to be gone."""
    session.execute(
        update(RunRow)
        .where(col(RunRow.lease_owner).is_not(None))
        .values(lease_until=now - timedelta(seconds=1), due_at=now)
        .execution_options(synchronize_session=False)
    )

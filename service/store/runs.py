"""Runs with their steps, attempts and waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_, update
from sqlmodel import Session, col, select

from schemas.tables import (
    AttemptRow,
    EventRow,
    RunRow,
    StepRow,
    WaitRow,
    WorkflowRow,
    WorkflowVersionRow,
)
from schemas.workflow import RunStatus, WaitKind
from service.store.insert import insert_new

ACTIVE = (RunStatus.PENDING.value, RunStatus.RUNNING.value, RunStatus.WAITING.value)

WAIT_KINDS = {kind.value for kind in WaitKind}

Pause = tuple[datetime | None, WaitKind | None]


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run with all that is needed to carry it on.

    `pauses` tells of the steps that wait until when and why: what the wait's row says, kept up to
    date while the run is being carried on.
    """

    row: RunRow
    event: EventRow
    version: WorkflowVersionRow
    steps: dict[str, StepRow]
    wait: WaitRow | None
    pauses: dict[str, Pause]


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
    session: Session, run_id: UUID, *, owner: str, now: datetime, ttl: timedelta
) -> LoadedRun | None:
    """Take a run that has not ended for this worker. None when it ended or another has it."""
    statement = (
        update(RunRow)
        .where(
            col(RunRow.id) == run_id,
            col(RunRow.status).in_(ACTIVE),
            or_(col(RunRow.lease_until).is_(None), col(RunRow.lease_until) < now),
        )
        .values(lease_owner=owner, lease_until=now + ttl, due_at=now + ttl)
        .returning(col(RunRow.id))
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).scalar_one_or_none() is None:
        return None
    return _load(session, run_id)


def reload_held(session: Session, run_id: UUID, *, owner: str) -> LoadedRun | None:
    """Lock the run again if this worker still holds it; None when its lease was lost."""
    held = session.exec(
        select(RunRow.id).where(RunRow.id == run_id, RunRow.lease_owner == owner).with_for_update()
    ).first()
    return None if held is None else _load(session, run_id)


def _load(session: Session, run_id: UUID) -> LoadedRun:
    row, event, version = session.exec(
        select(RunRow, EventRow, WorkflowVersionRow)
        .join(EventRow, col(EventRow.id) == col(RunRow.event_id))
        .join(WorkflowVersionRow, col(WorkflowVersionRow.id) == col(RunRow.workflow_version_id))
        .where(RunRow.id == run_id)
        .execution_options(populate_existing=True)
    ).one()
    steps = session.exec(select(StepRow).where(StepRow.run_id == run_id)).all()
    wait = session.exec(select(WaitRow).where(WaitRow.run_id == run_id)).first()
    pauses: dict[str, Pause] = {}
    if wait is not None and wait.kind in WAIT_KINDS:
        pauses[wait.step] = (wait.due_at, WaitKind(wait.kind))
    return LoadedRun(row, event, version, {step.step: step for step in steps}, wait, pauses)


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
) -> None:
    """Keep the runs of these leases for another `ttl`."""
    session.execute(
        update(RunRow)
        .where(col(RunRow.lease_owner).in_(owners))
        .values(lease_until=now + ttl, due_at=now + ttl)
        .execution_options(synchronize_session=False)
    )


def ring_due(session: Session, *, now: datetime, again: timedelta, limit: int) -> list[UUID]:
    """Give runs that want to be carried on, and let them wait for `again` from now on."""
    due = (
        select(RunRow.id)
        .where(col(RunRow.status).in_(ACTIVE), col(RunRow.due_at) <= now)
        .order_by(col(RunRow.due_at))
        .limit(limit)
    )
    statement = (
        update(RunRow)
        .where(col(RunRow.id).in_(due), col(RunRow.status).in_(ACTIVE))
        .values(due_at=now + again)
        .returning(col(RunRow.id))
        .execution_options(synchronize_session=False)
    )
    return list(session.execute(statement).scalars())

"""New runs that are carried on together: found and locked at once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from schemas.configured_tables import WorkflowVersionRow
from schemas.run_tables import AttemptRow, RunRow, StepRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus
from service.losses import SUSPECT_AFTER_RINGS
from service.store.insert import insert_values, table_of, update_by_id, values_of

_CHANGED = ("status", "error", "output", "started_at", "ended_at", "due_at")


def lock_new(session: Session, ids: Sequence[UUID]) -> list[tuple[RunRow, EventRow]]:
    """Lock those of these runs that nobody has begun with, and give them with their events.

    No branches, no runs that another one called or that somebody began anew or cancelled, and none
    that may be taking its workers down.
    """
    statement = (
        select(RunRow, EventRow)
        .join(EventRow, col(EventRow.id) == col(RunRow.event_id))
        .where(
            col(RunRow.id).in_(ids),
            RunRow.status == RunStatus.PENDING.value,
            col(RunRow.started_at).is_(None),
            col(RunRow.lease_owner).is_(None),
            col(RunRow.parent_id).is_(None),
            col(RunRow.caller_id).is_(None),
            col(RunRow.cancel_requested).is_(False),
            RunRow.retries == 0,
            RunRow.failures == 0,
            RunRow.losses == 0,
            RunRow.rings <= SUSPECT_AFTER_RINGS,
        )
        .order_by(col(RunRow.id))
        .with_for_update(of=RunRow, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    found = list(session.exec(statement).all())
    # What becomes of them is stored for all of them at once.
    for run, _ in found:
        session.expunge(run)
    return found


def versions_of(session: Session, runs: Sequence[RunRow]) -> dict[UUID, WorkflowVersionRow]:
    """Give the versions that these runs began with, by id."""
    ids = {run.workflow_version_id for run in runs}
    found = session.exec(select(WorkflowVersionRow).where(col(WorkflowVersionRow.id).in_(ids)))
    return {row.id: row for row in found}


def store_progress(
    session: Session,
    runs: Sequence[RunRow],
    steps: Sequence[StepRow],
    attempts: Sequence[AttemptRow],
) -> None:
    """Store how far these runs have come, and their steps and attempts, which are new."""
    for model, rows in ((StepRow, steps), (AttemptRow, attempts)):
        insert_values(session, table_of(model), [values_of(model, row) for row in rows])
    values = [values_of(RunRow, run) for run in runs]
    update_by_id(session, table_of(RunRow), values, *_CHANGED)

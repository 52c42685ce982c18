"""What is asked when a run is started by hand, by a schedule or by a call."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from schemas.configured_tables import WorkflowRow
from schemas.run_tables import RunRow
from schemas.tables import EventRow
from service.errors import NotFound
from service.store.keys import EVENTS, id_of


def run_started_with(session: Session, dedupe_key: str) -> RunRow:
    """Give the run that an event of ours started. Raises NoResultFound."""
    return session.exec(
        select(RunRow)
        .where(RunRow.event_id == id_of(session, EVENTS, dedupe_key))
        .order_by(col(RunRow.replay))
        .limit(1)
    ).one()


def event(session: Session, event_id: UUID) -> EventRow | None:
    """Give a stored event."""
    return session.get(EventRow, event_id)


def last_replay(session: Session, event_id: UUID | None, workflow: str) -> int:
    """Give how often a workflow was started anew for an event; 0 also when it never ran for it."""
    return (
        session.exec(
            select(func.max(RunRow.replay)).where(
                RunRow.event_id == event_id, RunRow.workflow == workflow
            )
        ).one()
        or 0
    )


def lock_workflow(session: Session, name: str) -> WorkflowRow | None:
    """Give a workflow by name, locked."""
    return session.exec(
        select(WorkflowRow).where(WorkflowRow.name == name).with_for_update()
    ).first()


def check_workflow(session: Session, name: str) -> None:
    """Raise NotFound unless there is a workflow of this name, enabled or not."""
    if not has_workflow(session, name):
        raise NotFound(f"there is no workflow {name!r}")


def has_workflow(session: Session, name: str) -> bool:
    """Say whether there is a workflow of this name, enabled or not."""
    return session.exec(select(WorkflowRow.id).where(WorkflowRow.name == name)).first() is not None

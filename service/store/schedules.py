"""When workflows are started next by their `cron` triggers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from schemas.configured_tables import ScheduleRow, WorkflowRow
from service.store.insert import insert_new

Key = tuple[UUID, str, str]
"""A workflow's id, the five fields and the time zone."""


def ids_of_workflows(session: Session, names: Collection[str]) -> dict[str, UUID]:
    """Give the ids of these workflows by name."""
    rows = session.exec(
        select(WorkflowRow.name, WorkflowRow.id).where(col(WorkflowRow.name).in_(names))
    )
    return dict(rows.all())


def known(session: Session) -> dict[Key, UUID]:
    """Give the ids of all schedules."""
    rows = session.exec(
        select(ScheduleRow.workflow_id, ScheduleRow.cron, ScheduleRow.timezone, ScheduleRow.id)
    )
    return {(workflow_id, cron, zone): id_ for workflow_id, cron, zone, id_ in rows}


def add(session: Session, due: Mapping[Key, datetime]) -> None:
    """Add schedules with when they are due first; those that are there stay as they are."""
    rows = [
        ScheduleRow(workflow_id=workflow_id, cron=cron, timezone=zone, due_at=due_at)
        for (workflow_id, cron, zone), due_at in due.items()
    ]
    insert_new(session, ScheduleRow, rows, unique=["workflow_id", "cron", "timezone"])


def remove(session: Session, ids: Collection[UUID]) -> None:
    """Remove schedules."""
    session.execute(
        delete(ScheduleRow)
        .where(col(ScheduleRow.id).in_(ids))
        .execution_options(synchronize_session=False)
    )


def due(session: Session, *, now: datetime, limit: int) -> Sequence[UUID]:
    """Give schedules whose time has come."""
    return session.exec(
        select(ScheduleRow.id)
        .where(ScheduleRow.due_at <= now)
        .order_by(col(ScheduleRow.due_at))
        .limit(limit)
    ).all()


def lock_due(session: Session, id_: UUID, *, now: datetime) -> tuple[ScheduleRow, str] | None:
    """Lock a schedule that is still due, and give it with its workflow's name."""
    return session.exec(
        select(ScheduleRow, WorkflowRow.name)
        .join(WorkflowRow, col(WorkflowRow.id) == col(ScheduleRow.workflow_id))
        .where(ScheduleRow.id == id_, ScheduleRow.due_at <= now)
        .with_for_update(of=ScheduleRow)
    ).first()


def put_off(session: Session, id_: UUID, *, until: datetime) -> None:
    """Let a schedule be looked at again at this time."""
    session.execute(
        update(ScheduleRow)
        .where(col(ScheduleRow.id) == id_)
        .values(due_at=until)
        .execution_options(synchronize_session=False)
    )

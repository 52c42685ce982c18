"""What was configured, by name, for applying a file to it."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, SQLModel, col, select

from schemas.configured_tables import WorkflowVersionRow

Row = TypeVar("Row", bound=SQLModel)


def rows_by_name(session: Session, model: type[Row]) -> dict[str, Row]:
    """Give every row of a table by its name."""
    return {row.name: row for row in session.exec(select(model))}  # type: ignore[attr-defined]  # these tables have one


def version(session: Session, ident: UUID | None) -> WorkflowVersionRow | None:
    """Give a version of a workflow."""
    return None if ident is None else session.get(WorkflowVersionRow, ident)


def newest_number(session: Session, workflow_id: UUID) -> int:
    """Give the number of a workflow's newest version; 0 when it has none."""
    statement = select(func.max(WorkflowVersionRow.number)).where(
        col(WorkflowVersionRow.workflow_id) == workflow_id
    )
    return session.exec(statement).one() or 0

"""What is looked up and taken away when a run goes on that had ended."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, or_
from sqlmodel import Session, col, select

from schemas.run_tables import RunRow, SpreadItemsRow, SpreadRow
from schemas.workflow import RunStatus
from service.store.runs import ACTIVE


def has_active_branches(session: Session, root_id: UUID) -> bool:
    """Say whether a branch of a run, at any depth, is being carried on."""
    active = select(RunRow.id).where(
        RunRow.root_id == root_id,
        col(RunRow.status).in_(ACTIVE),
        or_(col(RunRow.status) != RunStatus.PENDING, col(RunRow.due_at).is_not(None)),
    )
    return session.exec(active.limit(1)).first() is not None


def lock_branches(
    session: Session, parent_id: UUID, step: str, statuses: Sequence[str]
) -> Sequence[RunRow]:
    """Give the branches of a step that ended like this, in their order, locked."""
    return session.exec(
        select(RunRow)
        .where(
            RunRow.parent_id == parent_id,
            RunRow.container == step,
            col(RunRow.status).in_(statuses),
        )
        .order_by(col(RunRow.number))
        .with_for_update()
    ).all()


def forget_branches(session: Session, run_id: UUID, step: str) -> None:
    """Take the branches of a step away with all that belongs to them; the ledger stays."""
    for statement in (
        delete(RunRow).where(col(RunRow.parent_id) == run_id, col(RunRow.container) == step),
        delete(SpreadItemsRow).where(
            col(SpreadItemsRow.run_id) == run_id, col(SpreadItemsRow.step) == step
        ),
        delete(SpreadRow).where(col(SpreadRow.run_id) == run_id, col(SpreadRow.step) == step),
    ):
        session.execute(statement.execution_options(synchronize_session=False))

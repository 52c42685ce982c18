"""Alerts: at most one of a key is not resolved."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, select

from schemas.states import AlertState
from schemas.tables import AlertRow


def unresolved(session: Session, key: str) -> AlertRow | None:
    """Give the open or acknowledged alert of a key, locked."""
    return session.exec(
        select(AlertRow)
        .where(AlertRow.key == key, AlertRow.state != AlertState.RESOLVED)
        .with_for_update()
    ).first()


def locked(session: Session, alert_id: UUID) -> AlertRow | None:
    """Give an alert, locked."""
    return session.exec(select(AlertRow).where(AlertRow.id == alert_id).with_for_update()).first()

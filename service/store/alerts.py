"""Alerts: at most one of a key is not resolved."""

from __future__ import annotations

from sqlmodel import Session, select

from schemas.tables import AlertRow, AlertState


def unresolved(session: Session, key: str) -> AlertRow | None:
    """Give the open or acknowledged alert of a key, locked."""
    return session.exec(
        select(AlertRow)
        .where(AlertRow.key == key, AlertRow.state != AlertState.RESOLVED)
        .with_for_update()
    ).first()

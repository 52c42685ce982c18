"""Connections by name and by vendor."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, select

from schemas.configured_tables import ConnectionRow


def named(session: Session, name: str) -> ConnectionRow | None:
    """Give the connection of a name."""
    return session.exec(select(ConnectionRow).where(ConnectionRow.name == name)).first()


def of_vendor(session: Session, vendor: str, *, limit: int) -> Sequence[ConnectionRow]:
    """Give connections of a vendor, at most `limit`."""
    statement = select(ConnectionRow).where(ConnectionRow.vendor == vendor).limit(limit)
    return session.exec(statement).all()


def every_connection(session: Session) -> Sequence[ConnectionRow]:
    """Give all connections, by name."""
    return session.exec(select(ConnectionRow).order_by(ConnectionRow.name)).all()

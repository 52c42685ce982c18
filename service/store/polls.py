"""Polls: when they are due, who asks, and how far their answers have been read."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import Session, col

from schemas.tables import PollRow
from service.store import leased


def claim(
    session: Session, poll_id: UUID, *, owner: str, now: datetime, ttl: timedelta
) -> PollRow | None:
    """Take a poll for this worker. None when it is gone, off or taken."""
    return leased.claim(session, PollRow, poll_id, _waits(), owner=owner, now=now, ttl=ttl)


def held(session: Session, poll_id: UUID, owner: str) -> PollRow | None:
    """Lock the poll if this worker still holds it."""
    return leased.held(session, PollRow, poll_id, owner)


def ring_due(session: Session, *, now: datetime, again: timedelta, limit: int) -> list[UUID]:
    """Give polls that are due, and let them wait for `again` from now on."""
    return leased.ring_due(session, PollRow, _waits(), now=now, again=again, limit=limit)


def _waits() -> ColumnElement[bool]:
    return col(PollRow.enabled).is_(True)

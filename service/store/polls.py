"""Polls: when they are due, who asks, and how far their answers have been read."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from schemas.configured_tables import PollRow
from service.store import leased


def claim(
    session: Session, poll_id: UUID, *, owner: str, now: datetime, ttl: timedelta
) -> PollRow | None:
    """Take a poll for this worker. None when it is gone, off or taken."""
    return leased.claim(session, PollRow, poll_id, owner=owner, now=now, ttl=ttl)


def held(session: Session, poll_id: UUID, owner: str) -> PollRow | None:
    """Lock the poll if this worker still holds it."""
    return leased.held(session, PollRow, poll_id, owner)

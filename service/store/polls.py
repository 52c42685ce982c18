"""Polls: when they are due, who asks, and how far their answers have been read."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from schemas.tables import PollRow


def claim(
    session: Session, poll_id: UUID, *, owner: str, now: datetime, ttl: timedelta
) -> PollRow | None:
    """Take a due poll for this worker. None when it is gone, off, not due or taken."""
    statement = (
        update(PollRow)
        .where(
            col(PollRow.id) == poll_id,
            col(PollRow.enabled).is_(True),
            or_(col(PollRow.lease_until).is_(None), col(PollRow.lease_until) < now),
        )
        .values(lease_owner=owner, lease_until=now + ttl, due_at=now + ttl)
        .returning(col(PollRow.id))
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).scalar_one_or_none() is None:
        return None
    return session.get(PollRow, poll_id)


def held(session: Session, poll_id: UUID, owner: str) -> PollRow | None:
    """Lock the poll if this worker still holds it."""
    return session.exec(
        select(PollRow).where(PollRow.id == poll_id, PollRow.lease_owner == owner).with_for_update()
    ).first()


def ring_due(session: Session, *, now: datetime, again: timedelta, limit: int) -> list[UUID]:
    """Give polls that are due, and let them wait for `again` from now on."""
    due = (
        select(PollRow.id)
        .where(col(PollRow.enabled).is_(True), col(PollRow.due_at) <= now)
        .order_by(col(PollRow.due_at))
        .limit(limit)
    )
    statement = (
        update(PollRow)
        .where(col(PollRow.id).in_(due))
        .values(due_at=now + again)
        .returning(col(PollRow.id))
        .execution_options(synchronize_session=False)
    )
    return list(session.execute(statement).scalars())

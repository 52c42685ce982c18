"""Rows that wait for a worker: who has taken one, until when, and which are due.

Polls and comparisons with vendors' records look the same from here. Runs and deliveries do not:
they are taken with a lock, or by a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, or_, update
from sqlmodel import Session, col, select

from schemas.tables import PollRow, ReconciliationRow

Row = TypeVar("Row", PollRow, ReconciliationRow)
LEASE = timedelta(seconds=60)
"""How long a row stays taken when its worker dies; a worker that lives keeps it for longer."""


def claim(
    session: Session,
    model: type[Row],
    ident: UUID,
    waits: ColumnElement[bool],
    *,
    owner: str,
    now: datetime,
    ttl: timedelta,
) -> Row | None:
    """Take a row for this worker. None when it is gone, does not wait any more, or is taken."""
    statement = (
        update(model)
        .where(
            col(model.id) == ident,
            waits,
            or_(col(model.lease_until).is_(None), col(model.lease_until) < now),
        )
        .values(lease_owner=owner, lease_until=now + ttl, due_at=now + ttl)
        .returning(col(model.id))
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).scalar_one_or_none() is None:
        return None
    return session.get(model, ident)


def extend(session: Session, owners: Sequence[str], *, now: datetime, ttl: timedelta) -> set[str]:
    """Keep everything that these owners hold for a while longer; gives which hold something."""
    renewed: set[str] = set()
    for model in (PollRow, ReconciliationRow):
        held = session.execute(
            update(model)
            .where(col(model.lease_owner).in_(owners))
            .values(lease_until=now + ttl)
            .returning(col(model.lease_owner))
            .execution_options(synchronize_session=False)
        )
        renewed.update(held.scalars())
    return renewed


def held(session: Session, model: type[Row], ident: UUID, owner: str) -> Row | None:
    """Lock a row if this worker still holds it."""
    return session.exec(
        select(model).where(model.id == ident, model.lease_owner == owner).with_for_update()
    ).first()


def ring_due(
    session: Session,
    model: type[Row],
    waits: ColumnElement[bool],
    *,
    now: datetime,
    again: timedelta,
    limit: int,
) -> list[UUID]:
    """Give the rows that are due, and let them wait for `again` from now on."""
    due = (
        select(model.id)
        .where(waits, col(model.due_at) <= now)
        .order_by(col(model.due_at))
        .limit(limit)
    )
    statement = (
        update(model)
        .where(col(model.id).in_(due))
        .values(due_at=now + again)
        .returning(col(model.id))
        .execution_options(synchronize_session=False)
    )
    return list(session.execute(statement).scalars())

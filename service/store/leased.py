"""Rows that wait for a worker: who has taken one, until when, and which are due.

Polls, comparisons with vendors' records and work in bulk look the same from here. Runs and
deliveries do not: they are taken with a lock, or by a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, case, or_, update
from sqlmodel import Session, col, select

from schemas.configured_tables import PollRow
from schemas.reconciliation_tables import ReconciliationRow
from schemas.upkeep_tables import BulkJobRow
from service.store.leases import RUNG_AFTER

Row = TypeVar("Row", PollRow, ReconciliationRow, BulkJobRow)
LEASE = timedelta(seconds=8)
"""How long a row stays taken when its worker dies; a worker that lives keeps it for longer."""


def claim(
    session: Session,
    model: type[Row],
    ident: UUID,
    *,
    owner: str,
    now: datetime,
    ttl: timedelta,
) -> Row | None:
    """Take a row for this worker. None when it is gone, does not wait any more, or is taken.

    Its `losses` say how many workers in a row have taken it and never gave it back.
    """
    statement = (
        update(model)
        .where(
            col(model.id) == ident,
            waits(model),
            or_(col(model.lease_until).is_(None), col(model.lease_until) < now),
        )
        .values(
            lease_owner=owner,
            lease_until=now + ttl,
            due_at=now + ttl + RUNG_AFTER,
            losses=case((col(model.lease_owner).is_(None), 0), else_=col(model.losses) + 1),
        )
        .returning(col(model.id))
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).scalar_one_or_none() is None:
        return None
    return session.get(model, ident)


def extend(session: Session, owners: Sequence[str], *, now: datetime, ttl: timedelta) -> set[str]:
    """Keep everything that these owners hold for a while longer; gives which hold something."""
    renewed: set[str] = set()
    for model in (PollRow, ReconciliationRow, BulkJobRow):
        held = session.execute(
            update(model)
            .where(col(model.lease_owner).in_(owners))
            .values(lease_until=now + ttl, due_at=now + ttl + RUNG_AFTER)
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


def due(
    session: Session,
    model: type[Row],
    *,
    by: datetime,
    limit: int,
) -> Sequence[UUID]:
    """Give the rows that are due, as they became so."""
    found = select(model.id).where(waits(model), col(model.due_at) <= by)
    return session.exec(found.order_by(col(model.due_at)).limit(limit)).all()


def put_off(
    session: Session,
    model: type[Row],
    ids: Sequence[UUID],
    *,
    by: datetime,
    until: datetime,
) -> list[UUID]:
    """Let those of these rows that are still due wait for `until`, and give them."""
    statement = (
        update(model)
        .where(col(model.id).in_(ids), waits(model), col(model.due_at) <= by)
        .values(due_at=until)
        .returning(col(model.id))
        .execution_options(synchronize_session=False)
    )
    return list(session.execute(statement).scalars())


def free_all(session: Session, *, now: datetime) -> None:
    """Take everything from its workers: they are known to be gone."""
    for model in (PollRow, ReconciliationRow, BulkJobRow):
        session.execute(
            update(model)
            .where(col(model.lease_owner).is_not(None))
            .values(lease_until=now - LEASE, due_at=now)
            .execution_options(synchronize_session=False)
        )


def waits(model: type[Row]) -> ColumnElement[bool]:
    """Give the condition that a row of this table is one that may become due."""
    if issubclass(model, PollRow):
        return col(model.enabled).is_(True)
    return col(model.ended_at).is_(None)

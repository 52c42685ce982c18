"""The quarantine's table: refused requests, bounded in rows, bytes and age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, delete, func, or_, select, update
from sqlmodel import Session, col

from schemas.tables import RejectionRow

MAX_BODY_BYTES = 64 * 1024
"""A body is cut here; `body_bytes` tells how long it was."""

ROW_BYTES = 1024
"""What a row is taken to weigh beside its body: headers, texts, indexes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the quarantine holds; no source more than its share of rows and bytes."""

    rows: int = 10_000
    size: int = 64 * 1024 * 1024
    age: timedelta = timedelta(days=7)
    source_share: float = 0.25


def add_rejections(session: Session, rows: Sequence[RejectionRow]) -> None:
    """Store refused requests."""
    session.add_all(rows)
    session.flush()


def count_again(session: Session, counts: Mapping[UUID, int]) -> None:
    """Count refusals that were equal to stored ones."""
    for row, more in counts.items():
        session.execute(
            update(RejectionRow)
            .where(col(RejectionRow.id) == row)
            .values(count=col(RejectionRow.count) + more)
        )


def trim_rejections(session: Session, bounds: Bounds, now: datetime) -> None:
    """Remove the oldest until the bounds hold."""
    cut = col(RejectionRow.body_bytes)
    weight = ROW_BYTES + case((cut < MAX_BODY_BYTES, cut), else_=MAX_BODY_BYTES)
    newest = (col(RejectionRow.received_at).desc(), col(RejectionRow.id).desc())
    own = col(RejectionRow.source)
    so_far = (None, 0)
    weighed = select(
        col(RejectionRow.id).label("id"),
        col(RejectionRow.received_at).label("received_at"),
        func.row_number().over(order_by=newest).label("rows"),
        func.sum(weight).over(order_by=newest, rows=so_far).label("size"),
        func.row_number().over(partition_by=own, order_by=newest).label("own_rows"),
        func.sum(weight).over(partition_by=own, order_by=newest, rows=so_far).label("own_size"),
    ).subquery()
    surplus = select(weighed.c.id).where(
        or_(
            weighed.c.rows > bounds.rows,
            weighed.c.size > bounds.size,
            weighed.c.own_rows > bounds.rows * bounds.source_share,
            weighed.c.own_size > bounds.size * bounds.source_share,
            weighed.c.received_at < now - bounds.age,
        )
    )
    session.execute(
        delete(RejectionRow)
        .where(col(RejectionRow.id).in_(surplus))
        .execution_options(synchronize_session=False)
    )

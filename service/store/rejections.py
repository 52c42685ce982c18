"""The quarantine's table: refused requests, bounded in rows, bytes and age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Text, case, cast, delete, func, or_, select, update
from sqlmodel import Session, col

from schemas.tables import RejectionRow

MAX_BODY_BYTES = 64 * 1024
"""A body is cut here; `body_bytes` tells how long it was."""

ROW_BYTES = 1024
"""What a row is taken to weigh beside its body and its headers: texts and indexes."""


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
    """Remove the oldest until the bounds hold: first each source's, then those of all together.

    In this order a source that is flooded cannot push out what the others have.
    """
    too_old = col(RejectionRow.received_at) < now - bounds.age
    session.execute(delete(RejectionRow).where(too_old), execution_options=_BLINDLY)
    share = bounds.source_share
    _keep_newest(session, int(bounds.rows * share), int(bounds.size * share), each_source=True)
    _keep_newest(session, bounds.rows, bounds.size, each_source=False)


_BLINDLY = {"synchronize_session": False}


def _keep_newest(session: Session, rows: int, size: int, *, each_source: bool) -> None:
    cut = col(RejectionRow.body_bytes)
    body = case((cut < MAX_BODY_BYTES, cut), else_=MAX_BODY_BYTES)
    # SQLite has no octet_length before 3.43, but there the text is ASCII.
    length = func.length if session.get_bind().dialect.name == "sqlite" else func.octet_length
    weight = ROW_BYTES + body + length(cast(col(RejectionRow.headers), Text))
    newest = (col(RejectionRow.received_at).desc(), col(RejectionRow.id).desc())
    parts = col(RejectionRow.source) if each_source else None
    weighed = select(
        col(RejectionRow.id).label("id"),
        func.row_number().over(partition_by=parts, order_by=newest).label("rows"),
        func.sum(weight).over(partition_by=parts, order_by=newest, rows=(None, 0)).label("size"),
    ).subquery()
    surplus = select(weighed.c.id).where(or_(weighed.c.rows > rows, weighed.c.size > size))
    session.execute(
        delete(RejectionRow).where(col(RejectionRow.id).in_(surplus)), execution_options=_BLINDLY
    )

"""The quarantine's table: refused requests, bounded in rows, bytes and age."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Text, cast, delete, func, select, update
from sqlmodel import Session, col

from schemas.tables import DeliveryRow, RejectionRow

ROW_BYTES = 1024
"""What a row is taken to weigh beside its body and its headers: texts and indexes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the quarantine holds; no source more than its share of rows and bytes."""

    rows: int = 10_000
    size: int = 64 * 1024 * 1024
    age: timedelta = timedelta(days=7)
    source_share: float = 0.25


class Kept(NamedTuple):
    """A refused request of which the cause may be looked for."""

    id: UUID
    source: str
    reason: str
    received_at: datetime
    explained: bool


@dataclass(slots=True)
class _Tally:
    """How much of a bound is used up."""

    most_rows: float
    most_size: float
    rows: int = field(default=0)
    size: int = field(default=0)

    def takes(self, size: int) -> bool:
        """Count a row of this size, and say whether it is within the bound."""
        self.rows += 1
        self.size += size
        return self.rows <= self.most_rows and self.size <= self.most_size


def add_rejections(session: Session, rows: Sequence[RejectionRow]) -> None:
    """Store refused requests."""
    session.add_all(rows)
    session.flush()


def count_again(session: Session, counts: Mapping[UUID, int]) -> set[UUID]:
    """Count refusals that were equal to stored ones; give those that are stored no more."""
    gone = set()
    for row, more in counts.items():
        found = session.execute(
            update(RejectionRow)
            .where(col(RejectionRow.id) == row)
            .values(count=col(RejectionRow.count) + more)
            .returning(col(RejectionRow.id))
            .execution_options(synchronize_session=False)
        )
        if found.first() is None:
            gone.add(row)
    return gone


def find_surplus(session: Session, bounds: Bounds, now: datetime) -> list[UUID]:
    """Give what must go for the bounds to hold: the oldest of each source, then of all together.

    In this order a source that is flooded cannot push out what the others have.
    """
    # SQLite has no octet_length before 3.43, but there the text is ASCII.
    length = func.length if session.get_bind().dialect.name == "sqlite" else func.octet_length
    weight = (
        ROW_BYTES
        + length(col(RejectionRow.body))
        + length(cast(col(RejectionRow.headers), Text))
        + func.coalesce(length(col(RejectionRow.sealed)), 0)
    )
    newest_first = select(
        col(RejectionRow.id), col(RejectionRow.source), col(RejectionRow.received_at), weight
    ).order_by(col(RejectionRow.received_at).desc(), col(RejectionRow.id).desc())
    share = bounds.source_share
    sources = defaultdict[str, _Tally](lambda: _Tally(bounds.rows * share, bounds.size * share))
    together = _Tally(bounds.rows, bounds.size)
    surplus = []
    for ident, source, received_at, size in session.execute(newest_first):
        is_young = received_at >= now - bounds.age
        if not (is_young and sources[source].takes(size) and together.takes(size)):
            surplus.append(ident)
    return surplus


def find_recent(session: Session, since: datetime, limit: int) -> list[Kept]:
    """Give which refused requests came since then, newest first, explained ones too."""
    found = session.execute(
        select(
            col(RejectionRow.id),
            col(RejectionRow.source),
            col(RejectionRow.reason),
            col(RejectionRow.received_at),
            col(RejectionRow.cause).is_not(None),
        )
        .where(col(RejectionRow.received_at) >= since)
        .order_by(col(RejectionRow.id).desc())
        .limit(limit)
    )
    return [Kept(*row) for row in found]


def note_diagnosis(session: Session, ident: UUID, cause: str, text: str) -> None:
    """Note why a request was refused."""
    session.execute(
        update(RejectionRow)
        .where(col(RejectionRow.id) == ident)
        .values(cause=cause, diagnosis=text)
        .execution_options(synchronize_session=False)
    )


def sources_refused(session: Session, reasons: Collection[str], since: datetime) -> set[str]:
    """Give the sources of which something was refused since then for one of these reasons."""
    found = session.execute(
        select(col(RejectionRow.source))
        .where(col(RejectionRow.received_at) >= since, col(RejectionRow.reason).in_(reasons))
        .distinct()
    )
    return set(found.scalars())


def newest_deliveries(session: Session, among: int) -> dict[str, datetime]:
    """Give when the newest delivery of each source came, of those among the newest of all."""
    newest = (
        select(col(DeliveryRow.source), col(DeliveryRow.received_at))
        .order_by(col(DeliveryRow.id).desc())
        .limit(among)
        .subquery()
    )
    found = session.execute(
        select(newest.c.source, func.max(newest.c.received_at)).group_by(newest.c.source)
    )
    return {row[0]: row[1] for row in found}


def remove_rejections(session: Session, ids: Sequence[UUID]) -> None:
    """Remove these."""
    session.execute(
        delete(RejectionRow).where(col(RejectionRow.id).in_(ids)),
        execution_options={"synchronize_session": False},
    )

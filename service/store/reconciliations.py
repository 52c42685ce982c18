"""Comparisons with vendors' records, and the gaps they found."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import load_only
from sqlmodel import Session, col, select

from schemas.configured_tables import SourceRow
from schemas.reconciliation_tables import GapRow, ReconciliationRow
from schemas.states import GapState
from schemas.tables import DeliveryRow
from service.store import leased
from service.store.insert import in_parts
from service.store.keys import DELIVERIES, has_key_of

READ_AT_ONCE = 200


class GapCounts(NamedTuple):
    """How many gaps a comparison found; `open` are those that are not to be had."""

    missing: int
    asked: int
    filled: int
    open: int


def claim(
    session: Session, reconciliation_id: UUID, *, owner: str, now: datetime, ttl: timedelta
) -> ReconciliationRow | None:
    """Take a comparison for this worker. None when it has ended or another has it."""
    return leased.claim(
        session, ReconciliationRow, reconciliation_id, owner=owner, now=now, ttl=ttl
    )


def held(session: Session, reconciliation_id: UUID, owner: str) -> ReconciliationRow | None:
    """Lock the comparison if this worker still holds it."""
    return leased.held(session, ReconciliationRow, reconciliation_id, owner)


def sources_are_due(session: Session, *, now: datetime) -> bool:
    """Say whether a source's record is to be compared now by its schedule."""
    due = select(SourceRow.id).where(*_is_due(now))
    return session.exec(due.limit(1)).first() is not None


def due_sources(session: Session, *, now: datetime, limit: int) -> Sequence[SourceRow]:
    """Lock sources whose record is to be compared now by their schedule."""
    return session.exec(
        select(SourceRow)
        .where(*_is_due(now))
        .order_by(col(SourceRow.reconcile_due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return col(SourceRow.reconcile_due_at) <= now, col(SourceRow.enabled).is_(True)


def take_turn(session: Session, source_id: UUID) -> None:
    """Wait until nobody else asks for a comparison of this source."""
    session.exec(select(SourceRow.id).where(SourceRow.id == source_id).with_for_update()).first()


def under_way(session: Session, source_id: UUID) -> Sequence[ReconciliationRow]:
    """Give the comparisons of this source that have not ended."""
    return session.exec(
        select(ReconciliationRow).where(
            ReconciliationRow.source_id == source_id, col(ReconciliationRow.ended_at).is_(None)
        )
    ).all()


def newest_deliveries(session: Session, source_id: UUID, *, limit: int) -> Sequence[DeliveryRow]:
    """Give the newest deliveries of a source."""
    return session.exec(
        select(DeliveryRow)
        .where(DeliveryRow.source_id == source_id)
        .order_by(col(DeliveryRow.id).desc())
        .limit(limit)
    ).all()


def known_keys(session: Session, source_id: UUID, keys: Collection[str]) -> set[str]:
    """Give which of these delivery keys are stored."""
    known: set[str] = set()
    for part in in_parts(keys, each=2):
        known.update(
            session.exec(
                select(DeliveryRow.delivery_key).where(
                    has_key_of(session, DELIVERIES, [(source_id, key) for key in part])
                )
            )
        )
    return known


def deliveries_between(
    session: Session, source_id: UUID, since: datetime, *, most: int
) -> Iterator[DeliveryRow]:
    """Give a source's deliveries since a time, oldest first, without holding them all."""
    statement = (
        select(DeliveryRow)
        .options(
            load_only(
                DeliveryRow.source,  # type: ignore[arg-type]  # SQLModel's columns are typed as values
                DeliveryRow.headers,  # type: ignore[arg-type]
                DeliveryRow.body,  # type: ignore[arg-type]
                DeliveryRow.received_at,  # type: ignore[arg-type]
            )
        )
        .where(DeliveryRow.source_id == source_id, col(DeliveryRow.received_at) >= since)
        .order_by(col(DeliveryRow.received_at))
        .limit(most)
        .execution_options(yield_per=READ_AT_ONCE)
    )
    rows = session.exec(statement)
    try:
        for row in rows:
            yield row
            session.expunge(row)
    finally:
        rows.close()


def gaps_by_reference(
    session: Session, source_id: UUID, record: str, references: Collection[str]
) -> dict[str, GapRow]:
    """Give the known gaps among these entries of a record."""
    gaps: dict[str, GapRow] = {}
    for part in in_parts(references):
        rows = session.exec(
            select(GapRow).where(
                GapRow.source_id == source_id,
                GapRow.record == record,
                col(GapRow.reference).in_(part),
            )
        )
        gaps.update((row.reference, row) for row in rows)
    return gaps


def count_gaps(session: Session, reconciliation_id: UUID) -> GapCounts:
    """Give how many gaps a comparison found, and what became of them."""
    gap = GapRow
    row = session.exec(
        select(
            func.count(),
            func.count().filter(col(gap.asked) > 0),
            func.count().filter(col(gap.state) == GapState.FILLED),
            func.count().filter(col(gap.state) == GapState.OPEN),
        ).where(gap.reconciliation_id == reconciliation_id)
    ).one()
    return GapCounts(*row)


def asked_gaps(session: Session, reconciliation_id: UUID) -> Sequence[GapRow]:
    """Give the gaps of a comparison whose deliveries were asked for and have not come yet."""
    return session.exec(
        select(GapRow)
        .where(GapRow.reconciliation_id == reconciliation_id, GapRow.state == GapState.ASKED)
        .order_by(col(GapRow.id))
    ).all()

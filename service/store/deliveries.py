"""Stored deliveries on their way to becoming events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from schemas.configured_tables import SourceRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow, EventRow
from service.store import payloads
from service.store.insert import in_parts
from service.store.keys import EVENTS, has_key_of, id_of, store_once


def lock_received(session: Session, ids: Sequence[UUID]) -> Sequence[DeliveryRow]:
    """Lock those of these deliveries that wait to be ingested and that nobody else holds."""
    statement = (
        select(DeliveryRow)
        .where(col(DeliveryRow.id).in_(ids), DeliveryRow.state == DeliveryState.RECEIVED)
        .order_by(col(DeliveryRow.id))
        .with_for_update(skip_locked=True)
    )
    return session.exec(statement).all()


def sizes_of_received(session: Session, ids: Sequence[UUID]) -> Sequence[tuple[UUID, int]]:
    """Give those of these deliveries that wait to be ingested, with the bytes of their bodies."""
    statement = (
        select(DeliveryRow.id, func.length(DeliveryRow.body))
        .where(col(DeliveryRow.id).in_(ids), DeliveryRow.state == DeliveryState.RECEIVED)
        .order_by(col(DeliveryRow.id))
    )
    return session.exec(statement).all()


def lock_all(session: Session, ids: Sequence[UUID]) -> None:
    """Lock these deliveries, waiting for whoever holds one."""
    session.exec(
        select(DeliveryRow.id)
        .where(col(DeliveryRow.id).in_(ids))
        .order_by(col(DeliveryRow.id))
        .with_for_update()
    ).all()


def mark_ingested(session: Session, ids: Sequence[UUID]) -> None:
    """Note of deliveries that are locked that their events are stored."""
    if ids:
        session.execute(
            update(DeliveryRow)
            .where(col(DeliveryRow.id).in_(ids))
            .values(state=DeliveryState.INGESTED.value, due_at=None, error=None, fault=None)
            .execution_options(synchronize_session=False)
        )


def sources_of(session: Session, ids: Sequence[UUID]) -> dict[UUID, SourceRow]:
    """Give these sources by id; a removed source is missing."""
    rows = session.exec(select(SourceRow).where(col(SourceRow.id).in_(set(ids))))
    return {row.id: row for row in rows}


def lock_one_received(session: Session, id_: UUID) -> tuple[DeliveryRow, SourceRow] | None:
    """Lock one delivery that waits, and give it with its source; None when it waits no more."""
    statement = (
        select(DeliveryRow, SourceRow)
        .join(SourceRow, col(SourceRow.id) == col(DeliveryRow.source_id))
        .where(DeliveryRow.id == id_, DeliveryRow.state == DeliveryState.RECEIVED)
        .with_for_update(of=DeliveryRow)
    )
    return session.exec(statement).first()


def sources_tied_to(session: Session, connection: str) -> list[str]:
    """Give the names of the sources whose events are those of this connection's account."""
    return list(session.exec(select(SourceRow.name).where(SourceRow.connection == connection)))


def known_events(session: Session, keys: Collection[str]) -> set[str]:
    """Give which of these keys events are stored under."""
    known: set[str] = set()
    for part in in_parts(keys):
        stored = has_key_of(session, EVENTS, part)
        known.update(session.exec(select(EventRow.dedupe_key).where(stored)))
    return known


def events_by_key(session: Session, keys: Collection[str]) -> dict[str, EventRow]:
    """Give the stored events that have these keys."""
    found: dict[str, EventRow] = {}
    for part in in_parts(keys):
        rows = session.exec(select(EventRow).where(has_key_of(session, EVENTS, part)))
        found.update((row.dedupe_key, row) for row in rows)
    return found


def events_of(session: Session, delivery_id: UUID) -> Sequence[EventRow]:
    """Give the stored events that came with a delivery."""
    return session.exec(
        select(EventRow).where(EventRow.delivery_id == delivery_id).order_by(col(EventRow.id))
    ).all()


def lock_one(session: Session, id_: UUID) -> DeliveryRow | None:
    """Lock a delivery, whatever its state."""
    return session.exec(select(DeliveryRow).where(DeliveryRow.id == id_).with_for_update()).first()


def event_id(session: Session, dedupe_key: str) -> UUID:
    """Give the id of the event that is stored under this key. Raises NoResultFound."""
    return id_of(session, EVENTS, dedupe_key)


def store_events(session: Session, rows: Sequence[EventRow]) -> list[EventRow]:
    """Store events and give those that are new, in order, with their payloads."""
    apart = payloads.set_apart(rows)
    ids = store_once(session, EVENTS, sorted(rows, key=lambda row: row.dedupe_key))
    new = [row for row in rows if row.id in ids]
    payloads.store_apart(session, new, apart)
    for row in new:
        # These objects belong to no session: only whoever reads them now sees it.
        row.payload = apart.get(row.id, row.payload)
    return new


def count_begun(session: Session, id_: UUID) -> int | None:
    """Count a worker that begins with a delivery and may be lost with it; gives the new count.

    None when it waits no more.
    """
    return _count(session, id_, 1)


def count_returned(session: Session, id_: UUID) -> None:
    """Take back what was counted: the worker is still there."""
    _count(session, id_, -1)


def _count(session: Session, id_: UUID, by: int) -> int | None:
    statement = (
        update(DeliveryRow)
        .where(col(DeliveryRow.id) == id_, col(DeliveryRow.state) == DeliveryState.RECEIVED)
        .values(losses=col(DeliveryRow.losses) + by)
        .returning(col(DeliveryRow.losses))
        .execution_options(synchronize_session=False)
    )
    return session.execute(statement).scalar_one_or_none()

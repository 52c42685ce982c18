"""Deliveries and events by what makes them one and the same: stored once, and found again.

On PostgreSQL, where they are partitioned, keys stand in tables of their own and are written before
the rows. Two that store the same wait for one another there. On SQLite the columns are unique.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, delete, select, tuple_
from sqlmodel import Session, col

from schemas.partitioned import DELIVERY_KEYS, EVENT_KEYS, key_of_delivery, key_of_event
from schemas.tables import DeliveryRow, EventRow
from service.store.insert import insert_new, insert_values, table_of, values_of

Row = TypeVar("Row", DeliveryRow, EventRow)
Key = TypeVar("Key")
DeliveryKey = tuple[UUID, str]
"""Source and delivery key."""


@dataclass(frozen=True, slots=True)
class Keyed(Generic[Row, Key]):
    """Rows that are stored once for each key.

    `unique` are the columns that SQLite keeps unique, `table` is where PostgreSQL has the keys.
    """

    model: type[Row]
    unique: tuple[str, ...]
    table: Table
    of_row: Callable[[Row], UUID]
    of_key: Callable[[Key], UUID]
    among: Callable[[Collection[Key]], ColumnElement[bool]]


def _are_deliveries(keys: Collection[DeliveryKey]) -> ColumnElement[bool]:
    """Give the condition of deliveries with these keys, for SQLite.

    Of pairs it uses no index where there are several: they have no types. So sources and keys are
    said by themselves at first.
    """
    sources, texts = ({key[at] for key in keys} for at in (0, 1))
    source, text = col(DeliveryRow.source_id), col(DeliveryRow.delivery_key)
    each = and_(source.in_(sources), text.in_(texts))
    if 1 in {len(sources), len(texts)}:
        return each
    return and_(each, tuple_(source, text).in_(keys))


DELIVERIES: Keyed[DeliveryRow, DeliveryKey] = Keyed(
    DeliveryRow,
    ("source_id", "delivery_key"),
    DELIVERY_KEYS,
    lambda row: key_of_delivery(row.source_id, row.delivery_key),
    lambda key: key_of_delivery(*key),
    _are_deliveries,
)
EVENTS: Keyed[EventRow, str] = Keyed(
    EventRow,
    ("dedupe_key",),
    EVENT_KEYS,
    lambda row: key_of_event(row.dedupe_key),
    key_of_event,
    lambda keys: col(EventRow.dedupe_key).in_(keys),
)


def store_once(session: Session, kind: Keyed[Row, Any], rows: Sequence[Row]) -> set[UUID]:
    """Store rows, passing over those whose keys are there already; gives the ids of the new ones.

    Of rows with the same key the first is stored. Whoever stores several gives them in one order
    (of `unique`): two that store the same then never wait in a circle.
    """
    if not rows:
        return set()
    if not _has_keys_apart(session):
        return insert_new(session, kind.model, rows, unique=kind.unique)
    keys = [{"key": kind.of_row(row), "row_id": row.id} for row in rows]
    new = set(insert_values(session, kind.table, keys, unique=["key"], returning="row_id"))
    values = [values_of(kind.model, row) for row in rows if row.id in new]
    insert_values(session, table_of(kind.model), values)
    return new


def has_key_of(
    session: Session, kind: Keyed[Any, Key], keys: Collection[Key]
) -> ColumnElement[bool]:
    """Give the condition that a row has one of these keys; for lists that one statement can hold.

    Rows are found by their keys when they were stored by `store_once` or at the door.
    """
    if not _has_keys_apart(session):
        return kind.among(keys)
    return col(kind.model.id).in_(_ids(kind, keys))


def id_of(session: Session, kind: Keyed[Any, Key], key: Key) -> UUID:
    """Give the id that is stored under this key. Raises NoResultFound."""
    apart = _has_keys_apart(session)
    wanted = _ids(kind, [key]) if apart else select(col(kind.model.id)).where(kind.among([key]))
    found: UUID = session.execute(wanted).scalar_one()
    return found


def forget_keys(session: Session, name: str, ids: Collection[UUID]) -> None:
    """Forget the keys of rows of a table (`deliveries`, `events`) that go."""
    kind = next(kind for kind in (DELIVERIES, EVENTS) if kind.model.__tablename__ == name)
    if _has_keys_apart(session):
        session.execute(
            delete(kind.table).where(kind.table.c.row_id.in_(ids)),
            execution_options={"synchronize_session": False},
        )


def _ids(kind: Keyed[Any, Key], keys: Collection[Key]) -> Any:
    wanted = [kind.of_key(key) for key in keys]
    return select(kind.table.c.row_id).where(kind.table.c.key.in_(wanted))


def _has_keys_apart(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"

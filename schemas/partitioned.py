"""What PostgreSQL has beside the tables of all databases: partitions, and tables of keys.

Deliveries and events are partitioned there by their ids, which are times, so that what is over can
go as a whole. A unique key cannot span partitions: what makes a delivery or an event one and the
same has a small table of its own. SQLite has unique columns instead.
"""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

from sqlalchemy import Column, Connection, ForeignKeyConstraint, MetaData, Table, Uuid, event
from sqlalchemy.schema import SchemaItem

from schemas.columns import NAMING_CONVENTION
from schemas.columns import Table as Row
from schemas.reading_tables import is_declared

KEY_TABLES = MetaData(naming_convention=NAMING_CONVENTION)
_KEY_BYTES = 16


def _keys(name: str) -> Table:
    return Table(
        name,
        KEY_TABLES,
        Column("key", Uuid, primary_key=True),
        # By their rows they go: these rise, so that it is written at its end alone.
        Column("row_id", Uuid, nullable=False, index=True),
    )


DELIVERY_KEYS = _keys("delivery_keys")
"""Which delivery (`row_id`) has a key (`key_of_delivery`)."""
EVENT_KEYS = _keys("event_keys")
"""Which event (`row_id`) has a key (`key_of_event`)."""
PARTITIONED = {"deliveries": DELIVERY_KEYS, "events": EVENT_KEYS}
"""The tables of keys, by the names of the partitioned tables."""
UNIQUE_ELSEWHERE = frozenset({"uq_deliveries_source_id_delivery_key", "uq_events_dedupe_key"})
"""The constraints that SQLite alone has."""


def rest_of(table: str) -> str:
    """Give the name of the partition that takes what fits into no other."""
    return f"{table}_rest"


def key_of_delivery(source_id: UUID, delivery_key: str) -> UUID:
    """Give what a delivery is known by: of one size, so that many of them fit into memory."""
    return _key(source_id.bytes + delivery_key.encode())


def key_of_event(dedupe_key: str) -> UUID:
    """Give what an event is known by."""
    return _key(dedupe_key.encode())


def _key(text: bytes) -> UUID:
    return UUID(bytes=sha256(text).digest()[:_KEY_BYTES])


def is_compared(
    item: SchemaItem,
    name: str | None,
    kind: str,
    reflected: bool,  # noqa: FBT001  # so it is called
    _other: object,
) -> bool:
    """Say whether something of a PostgreSQL database must be as METADATA says.

    It is of the form that Alembic asks for as `include_object`.
    """
    if kind == "table" and reflected:
        return name in Row.metadata.tables
    if kind == "foreign_key_constraint" and reflected:
        assert isinstance(item, ForeignKeyConstraint)  # noqa: S101  # for the type checker
        # PostgreSQL lists those of partitions as well.
        return item.referred_table.name in Row.metadata.tables
    return name not in UNIQUE_ELSEWHERE and is_declared(name)


def complete(table: Table) -> None:
    """Let what belongs to a partitioned table be made with it, on PostgreSQL."""
    event.listen(table, "after_create", _make_rest)


def _make_rest(table: Table, connection: Connection, **_: object) -> None:
    if connection.dialect.name == "postgresql":
        rest = rest_of(table.name)
        connection.exec_driver_sql(f"CREATE TABLE {rest} PARTITION OF {table.name} DEFAULT")
        PARTITIONED[table.name].create(connection)

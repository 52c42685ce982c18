"""Deliveries and events in partitions on PostgreSQL, their keys in tables of their own.

The tables that are there become the first partitions, and no row of them is copied: what takes time
is to write the keys and to look through the ids, about 10 seconds for a million rows. All of it is
one transaction, during which nobody reads or writes.

On SQLite the tables stay as they are, and long payloads are compressed from now on.

Revision: 0005, after: 0004
"""

import zlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEYS = {
    "deliveries": (
        "delivery_keys",
        "uuid_send(source_id) || convert_to(delivery_key, 'UTF8')",
        ("source_id", "delivery_key"),
    ),
    "events": ("event_keys", "convert_to(dedupe_key, 'UTF8')", ("dedupe_key",)),
}
"""By table: the table of its keys, what a key is the hash of, and the columns that were unique."""
INDEXES = {
    "deliveries": {
        "ix_deliveries_received_at": "(received_at)",
        "ix_deliveries_state_source_id_due_at": "(state, source_id, due_at)",
    },
    "events": {
        "ix_events_delivery_id": "(delivery_id)",
        "ix_events_received_at": "(received_at)",
        "ix_events_type": "(type)",
        "ix_events_subject_decided": "(subject) WHERE type = 'approval.decided'",
    },
}
CLEARED_AWAY_MS = 20
"""Keys that retention has removed are on every page of their index. Cleared away at PostgreSQL's
usual pace, ten times this, they took the door up to half of a processor."""
REFERRING = {"events": ("runs", "run_events")}
LARGE = {"deliveries": ("headers", "body"), "events": ("facts", "payload")}
"""Columns that are compressed in rows of more than 2 kB."""
LEFT_PLAIN_BYTES = 4080
"""Up to this size deliveries are kept as they are by a server that has no quick compression: its
own took a third to half of its processor time for a delivery."""


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    until = _midnight_after_tomorrow()
    for table in KEYS:
        _partition(table, _name_of_old(table, until), until)
    _compress(until)


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        _decompress_payloads()
        return
    for table in KEYS:
        _put_together(table)


def _partition(table: str, old: str, until: datetime) -> None:
    keys, hashed, unique = KEYS[table]
    op.execute(
        f"CREATE TABLE {keys} (key uuid NOT NULL, row_id uuid NOT NULL)"
        f" WITH (autovacuum_vacuum_cost_delay = {CLEARED_AWAY_MS})"
    )
    key = f"CAST(encode(substring(sha256({hashed}) FROM 1 FOR 16), 'hex') AS uuid)"
    op.execute(f"INSERT INTO {keys} SELECT {key}, id FROM {table}")  # noqa: S608  # constants
    op.execute(f"ALTER TABLE {keys} ADD CONSTRAINT pk_{keys} PRIMARY KEY (key)")
    op.create_index(f"ix_{keys}_row_id", keys, ["row_id"])

    for referring in REFERRING.get(table, ()):
        op.execute(f"ALTER TABLE {referring} DROP CONSTRAINT {_reference(referring)}")
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT uq_{table}_{'_'.join(unique)}")
    op.execute(f"ALTER TABLE {table} RENAME TO {old}")
    for index in (f"pk_{table}", *INDEXES[table]):
        op.execute(f"ALTER INDEX {index} RENAME TO {index.replace(table, old, 1)}")
    op.execute(f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS) PARTITION BY RANGE (id)")
    op.execute(f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT")
    _index(table)
    _take_over(table, old, until)
    _refer(table)


def _take_over(table: str, old: str, until: datetime) -> None:
    """Let the table that was there be the partition of all until now; one without rows goes."""
    bind = op.get_bind()
    if bind.scalar(sa.text(f"SELECT id FROM {old} LIMIT 1")) is None:  # noqa: S608  # ours
        op.execute(f"DROP TABLE {old}")
        return
    first = _first_id(until)
    # Made by a clock that was far ahead.
    op.execute(f"INSERT INTO {table} SELECT * FROM {old} WHERE id >= '{first}'")  # noqa: S608  # ours
    op.execute(f"DELETE FROM {old} WHERE id >= '{first}'")  # noqa: S608  # ours
    op.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ('{first}')"
    )


def _compress(until: datetime) -> None:
    known = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    if op.get_bind().scalar(sa.text(known)):
        for table, columns in LARGE.items():
            for column in columns:
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET COMPRESSION lz4")
    else:
        for partition in ("deliveries_rest", _name_of_old("deliveries", until)):
            target = f"SET (toast_tuple_target = {LEFT_PLAIN_BYTES})"
            op.execute(f"ALTER TABLE IF EXISTS {partition} {target}")


def _put_together(table: str) -> None:
    keys, _, unique = KEYS[table]
    for referring in REFERRING.get(table, ()):
        op.execute(f"ALTER TABLE {referring} DROP CONSTRAINT {_reference(referring)}")
    parts = f"{table}_parts"
    op.execute(f"ALTER TABLE {table} RENAME TO {parts}")
    op.execute(f"CREATE TABLE {table} (LIKE {parts} INCLUDING DEFAULTS)")
    op.execute(f"INSERT INTO {table} SELECT * FROM {parts}")  # noqa: S608  # constants
    op.execute(f"DROP TABLE {parts}")
    op.execute(f"DROP TABLE {keys}")
    columns = ", ".join(unique)
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT uq_{table}_{'_'.join(unique)} UNIQUE ({columns})"
    )
    _index(table)
    _refer(table)


def _decompress_payloads() -> None:
    """Put payloads back into the text that the release before reads."""
    bind = op.get_bind()
    some = sa.text("SELECT id, payload FROM events WHERE typeof(payload) = 'blob' LIMIT 500")
    text = sa.text("UPDATE events SET payload = :payload WHERE id = :id")
    while rows := bind.execute(some).all():
        bind.execute(
            text, [{"id": id_, "payload": zlib.decompress(raw).decode()} for id_, raw in rows]
        )


def _index(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY (id)")
    for index, of in INDEXES[table].items():
        op.execute(f"CREATE INDEX {index} ON {table} {of}")


def _refer(table: str) -> None:
    for referring in REFERRING.get(table, ()):
        op.execute(
            f"ALTER TABLE {referring} ADD CONSTRAINT {_reference(referring)}"
            f" FOREIGN KEY (event_id) REFERENCES {table} (id) ON DELETE CASCADE"
        )


def _reference(referring: str) -> str:
    return f"fk_{referring}_event_id_events"


def _name_of_old(table: str, until: datetime) -> str:
    return f"{table}_before_{until:%Y%m%d}"


def _midnight_after_tomorrow() -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=2)


def _first_id(moment: datetime) -> UUID:
    """Give the smallest UUIDv7 of a time."""
    milliseconds = int(moment.timestamp()) * 1000
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62))

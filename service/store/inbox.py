"""Groups of arrivals on their way into `deliveries`: one transaction for each group.

The SQL of the receiving path, on both databases, without the ORM: on the machine where it was
measured the ORM alone cost more than the rest of the path together. Who gathers groups and answers
the senders is in service/group_commit.py.

An inbox belongs to the one thread that calls it. It connects when it is needed and again after a
failure, and it raises Unavailable and nothing else.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from schemas.clock import Clock
from schemas.tables import DeliveryState
from service.db import Database, prepare_sqlite
from service.errors import Unavailable

SWEEP_AFTER = timedelta(seconds=5)
"""A new delivery is due this long after it came: the sweeper rings again when the bell was lost."""

GROUPS_AT_ONCE = 2
CONNECT_TIMEOUT_S = 3
ANSWER_TIMEOUT_MS = 4_000


@dataclass(slots=True)
class Arrival:
    """A verified delivery that is not stored yet. `headers` is the JSON, in UTF-8."""

    id: UUID
    source_id: UUID
    source: str
    vendor: str
    delivery_key: str
    received_at: datetime
    headers: bytes
    body: bytes


class Earlier(NamedTuple):
    """The row that had the arrival's key before; `revived` when it was dead and is tried anew."""

    id: UUID
    revived: bool


Outcomes = dict[UUID, Earlier | Unavailable]
"""By the ids of arrivals: what hindered the making of a new row. All others are new rows."""


class Inbox(Protocol):
    """Stores groups in one database."""

    def connect(self) -> None:
        """Connect unless there is a connection."""

    def store(self, group: Sequence[Arrival]) -> Outcomes:
        """Commit a group; give which arrivals were stored earlier or could not be stored.

        Every other arrival is a new row under its own id. Raises Unavailable when that is not
        certain; storing the same group again is safe.
        """

    def close(self) -> None:
        """Give the connection up."""


def open_inboxes(database: Database, clock: Clock, *, at_once: int = GROUPS_AT_ONCE) -> list[Inbox]:
    """Give the inboxes of a database, one for each group it takes at a time; none is connected."""
    if database.is_sqlite:
        return [SqliteInbox(database, clock)]
    return [PostgresInbox(database, clock) for _ in range(at_once)]


def _lock_order(arrival: Arrival) -> tuple[str, UUID]:
    # Two receivers that insert the same keys wait for one another's; in one order they never
    # wait in a circle. Sorting is stable: of two equal keys the first to come is the one stored.
    return arrival.delivery_key, arrival.source_id


class _StoredRow(NamedTuple):
    id: UUID
    source_id: UUID
    delivery_key: str
    state: str


def _match(
    group: Sequence[Arrival], rows: Iterable[_StoredRow], revive: Callable[[list[UUID]], set[UUID]]
) -> Outcomes:
    """Find which arrivals were there before, and revive those of them that are dead."""
    stored = {(row.source_id, row.delivery_key): row for row in rows}
    ours = {row.id for row in stored.values()} & {arrival.id for arrival in group}
    dead = [row.id for row in stored.values() if row.state == DeliveryState.DEAD]
    revived = revive(dead) if dead else set()
    earlier: Outcomes = {}
    for arrival in group:
        row = stored.get((arrival.source_id, arrival.delivery_key))
        if row is None:
            raise Unavailable("a delivery was removed while it was stored; send it again")
        if arrival.id not in ours:
            earlier[arrival.id] = Earlier(row.id, row.id in revived)
    return earlier


# --- PostgreSQL -------------------------------------------------------------------------------

_COLUMNS = "id, source_id, source, vendor, delivery_key, received_at, headers, body"
_INSERT_NAME = b"hookwright_inbox"
# The arrays are given element by element, so that one prepared statement serves every group size.
_INSERT = f"""
    INSERT INTO deliveries ({_COLUMNS}, state, due_at, failures)
    SELECT {_COLUMNS}, '{DeliveryState.RECEIVED.value}',
           received_at + interval '{SWEEP_AFTER.total_seconds()} seconds', 0
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                $6::timestamptz[], $7::jsonb[], $8::bytea[]) AS arrived({_COLUMNS})
    ON CONFLICT (source_id, delivery_key) DO NOTHING
""".encode()  # noqa: S608  # constants of this module
_FIND = """
    SELECT deliveries.id, deliveries.source_id, deliveries.delivery_key, deliveries.state
    FROM deliveries
    JOIN unnest(%s::uuid[], %s::text[]) AS wanted(source_id, delivery_key)
      ON deliveries.source_id = wanted.source_id
     AND deliveries.delivery_key = wanted.delivery_key
"""
_REVIVE = f"""
    UPDATE deliveries
    SET state = '{DeliveryState.RECEIVED.value}', due_at = %s, failures = 0, error = NULL
    WHERE id = ANY(%s) AND state = '{DeliveryState.DEAD.value}'
    RETURNING id
"""  # noqa: S608  # constants of this module
# A commit is what the sender is promised, whatever the server's own default is.
_SETTINGS = (
    "SET synchronous_commit = on",
    f"SET statement_timeout = {ANSWER_TIMEOUT_MS}",
    f"SET lock_timeout = {ANSWER_TIMEOUT_MS}",
)

_UUID, _TEXT, _TIME, _JSONB, _BYTES = 2950, 25, 1184, 3802, 17
"""Type numbers of PostgreSQL's catalog, which never change."""
_BINARY = [1] * 8
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ARRAY_HEAD = struct.Struct("!iiiii")
_LENGTH = struct.Struct("!i")
_UUID_LENGTH = _LENGTH.pack(16)
_TIMED = struct.Struct("!iq")
_JSONB_VERSION = b"\x01"

_OURS = (psycopg.DataError, psycopg.IntegrityError)
"""Errors that lie in a row and not in the database: the rest of its group shall not suffer."""


class PostgresInbox:
    """Stores a group by one statement, which is one round trip and one transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        url = database.url.set(drivername="postgresql")
        self._conninfo = url.render_as_string(hide_password=False)
        self._clock = clock
        self._connection: psycopg.Connection | None = None

    def connect(self) -> None:
        """Connect unless there is a connection. Raises Unavailable."""
        if self._connection is not None:
            return
        try:
            connection = psycopg.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name="hookwright door",
                tcp_user_timeout=ANSWER_TIMEOUT_MS,
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            raise Unavailable(f"the database does not answer: {_first_line(error)}") from error
        try:
            for setting in _SETTINGS:
                connection.execute(setting.encode())
            _check(connection.pgconn.prepare(_INSERT_NAME, _INSERT))
        except psycopg.Error as error:
            connection.close()
            raise Unavailable(f"the database cannot be used: {_first_line(error)}") from error
        self._connection = connection

    def store(self, group: Sequence[Arrival]) -> Outcomes:
        """Commit a group (see Inbox)."""
        group = sorted(group, key=_lock_order)
        try:
            return self._store(group)
        except _OURS as error:
            if len(group) == 1:
                return {group[0].id: Unavailable(f"it cannot be stored: {_first_line(error)}")}
            middle = len(group) // 2
            return self.store(group[:middle]) | self.store(group[middle:])
        except psycopg.Error:
            # Whether it was committed is not known. Inserting again finds out.
            self.close()
        self.connect()
        try:
            return self._store(group)
        except psycopg.Error as error:
            self.close()
            raise Unavailable(
                f"the database failed: {_first_line(error)}", perhaps_done=True
            ) from error

    def close(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _store(self, group: Sequence[Arrival]) -> Outcomes:
        self.connect()
        assert self._connection is not None  # noqa: S101  # for the type checker
        result = self._connection.pgconn.exec_prepared(_INSERT_NAME, _arrays(group), _BINARY)
        _check(result)
        if result.command_tuples == len(group):
            return {}
        keys = ([a.source_id for a in group], [a.delivery_key for a in group])
        rows = self._connection.execute(_FIND, keys).fetchall()
        return _match(group, [_StoredRow(*row) for row in rows], self._revive)

    def _revive(self, ids: list[UUID]) -> set[UUID]:
        assert self._connection is not None  # noqa: S101  # for the type checker
        rows = self._connection.execute(_REVIVE.encode(), (self._clock(), ids)).fetchall()
        return {row[0] for row in rows}


def _check(result: pq.abc.PGresult) -> None:
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise error_from_result(result)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _arrays(group: Sequence[Arrival]) -> list[bytes]:
    """Give a group's columns as arrays in PostgreSQL's binary form (array_send in its source)."""
    return [
        _array(_UUID, [_UUID_LENGTH + arrival.id.bytes for arrival in group]),
        _array(_UUID, [_UUID_LENGTH + arrival.source_id.bytes for arrival in group]),
        _array(_TEXT, [_sized(arrival.source.encode()) for arrival in group]),
        _array(_TEXT, [_sized(arrival.vendor.encode()) for arrival in group]),
        _array(_TEXT, [_sized(arrival.delivery_key.encode()) for arrival in group]),
        _array(_TIME, [_TIMED.pack(8, (a.received_at - _EPOCH) // _MICROSECOND) for a in group]),
        _array(_JSONB, [_sized(_JSONB_VERSION + arrival.headers) for arrival in group]),
        _array(_BYTES, [_sized(arrival.body) for arrival in group]),
    ]


def _array(element: int, items: list[bytes]) -> bytes:
    # One dimension, no nulls, counted from 1.
    return _ARRAY_HEAD.pack(1, 0, element, len(items), 1) + b"".join(items)


def _sized(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


# --- SQLite -----------------------------------------------------------------------------------

_SQLITE_INSERT = f"""
    INSERT INTO deliveries ({_COLUMNS}, state, due_at, failures)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, '{DeliveryState.RECEIVED.value}', ?, 0)
    ON CONFLICT (source_id, delivery_key) DO NOTHING
"""  # noqa: S608  # constants of this module
_SQLITE_FIND = """
    SELECT id, source_id, delivery_key, state FROM deliveries
    WHERE source_id = ? AND delivery_key = ?
"""
_SQLITE_REVIVE = f"""
    UPDATE deliveries
    SET state = '{DeliveryState.RECEIVED.value}', due_at = ?, failures = 0, error = NULL
    WHERE id = ? AND state = '{DeliveryState.DEAD.value}'
"""  # noqa: S608  # constants of this module


class SqliteInbox:
    """Stores a group in one transaction that is forced to disk."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._connection: sqlite3.Connection | None = None

    def connect(self) -> None:
        """Open the file unless it is open. Raises Unavailable."""
        if self._connection is not None:
            return
        try:
            connection = sqlite3.connect(self._database.url.database or "")
            prepare_sqlite(connection)
            connection.execute(f"PRAGMA busy_timeout={ANSWER_TIMEOUT_MS}")
            connection.execute("SELECT id FROM deliveries LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise Unavailable(f"the database file cannot be used: {error}") from error
        self._connection = connection

    def store(self, group: Sequence[Arrival]) -> Outcomes:
        """Commit a group (see Inbox)."""
        self.connect()
        assert self._connection is not None  # noqa: S101  # for the type checker
        connection = self._connection
        try:
            with self._database.turn_to_write():
                connection.execute("BEGIN IMMEDIATE")
                try:
                    earlier = self._store(connection, group)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            self.close()
            raise Unavailable(f"the database file cannot be written: {error}") from error
        return earlier

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _store(self, connection: sqlite3.Connection, group: Sequence[Arrival]) -> Outcomes:
        added = connection.executemany(_SQLITE_INSERT, map(_sqlite_row, group)).rowcount
        if added == len(group):
            return {}
        keys = {(arrival.source_id.hex, arrival.delivery_key) for arrival in group}
        rows = (connection.execute(_SQLITE_FIND, key).fetchone() for key in keys)
        stored = [
            _StoredRow(UUID(row[0]), UUID(row[1]), row[2], row[3])
            for row in rows
            if row is not None
        ]
        return _match(group, stored, lambda ids: self._revive(connection, ids))

    def _revive(self, connection: sqlite3.Connection, ids: list[UUID]) -> set[UUID]:
        now = _sqlite_time(self._clock())
        connection.executemany(_SQLITE_REVIVE, [(now, dead.hex) for dead in ids])
        return set(ids)


def _sqlite_row(arrival: Arrival) -> tuple[str | bytes, ...]:
    return (
        arrival.id.hex,
        arrival.source_id.hex,
        arrival.source,
        arrival.vendor,
        arrival.delivery_key,
        _sqlite_time(arrival.received_at),
        arrival.headers.decode(),
        arrival.body,
        _sqlite_time(arrival.received_at + SWEEP_AFTER),
    )


def _sqlite_time(moment: datetime) -> str:
    # As SQLAlchemy writes a DateTime on SQLite: without zone, always with microseconds.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")

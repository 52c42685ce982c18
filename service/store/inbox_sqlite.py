"""Storing a group on SQLite: one transaction that is forced to disk, when it is our turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from schemas.clock import Clock
from schemas.tables import DeliveryState
from service.db import Database, prepare_sqlite
from service.errors import Unavailable
from service.store.arrivals import (
    ANSWER_TIMEOUT_MS,
    COLUMNS,
    SWEEP_AFTER,
    Arrival,
    Outcomes,
    StoredRow,
    match,
)

_INSERT = f"""
    INSERT INTO deliveries ({COLUMNS}, state, due_at, failures)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, '{DeliveryState.RECEIVED.value}', ?, 0)
    ON CONFLICT (source_id, delivery_key) DO NOTHING
"""  # noqa: S608  # constants of this module
_FIND = """
    SELECT id, source_id, delivery_key, state FROM deliveries
    WHERE source_id = ? AND delivery_key = ?
"""
_REVIVE = f"""
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
        """Commit a group (see arrivals.Inbox)."""
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
        added = connection.executemany(_INSERT, map(_row, group)).rowcount
        if added == len(group):
            return {}
        keys = {(arrival.source_id.hex, arrival.delivery_key) for arrival in group}
        rows = (connection.execute(_FIND, key).fetchone() for key in keys)
        stored = [
            StoredRow(UUID(row[0]), UUID(row[1]), row[2], row[3]) for row in rows if row is not None
        ]
        return match(group, stored, lambda ids: self._revive(connection, ids))

    def _revive(self, connection: sqlite3.Connection, ids: list[UUID]) -> set[UUID]:
        now = _time(self._clock())
        connection.executemany(_REVIVE, [(now, dead.hex) for dead in ids])
        return set(ids)


def _row(arrival: Arrival) -> tuple[str | bytes, ...]:
    return (
        arrival.id.hex,
        arrival.source_id.hex,
        arrival.source,
        arrival.vendor,
        arrival.delivery_key,
        _time(arrival.received_at),
        arrival.headers.decode(),
        arrival.body,
        _time(arrival.received_at + SWEEP_AFTER),
    )


def _time(moment: datetime) -> str:
    # As SQLAlchemy writes a DateTime on SQLite: without zone, always with microseconds.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")

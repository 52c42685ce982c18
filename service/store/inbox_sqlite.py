"""Storing a group on SQLite: one transaction that is forced to disk, when it is our turn."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar, cast
from uuid import UUID

from schemas.clock import Clock
from schemas.states import DeliveryState
from service.db import Database, prepare_sqlite
from service.errors import Unavailable
from service.store.arrivals import (
    ANSWER_TIMEOUT_MS,
    COLUMNS,
    ENDED_IN_VAIN,
    SWEEP_AFTER,
    Arrival,
    Outcomes,
    StoredRow,
    dead_ids,
    match,
)

T = TypeVar("T")

_AT_ONCE = 64
"""Rows of one statement. The interpreter's lock is given up with every statement, and has to be
waited for after it: beside a busy loop, a statement for each row cost as much as storing it."""
_TIME_CHARS = len("2026-01-01 00:00:00.000000")
_ROW = f"(?, ?, ?, ?, ?, ?, ?, ?, '{DeliveryState.RECEIVED.value}', ?, 0)"
_FIND = """
    SELECT id, source_id, delivery_key, state FROM deliveries
    WHERE source_id = ? AND delivery_key = ?
"""
_REVIVE = f"""
    UPDATE deliveries
    SET state = '{DeliveryState.RECEIVED.value}', due_at = ?, failures = 0, rings = 0,
        losses = 0, error = NULL, fault = NULL
    WHERE id = ? AND state IN ({ENDED_IN_VAIN})
"""  # noqa: S608  # constants of this module


class SqliteInbox:
    """Stores groups in one file, in a thread of its own: forcing to disk blocks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def connect(self) -> None:
        """Open the file unless it is open. Raises Unavailable."""
        await self._in_thread(self._open)

    async def store(self, group: Sequence[Arrival]) -> Outcomes:
        """Commit a group (see arrivals.Inbox)."""
        return await self._in_thread(lambda: self._commit(group))

    async def close(self) -> None:
        """Close the file."""
        if self._thread is not None:
            await self._in_thread(self._close)
            self._calls.put(None)
            self._thread = None

    def _in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="door-writer", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def finish(value: T | None, error: Exception | None) -> None:
            if answer.done():  # nobody waits any more
                return
            if error is None:
                answer.set_result(cast("T", value))
            else:
                answer.set_exception(error)

        def perform() -> None:
            value, error = None, None
            try:
                value = call()
            except Exception as caught:  # noqa: BLE001  # carried to who asked
                error = caught
            with suppress(RuntimeError):  # the loop was closed: nobody is left to be told
                loop.call_soon_threadsafe(finish, value, error)

        self._calls.put(perform)
        return answer

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    # --- in the thread ------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        path = self._database.url.database or ""
        try:
            # SQLite would make a missing file, and it would be empty.
            file = _file_at(path)
            connection = sqlite3.connect(path, cached_statements=2 * _AT_ONCE)
            prepare_sqlite(connection)
            connection.execute(f"PRAGMA busy_timeout={ANSWER_TIMEOUT_MS}")
            connection.execute("SELECT id FROM deliveries LIMIT 1").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the database file cannot be used: {error}") from error
        self._connection = connection
        self._file = file
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _commit(self, group: Sequence[Arrival]) -> Outcomes:
        connection = self._open()
        try:
            _check_same(self._file, _file_at(self._database.url.database or ""))
            with self._database.turn_to_write():
                connection.execute("BEGIN IMMEDIATE")
                try:
                    outcomes = self._insert(connection, group)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except (sqlite3.Error, OSError) as error:
            self._close()
            raise Unavailable(f"the database file cannot be written: {error}") from error
        return outcomes

    def _insert(self, connection: sqlite3.Connection, group: Sequence[Arrival]) -> Outcomes:
        added = 0
        for start in range(0, len(group), _AT_ONCE):
            part = group[start : start + _AT_ONCE]
            values = list(chain.from_iterable(_rows(part)))
            added += connection.execute(_insertion(len(part)), values).rowcount
        if added == len(group):
            return {}
        keys = {(arrival.source_id.hex, arrival.delivery_key) for arrival in group}
        found = (connection.execute(_FIND, key).fetchone() for key in keys)
        rows = [StoredRow(UUID(row[0]), UUID(row[1]), row[2], row[3]) for row in found if row]
        dead = dead_ids(rows)
        now = _time(self._clock())
        connection.executemany(_REVIVE, [(now, row.hex) for row in dead])
        return match(group, rows, set(dead))


def _file_at(path: str) -> tuple[int, int]:
    """Give which file stands under a name. Raises OSError when there is none.

    What is written into a file that was removed or replaced is on no disk that anybody will find.
    """
    found = Path(path).stat()
    return found.st_dev, found.st_ino


def _check_same(opened: tuple[int, int] | None, found: tuple[int, int]) -> None:
    if opened != found:
        message = "it was replaced by another"
        raise OSError(message)


@cache
def _insertion(rows: int) -> str:
    return f"""
        INSERT INTO deliveries ({COLUMNS}, state, due_at, failures)
        VALUES {", ".join([_ROW] * rows)}
        ON CONFLICT (source_id, delivery_key) DO NOTHING
    """  # noqa: S608  # constants of this module


def _rows(group: Sequence[Arrival]) -> Iterator[tuple[str | bytes, ...]]:
    # One time for all of them: making it of each costs more than all else that is done here.
    due = _time(group[-1].received_at + SWEEP_AFTER)
    for arrival in group:
        yield (
            arrival.id.hex,
            arrival.source_id.hex,
            arrival.source,
            arrival.vendor,
            arrival.delivery_key,
            _time(arrival.received_at),
            arrival.headers.decode(),
            arrival.body,
            due,
        )


def _time(moment: datetime) -> str:
    """Give a time (UTC) as SQLAlchemy writes it on SQLite: without zone, with microseconds."""
    return moment.isoformat(" ", "microseconds")[:_TIME_CHARS]

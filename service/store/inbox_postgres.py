"""Storing a group on PostgreSQL: one statement, which is one round trip and one transaction.

The answer is awaited in the event loop and not in a thread: a thread that has the database's answer
must still wait for the interpreter's lock, which beside a busy loop took up to half a second.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from schemas.clock import Clock
from schemas.partitioned import key_of_delivery
from schemas.states import DeliveryState
from service.db import Database
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
    lock_order,
    match,
)

CONNECT_TIMEOUT_S = 3
PREPARE_TIMEOUT_S = 4.0
GROUP_TIMEOUT_S = 10.0
"""How long storing a group may take in all, with the second attempt after a lost connection."""

_INSERT_NAME = b"hookwright_inbox"
# The arrays are given element by element, so that one prepared statement serves every group size.
_INSERT = f"""
    WITH arrived AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],
                             $6::text[], $7::timestamptz[], $8::jsonb[], $9::bytea[])
            AS arrived(key, {COLUMNS})
    ), keyed AS (
        INSERT INTO delivery_keys (key, row_id) SELECT key, id FROM arrived
        ON CONFLICT DO NOTHING
        RETURNING row_id
    )
    INSERT INTO deliveries ({COLUMNS}, state, due_at, failures)
    SELECT {COLUMNS}, '{DeliveryState.RECEIVED.value}',
           received_at + interval '{SWEEP_AFTER.total_seconds()} seconds', 0
    FROM arrived JOIN keyed ON arrived.id = keyed.row_id
""".encode()  # noqa: S608  # constants of this module
# A delivery may be gone before its key is (retention.py): it is known nevertheless.
_FIND = """
    SELECT keys.row_id, wanted.source_id, wanted.delivery_key, coalesce(deliveries.state, '')
    FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS wanted(key, source_id, delivery_key)
    JOIN delivery_keys AS keys ON keys.key = wanted.key
    LEFT JOIN deliveries ON deliveries.id = keys.row_id
"""
_REVIVE = f"""
    UPDATE deliveries
    SET state = '{DeliveryState.RECEIVED.value}', due_at = %s, failures = 0, rings = 0,
        losses = 0, error = NULL, fault = NULL
    WHERE id = ANY(%s) AND state IN ({ENDED_IN_VAIN})
    RETURNING id
"""  # noqa: S608  # constants of this module
# What was found may be on this server alone: a commit whose waiting for a standby was ended is seen
# by everybody. To write something is to wait for all that was written before.
_CONFIRM = b"""
    SELECT CASE WHEN current_setting('synchronous_standby_names') <> ''
                THEN pg_logical_emit_message(true, 'hookwright', '') END
"""
# A commit is what the sender is promised, whatever the server's own default is.
_SETTINGS = (
    "SET synchronous_commit = on",
    f"SET statement_timeout = {ANSWER_TIMEOUT_MS}",
    f"SET lock_timeout = {ANSWER_TIMEOUT_MS}",
)

_UUID, _TEXT, _TIME, _JSONB, _BYTES = 2950, 25, 1184, 3802, 17
"""Type numbers of PostgreSQL's catalog, which never change."""
_BINARY = [1] * 9
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ARRAY_HEAD = struct.Struct("!iiiii")
_LENGTH = struct.Struct("!i")
_UUID_LENGTH = _LENGTH.pack(16)
_TIMED = struct.Struct("!iq")
_JSONB_VERSION = b"\x01"

_OURS = (psycopg.DataError, psycopg.IntegrityError)
"""Errors that lie in a row and not in the database: the rest of its group shall not suffer."""
_ANOTHER_MAY_TAKE_IT = (
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.InvalidSqlStatementName,
)
"""Refusals of this connection: a server that is no primary any more, a pooler that gave us another
session. The next connection may be to one that takes it."""


class PostgresInbox:
    """Stores groups over one connection."""

    def __init__(self, database: Database, clock: Clock) -> None:
        url = database.url.set(drivername="postgresql")
        self._conninfo = url.render_as_string(hide_password=False)
        self._clock = clock
        self._connection: psycopg.AsyncConnection | None = None
        self._warned: str | None = None

    async def connect(self) -> None:
        """Connect unless there is a connection. Raises Unavailable."""
        if self._connection is not None:
            return
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name="hookwright door",
                # Also after a failover: a server that only reads is none that deliveries can go to.
                target_session_attrs="read-write",
                tcp_user_timeout=ANSWER_TIMEOUT_MS,
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            raise Unavailable(f"the database does not answer: {_first_line(error)}") from error
        try:
            # No timeout of the server's ends the waiting for a server that has been stopped.
            async with asyncio.timeout(PREPARE_TIMEOUT_S):
                for setting in _SETTINGS:
                    await connection.execute(setting.encode())
                connection.pgconn.nonblocking = 1
                connection.pgconn.send_prepare(_INSERT_NAME, _INSERT)
                await _results(connection.pgconn)
        except BaseException as error:
            await connection.close()
            if isinstance(error, TimeoutError | psycopg.Error):
                raise Unavailable(f"the database cannot be used: {_first_line(error)}") from error
            raise
        connection.add_notice_handler(self._hear)
        self._connection = connection

    async def store(self, group: Sequence[Arrival]) -> Outcomes:
        """Commit a group (see arrivals.Inbox)."""
        try:
            async with asyncio.timeout(GROUP_TIMEOUT_S):
                return await self._store_or_again(sorted(group, key=lock_order))
        except BaseException as error:
            # Also when we are cancelled: an answer may be on its way that nobody will read.
            if not isinstance(error, Unavailable) or error.perhaps_done:
                await self.close()
            if isinstance(error, TimeoutError):
                message = "the database does not answer in time"
                raise Unavailable(message, perhaps_done=True) from error
            raise

    async def close(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()

    async def _store_or_again(self, group: Sequence[Arrival]) -> Outcomes:
        try:
            return await self._store(group)
        except _OURS as error:
            if len(group) == 1:
                return {group[0].id: Unavailable(f"it cannot be stored: {_first_line(error)}")}
            middle = len(group) // 2
            first = await self._store_or_again(group[:middle])
            return first | await self._store_or_again(group[middle:])
        except psycopg.Error as error:
            await self.close()
            if error.sqlstate is not None and not _may_try_again(error):
                raise Unavailable(f"the database refused: {_first_line(error)}") from error
            # Whether it was committed is not known. Inserting again finds out.
        try:
            return await self._store(group)
        except psycopg.Error as error:
            raise Unavailable(
                f"the database failed: {_first_line(error)}", perhaps_done=True
            ) from error

    async def _store(self, group: Sequence[Arrival]) -> Outcomes:
        await self.connect()
        assert self._connection is not None  # noqa: S101  # for the type checker
        pgconn = self._connection.pgconn
        self._warned = None
        pgconn.send_query_prepared(_INSERT_NAME, _arrays(group), _BINARY)
        results = await _results(pgconn)
        self._check_confirmed()
        if sum(result.command_tuples or 0 for result in results) == len(group):
            return {}
        keys = (_keys(group), [a.source_id for a in group], [a.delivery_key for a in group])
        found = await (await self._connection.execute(_FIND, keys)).fetchall()
        rows = [StoredRow(*row) for row in found]
        dead = dead_ids(rows)
        revived: set[UUID] = set()
        if dead:
            now = self._clock()
            cursor = await self._connection.execute(_REVIVE.encode(), (now, dead))
            revived = {row[0] for row in await cursor.fetchall()}
        await self._connection.execute(_CONFIRM)
        self._check_confirmed()
        return match(group, rows, revived)

    def _check_confirmed(self) -> None:
        if self._warned is not None:
            # A commit that was to wait for a standby and was told to wait no longer is reported as
            # done, with a warning: should this server be lost now, so would be the delivery.
            raise Unavailable(f"the database warned: {self._warned}", perhaps_done=True)

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warned = notice.message_primary or "a warning without words"


def _may_try_again(error: psycopg.Error) -> bool:
    """Say whether another connection may take what this one did not."""
    # Class 57P: the server shuts down, starts, or was crashed by another session.
    is_ending = str(error.sqlstate).startswith("57P")
    return is_ending or isinstance(error, _ANOTHER_MAY_TAKE_IT)


async def _results(pgconn: pq.abc.PGconn) -> list[pq.abc.PGresult]:
    """Await everything the server answers to what was sent. Raises psycopg.Error.

    The commit is part of the answer: an error may follow a result that looked good, so that all of
    it is read before anybody is told.
    """
    results = await _Exchange(pgconn).finish()
    for result in results:
        _check(result)
    return results


class _Exchange:
    """One question and its answer over a connection of libpq that does not block."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        self._pgconn = pgconn
        self._socket = pgconn.socket
        self._loop = asyncio.get_running_loop()
        self._results: list[pq.abc.PGresult] = []
        self._is_watched = True
        self._done: asyncio.Future[list[pq.abc.PGresult]] = self._loop.create_future()

    async def finish(self) -> list[pq.abc.PGresult]:
        """Send what libpq holds back and give the results."""
        self._loop.add_reader(self._socket, self._receive)
        try:
            if not self._send():
                self._loop.add_writer(self._socket, self._send)
            return await self._done
        finally:
            self._end()

    def _send(self) -> bool:
        """Send what there is room for; says whether nothing is left to send."""
        try:
            is_sent = self._pgconn.flush() == 0
        except psycopg.Error as error:
            self._end(error)
            return True
        if is_sent:
            self._loop.remove_writer(self._socket)
            # libpq tells only here that it has found the connection lost, and closed it.
            self._receive()
        return is_sent

    def _receive(self) -> None:
        if self._done.done():
            return
        try:
            self._pgconn.consume_input()
            while not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    self._end()
                    return
                self._results.append(result)
        except psycopg.Error as error:
            self._end(error)

    def _end(self, error: psycopg.Error | None = None) -> None:
        # At once: when libpq has closed the socket, its number may soon be another socket's.
        if not self._is_watched:
            return
        self._is_watched = False
        self._loop.remove_writer(self._socket)
        self._loop.remove_reader(self._socket)
        if self._done.done():
            return
        if error is None:
            self._done.set_result(self._results)
        else:
            self._done.set_exception(error)


def _check(result: pq.abc.PGresult) -> None:
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise error_from_result(result)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _arrays(group: Sequence[Arrival]) -> list[bytes]:
    """Give a group's columns as arrays in PostgreSQL's binary form (array_send in its source)."""
    return [
        _array(_UUID, [_UUID_LENGTH + key.bytes for key in _keys(group)]),
        _array(_UUID, [_UUID_LENGTH + arrival.id.bytes for arrival in group]),
        _array(_UUID, [_UUID_LENGTH + arrival.source_id.bytes for arrival in group]),
        _array(_TEXT, [_sized(arrival.source.encode()) for arrival in group]),
        _array(_TEXT, [_sized(arrival.vendor.encode()) for arrival in group]),
        _array(_TEXT, [_sized(arrival.delivery_key.encode()) for arrival in group]),
        _array(_TIME, [_TIMED.pack(8, (a.received_at - _EPOCH) // _MICROSECOND) for a in group]),
        _array(_JSONB, [_sized(_JSONB_VERSION + arrival.headers) for arrival in group]),
        _array(_BYTES, [_sized(arrival.body) for arrival in group]),
    ]


def _keys(group: Sequence[Arrival]) -> list[UUID]:
    return [key_of_delivery(arrival.source_id, arrival.delivery_key) for arrival in group]


def _array(element: int, items: list[bytes]) -> bytes:
    # One dimension, no nulls, counted from 1.
    return _ARRAY_HEAD.pack(1, 0, element, len(items), 1) + b"".join(items)


def _sized(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value

"""The database: PostgreSQL (psycopg 3) or one SQLite file (WAL, full fsync)."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from service.errors import ConfigurationError, Unavailable
from service.turns import Turns

# Use cases are handed a session and hand it on. They take its name from here, and need nothing else
# of SQLModel.
__all__ = [
    "Database",
    "Session",
    "first_line",
    "in_short",
    "is_outage",
    "normalise_url",
    "prepare_sqlite",
]

SQLITE_BUSY_MS = 10_000
SQLITE_LOG_BYTES = 64 * 1024 * 1024
"""What is left of SQLite's log (`-wal`) after a reader that took long has made it grow."""
POOL_SIZE = 12
POOL_TIMEOUT_S = 10
_SILENCE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
"""A machine that is gone says nothing: a worker finds out after 20 s, and not after hours, that its
database's was. One that is only busy is waited for."""
LOCKS_KEPT_S = 60.0
"""So long a process may stand still in the middle of a transaction. What it has locked is passed
over by all others: a machine that is gone, or that was stopped, would keep it for hours."""
_READ_ONLY = "25006"
_FILE = "file"
_LIMIT_EXCEEDED = "54"
"""PostgreSQL's class of errors for statements beyond a limit of the program."""
_SQLITE_FAULTS = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE})
"""What SQLite says of statements; a lock, a full disk or a missing file have codes of their own."""


def normalise_url(url: str) -> URL:
    """Give the SQLAlchemy address of a database. Raises ConfigurationError for unknown kinds."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # the second for a port that is no number
        raise ConfigurationError(
            "HOOKWRIGHT_DATABASE_URL is no database address",
            hint="write postgresql://user:password@host/name or sqlite:///path/to/file.db",
        ) from error
    kind = parsed.get_backend_name()
    if kind in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and parsed.database:
        return parsed.set(drivername="sqlite+pysqlite")
    raise ConfigurationError(
        f"the database kind {kind!r} is not supported",
        hint="use postgresql://… or sqlite:///path/to/file.db",
    )


class Database:
    """One engine and, on SQLite, the order in which this process's writers take turns.

    SQLite lets one writer in at a time and makes the others poll; a lock of our own lets them
    queue instead, so that the door waits for a worker's commit and not for a sleep to end.
    """

    def __init__(self, url: str) -> None:
        self.url = normalise_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url)
        self._writing = Turns()

    @property
    def name(self) -> str:
        """What people call this database: its file, or its host and name. No user, no password."""
        if self.is_sqlite:
            return f"the SQLite file {self.url.database}"
        port = f":{self.url.port}" if self.url.port else ""
        return f"the PostgreSQL database {self.url.host or 'localhost'}{port}/{self.url.database}"

    @property
    def is_missing(self) -> bool:
        """Whether it is an SQLite file that does not exist; connecting would make it."""
        path = _file_of(self.url.database) if self.is_sqlite else None
        return path is not None and not path.exists()

    @contextmanager
    def turn_to_write(self) -> Iterator[None]:
        """Wait for this process's turn to write (SQLite; on PostgreSQL at once)."""
        with self._writing if self.is_sqlite else nullcontext():
            yield

    def session(self, *, read_only: bool = False) -> Session:
        """Give a new session. A read-only one does not take SQLite's write lock.

        All that it reads is as it was at one moment: a run and its steps fit together.
        """
        bind: Any = self.engine
        if read_only:
            options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            bind = self.engine.execution_options(hookwright_read_only=True, **options)
        return Session(bind, expire_on_commit=False)

    def ping(self) -> None:
        """Ask the database for a sign of life. Raises Unavailable."""
        try:
            with self.engine.execution_options(hookwright_read_only=True).connect() as connection:
                connection.execute(text("SELECT 1"))
        except (DBAPIError, PoolTimeoutError) as error:
            raise Unavailable(f"the database does not answer: {first_line(error)}") from error

    def time(self) -> datetime:
        """Give the time by the database server's clock (PostgreSQL). Raises Unavailable."""
        try:
            with self.engine.connect() as connection:
                moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        except (DBAPIError, PoolTimeoutError) as error:
            raise Unavailable(f"the database does not answer: {first_line(error)}") from error
        return moment

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def first_line(error: DBAPIError | PoolTimeoutError) -> str:
    """Give what the driver said first, or the pool that had no connection left."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return str(said).strip().partition("\n")[0]


def in_short(error: Exception) -> str:
    """Give the kind of an error and what the driver said first.

    All that a database error says would be the statement with every value in it.
    """
    said = f": {first_line(error)}" if isinstance(error, DBAPIError) else ""
    return f"{type(error).__name__}{said}"


def is_outage(error: BaseException) -> bool:
    """Say whether a database error means that the database is away, not that we are wrong.

    Drivers give OperationalError for both: for a server that is gone, and for a statement that it
    will never take (too many parameters, too complex, on SQLite even a table that is not there).
    """
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError)
    if error.connection_invalidated:
        return True
    return isinstance(error, OperationalError) and not _is_our_fault(error)


def _is_our_fault(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_FAULTS
    if isinstance(error.orig, sqlite3.Error):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        # Nothing came from the server. With a statement and a connection that is still good, the
        # driver itself refused to send it; without a statement we could not connect.
        return error.statement is not None
    return str(state).startswith(_LIMIT_EXCEEDED)


def _postgres_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=POOL_TIMEOUT_S,
        json_deserializer=_read_json,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "application_name": "hookwright", **_SILENCE},
    )
    event.listen(engine, "connect", _prepare_postgres)
    event.listen(engine, "handle_error", _leave_server_that_only_reads)
    return engine


def _read_json(stored: str | bytes) -> Any:
    try:
        return from_json(stored)
    except ValueError:  # a lone surrogate is none of its characters
        return json.loads(stored)


def _prepare_postgres(connection: Any, _record: object) -> None:
    """Let a commit survive a crash of the server, whatever the server's own default is.

    An effect is written down before it is made: were that lost, it would be made once more.
    """
    connection.execute("SET synchronous_commit = on")
    kept_ms = int(LOCKS_KEPT_S * 1000)
    connection.execute(f"SET idle_in_transaction_session_timeout = {kept_ms}")
    connection.commit()


def _leave_server_that_only_reads(context: ExceptionContext) -> None:
    """Give up connections to a server that is no primary any more, though it answers well."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=POOL_TIMEOUT_S,
        json_deserializer=_read_json,
        connect_args={"timeout": SQLITE_BUSY_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "do_connect", _make_private_file)
    event.listen(engine, "connect", prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    path = _file_of(url.database)
    if path is not None:
        _watch_file(engine, path)
    return engine


def _watch_file(engine: Engine, path: Path) -> None:
    """Leave a file that was removed or replaced: what is written into it is found by nobody."""

    def note(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_FILE] = _identify(path)

    def check(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
        try:
            found = _identify(path)
        except OSError as error:
            # A new connection would make a new file, and it would be empty.
            raise Unavailable("the database file is gone") from error
        if found != record.info[_FILE]:
            raise DisconnectionError

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", check)


def _identify(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _file_of(database: str | None) -> Path | None:
    # An address of its own (`file:…`) and a database in memory are no files of ours to make.
    if database is None or database == ":memory:" or database.startswith("file:"):
        return None
    return Path(database)


def _make_private_file(
    _dialect: object, _record: object, arguments: list[Any], _options: object
) -> None:
    """Make a new database file for its owner alone; SQLite gives `-wal` and `-shm` its mode."""
    path = _file_of(arguments[0])
    # One that cannot be made is told by SQLite, with the error people know.
    with suppress(OSError):
        if path is not None and not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def prepare_sqlite(connection: Any, _record: object = None) -> None:
    """Set a new SQLite connection up: WAL, a commit that survives a power cut, foreign keys."""
    # The driver must not begin transactions by itself: _begin_sqlite says how they begin.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={SQLITE_BUSY_MS}",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        f"journal_size_limit={SQLITE_LOG_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later may fail at the upgrade without waiting,
    # whatever busy_timeout says. A writer therefore takes the lock at once.
    read_only = connection.get_execution_options().get("hookwright_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

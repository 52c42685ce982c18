"""What a database server says of itself: its settings, its clock, whether it can be written."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from schemas.clock import Clock
from service.db import Database, first_line
from service.errors import Unavailable

_ASKED = (
    "default_transaction_read_only",
    "fsync",
    "full_page_writes",
    "max_connections",
    "server_version",
    "server_version_num",
    "synchronous_commit",
)
_STEPS_BETWEEN_LOOKS = 50_000
"""Of SQLite's machine, between two looks at the clock: some milliseconds."""
WRITE_WITHIN_MS = 3_000


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    """What PostgreSQL says. `settings` are by name; `clock_ahead` is of its clock before ours."""

    settings: Mapping[str, str]
    is_standby: bool
    connections: int
    clock_ahead: timedelta
    answered_in: timedelta


@dataclass(frozen=True, slots=True)
class SqliteFacts:
    """What SQLite says of its file; sizes in bytes."""

    version: str
    journal_mode: str
    size: int
    free: int


def postgres_facts(database: Database, *, clock: Clock) -> PostgresFacts:
    """Ask PostgreSQL about itself. Raises Unavailable."""
    try:
        with database.engine.connect() as connection:
            before = clock()
            there = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            after = clock()
            rows = connection.execute(
                text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)"),
                {"names": list(_ASKED)},
            )
            settings = {str(name): str(setting) for name, setting in rows}
            standby, connections = connection.execute(
                text("SELECT pg_is_in_recovery(), (SELECT count(*) FROM pg_stat_activity)")
            ).one()
    except DBAPIError as error:
        raise Unavailable(first_line(error)) from error
    ahead = there.astimezone(UTC) - (before + (after - before) / 2)
    return PostgresFacts(settings, standby, connections, ahead, after - before)


def sqlite_facts(database: Database) -> SqliteFacts:
    """Ask SQLite about its file. Raises Unavailable."""
    try:
        with _raw(database) as connection:
            version, *_ = connection.execute("SELECT sqlite_version()").fetchone()
            said = {
                name: connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "page_size", "page_count", "freelist_count")
            }
    except (DBAPIError, sqlite3.Error) as error:
        raise Unavailable(_said(error)) from error
    page = int(said["page_size"])
    return SqliteFacts(
        version,
        str(said["journal_mode"]),
        page * int(said["page_count"]),
        page * int(said["freelist_count"]),
    )


def try_to_write(database: Database) -> None:
    """Begin to write, and take it back; the tables must be there.

    Raises Unavailable with what the database said.
    """
    try:
        if database.is_sqlite:
            with _raw(database) as connection:
                connection.execute(f"PRAGMA busy_timeout={WRITE_WITHIN_MS}")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            return
        with database.engine.connect() as connection:
            connection.execute(text("DELETE FROM marks WHERE false"))
            connection.rollback()
    except (DBAPIError, sqlite3.Error) as error:
        raise Unavailable(_said(error)) from error


def quick_check(database: Database, *, seconds: float) -> str | None:
    """Look through an SQLite file for damage; gives the first that is found, or "ok".

    None when the time was over before the end of the file. Raises Unavailable.
    """
    end = time.monotonic() + seconds
    try:
        with _raw(database) as connection:
            connection.set_progress_handler(
                lambda: int(time.monotonic() > end), _STEPS_BETWEEN_LOOKS
            )
            return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise Unavailable(_said(error)) from error
    except sqlite3.DatabaseError as error:
        return _said(error)
    except DBAPIError as error:
        raise Unavailable(_said(error)) from error


@contextmanager
def _raw(database: Database) -> Iterator[Any]:
    """Give a connection of SQLite's own, outside of transactions, that nobody uses afterwards."""
    connection = database.engine.raw_connection()
    try:
        yield connection.driver_connection
    finally:
        connection.invalidate()


def _said(error: DBAPIError | sqlite3.Error) -> str:
    return first_line(error) if isinstance(error, DBAPIError) else str(error)

"""The databases that a test worker keeps: one of each kind, handed to test after test, emptied.

What a new one costs is spared: PostgreSQL would make and drop it, every session would read its
catalogue, and SQLAlchemy would compile each statement anew. Tests that change tables, or that count
on a file or a server of their own, ask for one of their own in tests/conftest.py.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import QueuePool

from service.db import Database
from service.store import schema
from tests.servers import created_database

LOCK_TIMEOUT = "5s"
FEW_BYTES = 512 * 1024
"""Rows of a small table are deleted, which is quick; a larger one is made anew, which frees it."""
_TABLES = """
SELECT (relname, relkind, relnatts, relchecks, relhastriggers)::text, relname,
    CASE relkind WHEN 'r' THEN pg_relation_size(oid) ELSE 0 END
FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname
"""
"""What each table and index is like, its name, and how many bytes of rows there are."""


def make_tables(url: str) -> None:
    """Create every table in an empty database, but for the note of how far it was migrated."""
    database = Database(url)
    schema.upgrade(database)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    database.dispose()


class KeptSqlite:
    """A SQLite file that is replaced by a copy of `template` for each test."""

    def __init__(self, folder: Path, template: Path) -> None:
        self._template = template
        self._path = folder / "hookwright.db"
        self._database = Database(f"sqlite:///{self._path}")

    @contextlib.contextmanager
    def lent(self) -> Iterator[Database]:
        """Give the database with no rows."""
        shutil.copyfile(self._template, self._path)
        yield self._database
        if _is_held(self._database):
            # What holds a session goes on with a database that nobody else has.
            self._database = Database(f"sqlite:///{self._path}")
        self._database.dispose()
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink()


class KeptPostgres:
    """A PostgreSQL database made from `template`, whose tables are emptied after each test."""

    def __init__(self, main_url: str, template: str) -> None:
        self._main_url, self._template = main_url, template
        self._ends = contextlib.ExitStack()
        self._begin()

    def _begin(self) -> None:
        name = f"hw_{uuid4().hex}"
        url = self._ends.enter_context(created_database(self._main_url, name, self._template))
        self._sweeper = self._ends.enter_context(psycopg.connect(url, autocommit=True))
        # Whatever refers to whatever: everything goes.
        self._sweeper.execute("SET session_replication_role = replica")
        self._sweeper.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'".encode())
        self._shape = [shape for shape, _, _ in self._tables()]
        self._database = Database(url)
        self._ends.callback(self._database.dispose)

    def end(self) -> None:
        """Drop the database."""
        self._ends.close()

    @contextlib.contextmanager
    def lent(self) -> Iterator[Database]:
        """Give the database with no rows."""
        yield self._database
        if not self._is_emptied():
            self.end()
            self._begin()

    def _tables(self) -> list[tuple[str, str, int]]:
        return self._sweeper.execute(_TABLES).fetchall()

    def _is_emptied(self) -> bool:
        """Empty it, unless a test changed a table or somebody still holds a session."""
        tables = self._tables()
        if [shape for shape, _, _ in tables] != self._shape or _is_held(self._database):
            return False
        sizes = {name: size for _, name, size in tables if size}
        if not sizes:
            return True
        names = [sql.Identifier(name) for name in sizes]
        if max(sizes.values()) > FEW_BYTES:
            statement = sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names))
        else:
            statement = sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(name) for name in names)
        try:
            self._sweeper.execute(statement)
        except psycopg.errors.LockNotAvailable:
            return False
        return True


def _is_held(database: Database) -> bool:
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout() > 0

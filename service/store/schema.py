"""Bringing the tables up to date, and asking whether they are. Revisions stand in migrations/."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from schemas.clock import utc_now
from schemas.partitioned import PARTITIONED
from service.db import Database, first_line, is_outage
from service.errors import Unavailable
from service.store.partitions import is_locked, make_ahead

LOCK_TIMEOUT_MS = 5_000
"""How long one statement may wait for a table that a running release uses: a migration that waits
longer makes every request behind it wait too, so it gives up and is tried again."""

ADVISORY_LOCK = 0x486F6F6B
"""Any number nobody else takes: only one process migrates a PostgreSQL database at a time."""


def upgrade(database: Database, revision: str = "head") -> list[str]:
    """Bring the tables to a revision, all or nothing, and name the revisions that were applied.

    Several processes may call this at once: one works, the others wait and find nothing to do.
    Raises Unavailable when the database is away or a table stays locked.
    """
    return _move(database, command.upgrade, revision)


def make_partitions(database: Database) -> None:
    """Make the first partitions of new tables; the chore of this name makes the following ones.

    Raises Unavailable.
    """
    if database.is_sqlite:
        return
    try:
        with database.engine.begin() as connection:
            for table in PARTITIONED:
                list(make_ahead(connection, table, utc_now()))
    except DBAPIError as error:
        # Another process makes them just now.
        if is_locked(error):
            return
        if is_outage(error):
            raise _away(database, error) from error
        raise


def downgrade(database: Database, revision: str) -> list[str]:
    """Take the tables back to a revision (`base`: to nothing); name the revisions left behind."""
    return _move(database, command.downgrade, revision)


def _move(database: Database, action: Callable[[Config, str], None], revision: str) -> list[str]:
    config = _config()
    try:
        with (
            database.turn_to_write(),
            database.engine.connect() as connection,
            _without_foreign_keys(connection),
            connection.begin(),
        ):
            _take_turn(connection)
            before = _applied(connection)
            config.attributes["connection"] = connection
            action(config, revision)
            after = _applied(connection)
            _check_foreign_keys(connection)
    except DBAPIError as error:
        if is_outage(error):
            raise _away(database, error) from error
        raise
    return sorted(_ancestry(before) ^ _ancestry(after))


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let SQLite copy a table that others refer to, as its documentation says (lang_altertable).

    With foreign keys on, dropping the old copy would delete every row that refers to it.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    # Inside a transaction the switch does nothing, so the driver is asked before ours begins.
    driver = connection.connection.driver_connection
    if driver is None:
        raise Unavailable("the database is not available")
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
    if orphans:
        message = f"the migration left rows without what they refer to: {orphans[:5]}"
        raise RuntimeError(message)


def _away(database: Database, error: DBAPIError) -> Unavailable:
    cause = first_line(error)
    if "lock" in cause:
        return Unavailable(
            f"the tables could not be changed now in {database.name}: {cause}",
            hint="a long transaction holds a table; try again",
        )
    wanted = "its folder must exist and be writable" if database.is_sqlite else "is it running?"
    return Unavailable(
        f"{database.name} cannot be used: {cause}",
        hint=f"{wanted}; HOOKWRIGHT_DATABASE_URL names it",
    )


def _take_turn(connection: Connection) -> None:
    # SQLite's turn was taken by BEGIN IMMEDIATE. On PostgreSQL the others wait as long as it takes,
    # so the time-out for locks is set after this one.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))


def _applied(connection: Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection).get_current_heads()


def _ancestry(heads: tuple[str, ...]) -> set[str]:
    if not heads:
        return set()
    return {script.revision for script in _scripts().iterate_revisions(heads, "base")}


def _config() -> Config:
    config = Config()
    location = str(files("migrations"))
    config.set_main_option("script_location", location.replace("%", "%%"))
    return config


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())

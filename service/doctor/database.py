"""What the doctor sees of the database: is it there, is it current, does it keep what it takes?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from schemas.clock import Clock
from service.db import Database
from service.doctor.machine import NETWORK_FILE_SYSTEMS, file_system_of, room
from service.doctor.queue import clock_verdict
from service.doctor.verdicts import Verdict, fail, good, size, span, warn
from service.errors import Unavailable
from service.store import revision
from service.store.server import (
    PostgresFacts,
    SqliteFacts,
    postgres_facts,
    quick_check,
    sqlite_facts,
    try_to_write,
)

NAME = "database"
TABLES = "tables"
WRITING = "writing"
LOOK_THROUGH_S = 5.0
OLDEST_POSTGRES = 140000
MANY_CONNECTIONS = 0.9
LARGE_LOG = 256 * 1024**2
MUCH_FREE = 0.5
WORTH_SHRINKING = 256 * 1024**2
_DURABLE = ("fsync", "full_page_writes")


def look_at_database(database: Database, clock: Clock, *, data_dir: Path) -> Iterator[Verdict]:
    """Judge the database. The first verdict says whether it answers: if not, it is the last.

    The room on the disk of `data_dir` was judged before.
    """
    if database.is_missing:
        yield fail(
            NAME,
            f"{database.name} is not there",
            "`hookwright up` or `hookwright migrate` makes it; is HOOKWRIGHT_DATA_DIR that of the "
            "server?",
        )
        return
    try:
        yield from _sqlite(database, data_dir) if database.is_sqlite else _postgres(database, clock)
    except Unavailable as error:
        yield fail(
            NAME,
            f"{database.name} does not answer: {error.message}",
            "start it, or correct HOOKWRIGHT_DATABASE_URL; until then deliveries are answered 503",
        )
        return
    if not revision.is_current(database):
        yield fail(TABLES, "not those of this release", "run `hookwright migrate`")
        return
    yield good(TABLES, "as this release wants them")
    yield _writing(database)


def _writing(database: Database) -> Verdict:
    try:
        try_to_write(database)
    except Unavailable as error:
        return fail(
            WRITING,
            f"it cannot be written: {error.message}",
            "deliveries are answered 503 until it can; is it a standby, read-only, or locked by "
            "somebody?",
        )
    return good(WRITING, "it can be written")


# --- PostgreSQL -------------------------------------------------------------------------------


def _postgres(database: Database, clock: Clock) -> Iterator[Verdict]:
    facts = postgres_facts(database, clock=clock)
    said = facts.settings
    version = said.get("server_version", "?").split(" ")[0]
    yield good(
        NAME,
        f"{database.name}: PostgreSQL {version}, answers in {span(facts.answered_in)}",
    )
    if int(said.get("server_version_num", OLDEST_POSTGRES)) < OLDEST_POSTGRES:
        yield warn("version", f"PostgreSQL {version} is not supported any more", "upgrade it")
    if facts.is_standby or said.get("default_transaction_read_only") == "on":
        yield fail(
            "role",
            "it is a standby: nothing can be stored"
            if facts.is_standby
            else "it is read-only (default_transaction_read_only)",
            "let HOOKWRIGHT_DATABASE_URL name the primary "
            "(`?target_session_attrs=read-write` with several hosts)",
        )
    yield _durability(facts)
    yield _connections(facts)
    yield clock_verdict("its clock", facts.clock_ahead)


def _durability(facts: PostgresFacts) -> Verdict:
    said = facts.settings
    off = [name for name in _DURABLE if said.get(name) == "off"]
    if off:
        return fail(
            "durability",
            f"{' and '.join(off)} off: what was answered 202 may be lost in a crash",
            f"set {', '.join(f'{name} = on' for name in off)} in PostgreSQL",
        )
    return good("durability", f"synchronous_commit {said.get('synchronous_commit', '?')}, fsync on")


def _connections(facts: PostgresFacts) -> Verdict:
    most = int(facts.settings.get("max_connections", "0"))
    says = f"{facts.connections} of {most} in use"
    if most and facts.connections >= most * MANY_CONNECTIONS:
        return warn("connections", says, "raise max_connections, or put a pooler in between")
    return good("connections", says)


# --- SQLite -----------------------------------------------------------------------------------


def _sqlite(database: Database, data_dir: Path) -> Iterator[Verdict]:
    facts = sqlite_facts(database)
    path = Path(str(database.url.database))
    yield good(NAME, f"{database.name}: SQLite {facts.version}, {size(facts.size)}")
    kind = file_system_of(path)
    if kind in NETWORK_FILE_SYSTEMS:
        yield fail(
            "file system",
            f"the file is on {kind}: locks and commits over a network cannot be relied on",
            "put HOOKWRIGHT_DATA_DIR on a disk of this machine, or use PostgreSQL",
        )
    if facts.journal_mode.lower() != "wal":
        yield fail(
            "journal",
            f"journal_mode is {facts.journal_mode}, not WAL: readers and writers stop one another",
            "the file system does not allow WAL: put the data directory on a disk of this machine",
        )
    yield from _room_within(path, facts)
    if path.parent.resolve() != data_dir.resolve():
        yield room("its disk", path.parent)
    yield _integrity(database, path)


def _room_within(path: Path, facts: SqliteFacts) -> Iterator[Verdict]:
    log = path.with_name(f"{path.name}-wal")
    length = log.stat().st_size if log.exists() else 0
    if length > LARGE_LOG:
        yield warn(
            "write-ahead log",
            f"{size(length)}: something reads for so long that it is never emptied",
            "end what holds the file open (a backup, a shell of SQLite); it shrinks at a restart",
        )
    if facts.free > WORTH_SHRINKING and facts.free > facts.size * MUCH_FREE:
        yield warn(
            "free pages",
            f"{size(facts.free)} of {size(facts.size)} are free and will be used again",
            f"to give them back, stop the server and run: sqlite3 {path} VACUUM",
        )


def _integrity(database: Database, path: Path) -> Verdict:
    name = "integrity"
    found = quick_check(database, seconds=LOOK_THROUGH_S)
    if found is None:
        return good(
            name,
            f"no damage found in {LOOK_THROUGH_S:.0f} s; all of it: "
            f"sqlite3 {path} 'PRAGMA quick_check'",
        )
    if found.lower() == "ok":
        return good(name, "the file is sound")
    return fail(
        name, found, "stop the server, keep a copy of the files, and restore the last backup"
    )

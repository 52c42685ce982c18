"""Databases and receivers killed with SIGKILL under load: what was answered 2xx is there.

`python -m tests.faults.database_kills` kills PostgreSQL ten times and a receiver on SQLite thirty
times; `run` gives the figures.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url
from sqlmodel import select

from schemas.tables import DeliveryRow
from service.db import Database
from tests.databases import make_tables
from tests.integration.door.receiver import BellBook, add_source, receiving
from tests.integration.door.test_faults import Senders, door_process
from tests.servers import PostgresServer, wait_until

BETWEEN = 50
"""So many deliveries are stored before the next kill."""
KILLS_OF_POSTGRES = 10
KILLS_OF_SQLITE = 30


@dataclass
class Kills:
    """What came of killing one thing again and again. `longest_s`: until the next 2xx."""

    what: str
    kills: int = 0
    longest_s: float = 0.0
    stored: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0

    def note(self, seconds: float) -> None:
        """Count one kill."""
        self.kills += 1
        self.longest_s = max(self.longest_s, seconds)

    def balance(self, database: Database) -> None:
        """Compare what was answered 2xx with the rows."""
        with database.session(read_only=True) as session:
            found = session.exec(select(DeliveryRow.delivery_key, DeliveryRow.id)).all()
        rows = {key: str(given) for key, given in found}
        self.doubled = len(found) - len(rows)
        self.lost = len(self.stored.items() - rows.items())


def prepare(url: str) -> Database:
    """Give a database with every table and the source."""
    make_tables(url)
    database = Database(url)
    with database.session() as session:
        add_source(session, limits={"per_second": 100_000, "burst": 100_000})
    return database


def kill_postgres(server: PostgresServer, times: int, between: int = BETWEEN) -> Kills:
    """Kill the postmaster and all its children, and start it again, so many times under load."""
    kills = Kills("PostgreSQL killed")
    database = prepare(server.url())
    with receiving(database, BellBook()) as receiver:
        with Senders(f"http://127.0.0.1:{receiver.port}/hooks/github") as senders:
            for _ in range(times):
                _wait_for_more(senders, between)
                _kill_all_of(server)
                began = time.monotonic()
                server.kill()
                wait_until(lambda: _starts(server), 30, what="the start of PostgreSQL")
                _wait_for_more(senders, 1)
                kills.note(time.monotonic() - began)
            _wait_for_more(senders, between)
        kills.stored = senders.stored
    kills.balance(database)
    database.dispose()
    return kills


def kill_receivers(url: str, times: int, between: int = BETWEEN) -> Kills:
    """Kill a receiver in the middle of commits, and start another, so many times."""
    kills = Kills(f"receiver killed, {make_url(url).get_backend_name()}")
    database = prepare(url)
    for _ in range(times):
        began = time.monotonic()
        with door_process(database) as (process, address), Senders(address) as senders:
            _wait_for_more(senders, 1)
            kills.note(time.monotonic() - began)
            _wait_for_more(senders, between)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)
        kills.stored |= senders.stored
    kills.balance(database)
    database.dispose()
    return kills


def is_whole(path: Path) -> bool:
    """Ask SQLite whether every page of its file is as it should be."""
    with sqlite3.connect(path) as connection:
        said = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return bool(said == ("ok",))


def _wait_for_more(senders: Senders, number: int) -> None:
    before = len(senders.stored)
    wait_until(lambda: len(senders.stored) >= before + number, 60, what="further 2xx")


def _kill_all_of(server: PostgresServer) -> None:
    with psycopg.connect(server.url()) as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity").fetchall()
        own = connection.info.backend_pid
    for (pid,) in [(server.pid,), *(row for row in rows if row[0] != own)]:
        os.kill(pid, signal.SIGKILL)


def _starts(server: PostgresServer) -> bool:
    try:
        server.start()
    except RuntimeError:  # the killed one's children hold its memory for a moment
        return False
    return True


def run(postgres: int = KILLS_OF_POSTGRES, sqlite: int = KILLS_OF_SQLITE) -> dict[str, Any]:
    """Kill both so many times; gives `good`, the `figures` and a `table` for people."""
    with PostgresServer(durable=True) as server:
        figures = [kill_postgres(server, postgres)]
    with tempfile.TemporaryDirectory(prefix="hw-kills-") as directory:
        path = Path(directory) / "hookwright.db"
        figures.append(kill_receivers(f"sqlite:///{path}", sqlite))
        whole = is_whole(path)
    lines = [
        "| what | times | 2xx | lost | doubled | longest until the next 2xx |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.what} | {one.kills} | {len(one.stored)} | {one.lost} | {one.doubled} "
        f"| {one.longest_s:.1f} s |"
        for one in figures
    ]
    good = whole and not any(one.lost or one.doubled for one in figures)
    return {"good": good, "figures": figures, "table": "\n".join(lines)}


if __name__ == "__main__":
    given = run()
    sys.stdout.write(given["table"] + "\n")
    sys.exit(0 if given["good"] else 1)

"""The door and the workers' transactions while the SQLite file cannot be written."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from schemas.clock import utc_now
from service.bell import Bell
from service.db import SQLITE_LOG_BYTES, Database
from service.errors import Unavailable
from service.group_commit import GroupCommit
from service.store.inbox import open_inboxes
from service.unit_of_work import unit_of_work
from tests.faults.database_kills import is_whole, kill_receivers
from tests.integration.door.receiver import (
    BellBook,
    Receiver,
    add_source,
    receiving,
    sign_github,
)
from tests.integration.door.test_faults import door_process, stored_keys
from tests.servers import wait_until


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    with database.session() as session:
        add_source(session)
    yield database
    database.dispose()


@pytest.fixture
def receiver(database: Database) -> Iterator[Receiver]:
    with receiving(database, BellBook()) as running:
        yield running


def test_a_file_that_another_process_locks(database: Database, path: Path) -> None:
    bell = Bell(BellBook())
    bell.start()
    writer = GroupCommit(open_inboxes(database, utc_now), bell, patience_s=1)
    with receiving(database, BellBook(), writer=writer) as receiver:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        assert receiver.send("locked").status_code == 503
        assert time.monotonic() - began < 3
        other.execute("ROLLBACK")
        other.close()
        wait_until(receiver.door.is_healthy)
        assert receiver.send("locked").status_code in {200, 202}
        assert [row.delivery_key for row in receiver.rows()] == ["locked"]
    bell.stop()


def test_a_full_disk_is_answered_503_while_it_lasts(database: Database, path: Path) -> None:
    """No file of the receiver may grow, as where no room is left; later it may again."""
    with door_process(database) as (process, url), httpx.Client(trust_env=False) as client:

        def send(key: str) -> int:
            signed = sign_github(key, body=b"x" * 100_000)
            return client.post(url, content=signed.body, headers=signed.headers).status_code

        assert send("before") == 202
        size = path.with_name(f"{path.name}-wal").stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size * 100))
        assert send("full") == 503
        assert send("full") == 503
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size * 100, size * 100))
        wait_until(lambda: send("full") in {200, 202})
    assert sorted(stored_keys(database)) == ["before", "full"]


def test_a_file_that_was_removed_is_not_written_into(
    receiver: Receiver, database: Database, path: Path
) -> None:
    assert receiver.send("before").status_code == 202
    kept = path.with_suffix(".kept")
    path.rename(kept)
    assert receiver.send("gone").status_code == 503
    with pytest.raises(Unavailable), unit_of_work(database, BellBook()) as work:
        work.session.connection().execute(text("DELETE FROM deliveries"))
    assert not path.exists()
    kept.rename(path)
    wait_until(receiver.door.is_healthy)
    assert receiver.send("gone").status_code == 202
    assert [row.delivery_key for row in receiver.rows()] == ["before", "gone"]


def test_a_file_that_was_replaced_is_left_for_the_new_one(
    receiver: Receiver, database: Database, path: Path, sqlite_template: Path
) -> None:
    assert receiver.send("before").status_code == 202
    for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        name.unlink(missing_ok=True)
    shutil.copyfile(sqlite_template, path)
    wait_until(lambda: receiver.send("after").status_code == 202)
    assert [row.delivery_key for row in receiver.rows()] == ["after"]
    with sqlite3.connect(path) as found:
        assert found.execute("SELECT delivery_key FROM deliveries").fetchall() == [("after",)]
    found.close()


def test_the_log_is_cut_after_a_reader_that_took_long(database: Database) -> None:
    with database.session(read_only=True) as session:
        row = session.connection().exec_driver_sql("PRAGMA journal_size_limit").one()
    assert row[0] == SQLITE_LOG_BYTES


def test_killed_at_random_every_2xx_is_there_afterwards(tmp_path: Path) -> None:
    """SIGKILL in the middle of commits; it starts again without repair."""
    path = tmp_path / "killed.db"
    kills = kill_receivers(f"sqlite:///{path}", 2, 30)
    assert (kills.kills, kills.lost, kills.doubled) == (2, 0, 0)
    assert is_whole(path)

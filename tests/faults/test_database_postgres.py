"""The door while PostgreSQL breaks in every way: no lost 2xx, no second row, and on by itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy.engine import make_url

from service.db import Database
from tests.faults.database_kills import kill_postgres, prepare
from tests.faults.proxy import Proxy, executes
from tests.integration.door.receiver import BellBook, Receiver, add_source, receiving
from tests.servers import PostgresServer, wait_until

IN_TIME_S = 6.5
"""Patience is 5 s; the rest is for a busy machine."""


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    port = make_url(postgres_url).port
    assert port is not None
    with Proxy(port) as running:
        yield running


@pytest.fixture
def receiver(postgres_url: str, proxy: Proxy) -> Iterator[Receiver]:
    """A receiver that reaches its database through the proxy."""
    direct = Database(postgres_url)
    with direct.session() as session:
        add_source(session)
    direct.dispose()
    through = make_url(postgres_url).set(port=proxy.port).render_as_string(hide_password=False)
    database = Database(through)
    with receiving(database, BellBook()) as running:
        yield running
    database.dispose()


def keys_of(receiver: Receiver) -> list[str]:
    return [row.delivery_key for row in receiver.rows()]


@contextlib.contextmanager
def administering(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_a_commit_whose_answer_was_lost_is_found_by_its_key(
    receiver: Receiver, proxy: Proxy
) -> None:
    for number in range(5):
        proxy.cut_after(executes)
        answer = receiver.send(f"k{number}")
        assert answer.status_code == 202
        again = receiver.send(f"k{number}")
        assert (again.status_code, again.json()["id"]) == (200, answer.json()["id"])
    assert proxy.cuts == 5
    assert keys_of(receiver) == [f"k{number}" for number in range(5)]


def test_a_commit_that_is_lost_twice_is_never_answered_2xx(
    receiver: Receiver, proxy: Proxy
) -> None:
    assert receiver.send("before").status_code == 202
    proxy.cut_after(executes, times=1000)
    assert receiver.send("lost").status_code == 503
    proxy.restore()
    wait_until(receiver.door.is_healthy)
    assert receiver.send("lost").status_code in {200, 202}
    assert sorted(keys_of(receiver)) == ["before", "lost"]


def test_a_silent_line_is_answered_503_in_time_and_mends_by_itself(
    receiver: Receiver, proxy: Proxy
) -> None:
    assert receiver.send("before").status_code == 202
    proxy.freeze()
    began = time.monotonic()
    assert receiver.send("silent").status_code == 503
    assert time.monotonic() - began < IN_TIME_S
    began = time.monotonic()
    assert receiver.send("early").status_code == 503
    assert time.monotonic() - began < 1
    proxy.cut()
    proxy.thaw()
    wait_until(receiver.door.is_healthy, 15)
    assert receiver.send("after").status_code == 202


def test_503_while_the_server_only_reads(
    receiver: Receiver, postgres_url: str, proxy: Proxy
) -> None:
    """A demoted primary: the door leaves it, and goes where deliveries can be written."""
    assert receiver.send("before").status_code == 202
    name = make_url(postgres_url).database
    with administering(postgres_url) as admin:
        set_reading = f"ALTER DATABASE {name} SET default_transaction_read_only = %s"
        admin.execute(set_reading.replace("%s", "on").encode())
        proxy.cut()
        assert receiver.send("while").status_code == 503
        wait_until(lambda: not receiver.door.is_healthy())
        admin.execute("SET transaction_read_only = off")
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(set_reading.replace("%s", "off").encode())
    wait_until(receiver.door.is_healthy, 10)
    assert receiver.send("while").status_code == 202


def test_a_long_lock_is_answered_503_in_time(receiver: Receiver, postgres_url: str) -> None:
    assert receiver.send("before").status_code == 202
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(receiver.send, ["a", "b", "c", "d"]))
        assert {answer.status_code for answer in answers} == {503}
        assert time.monotonic() - began < IN_TIME_S
        other.rollback()
    wait_until(receiver.door.is_healthy, 10)
    assert {receiver.send(key).status_code for key in ("a", "b", "c", "d")} <= {200, 202}
    assert sorted(keys_of(receiver)) == ["a", "b", "before", "c", "d"]


def test_sessions_that_are_ended_or_refused(receiver: Receiver, postgres_url: str) -> None:
    """Ended by an administrator: the next connection. None is let in: 503 until one is."""
    assert receiver.send("before").status_code == 202
    name = make_url(postgres_url).database
    main = make_url(postgres_url).set(database="postgres").render_as_string(hide_password=False)
    with administering(main) as admin:
        others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        admin.execute(others.encode(), [name])
        assert receiver.send("ended").status_code == 202
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        admin.execute(others.encode(), [name])
        assert receiver.send("refused").status_code == 503
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    wait_until(receiver.door.is_healthy, 10)
    assert receiver.send("refused").status_code == 202


def test_a_full_disk_is_answered_503_while_it_lasts(receiver: Receiver, postgres_url: str) -> None:
    """What PostgreSQL says when a file cannot grow (53100), said for it by a trigger."""
    full = """
        CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN RAISE disk_full USING MESSAGE = ''could not extend file''; END';
        CREATE TRIGGER full_disk BEFORE INSERT ON deliveries
            FOR EACH ROW EXECUTE FUNCTION is_full();
    """
    assert receiver.send("before").status_code == 202
    with administering(postgres_url) as admin:
        admin.execute(full.encode())
        began = time.monotonic()
        assert receiver.send("full").status_code == 503
        assert time.monotonic() - began < 1
        admin.execute("DROP TRIGGER full_disk ON deliveries")
    wait_until(receiver.door.is_healthy, 10)
    assert receiver.send("full").status_code == 202


def test_a_commit_that_no_standby_confirmed_is_not_answered_2xx() -> None:
    """The standby is away and somebody ends the waiting: PostgreSQL says done, with a warning.

    From then on the row is there for everybody who looks, and it is still on one server alone.
    """
    waiting = (
        "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
        " WHERE wait_event = 'SyncRep' AND application_name LIKE '%door'"
    )
    with PostgresServer() as server:
        database = prepare(server.url())
        database.dispose()
        server.stop()
        server._settings["synchronous_standby_names"] = "nobody"
        server.start()
        with (
            receiving(database, BellBook()) as receiver,
            ThreadPoolExecutor(1) as pool,
            administering(server.url()) as admin,
        ):
            for _ in range(2):
                wait_until(receiver.door.is_healthy, 10)
                sent = pool.submit(receiver.send, "unconfirmed")
                wait_until(lambda: (admin.execute(waiting.encode()).fetchone() or (0,))[0])
                assert sent.result().status_code == 503
            server.stop()
            server._settings["synchronous_standby_names"] = ""
            server.start()
            wait_until(receiver.door.is_healthy, 10)
            assert receiver.send("unconfirmed").status_code == 200
            assert keys_of(receiver) == ["unconfirmed"]
        database.dispose()


def test_killed_under_load_every_2xx_is_there_afterwards(postgres_server: PostgresServer) -> None:
    kills = kill_postgres(postgres_server, 2, 30)
    assert (kills.kills, kills.lost, kills.doubled) == (2, 0, 0)
    assert kills.longest_s < 10

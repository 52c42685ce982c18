"""What the door does when things around it break: never a 2xx for what is not stored."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Self
from uuid import uuid4

import httpx
import psycopg
import pytest

from schemas.clock import utc_now
from schemas.ids import new_id
from schemas.tables import METADATA
from service.bell import Bell
from service.db import Database
from service.errors import Unavailable
from service.group_commit import COMPANY_ROWS, GroupCommit
from service.queue import DramatiqQueue, make_broker
from service.store.arrivals import Arrival, Outcomes
from service.store.inbox import open_inboxes
from tests.integration.door.receiver import (
    BODY,
    BellBook,
    Receiver,
    add_source,
    receiving,
    sign_github,
)
from tests.integration.door.sender import connected, request
from tests.servers import PostgresServer, RedisServer, free_port, wait_until


@pytest.fixture
def own_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A database on a server that the test may stop."""
    database = Database(postgres_server.url())
    METADATA.create_all(database.engine)
    with database.session() as session:
        add_source(session)
    yield database
    database.dispose()


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_503_while_the_database_is_away_and_202_when_it_is_back(
    own_database: Database, postgres_server: PostgresServer, bell: BellBook, way: str
) -> None:
    with receiving(own_database, bell) as receiver:
        assert receiver.send("before").status_code == 202
        getattr(postgres_server, way)()
        for number in range(3):
            began = time.monotonic()
            answer = receiver.send(f"away-{number}")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"] == "application/problem+json"
            assert time.monotonic() - began < 5
        assert not receiver.door.is_healthy()
        postgres_server.start()
        wait_until(receiver.door.is_healthy, 20)
        assert receiver.send("after").status_code == 202
        assert receiver.send("before").status_code == 200
        assert {row.delivery_key for row in receiver.rows()} >= {"before", "after"}


def test_a_door_that_starts_without_a_database_opens_when_it_comes(
    own_database: Database, postgres_server: PostgresServer, bell: BellBook
) -> None:
    postgres_server.stop()
    with receiving(own_database, bell) as receiver:
        assert receiver.send().status_code == 503
        assert not receiver.door.is_healthy()
        postgres_server.start()
        wait_until(receiver.door.is_healthy, 20)
        wait_until(lambda: receiver.send().status_code == 202)


class Senders:
    """Threads that send new deliveries until told to end, and note what they were answered."""

    def __init__(self, url: str, threads: int = 8) -> None:
        self.stored: dict[str, str] = {}
        self._url = url
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(30)

    def _send(self) -> None:
        with httpx.Client(trust_env=False, timeout=15) as client:
            while not self._ending.is_set():
                key = str(uuid4())
                signed = sign_github(key)
                try:
                    answer = client.post(self._url, content=signed.body, headers=signed.headers)
                except httpx.TransportError:
                    self._ending.wait(0.05)
                    continue
                if answer.is_success:
                    self.stored[key] = answer.json()["id"]


def test_what_was_answered_2xx_survives_a_crash_of_the_receiver(database: Database) -> None:
    with database.session() as session:
        add_source(session)
    with door_process(database) as (process, url), Senders(url) as senders:
        wait_until(lambda: len(senders.stored) > 100, 30)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    stored = stored_keys(database)
    assert senders.stored.items() <= stored.items()
    with door_process(database) as (_, url):
        key, given = next(iter(senders.stored.items()))
        signed = sign_github(key)
        with httpx.Client(trust_env=False) as client:
            answer = client.post(url, content=signed.body, headers=signed.headers)
        assert answer.json() == {"id": given, "status": "duplicate"}


@contextmanager
def door_process(database: Database) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "uvicorn", "tests.integration.door.door_process:make_app", "--factory"),
            *("--port", str(port), "--log-level", "warning", "--interface", "asgi3"),
        ],
        env={
            **os.environ,
            "DOOR_TEST_DATABASE_URL": database.url.render_as_string(hide_password=False),
        },
    )
    url = f"http://127.0.0.1:{port}/hooks/github"
    try:
        wait_until(lambda: is_listening(port), 30)
        yield process, url
    finally:
        process.terminate()
        process.wait(20)


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def stored_keys(database: Database) -> dict[str, str]:
    receiver = Receiver(database, BellBook())
    receiver.client.close()
    return {row.delivery_key: str(row.id) for row in receiver.rows()}


def test_a_commit_that_hangs_is_answered_503_in_time(database: Database, bell: BellBook) -> None:
    """Another transaction holds the table; nobody waits longer than patience lasts."""
    with database.session() as session:
        add_source(session)
    waiting_bell = Bell(bell)
    writer = GroupCommit(open_inboxes(database, utc_now), waiting_bell, patience_s=0.5)
    waiting_bell.start()
    with receiving(database, bell, writer=writer) as receiver:
        assert receiver.send("before").status_code == 202
        with table_held(database):
            began = time.monotonic()
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(receiver.send, ["w", "x", "y", "z"]))
            assert {answer.status_code for answer in answers} == {503}
            assert time.monotonic() - began < 4
            assert receiver.send("still").status_code == 503
        wait_until(receiver.door.is_healthy)
        assert receiver.send("after").status_code == 202
        # What was told to come again may have been stored meanwhile; it is the same row then.
        again = receiver.send("w")
        assert again.status_code in {200, 202}
        assert [row.delivery_key for row in receiver.rows()].count("w") == 1
    waiting_bell.stop()


@contextmanager
def table_held(database: Database) -> Iterator[None]:
    if database.is_sqlite:
        other = sqlite3.connect(database.url.database or "", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()
        return
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def test_503_when_too_much_waits(database: Database, bell: BellBook) -> None:
    with database.session() as session:
        add_source(session)
    own_bell = Bell(bell)
    own_bell.start()
    writer = GroupCommit(
        open_inboxes(database, utc_now), own_bell, waiting_rows=4, waiting_bytes=10_000
    )
    with receiving(database, bell, writer=writer) as receiver:
        with ThreadPoolExecutor(9) as pool:
            with table_held(database):
                sent = [pool.submit(receiver.send, f"k{number}") for number in range(8)]
                # A source may have half of the room, whoever else wants some.
                wait_until(lambda: sum(one.done() for one in sent) >= 6)
                refused = [one.result() for one in sent if one.done()]
                assert [one.status_code for one in refused] == [503] * 6
                # Each is given a later place in the line.
                waits = [int(one.headers["retry-after"]) for one in refused]
                assert 1 <= min(waits) <= max(waits) <= 4
            assert sorted(one.result().status_code for one in sent)[:2] == [202, 202]
        assert receiver.send().status_code == 202
    own_bell.stop()


def test_503_also_for_bodies_that_come_late(sqlite_database: Database, bell: BellBook) -> None:
    """There was room for each when its head came, and there is none when all are there."""
    with sqlite_database.session() as session:
        add_source(session)
    writer = GroupCommit(open_inboxes(sqlite_database, utc_now), Bell(bell), waiting_rows=4)
    with receiving(sqlite_database, bell, writer=writer) as receiver, ExitStack() as open_ones:
        senders = [open_ones.enter_context(connected(receiver)) for _ in range(8)]
        for one in senders:
            head, _ = request("/hooks/github", ("Expect", "100-continue"))
            one.send(head)
            assert one.answer().startswith(b"HTTP/1.1 100 ")  # its body is awaited
        with table_held(sqlite_database):
            for one in senders:
                one.send(BODY)
            wait_until(lambda: sum(one.is_answered() for one in senders) >= 6)
            refused = [one for one in senders if one.is_answered()]
            assert [one.answer()[:12] for one in refused] == [b"HTTP/1.1 503"] * 6
        taken = [one for one in senders if one not in refused]
        assert [one.answer()[:12] for one in taken] == [b"HTTP/1.1 202"] * 2


def test_503_when_the_bytes_that_wait_are_too_many(database: Database, bell: BellBook) -> None:
    with database.session() as session:
        add_source(session)
    own_bell = Bell(bell)
    own_bell.start()
    writer = GroupCommit(open_inboxes(database, utc_now), own_bell, waiting_bytes=10_000)
    with receiving(database, bell, writer=writer) as receiver, ThreadPoolExecutor(1) as pool:
        with table_held(database):
            large = pool.submit(receiver.send, body=b"x" * 20_000)  # alone it is always taken
            wait_until(lambda: receiver.door._writer._rows == 1)
            assert receiver.send().status_code == 503
        assert large.result().status_code == 202
    own_bell.stop()


def test_redis_may_be_away(redis_server: RedisServer, database: Database) -> None:
    """The bell is lost, the delivery is not: it is stored, answered, and due for the sweeper."""
    with database.session() as session:
        add_source(session)
    broker = make_broker(redis_server.url)
    with receiving(database, DramatiqQueue(broker)) as receiver:
        assert receiver.send().status_code == 202
        wait_until(lambda: "ingest_deliveries" in str(queued(redis_server)))
        redis_server.stop()
        began = time.monotonic()
        assert [receiver.send().status_code for _ in range(20)] == [202] * 20
        assert time.monotonic() - began < 5
        assert all(row.due_at is not None for row in receiver.rows())
    broker.close()


def queued(server: RedisServer) -> list[object]:
    broker = make_broker(server.url)
    client = broker.client  # type: ignore[attr-defined]  # a Redis broker has one
    messages = [client.hgetall(key) for key in client.keys("hookwright:*.msgs")]
    client.close()
    broker.close()
    return messages


# --- closing ----------------------------------------------------------------------------------


def test_closing_answers_what_waits(database: Database, bell: BellBook) -> None:
    with database.session() as session:
        add_source(session)
    with receiving(database, bell) as receiver, ThreadPoolExecutor(20) as pool:
        with table_held(database):
            sent = [pool.submit(receiver.send, f"k{number}") for number in range(20)]
            wait_until(lambda: receiver.door._writer._rows == 20)
            receiver.ask_to_stop()
        assert [one.result().status_code for one in sent] == [202] * 20
        assert len(receiver.rows()) == 20
    wait_until(lambda: len(bell.rung()) == 20)


class SlowInbox:
    """An inbox whose commits end when the test says so."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.began = asyncio.Event()
        self.may_commit = asyncio.Event()

    async def connect(self) -> None:
        return

    async def store(self, group: Sequence[Arrival]) -> Outcomes:
        self.groups.append([arrival.delivery_key for arrival in group])
        self.began.set()
        await self.may_commit.wait()
        return {}

    async def close(self) -> None:
        return


def an_arrival(key: str) -> Arrival:
    return Arrival(new_id(), uuid4(), "s", "v", key, utc_now(), b"[]", b"")


def test_a_group_is_what_came_during_the_commit_before(bell: BellBook) -> None:
    async def scenario() -> None:
        inbox = SlowInbox()
        own_bell = Bell(bell)
        own_bell.start()
        writer = GroupCommit([inbox], own_bell)
        await writer.start()
        answers = [writer.add(an_arrival("a"))]
        await inbox.began.wait()
        answers += [writer.add(an_arrival(key)) for key in ("b", "c", "gone", "d")]
        answers[3].cancel()  # a sender that hangs up does not break its group
        inbox.may_commit.set()
        done = await asyncio.gather(*answers, return_exceptions=True)
        assert inbox.groups == [["a"], ["b", "c", "gone", "d"]]
        assert [one for one in done if one is None] == [None] * 4
        await writer.stop()
        with pytest.raises(Unavailable):
            writer.add(an_arrival("late"))
        own_bell.stop()

    asyncio.run(scenario())


def test_a_second_group_is_begun_beside_the_first_when_enough_has_gathered(
    bell: BellBook,
) -> None:
    async def scenario() -> None:
        one = SlowInbox()
        own_bell = Bell(bell)
        own_bell.start()
        # Two places for groups, which write into one book.
        writer = GroupCommit([one, one], own_bell)
        await writer.start()
        answers = [writer.add(an_arrival("first"))]
        await one.began.wait()
        one.began.clear()
        answers += [writer.add(an_arrival(f"k{number}")) for number in range(COMPANY_ROWS)]
        await one.began.wait()
        answers.append(writer.add(an_arrival("last")))
        assert one.groups == [["first"], [f"k{number}" for number in range(COMPANY_ROWS)]]
        one.may_commit.set()
        assert await asyncio.gather(*answers) == [None] * (COMPANY_ROWS + 2)
        assert one.groups[2:] == [["last"]]
        await writer.stop()
        own_bell.stop()

    asyncio.run(scenario())


def test_closing_does_not_wait_for_ever(bell: BellBook) -> None:
    async def scenario() -> None:
        inbox = SlowInbox()
        own_bell = Bell(bell)
        own_bell.start()
        writer = GroupCommit([inbox], own_bell, patience_s=0.3)
        await writer.start()
        answers = [writer.add(an_arrival(key)) for key in ("a", "b")]
        await writer.stop()
        done = await asyncio.gather(*answers, return_exceptions=True)
        assert all(isinstance(one, Unavailable) for one in done)
        inbox.may_commit.set()
        own_bell.stop()

    asyncio.run(scenario())

"""Whoever sends well is answered in well under a second, whatever others do at the same time."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.db import Database
from service.web.http_protocol import MAX_AHEAD, BoundedHttp
from tests.faults import hostile
from tests.faults.hostile import (
    ATTACKS,
    Attack,
    is_cut_off,
    is_open,
    open_many,
    open_one,
    slowest,
    under,
)
from tests.faults.overload import Receiver as Process
from tests.integration.door.receiver import (
    BODY,
    BellBook,
    add_source,
    receiving,
    sign_github,
)
from tests.servers import wait_until

ANSWERED_WITHIN_S = 4.0
"""A tenth of that on a quiet machine; here other tests have the processors as well."""
LOOK_S = 0.3
MANY = 10_000


class Hasty(BoundedHttp):
    """A server that waits for a second at most, and holds few connections."""

    head_timeout_s = 1.0
    silence_timeout_s = 1.0
    read_timeout_s = 0.5


class Small(BoundedHttp):
    max_connections = 20


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    with database.session() as session:
        add_source(session, limits={"per_second": 100_000, "burst": 100_000})
    yield database
    database.dispose()


@pytest.fixture
def process(database: Database, tmp_path: Path) -> Iterator[Process]:
    """The product's receiver in a process of its own."""
    url = database.url.render_as_string(hide_password=False)
    running = Process(url, tmp_path, None)
    yield running
    running.stop()


def send_well(client: httpx.Client, port: int) -> int:
    signed = sign_github()
    url = f"http://127.0.0.1:{port}/hooks/github"
    return client.post(url, content=signed.body, headers=signed.headers).status_code


def test_a_good_delivery_beside_every_attack(process: Process) -> None:
    with httpx.Client(trust_env=False, timeout=20) as client:
        took = {}
        began, before = time.monotonic(), process.memory()
        for attack in ATTACKS:
            with under(attack, process.port):
                took[attack.name] = slowest(lambda: send_well(client, process.port), LOOK_S)
        assert max(took.values()) < ANSWERED_WITHIN_S, took
    assert process.memory_mb(began)[1] - before / 2**20 < 150


def test_ten_thousand_idle_connections(process: Process) -> None:
    """More than half of the files that a process may open here are ours: 10,000 need them all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    number = min(MANY, hard - 500)
    before = process.memory()
    idle = open_many(process.port, number)
    try:
        with httpx.Client(trust_env=False, timeout=20) as client:
            assert slowest(lambda: send_well(client, process.port), LOOK_S) < ANSWERED_WITHIN_S
        held = len(list(Path(f"/proc/{process.process.pid}/fd").iterdir()))
        assert held > number
        assert process.memory() - before < number * 20 * 1024
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "attack",
    [
        hostile.EXTENSIONS,
        hostile.TRAILERS,
        hostile.SLOW_CHUNKS,
        hostile.HUGE_CHUNKED,
        hostile.HEADERS,
        hostile.AHEAD,
    ],
    ids=lambda attack: attack.name,
)
def test_what_has_no_end_is_ended(database: Database, attack: Attack) -> None:
    with receiving(database, BellBook(), protocol=Hasty) as receiver:
        connection = open_one(receiver.port, attack.first)
        is_ended = is_cut_off(connection, attack.then)
        connection.close()
        assert is_ended
        assert receiver.send().status_code == 202
        wait_until(lambda: receiver.door.gate.held_bytes == 0)


def test_a_client_that_does_not_read_is_cut_off(database: Database) -> None:
    with receiving(database, BellBook(), protocol=Hasty) as receiver:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", receiver.port))
        connection.setblocking(False)
        one = b"GET /hooks/none HTTP/1.1\r\nHost: x\r\n\r\n" * (MAX_AHEAD // 2)
        is_ended = is_cut_off(connection, one, reads=False)
        connection.close()
        assert is_ended
        assert receiver.send().status_code == 202


def test_the_connection_that_waits_for_longest_makes_room(database: Database) -> None:
    with receiving(database, BellBook(), protocol=Small) as receiver:
        idle = open_many(receiver.port, 20)
        wait_until(lambda: len(receiver._server.server_state.connections) == 20)
        assert receiver.send().status_code == 202
        assert [is_open(connection) for connection in idle] == [False, *[True] * 19]
        for connection in idle:
            connection.close()


def test_slow_bodies_give_way_to_those_that_come(database: Database) -> None:
    with receiving(database, BellBook()) as receiver:
        receiver.door.gate._room = receiver.door.gate._held_bytes = 1_000_000
        slow = open_many(receiver.port, 10, hostile.SLOW_BODY.first)
        wait_until(lambda: receiver.door.gate.held_bytes > 300_000)
        assert receiver.send(body=b"x" * 400_000).status_code == 202
        assert b"HTTP/1.1 503 " in refused(slow)
        assert 0 < sum(is_open(connection) for connection in slow) < 10
        for connection in slow:
            connection.close()
        wait_until(lambda: receiver.door.gate.held_bytes == 0)


def refused(connections: list[socket.socket]) -> bytes:
    got = b""
    for connection in connections:
        with contextlib.suppress(OSError):
            got += connection.recv(65536)
    return got


def ends_when_closed(connection: socket.socket) -> None:
    wait_until(lambda: not is_open(connection))
    connection.close()


def test_half_a_request_and_the_end(database: Database) -> None:
    """The sender shuts its half, or vanishes: nothing is stored and nothing is held."""
    with receiving(database, BellBook()) as receiver:
        half = b"%bContent-Length: 100\r\n\r\n%b" % (hostile.HEAD, BODY[:40])
        for _ in range(3):
            connection = open_one(receiver.port, half)
            connection.shutdown(socket.SHUT_WR)
            ends_when_closed(connection)
        assert receiver.rows() == []
        wait_until(lambda: receiver.door.gate.held_bytes == 0)

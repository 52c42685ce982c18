"""What comes before a body is bounded in bytes and in time, whoever sends it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.db import Database
from service.door_request import MAX_HEADER_BYTES
from service.vendors.base import Signed
from service.web.http_protocol import MAX_HEAD_BYTES, BoundedHttp
from tests.integration.door.receiver import (
    BODY,
    BellBook,
    Receiver,
    add_source,
    receiving,
    sign_github,
)
from tests.servers import wait_until

BEGUN = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\n"


class Hasty(BoundedHttp):
    """A server that does not wait long."""

    head_timeout_s = 0.3
    silence_timeout_s = 0.3


@pytest.fixture
def hasty(database: Database, bell: BellBook) -> Iterator[Receiver]:
    with database.session() as session:
        add_source(session)
    with receiving(database, bell, protocol=Hasty) as running:
        yield running


@contextmanager
def connected(receiver: Receiver) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """Give what came until the server hung up, which it may do abruptly."""
    got = b""
    try:
        while chunk := connection.recv(65536):
            got += chunk
    except ConnectionError:
        pass
    return got


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


def problem_of(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem: dict[str, object] = json.loads(body)
    assert f"x-request-id: {problem['request_id']}".encode() in head
    return problem


def whole(signed: Signed, *more: bytes, path: bytes = b"/hooks/github") -> bytes:
    lines = [f"{name}: {value}".encode() for name, value in signed.headers]
    length = b"Content-Length: %d" % len(signed.body)
    head = [b"POST %b HTTP/1.1" % path, b"Host: x", length, *lines, *more, b"", b""]
    return b"\r\n".join(head) + signed.body


def test_431_for_a_head_that_does_not_end(receiver: Receiver) -> None:
    with connected(receiver) as connection:
        connection.sendall(BEGUN + b"X-Big: ")
        answer = b""
        sent = 0
        try:
            while sent < 100 * MAX_HEAD_BYTES:
                connection.sendall(b"a" * 8192)
                sent += 8192
        except ConnectionError:
            pass
        answer = read_to_end(connection)
    assert sent < 100 * MAX_HEAD_BYTES
    assert answer == b"" or status_of(answer) == 431


def test_431_is_a_problem_and_ends_the_connection(receiver: Receiver) -> None:
    with connected(receiver) as connection:
        connection.sendall(BEGUN + b"X-Big: " + b"a" * MAX_HEAD_BYTES)
        answer = read_to_end(connection)
    assert status_of(answer) == 431
    assert problem_of(answer)["type"] == "urn:hookwright:problem:headers_too_large"


def test_431_for_a_head_that_comes_whole_and_too_large(receiver: Receiver) -> None:
    """For the API as well, which looks at no header but its own."""
    with connected(receiver) as connection:
        signed = sign_github()
        connection.sendall(whole(signed, b"X-Big: " + b"a" * MAX_HEAD_BYTES, path=b"/api/v1/runs"))
        assert status_of(read_to_end(connection)) == 431


@pytest.mark.parametrize(
    "more",
    [[b"X-Big: " + b"a" * 40_000], [b"X-%d: a" % number for number in range(200)]],
    ids=["bytes", "count"],
)
def test_the_door_takes_fewer_headers_and_stores_nothing(
    receiver: Receiver, more: list[bytes]
) -> None:
    with connected(receiver) as connection:
        connection.sendall(whole(sign_github(), *more))
        assert status_of(connection.recv(4096)) == 431
    assert receiver.rows() == []
    assert receiver.door.counts["github", "headers_too_large"] == 1
    receiver.stop()
    assert receiver.rejections() == []


def test_many_headers_that_fit_are_taken(receiver: Receiver) -> None:
    with connected(receiver) as connection:
        connection.sendall(whole(sign_github(), *(b"X-%d: %0150d" % (n, n) for n in range(180))))
        assert status_of(connection.recv(4096)) == 202


def test_408_for_a_head_that_comes_too_slowly(hasty: Receiver) -> None:
    with connected(hasty) as connection:
        connection.sendall(BEGUN)
        answer = read_to_end(connection)
    assert status_of(answer) == 408
    assert problem_of(answer)["status"] == 408


@pytest.mark.parametrize("nothing", [b"", b"\r\n\r\n"])
def test_a_connection_on_which_nothing_is_asked_is_closed(hasty: Receiver, nothing: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(nothing)
        assert read_to_end(connection) == b""


def test_a_second_head_has_its_time_too(hasty: Receiver) -> None:
    with connected(hasty) as connection:
        connection.sendall(whole(sign_github()) + BEGUN[:10])
        answer = read_to_end(connection)
    assert status_of(answer) == 202
    assert b"HTTP/1.1 408 " in answer


def test_a_body_may_take_longer_than_a_head(hasty: Receiver) -> None:
    late = whole(sign_github())
    with connected(hasty) as connection, connected(hasty) as idle:
        connection.sendall(late[:-5])
        assert read_to_end(idle) == b""  # so much time has gone by
        connection.sendall(late[-5:])
        assert status_of(connection.recv(4096)) == 202


def test_requests_may_follow_each_other_in_any_pieces(receiver: Receiver) -> None:
    requests = b"".join(whole(sign_github(str(number), body=b"x" * 70_000)) for number in range(4))
    with connected(receiver) as connection:
        for start in range(0, len(requests), 50_001):
            connection.sendall(requests[start : start + 50_001])
        wait_until(lambda: len(receiver.rows()) == 4)


@pytest.mark.parametrize("what", [b"1;" + b"e" * 9, b"0\r\nX-Trailer: " + b"a" * 9])
def test_what_surrounds_chunks_is_bounded(receiver: Receiver, what: bytes) -> None:
    with connected(receiver) as connection:
        connection.sendall(BEGUN + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + what)
        sent = 0
        try:
            while sent < 100 * MAX_HEAD_BYTES:
                connection.sendall(b"a" * 8192)
                sent += 8192
        except ConnectionError:
            pass
    assert sent < 100 * MAX_HEAD_BYTES


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_a_wish_for_another_protocol_is_passed_over(receiver: Receiver, protocol: bytes) -> None:
    wish = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol, b"HTTP2-Settings: AAM")
    with connected(receiver) as connection:
        for key in ("one", "two"):
            connection.sendall(whole(sign_github(key), *wish))
            assert status_of(connection.recv(4096)) == 202
        both = whole(sign_github("three"), *wish) + whole(sign_github("four"), *wish)
        connection.sendall(both)
        wait_until(lambda: len(receiver.rows()) == 4)
    assert {row.body for row in receiver.rows()} == {BODY}


@pytest.mark.parametrize("wish", [(), (b"Connection: Upgrade", b"Upgrade: h2c")])
def test_a_head_that_comes_in_two_readings_is_bounded(
    receiver: Receiver, wish: tuple[bytes, ...]
) -> None:
    large = whole(sign_github("two"), *wish, b"X-Large: " + b"a" * (MAX_HEADER_BYTES + 1))
    with connected(receiver) as connection:
        # Where the first is answered, what came with it has been read.
        connection.sendall(whole(sign_github("one")) + large[:-200])
        assert status_of(connection.recv(4096)) == 202
        connection.sendall(large[-200:])
        assert status_of(read_to_end(connection)) == 431
    assert len(receiver.rows()) == 1


def test_a_tunnel_is_not_given(receiver: Receiver) -> None:
    with connected(receiver) as connection:
        connection.sendall(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n")
        assert status_of(read_to_end(connection)) == 400

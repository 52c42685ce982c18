"""A delivery that comes whole is answered as one that comes in parts, and nothing more is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from uuid import uuid4

import pytest

from service.db import Database
from tests.integration.door.receiver import (
    BellBook,
    Receiver,
    add_source,
    receiving,
)
from tests.integration.door.sender import Sender, connected, request
from tests.servers import wait_until

MAX_BODY = 1_000
UNSIGNED = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
CHANGING = re.compile(
    rb"(?i)(?<=date: )[^\r]+|(?<=retry-after: )\d+|(?<=content-length: )\d+|"
    rb'(?<=id: )(?!mine)[^\r]+|(?<="request_id":")[^"]+|(?<="id": ")[^"]+'
)
"""What differs from one answer to the next."""


@pytest.fixture
def running(sqlite_database: Database, bell: BellBook) -> Iterator[Receiver]:
    with sqlite_database.session() as session:
        add_source(session)
        add_source(session, "narrow", limits={"max_body": MAX_BODY})
        add_source(session, "slow", limits={"per_second": 0.001, "burst": 1})
        add_source(session, "off", enabled=False)
        add_source(session, "token", path_token="t" * 20)
    with receiving(sqlite_database, bell) as receiver:
        yield receiver


@pytest.fixture
def sender(running: Receiver) -> Iterator[Sender]:
    with connected(running) as sender:
        yield sender


CASES: dict[str, tuple[int, Callable[[], tuple[bytes, bytes]]]] = {
    "stored": (202, request),
    "stored before": (200, lambda: request(key="the-same")),
    "named by its sender": (202, lambda: request("/hooks/github", ("X-Request-Id", "mine-1"))),
    "wrong signature": (401, lambda: request(secret="another-secret-0123456789")),
    "signature missing": (401, lambda: (UNSIGNED, b"{}")),
    "no such address": (404, lambda: request("/hooks/nothing")),
    "closed": (404, lambda: request("/hooks/off")),
    "wrong token": (404, lambda: request("/hooks/token/wrong")),
    "right token": (202, lambda: request("/hooks/token/" + "t" * 20)),
    "too large": (413, lambda: request("/hooks/narrow", body=b"x" * (MAX_BODY + 1))),
    "compressed": (415, lambda: request("/hooks/github", ("Content-Encoding", "gzip"))),
    "too many headers": (431, lambda: request(
        "/hooks/github", *((f"X-{n}", "v") for n in range(201)))),
    "over its rate": (429, lambda: request("/hooks/slow")),
    "escaped address": (202, lambda: request("/hooks/git%68ub")),
    "with a question": (202, lambda: request("/hooks/github?a=b")),
    "hangs up": (202, lambda: request("/hooks/github", ("Connection", "close"))),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_whole_or_in_parts_it_is_one_answer(running: Receiver, sender: Sender, case: str) -> None:
    status, make = CASES[case]
    if status in {200, 429}:  # what it repeats, or what leaves no room for it
        sender.send(b"".join(make()))
        assert sender.answer().startswith(b"HTTP/1.1 202 ")
    sender.send(b"".join(make()))
    whole = sender.answer()
    with connected(running) as parts:
        head, body = make()
        begun = running.door.gate.held_bytes
        parts.send(head + body[:1])
        if status in {200, 202, 401}:  # the rest is sent once the first part was read
            wait_until(lambda: running.door.gate.held_bytes > begun)
        parts.send(body[1:])
        in_parts = parts.answer()
        if case == "hangs up":
            assert parts.is_ended()
    if case == "hangs up":
        assert sender.is_ended()
    assert whole.startswith(b"HTTP/1.1 %d " % status)
    assert sorted(_lines(whole)) == sorted(_lines(in_parts))
    assert running.door.gate.under_way == running.door.gate.held_bytes == 0


def _lines(answer: bytes) -> list[bytes]:
    """Give the parts of an answer that do not change; the order of headers means nothing."""
    head, _, body = CHANGING.sub(b"", answer).partition(b"\r\n\r\n")
    return [*head.split(b"\r\n"), body]


def test_large_headers_are_refused_behind_the_end_of_another_request(
    running: Receiver, sender: Sender
) -> None:
    wrong = b"".join(request(secret="another-secret-0123456789"))
    head, body = request("/hooks/github", ("X-Large", "v" * 40_000))
    sender.send(wrong + head[:-100])
    assert sender.answer().startswith(b"HTTP/1.1 401 ")
    sender.send(head[-100:] + body)
    assert sender.answer().startswith(b"HTTP/1.1 431 ")
    assert running.rows() == []


def test_what_comes_whole_takes_the_room_of_what_is_still_coming(
    running: Receiver, sender: Sender
) -> None:
    gate = running.door.gate
    gate._room = gate._held_bytes = 1_000
    head, body = request(body=b"x" * 500)
    with connected(running) as slow:
        slow.send(head + body[:400])
        wait_until(lambda: gate.held_bytes == 400)
        sender.send(b"".join(request(body=b"y" * 500)))
        assert sender.answer().startswith(b"HTTP/1.1 202 ")
        assert slow.answer().startswith(b"HTTP/1.1 503 ")
    assert gate.under_way == gate.held_bytes == 0


def test_requests_ahead_are_answered_in_their_order(running: Receiver, sender: Sender) -> None:
    keys = [str(uuid4()) for _ in range(3)]
    wrong = request(secret="another-secret-0123456789")
    sent = [
        request(key=keys[0]),
        wrong,
        request("/hooks/github", key=keys[1]),
        request("/hooks/off"),
    ]
    sender.send(b"".join(b"".join(one) for one in sent) + b"".join(request(key=keys[2])))
    answers = b""
    while answers.count(b"HTTP/1.1 ") < 5 or not answers.endswith(b"}"):
        answers += sender.connection.recv(65_536)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"202", b"401", b"202", b"404", b"202"]
    named = re.findall(rb'"id": ?"([0-9a-f-]{36})", ?"status"', answers)
    rows = {row.delivery_key: str(row.id).encode() for row in running.rows()}
    assert [rows[key] for key in keys] == named


def test_nothing_is_taken_after_an_answer_that_ends_the_connection(
    running: Receiver, sender: Sender
) -> None:
    first = request("/hooks/github", ("Connection", "close"), secret="another-secret-0123456789")
    sender.send(b"".join(first) + b"".join(request()))
    assert sender.answer().startswith(b"HTTP/1.1 401 ")
    assert sender.is_ended()
    assert running.rows() == []


def test_who_is_gone_before_the_answer_is_stored_all_the_same(running: Receiver) -> None:
    for _ in range(3):
        with connected(running) as sender:
            sender.send(b"".join(request()))
    wait_until(lambda: len(running.rows()) == 3)
    wait_until(lambda: running.door.gate.under_way == 0)


def test_behind_a_proxy_the_sender_is_named(running: Receiver, sender: Sender) -> None:
    told = ("X-Forwarded-For", "203.0.113.9")
    sender.send(b"".join(request("/hooks/github", told, secret="another-secret-0123456789")))
    assert json.loads(sender.answer().partition(b"\r\n\r\n")[2])["status"] == 401
    wait_until(running.rejections)
    assert [row.remote for row in running.rejections()] == ["203.0.113.9"]


def test_a_connection_that_rests_is_ended(running: Receiver) -> None:
    running._server.config.timeout_keep_alive = 1
    with connected(running) as sender:
        for _ in range(3):
            sender.send(b"".join(request()))
            assert sender.answer().startswith(b"HTTP/1.1 202 ")
        assert sender.is_ended()


GARBAGE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\ngarbage\r\n\r\n"


@pytest.mark.parametrize("behind", [GARBAGE, None], ids=["garbage", "too many requests"])
def test_who_is_hung_up_on_while_his_delivery_is_stored_harms_nobody_else(
    running: Receiver, behind: bytes | None
) -> None:
    ahead = b"".join(request()) + (behind or b"".join(b"".join(request()) for _ in range(40)))
    for _ in range(3):
        with connected(running) as sender:
            sender.send(ahead)
            with suppress(ConnectionError):  # what it sent beyond our end is reset
                while sender.connection.recv(65_536):
                    pass
    with connected(running) as sender:
        sender.send(b"".join(request()))
        assert sender.answer().startswith(b"HTTP/1.1 202 ")
    wait_until(lambda: running.door.gate.under_way == 0)


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize(
    ("trailer", "is_signed", "status"),
    [
        (b"", True, 202),
        (b"X-Hub-Signature-256: sha256=00\r\n", True, 202),
        (b"Content-Encoding: gzip\r\n", True, 202),
        (None, False, 401),
    ],
)
def test_what_comes_behind_a_body_is_no_header(
    sender: Sender, trailer: bytes | None, status: int, *, is_signed: bool, in_parts: bool
) -> None:
    head, body = request()
    kept, signature = [], b""
    for line in head.split(b"\r\n")[:-2]:
        if line.lower().startswith(b"x-hub-signature-256"):
            signature = line + b"\r\n"
            kept += [line] if is_signed else []
        elif not line.startswith(b"Content-Length"):
            kept.append(line)
    head = b"\r\n".join([*kept, b"Transfer-Encoding: chunked", b"", b""])
    chunks = b"%x\r\n%b\r\n0\r\n%b\r\n" % (
        len(body),
        body,
        signature if trailer is None else trailer,
    )
    if in_parts:
        sender.send(head, chunks[:1])
        sender.send(chunks[1:])
    else:
        sender.send(head + chunks)
    assert sender.answer().startswith(b"HTTP/1.1 %d " % status)

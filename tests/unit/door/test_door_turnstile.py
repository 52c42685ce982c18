"""Requests that are refused unread: only those that cannot be understood in two ways."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from typing import Any, cast
from uuid import uuid4

import pytest

from schemas.config import Limits
from service.door_gate import Gate
from service.door_sources import LiveSource, SourceBook
from service.door_turnstile import Turnstile
from service.group_commit import GroupCommit

LINE = b"POST /hooks/github HTTP/1.1\r\n"
HEAD = b"Host: x\r\nContent-Length: 4\r\nUser-Agent: y\r\n"
BODY = b"body"
WHOLE = LINE + HEAD + b"\r\n" + BODY


class Sources:
    """Three sources, one of which takes nothing."""

    def __init__(self, **limits: Any) -> None:
        token = sha256(b"t0k").digest()
        self._sources = {
            "github": self._live("github", None, **limits),
            "off": self._live("off", "disabled"),
            "walled": self._live("walled", None, path_token=token),
        }

    @staticmethod
    def _live(name: str, closed: str | None, path_token: bytes | None = None, **limits: Any) -> Any:
        return LiveSource(
            id=uuid4(),
            name=name,
            vendor="v",
            closed=closed,
            limits=Limits(**limits),
            path_token=path_token,
        )

    def get(self, name: str) -> LiveSource | None:
        return self._sources.get(name)


class Writer:
    """A writer whose database is away for as long as there is a hindrance."""

    hindered_s = 0.0

    def __init__(self, hindrance: str | None) -> None:
        self.hindrance = hindrance


def ask(
    data: bytes, *, hindrance: str | None = "away", sources: Sources | None = None
) -> tuple[tuple[int, bytes] | None, list[tuple[str, str]]]:
    noted: list[tuple[str, str]] = []

    async def scenario() -> tuple[int, bytes] | None:
        turnstile = Turnstile(
            cast("SourceBook", sources or Sources()),
            cast("GroupCommit", Writer(hindrance)),
            Gate(),
            monotonic=lambda: 0.0,
            note=lambda source, reason: noted.append((source, reason)),
        )
        return turnstile.refuse_unread(data)

    return asyncio.run(scenario()), noted


def test_a_whole_request_is_answered_with_the_usual_problem() -> None:
    refused, noted = ask(WHOLE)
    assert refused is not None
    status, rest = refused
    head, _, body = rest.partition(b"\r\n\r\n")
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
    problem = json.loads(body)
    assert (status, problem["status"], noted) == (503, 503, [("github", "unavailable")])
    assert int(headers[b"retry-after"]) >= 1
    assert int(headers[b"content-length"]) == len(body)
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-request-id"].decode() == problem["request_id"]
    assert problem["instance"] == "/hooks/github"
    assert problem["type"] == "urn:hookwright:problem:not_storable_now"


def test_the_senders_own_id_is_given_back() -> None:
    refused, _ = ask(LINE + b"X-Request-Id: Abc-7\r\n" + HEAD + b"\r\n" + BODY)
    assert refused is not None
    assert b"\r\nx-request-id: Abc-7\r\n" in refused[1]


def test_429_above_the_rate() -> None:
    sources = Sources(burst=1, per_second=2)
    assert ask(WHOLE, hindrance=None, sources=sources) == (None, [])
    source = sources.get("github")
    assert source is not None
    assert source.take_turn(0.0) == 0
    refused, noted = ask(WHOLE, hindrance=None, sources=sources)
    assert refused is not None
    assert (refused[0], noted) == (429, [("github", "rate")])
    # Each is given a later place: a half of a second for each that came before.
    assert [source.place_in_line(0.0) for _ in range(2)] == [1.0, 1.5]


@pytest.mark.parametrize(
    "data",
    [
        WHOLE.replace(b"POST", b"GET"),
        WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        WHOLE.replace(b"github HTTP", b"github?a=b HTTP"),
        WHOLE.replace(b"github HTTP", b"git%68ub HTTP"),
        WHOLE.replace(b"github", b"unknown"),
        WHOLE.replace(b"github", b"off"),
        WHOLE.replace(b"github", b"walled"),
        WHOLE.replace(b"github", b"walled/wrong"),
        WHOLE.replace(b"github", b"github/any"),
        WHOLE[:-1],
        WHOLE + b"P",
        WHOLE + WHOLE,
        WHOLE.replace(b"\r\n\r\n", b"\r\n"),
        WHOLE.replace(b"\r\n", b"\n"),
        WHOLE.replace(b"Content-Length: 4", b"Content-Length: 4\r\nContent-Length: 4"),
        WHOLE.replace(b"Content-Length: 4", b"Content-Length : 4"),
        WHOLE.replace(b"Content-Length: 4", b"Content-Length: +4"),
        WHOLE.replace(b"Content-Length: 4", b"X: content-length\r\nContent-Length: 4"),
        WHOLE.replace(b"Content-Length: 4\r\n", b""),
        WHOLE.replace(b"User-Agent: y", b"Transfer-Encoding: chunked"),
        WHOLE.replace(b"User-Agent: y", b"Connection: close"),
        WHOLE.replace(b"User-Agent: y", b"Upgrade: h2c"),
        WHOLE.replace(b"User-Agent: y", b"Expect: 100-continue"),
        WHOLE.replace(b"User-Agent: y", b"User-Agent: y\r\n folded: z"),
        WHOLE.replace(b"User-Agent: y", b"User-Agent: \0"),
        b"",
    ],
)
def test_what_is_not_plain_is_parsed(data: bytes) -> None:
    assert ask(data) == (None, [])


def test_a_right_path_token_and_kept_connections_are_plain() -> None:
    assert ask(WHOLE.replace(b"github", b"walled/t0k"))[0] is not None
    assert ask(WHOLE.replace(b"User-Agent: y", b"Connection: keep-alive"))[0] is not None

"""The door's small decisions, without sockets or databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import Limits
from schemas.configured_tables import SourceRow
from schemas.jobs import IngestDeliveries, Job
from service.bell import Bell
from service.door import storable_key
from service.door_answers import (
    CLOSE,
    UNKNOWN,
    Refusal,
    Reply,
    choose_request_id,
    send_reply,
    stored_body,
)
from service.door_description import describe_door
from service.door_handshake import answer_options
from service.door_request import Request, headers_as_json, kept_headers
from service.door_sources import LiveSource, open_source
from service.redaction import STRUCK
from service.secretbox import SecretBox
from service.vendors import BY_NAME
from service.web.exchange import whole_answer
from tests.servers import wait_until

BOX = SecretBox(["k" * 40])


def live(per_second: float, burst: int) -> LiveSource:
    limits = Limits(per_second=per_second, burst=burst)
    return LiveSource(id=uuid4(), name="s", vendor="v", closed=None, limits=limits)


def test_a_rate_allows_its_burst_and_then_its_pace() -> None:
    source = live(per_second=2, burst=3)
    assert [source.take_turn(100.0) for _ in range(3)] == [0, 0, 0]
    assert source.take_turn(100.0) == pytest.approx(0.5)
    assert source.take_turn(100.25) == pytest.approx(0.25)
    assert source.take_turn(100.5) == 0
    assert source.take_turn(100.5) > 0


def test_a_long_silence_saves_up_no_more_than_the_burst() -> None:
    source = live(per_second=2, burst=3)
    source.take_turn(0.0)
    assert [source.take_turn(10_000.0) > 0 for _ in range(4)] == [False, False, False, True]


@given(st.text(max_size=600))
def test_any_key_becomes_one_that_both_databases_hold(key: str) -> None:
    stored = storable_key(key)
    assert len(stored) <= 300
    assert "\x00" not in stored
    stored.encode()
    assert storable_key(key) == stored


def test_ordinary_keys_stay_as_they_are() -> None:
    assert storable_key("72d3162e-cc78 é") == "72d3162e-cc78 é"
    assert storable_key("x" * 301) != storable_key("x" * 302)


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=50))))
def test_any_headers_become_json_without_nul(items: list[tuple[str, str]]) -> None:
    items = [(n.encode("utf-8", "replace").decode("latin-1"), "\x00" + "v") for n, _ in items]
    read = json.loads(headers_as_json(items, frozenset()))
    assert len(read) == len(items)
    assert "\x00" not in json.dumps(read, ensure_ascii=False)


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [
        ("x-hub-signature-256", True),
        ("webhook-signature", True),
        ("x-github-delivery", True),
        ("authorization", False),
        ("proxy-authorization", False),
        ("cookie", False),
        ("x-gitlab-token", False),
        ("x-api-key", False),
    ],
)
def test_headers_with_secrets_are_struck_out(name: str, is_kept: bool) -> None:  # noqa: FBT001
    assert (kept_headers([(name, "value")], frozenset()) == [(name, "value")]) is is_kept


def test_secrets_are_struck_out_of_one_header_and_all_others_stay() -> None:
    items = [("x-event", "push"), ("x-odd", "s3cret"), ("cookie", "a=b"), ("x-event", "s3cret?")]
    kept = [("x-event", "push"), ("x-odd", STRUCK), ("cookie", STRUCK), ("x-event", "s3cret?")]
    assert kept_headers(items, frozenset({"s3cret"})) == kept


def test_names_of_headers_are_text_however_many_are_invented() -> None:
    names = [b"x-%d" % number for number in range(3_000)] + [b"x" * 5_000, b"\xe9", b"x-1"]
    for name in names:
        request = Request("POST", "s", "", [(name, b"v"), (name, b"w")], lambda _: "")
        text = name.decode("latin-1")
        assert request.items == [(text, "v"), (text, "w")]


@pytest.mark.parametrize("head_bytes", [None, 32 * 1024 + 1])
@pytest.mark.parametrize(
    "headers", [[(b"a", b"v")] * 201, [(b"a", b"v" * 32 * 1024)]], ids=["many", "large"]
)
def test_headers_are_bounded(headers: list[tuple[bytes, bytes]], head_bytes: int | None) -> None:
    with pytest.raises(Refusal, match="headers_too_large"):
        Request("POST", "s", "", headers, lambda _: "", head_bytes).check_headers()
    few, small = headers[:200], [(name, value[:-1]) for name, value in headers]
    kept = few if len(headers) > 200 else small
    Request("POST", "s", "", kept, lambda _: "", head_bytes).check_headers()


def test_of_a_short_head_the_headers_are_only_counted() -> None:
    Request("POST", "s", "", [(b"a", b"v")] * 200, lambda _: "", 2_000).check_headers()
    with pytest.raises(Refusal, match="headers_too_large"):
        Request("POST", "s", "", [(b"a", b"v")] * 201, lambda _: "", 2_000).check_headers()


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(202, stored_body(b"0" * 36, b"accepted")),
        Reply(200, b"", ()),
        Reply(204, b"", ((b"allow", b"POST"),)),
        Refusal(HTTPStatus.NOT_FOUND, "no", UNKNOWN).reply("/hooks/x", b"own"),
        Refusal(HTTPStatus.REQUEST_TIMEOUT, "slow_body", "d", CLOSE).reply("/hooks/x", b"own"),
    ],
)
def test_an_answer_without_a_task_is_that_of_a_task(
    reply: Reply,
    keep_alive: bool,  # noqa: FBT001
) -> None:
    messages: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    asyncio.run(send_reply(send, reply, b"own"))
    start, body = messages
    answer, stays = whole_answer(reply, b"own", b"date: now\r\n", keep_alive=keep_alive)
    head, _, sent = answer.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    ends = CLOSE in reply.headers
    closing = [] if ends or keep_alive else [CLOSE]
    assert line == b"HTTP/1.1 %d %b" % (reply.status, HTTPStatus(reply.status).phrase.encode())
    assert sorted(lines) == sorted(
        b"%b: %b" % header for header in [(b"date", b"now"), *start["headers"], *closing]
    )
    assert sent == body["body"]
    assert stays is (keep_alive and not ends)


def test_a_request_id_is_bounded_and_harmless() -> None:
    own = b"own"
    assert choose_request_id(b"abc:1/2", own) == b"abc:1/2"
    for unsafe in (None, b"", b"a b", b"x" * 129, b"a\r\nb", "é".encode()):
        assert choose_request_id(unsafe, own) == own


def test_retry_after_is_whole_seconds_and_at_least_one() -> None:
    refusals = [
        Refusal(HTTPStatus.TOO_MANY_REQUESTS, "rate", "d", retry_after=wait)
        for wait in (0.01, 1, 1.2)
    ]
    assert [dict(one.headers)[b"retry-after"] for one in refusals] == [b"1", b"1", b"2"]


@pytest.mark.parametrize(("asked", "allowed"), [(b"60", b"60"), (b"999", b"120"), (b"*", b"120")])
def test_consent_names_no_more_than_the_rate(asked: bytes, allowed: bytes) -> None:
    headers = {b"webhook-request-origin": b"a.example", b"webhook-request-rate": asked}
    reply = answer_options(headers, Limits(per_second=2))
    assert dict(reply.headers)[b"webhook-allowed-rate"] == allowed


@pytest.mark.parametrize("stored", ["a", ["a"], [{}], [{"value": "a", "not_after": "soon"}]])
def test_secrets_that_cannot_be_read_close_their_source(stored: Any) -> None:
    row = SourceRow(
        name="s", vendor="github", secrets=BOX.seal(stored), options={}, limits={}, enabled=True
    )
    assert open_source(row, BY_NAME, BOX).closed == "misconfigured"


class Rings:
    """A queue that notes its jobs, and breaks once."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.breaks = True

    def ring(self, jobs: Any) -> None:
        if self.breaks:
            self.breaks = False
            message = "a mistake of ours"
            raise RuntimeError(message)
        self.jobs.extend(jobs)

    def room(self, _job: type[Job]) -> int:
        return 0

    def ping(self) -> None:
        return


def test_the_bell_goes_on_after_a_mistake_and_parts_its_jobs() -> None:
    rings = Rings()
    bell = Bell(rings)
    bell.start()
    bell.ring([uuid4()])
    wait_until(lambda: not rings.breaks)
    ids = [uuid4() for _ in range(250)]
    bell.ring(ids)
    bell.stop()
    jobs = [job for job in rings.jobs if isinstance(job, IngestDeliveries)]
    assert [len(job.delivery_ids) for job in jobs] == [100, 100, 50]
    assert [delivery for job in jobs for delivery in job.delivery_ids] == ids


def test_the_description_names_every_answer() -> None:
    document: dict[str, Any] = {"paths": {"/other": {}}}
    describe_door(document)
    post = document["paths"]["/hooks/{source}"]["post"]
    expected = {"200", "202", "400", "401", "404", "408", "413", "415", "429", "431", "503"}
    assert post["responses"].keys() == expected
    assert document["paths"].keys() == {"/other", "/hooks/{source}", "/hooks/{source}/{token}"}
    names = [part["name"] for part in document["paths"]["/hooks/{source}/{token}"]["parameters"]]
    assert names == ["source", "token"]

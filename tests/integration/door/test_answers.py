"""Every answer of the door, as a sender sees it, and what is stored for it."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from schemas.clock import utc_now
from schemas.states import DeliveryState
from service.db import Database
from service.store.arrivals import SWEEP_AFTER
from service.vendors import BY_NAME
from service.vendors.base import Secret
from tests.integration.door.receiver import (
    BODY,
    SECRET,
    BellBook,
    Receiver,
    add_source,
    receiving,
    sign_github,
    sign_standard,
)
from tests.servers import wait_until

STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def is_problem(answer: httpx.Response, status: int) -> bool:
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert body.keys() == {"type", "title", "status", "detail", "instance", "request_id"}
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    return True


# --- 202 and 200 ------------------------------------------------------------------------------


def test_202_names_the_row_that_was_committed(receiver: Receiver, bell: BellBook) -> None:
    before = utc_now()
    signed = sign_github("72d3162e")
    odd = [("Authorization", "Bearer abc"), ("X-Odd", "caf\xe9")]
    headers = [(name.encode(), value.encode("latin-1")) for name, value in (*signed.headers, *odd)]
    answer = receiver.post(headers=headers)
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    (row,) = receiver.rows()
    assert answer.json() == {"id": str(row.id), "status": "accepted"}
    assert (row.source, row.vendor, row.delivery_key) == ("github", "github", "72d3162e")
    assert row.body == BODY
    assert row.state == DeliveryState.RECEIVED
    assert before <= row.received_at <= utc_now()
    assert row.due_at == row.received_at + SWEEP_AFTER
    assert (row.failures, row.error) == (0, None)
    kept = dict(row.headers)
    assert kept["authorization"] == "[redacted]"
    assert kept["x-hub-signature-256"].startswith("sha256=")
    assert kept["x-odd"] == "caf\xe9"
    wait_until(lambda: bell.rung() == [row.id])


def test_200_names_the_row_that_was_there_before(receiver: Receiver, bell: BellBook) -> None:
    first = receiver.send("once")
    again = receiver.send("once")
    assert again.status_code == 200
    assert again.json() == {"id": first.json()["id"], "status": "duplicate"}
    assert len(receiver.rows()) == 1
    receiver.send("other")
    wait_until(lambda: len(bell.rung()) == 2)


def test_the_same_key_of_two_sources_is_two_deliveries(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        add_source(session, "github-two")
    assert receiver.send("same").status_code == 202
    assert receiver.send("same", path="/hooks/github-two").status_code == 202


def test_what_is_not_understood_is_stored_all_the_same(receiver: Receiver) -> None:
    for body in (b"", b"\x00\xff not json", b"{", b"x" * 70_000):
        assert receiver.send(body=body).status_code == 202
    assert sorted(len(row.body) for row in receiver.rows()) == [0, 1, 11, 70_000]


def test_odd_keys_and_headers_can_be_stored(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        options = {"id_paths": ["id"]}
        add_source(session, "odd", "generic", secrets=[Secret(STANDARD_SECRET)], options=options)
    for number, odd in enumerate(["\x00", "\ud800", "k" * 5000, "é" * 400]):
        body = json.dumps({"id": odd, "n": number}).encode()
        signed = sign_standard(body, STANDARD_SECRET, utc_now(), f"m{number}")
        answer = receiver.post("/hooks/odd", body=signed.body, headers=signed.headers)
        assert answer.status_code == 202, answer.text
    assert len(receiver.rows()) == 4


# --- handshakes -------------------------------------------------------------------------------


@pytest.fixture
def slack(receiver: Receiver) -> Receiver:
    with receiver.database.session() as session:
        add_source(session, "slack", "slack")
    return receiver


def send_slack(receiver: Receiver, body: bytes) -> httpx.Response:
    incoming = BY_NAME["slack"].incoming
    assert incoming is not None
    signed = incoming.sign(
        body, SECRET, utc_now(), incoming.options(), event="url_verification", delivery_id="e1"
    )
    return receiver.post("/hooks/slack", body=signed.body, headers=signed.headers)


def test_200_answers_a_handshake_and_stores_nothing(slack: Receiver) -> None:
    answer = send_slack(slack, b'{"type": "url_verification", "challenge": "3eZbrw1aB"}')
    assert answer.status_code == 200
    assert answer.json() == {"challenge": "3eZbrw1aB"}
    assert slack.rows() == []


def test_400_for_a_malformed_handshake(slack: Receiver) -> None:
    assert is_problem(send_slack(slack, b'{"type": "url_verification"}'), 400)
    assert slack.rows() == []
    wait_until(lambda: [row.reason for row in slack.rejections()] == ["handshake_malformed"])


def test_slack_gets_200_without_a_body(slack: Receiver) -> None:
    body = b'{"type": "event_callback", "event_id": "Ev1", "event": {"type": "x"}}'
    first, again = send_slack(slack, body), send_slack(slack, body)
    assert [(a.status_code, a.content) for a in (first, again)] == [(200, b"")] * 2
    assert len(slack.rows()) == 1


# --- 401 --------------------------------------------------------------------------------------


def headers_without(name: str) -> list[tuple[str, str]]:
    return [pair for pair in sign_github().headers if pair[0].lower() != name]


UNPROVEN = {
    "missing_header": headers_without("x-hub-signature-256"),
    "signature_mismatch": sign_github(secret="another-secret").headers,
    "malformed_header": [
        *headers_without("x-hub-signature-256"),
        ("X-Hub-Signature-256", "sha256=zz"),
    ],
    "repeated_header": [
        *sign_github().headers,
        ("X-Hub-Signature-256", "sha256=" + "0" * 64),
    ],
}


@pytest.mark.parametrize("reason", UNPROVEN)
def test_401_tells_no_reason_and_quarantines_it(receiver: Receiver, reason: str) -> None:
    answer = receiver.post(headers=[*UNPROVEN[reason], ("X-Request-Id", "r-1")])
    assert is_problem(answer, 401)
    assert answer.json() == {
        "type": "urn:hookwright:problem:delivery_not_verified",
        "title": "Unauthorized",
        "status": 401,
        "detail": "The delivery could not be verified.",
        "instance": "/hooks/github",
        "request_id": "r-1",
    }
    assert receiver.rows() == []
    (kept,) = wait_until(receiver.rejections)
    assert (kept.source, kept.reason, kept.body) == ("github", reason, BODY)
    assert kept.remote == "127.0.0.1"


@pytest.mark.parametrize(("age", "status"), [(0, 202), (290, 202), (310, 401), (-310, 401)])
def test_replays_are_refused_outside_their_window(
    receiver: Receiver, age: int, status: int
) -> None:
    with receiver.database.session() as session:
        add_source(session, "std", "generic", secrets=[Secret(STANDARD_SECRET)])
    signed = sign_standard(BODY, STANDARD_SECRET, utc_now() - timedelta(seconds=age))
    answer = receiver.post("/hooks/std", body=signed.body, headers=signed.headers)
    assert answer.status_code == status


def test_every_live_secret_is_taken_and_no_other(receiver: Receiver) -> None:
    now, hour = utc_now(), timedelta(hours=1)
    with receiver.database.session() as session:
        add_source(
            session,
            "rotating",
            secrets=[
                Secret("old-secret", not_after=now + hour),
                Secret("new-secret", not_before=now - hour),
                Secret("expired", not_after=now - hour),
                Secret("not-yet", not_before=now + hour),
            ],
        )
    answers = {
        secret: receiver.send(path="/hooks/rotating", secret=secret).status_code
        for secret in ("old-secret", "new-secret", "expired", "not-yet")
    }
    assert answers == {"old-secret": 202, "new-secret": 202, "expired": 401, "not-yet": 401}


# --- 404 and path tokens ----------------------------------------------------------------------


def test_404_is_one_answer_for_every_reason(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        add_source(session, "off", enabled=False)
        add_source(session, "bare", secrets=[])
        add_source(session, "lost", "no-such-vendor")
        add_source(session, "open", "generic", secrets=[], options={"scheme": "none"})
        add_source(
            session, "walled", "generic", secrets=[], options={"scheme": "none"}, path_token="t0k"
        )
    reasons = {
        "/hooks/none": "unknown_source",
        "/hooks/off": "disabled",
        "/hooks/bare": "no_secret",
        "/hooks/lost": "misconfigured",
        "/hooks/open": "no_secret",
        "/hooks/walled": "wrong_path_token",
        "/hooks/walled/wrong": "wrong_path_token",
        "/hooks/github/any": "wrong_path_token",
    }
    told = set()
    for path in reasons:
        answer = receiver.send("k", path=path)
        assert is_problem(answer, 404)
        body = answer.json()
        told.add((body["type"], body["title"], body["detail"]))
    assert len(told) == 1
    assert receiver.rows() == []
    wait_until(lambda: {row.reason for row in receiver.rejections()} == set(reasons.values()))
    kept = {row.reason: row for row in receiver.rejections()}
    assert kept["unknown_source"].source == "-"
    # What may be verified once the source is mended is kept whole.
    assert {row.body for row in kept.values()} == {BODY}
    assert all(row.complete for row in kept.values())


def test_a_path_token_opens_what_signs_nothing(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        add_source(
            session, "walled", "generic", secrets=[], options={"scheme": "none"}, path_token="t0k"
        )
    assert receiver.post("/hooks/walled/t0k").status_code == 202
    problem = receiver.post("/hooks/walled/t0k-").json()
    assert problem["instance"] == "/hooks/walled"


# --- 413, 415, 408 ----------------------------------------------------------------------------


@pytest.fixture
def narrow(receiver: Receiver) -> Receiver:
    with receiver.database.session() as session:
        add_source(session, "narrow", limits={"max_body": 1000})
    return receiver


def chunks_of(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 100):
        yield body[start : start + 100]


def test_413_above_the_limit_and_202_at_it(narrow: Receiver) -> None:
    assert narrow.send(path="/hooks/narrow", body=b"x" * 1000).status_code == 202
    assert is_problem(narrow.send(path="/hooks/narrow", body=b"x" * 1001), 413)


def test_413_while_streaming_without_a_length(narrow: Receiver) -> None:
    for size, status in ((1000, 202), (1001, 413)):
        signed = sign_github(body=b"x" * size)
        answer = narrow.client.post(
            "/hooks/narrow", content=chunks_of(signed.body), headers=signed.headers
        )
        assert answer.status_code == status


def test_413_comes_before_an_endless_body_ends(narrow: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", narrow.port), timeout=10) as connection:
        connection.sendall(
            b"POST /hooks/narrow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"800\r\n" + b"x" * 0x800
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "unheard-of"])
def test_415_for_an_encoded_body(receiver: Receiver, encoding: str) -> None:
    signed = sign_github(body=gzip.compress(BODY))
    headers = [*signed.headers, ("Content-Encoding", encoding)]
    answer = receiver.post(body=signed.body, headers=headers)
    assert is_problem(answer, 415)
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(("encoding", "status"), [("gzip, chunked", b"415"), ("Chunked", b"202")])
def test_415_for_a_body_that_was_encoded_for_its_way(
    receiver: Receiver, encoding: str, status: bytes
) -> None:
    signed = sign_github(body=gzip.compress(BODY))
    lines = [f"{name}: {value}" for name, value in signed.headers if name != "Content-Length"]
    head = ["POST /hooks/github HTTP/1.1", "Host: x", f"Transfer-Encoding: {encoding}", *lines]
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(signed.body), signed.body)
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + chunk)
        assert connection.recv(4096).startswith(b"HTTP/1.1 %b " % status)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Encoding", "identity")],
        [("Content-Type", "text/plain; charset=klingon")],
        [("Content-Type", "")],
        [("Content-Type", "application/x-www-form-urlencoded")],
    ],
)
def test_any_content_type_is_taken(receiver: Receiver, headers: list[tuple[str, str]]) -> None:
    signed = [pair for pair in sign_github().headers if pair[0] != "Content-Type"]
    assert receiver.post(headers=[*signed, *headers]).status_code == 202


def test_408_for_a_body_that_comes_too_slowly(database: Database, bell: BellBook) -> None:
    with database.session() as session:
        add_source(session)
    with receiving(database, bell, body_timeout_s=0.2) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
            connection.sendall(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\n")
            connection.sendall(b"Content-Length: 100\r\n\r\nhalf")
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert receiver.send().status_code == 202


def test_a_sender_that_hangs_up_leaves_nothing(receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
        connection.sendall(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\n")
        connection.sendall(b"Content-Length: 100\r\n\r\nhalf")
    assert receiver.send("after").status_code == 202
    assert [row.delivery_key for row in receiver.rows()] == ["after"]


# --- 429 --------------------------------------------------------------------------------------


def test_429_above_the_rate_and_202_after_waiting(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        add_source(session, "slow", limits={"per_second": 2, "burst": 2})
    answers = [receiver.send(path="/hooks/slow") for _ in range(4)]
    assert [answer.status_code for answer in answers[:2]] == [202, 202]
    limited = answers[-1]
    assert is_problem(limited, 429)
    assert limited.headers["retry-after"] == "1"
    began = time.monotonic()
    wait_until(lambda: receiver.send(path="/hooks/slow").status_code == 202)
    assert time.monotonic() - began < 2
    assert receiver.send().status_code == 202  # the other source has a rate of its own


def test_unproven_deliveries_do_not_use_up_the_rate(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        add_source(session, "slow", limits={"per_second": 0.001, "burst": 1})
    for _ in range(5):
        assert receiver.send(path="/hooks/slow", secret="wrong").status_code == 401
    assert receiver.send(path="/hooks/slow").status_code == 202


# --- OPTIONS and other methods ----------------------------------------------------------------


def test_options_gives_the_consent_of_cloudevents(receiver: Receiver) -> None:
    asked = {"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"}
    answer = receiver.client.options("/hooks/github", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert answer.headers["webhook-allowed-rate"] == "120"
    assert answer.headers["allow"] == "POST"
    greedy = {**asked, "WebHook-Request-Rate": "99999999"}
    answer = receiver.client.options("/hooks/github", headers=greedy)
    assert answer.headers["webhook-allowed-rate"] == "30000"


def test_options_without_a_question_names_the_methods(receiver: Receiver) -> None:
    answer = receiver.client.options("/hooks/github")
    assert (answer.status_code, answer.headers["allow"]) == (204, "POST, OPTIONS")
    assert "webhook-allowed-origin" not in answer.headers
    assert is_problem(receiver.client.options("/hooks/none"), 404)
    odd = {"WebHook-Request-Origin": "a b"}
    assert is_problem(receiver.client.options("/hooks/github", headers=odd), 400)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_405_for_other_methods(receiver: Receiver, method: str) -> None:
    answer = receiver.client.request(method, "/hooks/github")
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == "POST, OPTIONS"


def test_405_for_head_has_no_body(receiver: Receiver) -> None:
    answer = receiver.client.head("/hooks/github")
    assert (answer.status_code, answer.content) == (405, b"")


# --- request ids ------------------------------------------------------------------------------


def test_a_request_id_comes_back_unless_it_is_unsafe(receiver: Receiver) -> None:
    signed = sign_github()
    given = receiver.post(headers=[*signed.headers, ("X-Request-Id", "abc-1.2_3")])
    assert given.headers["x-request-id"] == "abc-1.2_3"
    for unsafe in ("", "a b", "x" * 129, "a\tb", "<script>"):
        answer = receiver.post(headers=[*signed.headers, ("X-Request-Id", unsafe)])
        assert UUID(answer.headers["x-request-id"]).version == 7


def test_keep_alive_connections_serve_request_after_request(receiver: Receiver) -> None:
    answers = [receiver.send() for _ in range(3)] + [receiver.send(secret="wrong")]
    answers += [receiver.send(path="/hooks/none"), receiver.send()]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 401, 404, 202]

"""Files of captured requests as tools leave them: in chunks, cut, with line ends of two kinds."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from service.captured import read_captured
from service.identification import identify

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BODY = b'{"event":"run.failed"}'
HEAD = b"POST /hooks/x HTTP/1.1\r\nHost: x.example.com\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: gzip, Chunked\r\n\r\n"


@pytest.mark.parametrize(
    "chunks",
    [
        b"16\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"5\r\n" + BODY[:5] + b"\r\n0011;part=2\r\n" + BODY[5:] + b"\r\n000\r\n\r\n",
        b"16\n" + BODY + b"\n0\n\n\n",
        b"16\r\n" + BODY + b"\r\n0\r\nX-Checksum: abc\r\n\r\n",
        b"16\r\n" + BODY + b"\r\n0",
    ],
)
def test_a_body_in_chunks_is_put_together(chunks: bytes) -> None:
    captured = read_captured(CHUNKED + chunks)
    assert captured.body == BODY
    assert captured.missing == ()


def test_chunks_may_hold_line_ends_and_digits() -> None:
    content = b"0\r\n\r\n5\r\nab"
    captured = read_captured(CHUNKED + b"a\r\n" + content + b"\r\n0\r\n\r\n")
    assert captured.body == content


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b"",
        b"16\r\n" + BODY[:9],
        b"16\r\n" + BODY + b"\r\n",
        b"16\r\n" + BODY + b"\r\n0\r\n\r\nmore of something",
        b"fffffffff\r\n" + BODY,
        b"-1\r\n" + BODY,
    ],
)
def test_what_are_no_whole_chunks_is_taken_as_it_is_and_said(body: bytes) -> None:
    captured = read_captured(CHUNKED + body)
    assert captured.body == body
    assert "Transfer-Encoding" in " ".join(captured.missing)


@pytest.mark.parametrize("said", ["21", "23", "many"])
def test_a_wrong_content_length_is_noted(said: str) -> None:
    raw = read_captured(HEAD + f"content-length: {said}\r\n\r\n".encode() + BODY)
    text = {"headers": {"Content-Length": said}, "body": BODY.decode()}
    for captured in (raw, read_captured(json.dumps(text).encode())):
        assert captured.body == BODY
        (note,) = captured.missing
        assert f"Content-Length says {said} and the body here has 22 bytes" in note


def test_a_right_content_length_is_not_noted() -> None:
    assert read_captured(HEAD + b"Content-Length: 22\r\n\r\n" + BODY).missing == ()


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nA: 1\nB: 2\r\n\r\n",
        b"POST / HTTP/1.1\nA: 1\r\nB: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nA: 1\r\nB: 2\n\n",
        b"POST / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\n",
        b"POST / HTTP/1.1\nA: 1\nB: 2\n\r\n",
    ],
)
def test_line_ends_of_two_kinds_are_read(head: bytes) -> None:
    captured = read_captured(head + b"\r\nbody\n\r\n\r\n")
    assert captured.headers == (("A", "1"), ("B", "2"))
    assert captured.body == b"\r\nbody\n\r\n\r\n"


def test_the_sender_of_a_chunked_file_is_found() -> None:
    signature = hmac.new(b"a-secret", BODY, hashlib.sha256).hexdigest()
    head = CHUNKED.replace(b"\r\n\r\n", f"\r\nX-Hub-Signature-256: sha256={signature}".encode())
    captured = read_captured(head + b"\r\n\r\n16\r\n" + BODY + b"\r\n0\r\n\r\n")
    report = identify(captured, ["a-secret"], NOW)
    assert report.matches

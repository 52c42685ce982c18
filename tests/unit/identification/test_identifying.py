"""Which scheme a captured delivery was signed with, and what is said when none fits."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.config import Configuration
from service.captured import Captured, read_captured
from service.errors import HookwrightError
from service.identification import identify
from service.scheme_search import MAX_GUESSES, guess_schemes
from service.signatures import PRESETS, Scheme, sign_with
from service.vendors import BY_NAME
from service.vendors.base import Secret

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWo="
BODY = b'{"type": "run.failed", "title": "caf\xc3\xa9 <one>", "webhookTimestamp": 1767225600000}'


def sent(
    vendor: str, options: Mapping[str, Any], secret: str = SECRET, at: datetime = NOW
) -> Captured:
    """A delivery as the vendor sends it."""
    incoming = BY_NAME[vendor].incoming
    assert incoming is not None
    signed = incoming.sign(
        BODY,
        secret,
        at,
        incoming.options.model_validate(options),
        event="run.failed",
        delivery_id="d-1",
    )
    return Captured(signed.headers, signed.body)


def hmac_hex(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("vendor", "options", "encoding"),
    [
        ("vibeview", {}, "utf-8"),
        ("vibeview", {"scheme": "t-v1"}, "utf-8"),
        ("vibeview", {"scheme": "sha256-timestamp-body"}, "utf-8"),
        ("vibeview", {"scheme": "sha256-body", "secret_encoding": "base64"}, "base64"),
        ("github", {}, None),
        ("slack", {}, None),
    ],
)
def test_a_vendor_is_found_with_its_options(
    vendor: str, options: dict[str, Any], encoding: str | None
) -> None:
    report = identify(sent(vendor, options), [SECRET], NOW)
    best = report.matches[0]
    assert (best.vendor, best.secret_encoding) == (vendor, encoding)
    default = BY_NAME[vendor].incoming.options()  # type: ignore[union-attr]
    assert best.scheme == options.get("scheme", getattr(default, "scheme", vendor))
    assert "signature" in best.header.lower()
    assert report.near_misses == ()


SHARED = {"hmac-sha256", "hmac-sha1", "token-equality"}
"""Algorithms whose secret is the same on both sides; public keys are asked about below."""


@pytest.mark.parametrize(
    "name", sorted(name for name, scheme in PRESETS.items() if scheme.algorithm in SHARED)
)
def test_a_ready_scheme_is_found_with_its_header(name: str) -> None:
    scheme = PRESETS[name]
    captured = sent("generic", {"scheme": name})
    matches = identify(captured, [SECRET], NOW).matches
    headers = {match.header.lower() for match in matches}
    assert headers == {scheme.signature_header.lower()} or "webhook-signature" in headers
    assert any(match.scheme == name or match.vendor != "generic" for match in matches)


@pytest.mark.parametrize(
    ("secret", "encoding"), [("plain text", "utf-8"), (SECRET, "base64"), ("ab" * 20, "hex")]
)
def test_the_encoding_of_the_secret_is_told(secret: str, encoding: str) -> None:
    captured = sent("generic", {"scheme": "sha256-hex", "secret_encoding": encoding}, secret)
    best = identify(captured, [secret], NOW).matches[0]
    assert best.secret_encoding == encoding


def test_the_public_key_of_ed25519_is_a_secret_too() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes_raw().hex()
    headers = (
        ("X-Signature-Ed25519", key.sign(b"1767225600" + BODY).hex()),
        ("X-Signature-Timestamp", "1767225600"),
    )
    best = identify(Captured(headers, BODY), [public], NOW).matches[0]
    assert best.header == "X-Signature-Ed25519"
    assert best.headers == ("X-Signature-Ed25519", "X-Signature-Timestamp")


def test_of_several_secrets_the_right_one_is_named() -> None:
    best = identify(sent("github", {}), ["wrong", SECRET], NOW).matches[0]
    assert best.secret == 1


@pytest.mark.parametrize(("age", "word"), [(0, "accepted now"), (3600, "stale"), (-3600, "ahead")])
def test_an_old_time_does_not_hide_the_scheme(age: int, word: str) -> None:
    captured = sent("slack", {}, at=NOW - timedelta(seconds=age))
    time = identify(captured, [SECRET], NOW).matches[0].time
    assert (time.signed, time.accepted_now) == (True, age == 0)
    assert word in time.detail


def test_without_a_signed_time_that_is_said() -> None:
    time = identify(sent("github", {}), [SECRET], NOW).matches[0].time
    assert (time.signed, time.accepted_now) == (False, True)


# --- what is in no list -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "options"),
    [
        (
            {"X-Acme-Signature": "sha256=" + hmac_hex("k", BODY)},
            {"signature_header": "X-Acme-Signature", "item_format": "prefix", "prefix": "sha256="},
        ),
        ({"X-Acme-Hmac": hmac_hex("k", BODY)}, {"signature_header": "X-Acme-Hmac"}),
        (
            {"X-Sum": hmac_hex("k", b"1767225600:" + BODY), "X-When": "1767225600"},
            {
                "signature_header": "X-Sum",
                "ts_source": "header",
                "ts_header": "X-When",
                "template": "{ts}:{body}",
            },
        ),
        (
            {"Acme": "time=1767225600,sum=" + hmac_hex("k", b"1767225600." + BODY)},
            {
                "signature_header": "Acme",
                "item_format": "key_value",
                "item_separator": "comma",
                "signature_keys": ["sum"],
                "ts_source": "item",
                "ts_key": "time",
                "template": "{ts}.{body}",
            },
        ),
        (
            {"X-Acme-Key": "k"},
            {"signature_header": "X-Acme-Key", "algorithm": "token-equality", "encoding": "text"},
        ),
    ],
)
def test_an_unknown_sender_is_described_by_knobs(
    headers: dict[str, str], options: dict[str, Any]
) -> None:
    captured = Captured((("Host", "a.example"), *headers.items()), BODY)
    best = identify(captured, ["k"], NOW).matches[0]
    assert (best.vendor, dict(best.options)) == ("generic", {"scheme": "custom", **options})


def test_an_unknown_sender_may_have_a_decoded_secret() -> None:
    content = hmac.new(b"test-secret-0123456789abcdefghij", BODY, hashlib.sha256).digest().hex()
    best = identify(Captured((("X-Acme", content),), BODY), [SECRET], NOW).matches[0]
    assert best.secret_encoding == "base64"
    assert best.options["secret_encoding"] == "base64"


# --- what is written in the configuration -------------------------------------------------------


@pytest.mark.parametrize(
    "captured",
    [
        sent("vibeview", {"scheme": "t-v1"}),
        sent("generic", {"scheme": "stripe"}),
        Captured((("X-A", "sha256=" + hmac_hex(SECRET, BODY)),), BODY),
    ],
)
def test_the_configuration_that_is_given_accepts_the_delivery(captured: Captured) -> None:
    best = identify(captured, [SECRET], NOW).matches[0]
    (source,) = Configuration.model_validate(yaml.safe_load(best.configuration)).sources
    incoming = BY_NAME[source.vendor].incoming
    assert incoming is not None
    options = incoming.options.model_validate(source.options)
    incoming.verifier(options, [Secret(SECRET)])(captured.as_delivery(NOW), NOW)
    assert SECRET not in best.configuration


# --- near misses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body + b"\n", "the line break at the end of the body is removed"),
        (lambda body: body + b"\r\n", "the line break at the end of the body is removed"),
        (lambda body: b"\xef\xbb\xbf" + body, "the byte order mark before the body is removed"),
    ],
)
def test_a_body_that_was_touched_is_recognised(change: Any, words: str) -> None:
    captured = sent("github", {})
    report = identify(Captured(captured.headers, change(captured.body)), [SECRET], NOW)
    assert report.matches == ()
    (miss,) = report.near_misses
    assert (miss.header, miss.detail) == ("X-Hub-Signature-256", f"matches if {words}")


def test_json_that_was_written_anew_is_recognised() -> None:
    compact = json.dumps({"a": 1, "b": "é"}, separators=(",", ":"), ensure_ascii=False).encode()
    headers = sign_with(PRESETS["sentry"], compact, SECRET, NOW, "1")
    changed = b'{\n  "a": 1,\n  "b": "\\u00e9"\n}'
    (miss,) = identify(Captured(headers, changed), [SECRET], NOW).near_misses
    assert miss.detail == "matches if the JSON of the body is written without spaces"


@pytest.mark.parametrize(
    ("given_secret", "words"),
    [
        (f"{SECRET}\n", "the spaces or line breaks around the secret are removed"),
        (f'"{SECRET}"', "the quotes around the secret are removed"),
        (SECRET.removeprefix("whsec_"), "`whsec_` is put before the secret"),
    ],
)
def test_a_secret_that_was_copied_badly_is_recognised(given_secret: str, words: str) -> None:
    (miss,) = identify(sent("slack", {}), [given_secret], NOW).near_misses
    assert miss.detail == f"matches if {words}"


def test_a_wrong_secret_is_said_to_be_one() -> None:
    report = identify(sent("vibeview", {}), ["another"], NOW)
    (miss,) = report.near_misses
    assert (miss.vendor, miss.header) == ("vibeview", "X-VibeView-Signature")
    assert "another secret" in miss.detail


def test_a_header_of_another_form_is_said_to_be_one() -> None:
    captured = Captured((("X-Hub-Signature-256", "md5=abc"),), BODY)
    (miss,) = identify(captured, [SECRET], NOW).near_misses
    assert (miss.reason, "another form" in miss.detail) == ("malformed_header", True)


def test_a_request_without_any_signature_is_said_to_have_none() -> None:
    report = identify(Captured((("Content-Type", "text/plain"),), b"x"), [SECRET], NOW)
    assert (report.matches, report.near_misses, report.signature_headers) == ((), (), ())
    assert "path token" in report.notes[0]


def test_a_header_that_nothing_explains_is_asked_about() -> None:
    captured = Captured((("X-Acme-Seal", hmac_hex("another", BODY)),), BODY)
    (note,) = identify(captured, [SECRET], NOW).notes
    assert "x-acme-seal" in note
    assert "is the secret right, and was a line break added" in note


def test_the_name_of_a_source_goes_into_its_lines() -> None:
    (best, *_) = identify(sent("vibeview", {}), [SECRET], NOW, source="mobile").matches
    assert "  - name: mobile\n    vendor: vibeview\n" in best.configuration


def test_without_a_secret_the_header_is_still_named() -> None:
    report = identify(sent("github", {}), [], NOW)
    assert report.near_misses[0].header == "X-Hub-Signature-256"
    assert "no secret was given" in report.notes[0]


# --- bounds -------------------------------------------------------------------------------------


def test_no_secret_is_in_the_report() -> None:
    for captured in (sent("github", {}), Captured((("X-Key", SECRET),), BODY)):
        for secrets in ([SECRET], [f"{SECRET} "]):
            shown = json.dumps(identify(captured, secrets, NOW).as_json())
            assert SECRET not in shown


def test_a_large_body_is_not_hashed_without_end() -> None:
    headers = tuple((f"X-Sum-{at}", hmac_hex("k", b"%d" % at)) for at in range(50))
    report = identify(Captured(headers, BODY), ["k"], NOW, most_hashed=10 * len(BODY))
    assert "not everything was tried" in " ".join(report.notes)


_NAMES = st.sampled_from(
    [
        *{scheme.signature_header for scheme in PRESETS.values()},
        *{scheme.ts_header for scheme in PRESETS.values() if scheme.ts_header},
        "webhook-id",
        "X-Acme-Id",
        "X-Sum",
    ]
)
_VALUES = st.one_of(
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=80),
    st.sampled_from(
        [
            "1767225600",
            "1767225600000",
            "2026-01-01T00:00:00Z",
            "sha256=" + "a" * 64,
            "v1," + "A" * 43 + "=",
            "t=1767225600,v1=" + "b" * 64,
            "0" * 40,
            "Bearer x",
        ]
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=6),
    body=st.binary(max_size=60),
    secrets=st.lists(st.text(max_size=40), max_size=2),
)
def test_whatever_comes_gives_a_report(
    headers: list[tuple[str, str]], body: bytes, secrets: list[str]
) -> None:
    report = identify(Captured(tuple(headers), body), secrets, NOW)
    json.dumps(report.as_json())
    for match in report.matches:
        assert secrets[match.secret] or match.secret >= 0


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_whatever_is_in_a_file_only_our_errors_come_out(data: bytes) -> None:
    for text in (data, b"POST / HTTP/1.1\n" + data, b'{"headers": {}, "body": ' + data):
        with suppress(HookwrightError):
            read_captured(text)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_raw_request_is_read_with_its_body_byte_for_byte(newline: bytes) -> None:
    head = newline.join([b"POST /hooks/x HTTP/1.1", b"Host: a", b"X-Sum:  b "])
    captured = read_captured(head + newline * 2 + b"\r\nbody\n")
    assert captured.headers == (("Host", "a"), ("X-Sum", "b"))
    assert captured.body == b"\r\nbody\n"


@pytest.mark.parametrize("headers", [{"A": "1", "B": "2"}, [["A", "1"], ["B", "2"]]])
def test_json_is_read_with_headers_of_either_form(headers: Any) -> None:
    for key, value in (("body", "x\n"), ("body_base64", "eAo=")):
        captured = read_captured(json.dumps({"headers": headers, key: value}).encode())
        assert (captured.headers, captured.body) == ((("A", "1"), ("B", "2")), b"x\n")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "request line"),
        (b"hello\n\nx", "request line"),
        (b"POST / HTTP/1.1\nA: b", "empty line"),
        (b"POST / HTTP/1.1\nnonsense\n\n", "no colon"),
        (b"POST / HTTP/1.1\na b: c\n\n", "no name of a header"),
        (b"{", "no JSON"),
        (b"{}", "no `headers`"),
        (b'{"headers": {}}', "`body` or `body_base64`"),
        (b'{"headers": {}, "body": "", "body_base64": ""}', "`body` or `body_base64`"),
        (b'{"headers": {"a": 1}, "body": ""}', "a name and a value"),
        (b'{"headers": {}, "body_base64": "!"}', "cannot be read"),
        (b"POST / HTTP/1.1\n" + b"A: b\n" * 201 + b"\n", "more than 200 headers"),
    ],
)
def test_what_is_no_request_is_said_to_be_none(data: bytes, words: str) -> None:
    with pytest.raises(HookwrightError, match=words):
        read_captured(data)


def test_every_knob_that_is_guessed_is_one() -> None:
    captured = Captured((("X-A", "v1," + "A" * 43 + "="), ("X-Id", "7"), ("T", "1767225600")), b"")
    guesses = list(guess_schemes(captured.as_delivery(NOW).headers))
    assert 0 < len(guesses) <= MAX_GUESSES
    for knobs in guesses:
        Scheme.model_validate(knobs)


def test_nothing_is_said_of_a_value_that_was_struck_out() -> None:
    captured = Captured((("x-gitlab-token", "[redacted]"),), b"{}", missing=("it was struck out",))
    report = identify(captured, [SECRET], NOW)
    assert (report.matches, report.near_misses) == ((), ())
    assert report.notes[0] == "it was struck out"

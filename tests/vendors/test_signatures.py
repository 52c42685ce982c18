"""The verifier's knobs one by one, its limits, and that nothing but its own error leaves it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
import standardwebhooks
from hypothesis import given, note, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service.errors import ConfigurationError, SignatureError
from service.signatures import (
    MAX_CANDIDATES,
    MAX_HEADER_CHARS,
    PRESETS,
    Scheme,
    compile_verifier,
    preset,
    sign_with,
)
from service.vendors.base import Delivery, Headers, Secret
from tests.vendors.deliveries import NOW, make_delivery, refusal
from tests.vendors.fuzz import any_text
from tests.vendors.key_pairs import pair_for

BODY = b'{"type":"run.failed","data":{"run_id":"tr7abc123x"}}'
LINEAR_BODY = b'{"action":"update","webhookTimestamp":1767225600000}'
SEED = bytes(range(32))
HEX = "0123456789abcdefABCDEF"
WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()


def private_and_public(scheme: Scheme) -> tuple[str, str]:
    """What the sender signs with and what the receiver verifies with."""
    secret = WHSEC if scheme.secret_encoding == "base64" else "a secret, with spaces"
    return pair_for(scheme, secret)


def signed_with(scheme: Scheme, body: bytes = BODY, now: datetime = NOW) -> Delivery:
    private, _ = private_and_public(scheme)
    body = LINEAR_BODY if scheme.ts_source == "body" else body
    return make_delivery(sign_with(scheme, body, private, now, "msg_0001"), body, now)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_proves_what_it_signs_and_nothing_else(name):
    scheme = preset(name)
    _, public = private_and_public(scheme)
    verify = compile_verifier(scheme, [Secret(public)])
    delivery = signed_with(scheme)
    verify(delivery, NOW)
    if scheme.algorithm != "token-equality":
        changed = Delivery("s", delivery.headers, delivery.body + b" ", NOW)
        assert refusal(verify, changed) == "signature_mismatch"


@pytest.mark.parametrize("name", PRESETS)
def test_preset_contradicts_itself_nowhere(name):
    assert Scheme.model_validate(preset(name).model_dump()) == preset(name)


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigurationError) as caught:
        preset("sha256-bdy")
    assert "sha256-body" in (caught.value.hint or "")


# --- times --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, s in PRESETS.items() if s.ts_source != "none"])
@pytest.mark.parametrize("direction", [1, -1])
def test_tolerance_of_each_timed_preset(name, direction):
    scheme = preset(name)
    _, public = private_and_public(scheme)
    verify = compile_verifier(scheme, [Secret(public)])
    delivery = signed_with(scheme)
    edge = timedelta(seconds=scheme.tolerance_s)
    verify(delivery, NOW + direction * edge)
    reason = refusal(verify, delivery, NOW + direction * (edge + timedelta(seconds=1)))
    assert reason == ("stale" if direction == 1 else "from_the_future")


def test_linear_allows_a_minute():
    assert preset("linear").tolerance_s == 60


def test_workos_takes_milliseconds_and_a_space_after_the_comma():
    scheme = preset("workos")
    header = dict(sign_with(scheme, BODY, "s", NOW, "x"))["WorkOS-Signature"]
    assert header.startswith("t=1767225600000,v1=")
    delivery = make_delivery([("workos-signature", header.replace(",", ", "))], BODY)
    compile_verifier(scheme, [Secret("s")])(delivery, NOW)


@pytest.mark.parametrize(
    "text",
    ["", " 1767225600", "+1767225600", "1_767_225_600", "1767225600.0", "1e9", "٣", "-1", "9" * 16],
)
def test_time_that_is_no_plain_number(text):
    scheme = preset("sha256-timestamp-body")
    headers = dict(sign_with(scheme, BODY, "s", NOW, "x")) | {"X-Timestamp": text}
    verify = compile_verifier(scheme, [Secret("s")])
    assert refusal(verify, make_delivery(headers.items(), BODY)) == "malformed_time"


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_time_that_is_no_iso_text(text):
    scheme = preset("zendesk")
    headers = dict(sign_with(scheme, BODY, "s", NOW, "x"))
    headers["X-Zendesk-Webhook-Signature-Timestamp"] = text
    verify = compile_verifier(scheme, [Secret("s")])
    assert refusal(verify, make_delivery(headers.items(), BODY)) in {"malformed_time", "stale"}


def test_iso_time_without_zone_is_utc_and_is_signed_as_written():
    scheme = preset("zendesk")
    literal = "2026-01-01T00:00:00"
    own = scheme.changed({"template": literal + "{body}", "ts_source": "none", "ts_header": ""})
    headers = dict(sign_with(own, BODY, "s", NOW, "x"))
    headers["X-Zendesk-Webhook-Signature-Timestamp"] = literal
    compile_verifier(scheme, [Secret("s")])(make_delivery(headers.items(), BODY), NOW)


def test_unsigned_time_is_checked_when_it_is_asked_for():
    scheme = preset("checkly").changed({"ts_source": "header", "ts_header": "x-checkly-timestamp"})
    verify = compile_verifier(scheme, [Secret("s")])
    delivery = make_delivery(sign_with(scheme, BODY, "s", NOW, "x"), BODY)
    verify(delivery, NOW)
    assert refusal(verify, delivery, NOW + timedelta(seconds=301)) == "stale"


def test_no_tolerance_means_no_time_check_but_a_time():
    scheme = preset("stripe").changed({"tolerance_s": None})
    verify = compile_verifier(scheme, [Secret("s")])
    delivery = make_delivery(sign_with(scheme, BODY, "s", NOW, "x"), BODY)
    verify(delivery, NOW + timedelta(days=400))
    headers = {"Stripe-Signature": "v1=" + "0" * 64}
    assert refusal(verify, make_delivery(headers.items(), BODY)) == "malformed_time"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"webhookTimestamp":true}', b'{"webhookTimestamp":{}}', b"\xff"]
)
def test_proven_body_without_the_time_it_should_hold(body):
    scheme = preset("linear")
    delivery = make_delivery(sign_with(scheme, body, "s", NOW, "x"), body)
    assert refusal(compile_verifier(scheme, [Secret("s")]), delivery) == "malformed_time"


# --- secrets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "whsec_" + base64.b64encode(b"\xfb\xff" * 16).decode(),
        base64.b64encode(b"\xfb\xff" * 16).decode(),
        "whsec_" + base64.b64encode(b"\xfb\xff" * 16).decode().rstrip("="),
        "whsec_" + base64.urlsafe_b64encode(b"\xfb\xff" * 16).decode(),
    ],
)
def test_base64_secret_with_and_without_prefix_padding_and_standard_letters(text):
    scheme = preset("standard-webhooks")
    signer = "whsec_" + base64.b64encode(b"\xfb\xff" * 16).decode()
    delivery = make_delivery(sign_with(scheme, BODY, signer, NOW, "m"), BODY)
    compile_verifier(scheme, [Secret(text)])(delivery, NOW)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("standard-webhooks", "whsec_"),
        ("standard-webhooks", "whsec_===="),
        ("standard-webhooks", "whsec_no base64!"),
        ("standard-webhooks", "whsec_abcde"),
        ("standard-webhooks", "whpk_AAAA"),
        ("standard-webhooks", "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("discord", "abc"),
        ("discord", "00"),
        ("discord", "zz" * 32),
    ],
)
def test_secret_that_cannot_be_one(name, secret):
    with pytest.raises(ConfigurationError) as caught:
        compile_verifier(preset(name), [Secret(secret)])
    assert secret.removeprefix("whsec_").strip("=") == "" or secret not in str(caught.value)


def test_hex_secret():
    scheme = preset("sha256-hex").changed({"secret_encoding": "hex"})
    delivery = make_delivery(sign_with(preset("sha256-hex"), BODY, "key", NOW, "x"), BODY)
    compile_verifier(scheme, [Secret(b"key".hex())])(delivery, NOW)


def test_stripe_uses_its_secret_as_displayed():
    delivery = make_delivery(sign_with(preset("stripe"), BODY, WHSEC, NOW, "x"), BODY)
    compile_verifier(preset("stripe"), [Secret(WHSEC)])(delivery, NOW)
    decoded = preset("stripe").changed({"secret_encoding": "base64"})
    assert refusal(compile_verifier(decoded, [Secret(WHSEC)]), delivery) == "signature_mismatch"


def test_secret_shows_in_no_text():
    verify = compile_verifier(preset("github"), [Secret("hunter2-hunter2")])
    assert "hunter2" not in repr(verify) + repr(Secret("hunter2-hunter2"))


# --- tokens -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["Bearer wrong", "Bearer ", "bearer token", "token", "Bearer t"])
def test_wrong_token(value):
    verify = compile_verifier(preset("bearer-token"), [Secret("token")])
    reason = refusal(verify, make_delivery([("authorization", value)], BODY))
    assert reason in {"signature_mismatch", "malformed_header"}


def test_right_tokens():
    right = make_delivery([("x-gitlab-token", "tök€n".encode().decode("latin-1"))], BODY)
    compile_verifier(preset("gitlab-token"), [Secret("tök€n")])(right, NOW)
    basic = base64.b64encode(b"user:pass").decode()
    delivery = make_delivery([("authorization", f"Basic {basic}")], BODY)
    compile_verifier(preset("basic-auth"), [Secret("user:pass")])(delivery, NOW)


# --- limits -------------------------------------------------------------------------------------


def stripe_header(*signatures: str) -> list[tuple[str, str]]:
    items = ["t=1767225600", *(f"v1={signature}" for signature in signatures)]
    return [("stripe-signature", ",".join(items))]


def test_ten_candidates_and_no_more():
    scheme = preset("stripe")
    verify = compile_verifier(scheme, [Secret("s")])
    right = dict(sign_with(scheme, BODY, "s", NOW, "x"))["Stripe-Signature"].partition("v1=")[2]
    wrong = ["0" * 64] * (MAX_CANDIDATES - 1)
    verify(make_delivery(stripe_header(*wrong, right), BODY), NOW)
    too_many = make_delivery(stripe_header(*wrong, "0" * 64, right), BODY)
    assert refusal(verify, too_many) == "malformed_header"


def test_header_of_four_kilobytes_and_no_longer():
    scheme = preset("stripe")
    verify = compile_verifier(scheme, [Secret("s")])
    text = dict(sign_with(scheme, BODY, "s", NOW, "x"))["Stripe-Signature"] + ",pad="
    full = text + "x" * (MAX_HEADER_CHARS - len(text))
    verify(make_delivery([("stripe-signature", full)], BODY), NOW)
    assert refusal(verify, make_delivery([("stripe-signature", full + "x")], BODY)) == (
        "malformed_header"
    )
    commas = make_delivery([("stripe-signature", text + "," * 1000)], BODY)
    assert refusal(verify, commas) == "malformed_header"


def test_two_times_are_none():
    verify = compile_verifier(preset("stripe"), [Secret("s")])
    header = dict(sign_with(preset("stripe"), BODY, "s", NOW, "x"))["Stripe-Signature"]
    delivery = make_delivery([("stripe-signature", f"{header},t=1767225600")], BODY)
    assert refusal(verify, delivery) == "malformed_header"


def test_message_id_with_a_full_stop():
    # Otherwise `{id}.{ts}.{body}` could be cut elsewhere: id `a.1`, time `2` and body `b` sign
    # the same bytes as id `a`, time `1` and body `2.b`.
    scheme = preset("standard-webhooks")
    delivery = make_delivery(sign_with(scheme, BODY, WHSEC, NOW, "msg.1"), BODY)
    assert refusal(compile_verifier(scheme, [Secret(WHSEC)]), delivery) == "malformed_header"


def test_unknown_versions_are_skipped():
    scheme = preset("standard-webhooks")
    headers = dict(sign_with(scheme, BODY, WHSEC, NOW, "m"))
    headers["webhook-signature"] = "v2,AAAA v1,!!!! nonsense " + headers["webhook-signature"]
    compile_verifier(scheme, [Secret(WHSEC)])(make_delivery(headers.items(), BODY), NOW)


# --- contradictions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"signature_header": "bad name"},
        {"signature_header": "X", "item_format": "prefix"},
        {"signature_header": "X", "item_format": "key_value", "item_separator": "comma"},
        {
            "signature_header": "X",
            "item_format": "version_value",
            "item_separator": "comma",
            "signature_keys": ("v1",),
        },
        {"signature_header": "X", "template": "{ts}.{body}"},
        {"signature_header": "X", "template": "{id}.{body}"},
        {"signature_header": "X", "template": "no body"},
        {"signature_header": "X", "template": "{body}{body}"},
        {"signature_header": "X", "template": "{url}{body}"},
        {"signature_header": "X", "template": "é{body}"},
        {"signature_header": "X", "ts_source": "header"},
        {"signature_header": "X", "ts_source": "item"},
        {"signature_header": "X", "ts_source": "body"},
        {"signature_header": "X", "encoding": "text"},
        {"signature_header": "X", "algorithm": "token-equality", "template": "x{body}"},
        {"signature_header": "X", "tolerance_s": -1},
        {"signature_header": "X", "unknown": 1},
    ],
)
def test_contradicting_knobs(knobs):
    with pytest.raises(ValidationError):
        Scheme.model_validate(knobs)


# --- the other library --------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(
    body=st.text(st.characters(exclude_categories=["Cs"])),
    key=st.binary(min_size=24, max_size=64),
    id_=st.from_regex(r"msg_[A-Za-z0-9]{1,30}", fullmatch=True),
)
def test_agrees_with_the_standard_webhooks_library(body, key, id_):
    secret = "whsec_" + base64.b64encode(key).decode()
    theirs = standardwebhooks.Webhook(secret)
    now = datetime.now(UTC)
    signature = theirs.sign(id_, now, body)
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    verify = compile_verifier(preset("standard-webhooks"), [Secret(secret)])
    verify(make_delivery(headers.items(), body.encode()), now)
    document = json.dumps({"text": body})
    ours = sign_with(preset("standard-webhooks"), document.encode(), secret, now, id_)
    assert theirs.verify(document, dict(ours)) == {"text": body}


# --- whatever comes -----------------------------------------------------------------------------

BUNDLE = 20
"""Cases made from one seed: to draw each of their parts would take most of the time."""


def like_a_signature(random: Random) -> str:
    """Any text, or one that some vendor's signature begins like."""
    kind = random.randrange(5)
    if kind == 0:
        prefix = random.choice(("", "sha256=", "v0=", "v1=", "v1,", "v1a,"))
        return prefix + "".join(random.choices(HEX, k=random.randrange(60, 67)))
    if kind == 1:
        time = "".join(random.choices("0123456789", k=random.randrange(21)))
        digest = "".join(random.choices("0123456789abcdef", k=64))
        return f"t={time},v1={digest}" + random.choice(("", f",v1={any_text(random)}"))
    if kind == 2:
        return random.randbytes(random.randrange(81)).decode("latin-1")
    if kind == 3:
        return "v1," + base64.b64encode(random.randbytes(random.randrange(20, 65))).decode()
    return any_text(random)


def unsigned(scheme: Scheme, random: Random) -> Delivery:
    """A delivery with headers and a body of which nobody signed anything."""
    headers = [
        (name.lower(), text)
        for names in scheme.header_sets
        for name, text in (
            (names.signature, like_a_signature(random)),
            (names.ts, random.choice((any_text(random), "1767225600"))),
            (names.id, any_text(random)),
        )
        if name and random.random() < 0.75
    ]
    return Delivery("s", Headers(headers), random.randbytes(random.randrange(201)), NOW)


@pytest.mark.parametrize("name", PRESETS)
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**64 - 1))
def test_nothing_but_a_signature_error_leaves_the_verifier(name, seed):
    scheme = preset(name)
    _, public = private_and_public(scheme)
    verify = compile_verifier(scheme, [Secret(public), Secret(public, not_after=NOW)])
    random = Random(seed)  # noqa: S311  # cases, no secrets
    for _ in range(BUNDLE):
        delivery = unsigned(scheme, random)
        note(f"{delivery.headers.items!r}\n{delivery.body!r}")
        with pytest.raises(SignatureError):
            verify(delivery, NOW)

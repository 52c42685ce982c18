"""Every vector of vendors.md §11 proves itself, and every altered one is refused."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.errors import ConfigurationError
from service.signatures import PRESETS, Scheme, compile_verifier, sign_with
from service.vendors.base import Delivery, Secret
from tests.vendors.deliveries import NOW, make_delivery, refusal
from tests.vendors.key_pairs import pair_for

OWN_SECRET = "test-secret-0123456789abcdefghij"
OWN_BODY = b'{"type":"run.failed","data":{"run_id":"tr7abc123x"}}'
OWN_TS = "1767225600"
OWN_WHSEC = "whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWo="
BODY_HEX = "e35022c1ca02754573a7b737c410609ad75b581ad450b41ea01303b3d0b2ec52"
TS_BODY_HEX = "bbd5ffa271e2811e569d020eea20b109592e084e0855f00a2f746699d5fe5a32"
STANDARD = "v1,f5/9lDGKEQ7rTqdZwuc3mmU++vMSD1Mpd5gs+CsC/Ck="
ED25519 = (
    "v1a,uWelfUdkN8TFAqTaIUV+M3m+s76SYVpto2ihkQARcj1LPri2OixWiO6y+lspHXUU7ZSFpNU6oOjt4HzfLPKmAQ=="
)
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F"
    b"T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121"
    b".803a0bc887a14d10d2c447fce8b6703c"
)
P384 = base64.b64encode(
    ec.derive_private_key(7, ec.SECP384R1())
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
SHA1_GITHUB = Scheme(
    signature_header="X-Hub-Signature",
    item_format="prefix",
    prefix="sha1=",
    algorithm="hmac-sha1",
)


@dataclass(frozen=True)
class Vector:
    """One delivery that is known to be authentic."""

    scheme: Scheme
    secret: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = OWN_BODY
    now: datetime = NOW

    def delivery(self, *, body: bytes | None = None, **changed: str) -> Delivery:
        """Give it, with another body or another value of some headers."""
        values = {name.lower(): value for name, value in self.headers}
        values.update({name.replace("_", "-"): value for name, value in changed.items()})
        return make_delivery(values.items(), self.body if body is None else body, self.now)

    def with_signature(self, value: str) -> Delivery:
        """Give it with another value of the signature header."""
        name = self.headers[0][0]
        return make_delivery([(name, value), *self.headers[1:]], self.body, self.now)

    @property
    def signature(self) -> str:
        return self.headers[0][1]

    def verifier(self, *secrets: Secret):
        return compile_verifier(self.scheme, secrets or [Secret(self.secret)])


def standard(signature: str, id_: str, ts: str, kind: str = "webhook"):
    return (
        (f"{kind}-signature", signature),
        (f"{kind}-id", id_),
        (f"{kind}-timestamp", ts),
    )


def at(ts: int) -> datetime:
    return datetime.fromtimestamp(ts, UTC)


VECTORS = {
    "github": Vector(
        PRESETS["github"],
        "It's a Secret to Everybody",
        (
            (
                "X-Hub-Signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            ),
        ),
        b"Hello, World!",
    ),
    "github-sha1": Vector(
        SHA1_GITHUB,
        "It's a Secret to Everybody",
        (("X-Hub-Signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"),),
        b"Hello, World!",
    ),
    "slack": Vector(
        PRESETS["slack"],
        "8f742231b10e8888abcd99yyyzzz85a5",
        (
            (
                "X-Slack-Signature",
                "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            ),
            ("X-Slack-Request-Timestamp", "1531420618"),
        ),
        SLACK_BODY,
        at(1531420618),
    ),
    "standard-webhooks-a": Vector(
        PRESETS["standard-webhooks"],
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        standard(
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
        ),
        b'{"test": 2432232314}',
        at(1614265330),
    ),
    "standard-webhooks-b": Vector(
        PRESETS["standard-webhooks"],
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        standard(
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
            "msg_loFOjxBNrRLzqYUf",
            "1731705121",
        ),
        b'{"event_type":"ping","data":{"success":true}}',
        at(1731705121),
    ),
    "own-checkly": Vector(PRESETS["checkly"], OWN_SECRET, (("x-checkly-signature", BODY_HEX),)),
    "own-sentry": Vector(PRESETS["sentry"], OWN_SECRET, (("Sentry-Hook-Signature", BODY_HEX),)),
    "own-sha256-body": Vector(
        PRESETS["sha256-body"], OWN_SECRET, (("X-Signature-256", f"sha256={BODY_HEX}"),)
    ),
    "own-github": Vector(
        PRESETS["github"], OWN_SECRET, (("X-Hub-Signature-256", f"sha256={BODY_HEX}"),)
    ),
    "own-pagerduty": Vector(
        PRESETS["pagerduty"], OWN_SECRET, (("X-PagerDuty-Signature", f"v1={BODY_HEX}"),)
    ),
    "own-circleci": Vector(
        PRESETS["circleci"], OWN_SECRET, (("circleci-signature", f"v1={BODY_HEX}"),)
    ),
    "own-vercel": Vector(
        PRESETS["vercel"],
        OWN_SECRET,
        (("x-vercel-signature", "764744220b8a39509ae84ac8c1822e05d8a0aa71"),),
    ),
    "own-shopify": Vector(
        PRESETS["shopify"],
        OWN_SECRET,
        (("X-Shopify-Hmac-Sha256", "41AiwcoCdUVzp7c3xBBgmtdbWBrUULQeoBMDs9Cy7FI="),),
    ),
    "own-stripe": Vector(
        PRESETS["stripe"], OWN_SECRET, (("Stripe-Signature", f"t={OWN_TS},v1={TS_BODY_HEX}"),)
    ),
    "own-checkrd": Vector(
        PRESETS["checkrd"], OWN_SECRET, (("Checkrd-Signature", f"t={OWN_TS},v1={TS_BODY_HEX}"),)
    ),
    "own-buildkite": Vector(
        PRESETS["buildkite"],
        OWN_SECRET,
        (("X-Buildkite-Signature", f"timestamp={OWN_TS},signature={TS_BODY_HEX}"),),
    ),
    "own-sha256-timestamp-body": Vector(
        PRESETS["sha256-timestamp-body"],
        OWN_SECRET,
        (("X-Signature-256", f"sha256={TS_BODY_HEX}"), ("X-Timestamp", OWN_TS)),
    ),
    "own-slack": Vector(
        PRESETS["slack"],
        OWN_SECRET,
        (
            (
                "X-Slack-Signature",
                "v0=a6b3b65f61513214d8c8561e9a038878722080499b2b693750224e9d403c05fc",
            ),
            ("X-Slack-Request-Timestamp", OWN_TS),
        ),
    ),
    "own-zendesk": Vector(
        PRESETS["zendesk"],
        OWN_SECRET,
        (
            ("X-Zendesk-Webhook-Signature", "jo9xHu6o7LRvHwtkvtYfew79eAPKfjyBYPBX5qlNmg8="),
            ("X-Zendesk-Webhook-Signature-Timestamp", "2026-01-01T00:00:00Z"),
        ),
    ),
    "own-standard-webhooks": Vector(
        PRESETS["standard-webhooks"], OWN_WHSEC, standard(STANDARD, "msg_0001", OWN_TS)
    ),
    "own-gitlab": Vector(PRESETS["gitlab"], OWN_WHSEC, standard(STANDARD, "msg_0001", OWN_TS)),
    "own-svix": Vector(
        PRESETS["svix"], OWN_WHSEC, standard(STANDARD, "msg_0001", OWN_TS, kind="svix")
    ),
    "own-ed25519": Vector(
        PRESETS["standard-webhooks"],
        "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
        standard(ED25519, "msg_0001", OWN_TS),
    ),
    # The same private key as above.
    "own-discord": Vector(
        PRESETS["discord"],
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
        (
            (
                "X-Signature-Ed25519",
                (
                    "4b06758e6404681555748dc9ef0ac414be2bc3f146792d0bbc29d348600f745f"
                    "db193dc8b90a250320182ba26c8c36ffa07c9e646ead8d6ba7d35e784a6c0a0d"
                ),
            ),
            ("X-Signature-Timestamp", OWN_TS),
        ),
    ),
    # The private key is the number 7 on P-256.
    "own-sendgrid": Vector(
        PRESETS["sendgrid"].changed({"tolerance_s": 300}),
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjlM7b6C/e0YluzBmfAH7YH75+LioD+9bMAYocDGHsqNz6x294DMY"
        "Nm0Gn4Om9ZAAU8c2M8sEGyHFXhqGwfQAtA==",
        (
            (
                "X-Twilio-Email-Event-Webhook-Signature",
                (
                    "MEYCIQDDhvJBvJGiZJZOA2JrHyOHYjeT/HMCB02l1BjHeH/+8wIhAJIP0+X81iEjXns78jwL74RtYFBZ"
                    "C+4vfTrcLWqwPPky"
                ),
            ),
            ("X-Twilio-Email-Event-Webhook-Timestamp", OWN_TS),
        ),
    ),
}


@pytest.fixture(params=VECTORS.values(), ids=VECTORS)
def vector(request) -> Vector:
    return request.param


def other_secret(vector: Vector) -> str:
    """A secret of the right kind that signed nothing here."""
    if vector.secret.startswith("whpk_"):
        return "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="  # RFC 8032 §7.1, test 1
    if has_public_key(vector):
        return pair_for(vector.scheme, "", 8).public
    if vector.scheme.secret_encoding == "base64":
        return "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=="
    return "another-secret"


def has_public_key(vector: Vector) -> bool:
    return vector.secret.startswith("whpk_") or vector.scheme.algorithm in {
        "ed25519",
        "ecdsa-p256-sha256",
    }


def those(matches) -> list:
    return [pytest.param(v, id=name) for name, v in VECTORS.items() if matches(v)]


HEX = those(lambda v: v.scheme.encoding == "hex")
TIMED = those(lambda v: v.scheme.time_is_signed)
LISTS = those(lambda v: v.scheme.item_separator != "none")
SHARED = those(lambda v: not has_public_key(v))
SIZED = those(lambda v: v.scheme.algorithm != "ecdsa-p256-sha256")


def test_authentic(vector):
    vector.verifier()(vector.delivery(), vector.now)


@pytest.mark.parametrize("vector", SHARED)
def test_sign_with_gives_the_published_signature(vector):
    # Only the time and the id of the vector are given; the signature has to come out.
    values = {name.lower(): value for name, value in vector.headers}
    id_ = next((value for name, value in values.items() if name.endswith("-id")), "msg_0001")
    signed = sign_with(vector.scheme, vector.body, vector.secret, vector.now, id_)
    assert values.items() <= {name.lower(): value for name, value in signed}.items()


def test_ed25519_is_signed_with_the_private_key():
    vector = VECTORS["own-ed25519"]
    private = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    signed = dict(sign_with(vector.scheme, vector.body, private, vector.now, "msg_0001"))
    assert signed["webhook-signature"] == ED25519


@pytest.mark.parametrize("position", [0, 9, -1])
def test_one_changed_byte(vector, position):
    body = bytearray(vector.body)
    body[position] ^= 1
    assert refusal(vector.verifier(), vector.delivery(body=bytes(body)), vector.now) == (
        "signature_mismatch"
    )


@pytest.mark.parametrize("change", [lambda b: b"\xef\xbb\xbf" + b, lambda b: b + b"\n"])
def test_bom_and_trailing_newline_are_part_of_the_body(vector, change):
    delivery = vector.delivery(body=change(vector.body))
    assert refusal(vector.verifier(), delivery, vector.now) == "signature_mismatch"


def test_wrong_secret(vector):
    verify = vector.verifier(Secret(other_secret(vector)))
    assert refusal(verify, vector.delivery(), vector.now) == "signature_mismatch"


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_empty_secret_is_refused_at_once(vector, empty):
    with pytest.raises(ConfigurationError):
        vector.verifier(Secret(vector.secret), Secret(empty))


def test_no_secret_is_refused_at_once(vector):
    with pytest.raises(ConfigurationError):
        compile_verifier(vector.scheme, [])


def test_each_header_is_needed(vector):
    for missing, _ in vector.headers:
        headers = [(name, value) for name, value in vector.headers if name != missing]
        delivery = make_delivery(headers, vector.body, vector.now)
        assert refusal(vector.verifier(), delivery, vector.now) == "missing_header"


def test_each_header_once(vector):
    for name, value in vector.headers:
        for second in (value, "another"):
            headers = [*vector.headers, (name.upper(), second)]
            delivery = make_delivery(headers, vector.body, vector.now)
            assert refusal(vector.verifier(), delivery, vector.now) == "repeated_header"


def test_empty_signature(vector):
    assert refusal(vector.verifier(), vector.with_signature(""), vector.now) in {
        "malformed_header",
        "malformed_time",
    }


@pytest.mark.parametrize("prefix", ["sha512=", "v9:", "v9=", "x"])
def test_wrong_prefix(vector, prefix):
    delivery = vector.with_signature(prefix + vector.signature)
    reason = refusal(vector.verifier(), delivery, vector.now)
    assert reason in {"malformed_header", "malformed_time"}


@pytest.mark.parametrize("vector", HEX)
def test_uppercase_hex(vector):
    digits = vector.signature.rpartition("=")[2]
    upper = vector.signature.removesuffix(digits) + digits.upper()
    vector.verifier()(vector.with_signature(upper), vector.now)


@pytest.mark.parametrize("vector", SIZED)
@pytest.mark.parametrize("cut", [1, 2, 20])
def test_truncated_signature(vector, cut):
    # Padding is no part of a base64 signature, so it is taken away first.
    delivery = vector.with_signature(vector.signature.rstrip("=")[:-cut])
    assert refusal(vector.verifier(), delivery, vector.now) == "malformed_header"


def test_truncated_der():
    vector = VECTORS["own-sendgrid"]
    for kept in range(len(vector.signature)):
        delivery = vector.with_signature(vector.signature[:kept])
        reason = refusal(vector.verifier(), delivery, vector.now)
        assert reason in {"malformed_header", "signature_mismatch"}


@pytest.mark.parametrize(
    "secret",
    [
        "AAAA",
        "-----BEGIN PUBLIC KEY-----",
        pair_for(PRESETS["discord"], "").public,
        pair_for(PRESETS["sendgrid"], "").private,
        P384,
    ],
)
def test_what_is_no_key_of_the_curve_is_refused_at_once(secret):
    with pytest.raises(ConfigurationError):
        compile_verifier(PRESETS["sendgrid"], [Secret(secret)])


def test_only_the_private_key_signs():
    public = VECTORS["own-sendgrid"].secret
    with pytest.raises(ConfigurationError):
        sign_with(PRESETS["sendgrid"], OWN_BODY, public, NOW, "")


@pytest.mark.parametrize("odd", ["\xe9", "\xff\xfe", "é\x80", "\u20ac", "\ud800"])
def test_non_ascii_signature(vector, odd):
    for value in (odd, vector.signature + odd, odd + vector.signature):
        reason = refusal(vector.verifier(), vector.with_signature(value), vector.now)
        assert reason in {"malformed_header", "malformed_time"}


@pytest.mark.parametrize("vector", TIMED)
@pytest.mark.parametrize(
    ("off", "reason"), [(301, "stale"), (-301, "from_the_future"), (3600, "stale")]
)
def test_time_outside_the_tolerance(vector, off, reason):
    now = vector.now + timedelta(seconds=off)
    assert refusal(vector.verifier(), vector.delivery(), now) == reason


@pytest.mark.parametrize("vector", TIMED)
@pytest.mark.parametrize("off", [300, -300])
def test_time_at_the_tolerance(vector, off):
    vector.verifier()(vector.delivery(), vector.now + timedelta(seconds=off))


@pytest.mark.parametrize("vector", TIMED)
def test_fresh_time_on_an_old_signature(vector):
    later = vector.now + timedelta(hours=1)
    fresh = str(int(later.timestamp()))
    headers = [
        (name, fresh if "time" in name.lower() else value.replace(OWN_TS, fresh))
        for name, value in vector.headers
    ]
    if vector.scheme.ts_unit == "iso":
        headers[1] = (headers[1][0], later.isoformat())
    delivery = make_delivery(headers, vector.body, later)
    assert refusal(vector.verifier(), delivery, later) == "signature_mismatch"


@pytest.mark.parametrize("vector", LISTS)
def test_second_of_two_signatures(vector):
    separator = {"comma": ",", "space": " "}[vector.scheme.item_separator]
    item = vector.signature.rpartition(separator)[2]
    mark = "=" if vector.scheme.item_format != "version_value" else ","
    key, _, text = item.partition(mark)
    wrong = f"{key}{mark}{'0' * len(text) if vector.scheme.encoding == 'hex' else 'A' * 43 + '='}"
    if vector.secret.startswith("whpk_"):
        wrong = f"{key}{mark}{'A' * 86}=="
    both = vector.signature.replace(item, f"{wrong}{separator}{item}")
    vector.verifier()(vector.with_signature(both), vector.now)
    only_wrong = vector.signature.replace(item, wrong)
    assert refusal(vector.verifier(), vector.with_signature(only_wrong), vector.now) == (
        "signature_mismatch"
    )


def test_old_secret_inside_and_outside_its_overlap(vector):
    end = vector.now + timedelta(seconds=10)
    old = Secret(vector.secret, not_after=end)
    new = Secret(other_secret(vector), not_before=vector.now - timedelta(days=1))
    verify = vector.verifier(new, old)
    verify(vector.delivery(), vector.now)
    verify(vector.delivery(), end - timedelta(microseconds=1))
    assert refusal(verify, vector.delivery(), end) == "signature_mismatch"


def test_secret_before_its_time_and_no_live_secret(vector):
    begin = vector.now + timedelta(seconds=10)
    verify = vector.verifier(Secret(vector.secret, not_before=begin))
    assert refusal(verify, vector.delivery(), vector.now) == "no_live_secret"
    verify(vector.delivery(), begin)


@pytest.mark.parametrize("vector", SHARED)
def test_empty_body_is_signed_as_empty(vector):
    headers = sign_with(vector.scheme, b"", vector.secret, vector.now, "msg_0001")
    vector.verifier()(make_delivery(headers, b""), vector.now)
    assert refusal(vector.verifier(), make_delivery(headers, b" "), vector.now) == (
        "signature_mismatch"
    )


def test_stripe_takes_no_v0():
    vector = VECTORS["own-stripe"]
    v0 = vector.with_signature(f"t={OWN_TS},v0={TS_BODY_HEX}")
    assert refusal(vector.verifier(), v0) == "malformed_header"
    both = vector.with_signature(f"t={OWN_TS},v0={'0' * 64},v1={TS_BODY_HEX}")
    vector.verifier()(both, NOW)


def test_standard_webhooks_and_svix_headers_do_not_mix():
    vector = VECTORS["own-standard-webhooks"]
    svix = standard(STANDARD, "msg_0001", OWN_TS, kind="svix")
    vector.verifier()(make_delivery(svix, OWN_BODY), NOW)
    mixture = (vector.headers[0], svix[1], svix[2])
    assert refusal(vector.verifier(), make_delivery(mixture, OWN_BODY)) == "missing_header"


def test_v1_and_v1a_each_need_their_own_secret():
    shared, public = VECTORS["own-standard-webhooks"], VECTORS["own-ed25519"]
    assert refusal(shared.verifier(), public.delivery()) == "signature_mismatch"
    assert refusal(public.verifier(), shared.delivery()) == "signature_mismatch"
    either = compile_verifier(shared.scheme, [Secret(shared.secret), Secret(public.secret)])
    either(shared.delivery(), NOW)
    either(public.delivery(), NOW)

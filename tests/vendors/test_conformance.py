"""What every vendor that sends must do, whoever it is (style.md rule 28).

A vendor joins by being registered; ways of signing that only options bring in are added below.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from schemas.events import FAMILIES, EventDraft
from service.errors import ConfigurationError, HandshakeError, SignatureError
from service.signatures import PRESETS
from service.vendors import VENDORS, samples
from service.vendors.base import Delivery, Headers, Incoming, Secret, Verifier
from tests.vendors.deliveries import NOW, as_delivery, make_delivery, refusal
from tests.vendors.fuzz import ODD_TEXTS, any_body, any_headers
from tests.vendors.key_pairs import Pair, pair_for

FUZZED = 2000
"""Generated cases for each vendor's `verify` and `normalise`, over all its options together."""
BUNDLE = 20
"""Cases made from one seed."""

SECRET = "whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWo="
OTHER_SECRET = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=="

OTHER_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "vibeview": [
        {"scheme": "t-v1"},
        {"scheme": "sha256-timestamp-body"},
        {"scheme": "standard-webhooks"},
        {"scheme": "svix"},
        {"scheme": "sha256-body", "secret_encoding": "base64"},
    ],
    "checkly": [
        {"max_lateness_s": 300},
        {"max_lateness_s": 300, "timestamp_unit": "ms"},
        {"max_lateness_s": 300, "timestamp_unit": "iso"},
    ],
    "generic": [
        {"scheme": name}
        for name in ("svix", "stripe", "sentry", "pagerduty", "vercel", "linear", "shopify")
    ]
    + [
        {"scheme": "zendesk"},
        {"scheme": "custom", "signature_header": "X-Sig", "id_paths": ["id"]},
        {"scheme": "none", "event_headers": ["X-Event"], "id_headers": ["X-Id"]},
    ],
    "checksum": [{"scheme": "standard-webhooks"}, {"signature_prefix": "sha256="}],
    "gitlab": [{"scheme": "gitlab"}],
    "datadog": [{"scheme": "basic-auth"}],
    "buildkite": [{"scheme": "buildkite-token"}],
    "cloudevents": [{"scheme": name} for name in ("standard-webhooks", "discord", "none")],
}
READABLE = {
    ("sentry", b""),
    ("zendesk", b""),
    ("cloudevents", b"[]"),
    ("cloudevents", b'"text"'),
}
"""Bodies that look broken and are none for this sender."""


@dataclass(frozen=True)
class Case:
    """One vendor under one set of options."""

    name: str
    incoming: Incoming
    options: Any
    keys: Pair
    other_keys: Pair

    @property
    def proves_body(self) -> bool:
        """Whether the signature is one: a token only says who sends."""
        scheme = PRESETS.get(getattr(self.options, "scheme", ""))
        return scheme is None or scheme.algorithm != "token-equality"

    @property
    def is_signed(self) -> bool:
        return self.incoming.wants_secret(self.options)

    @property
    def body(self) -> bytes:
        return samples.read(self.name, samples.names(self.name)[0])

    def send(
        self,
        body: bytes | None = None,
        *,
        other_secret: bool = False,
        delivery_id: str = "dlv_1",
        event: str | None = None,
        now: datetime = NOW,
    ) -> Delivery:
        """Give a delivery as the vendor would send it."""
        if event is None:
            event = samples.event_of(samples.names(self.name)[0])
        signed = self.incoming.sign(
            self.body if body is None else body,
            (self.other_keys if other_secret else self.keys).private,
            now,
            self.options,
            event=event,
            delivery_id=delivery_id,
        )
        return as_delivery(signed, now)

    def verifier(self, *secrets: Secret):
        own = [Secret(self.keys.public)] * self.is_signed
        return self.incoming.verifier(self.options, secrets or own)

    def normalise(self, delivery: Delivery) -> list[EventDraft]:
        return self.incoming.normalise(delivery, self.options)

    def key(self, delivery: Delivery) -> str:
        return self.incoming.delivery_key(delivery, self.options)


def cases() -> list:
    found = []
    for vendor in VENDORS:
        if vendor.incoming is None:
            continue
        for knobs in [{}, *OTHER_OPTIONS.get(vendor.name, [])]:
            options = vendor.incoming.options.model_validate(knobs)
            name = "-".join([vendor.name, *(str(value) for value in knobs.values())])
            found.append(pytest.param(make_case(vendor.name, vendor.incoming, options), id=name))
    return found


def make_case(name: str, incoming: Incoming, options: Any) -> Case:
    scheme = PRESETS.get(getattr(options, "scheme", name), PRESETS["sha256-hex"])
    keys, other_keys = pair_for(scheme, SECRET, 1), pair_for(scheme, OTHER_SECRET, 2)
    return Case(name, incoming, options, keys, other_keys)


CASES = cases()
every = pytest.mark.parametrize("case", CASES)
every_signed = pytest.mark.parametrize("case", [one for one in CASES if one.values[0].is_signed])
"""Who signs nothing is known by the path token, which the door compares."""


def needed_headers(case: Case) -> list[str]:
    """The headers without which the delivery is refused."""
    delivery = case.send()
    verify = case.verifier()
    found = []
    for name, _ in delivery.headers.items:
        rest = [pair for pair in delivery.headers.items if pair[0] != name]
        try:
            verify(Delivery("s", Headers(rest), delivery.body, NOW), NOW)
        except SignatureError:
            found.append(name)
    return found


def with_header(delivery: Delivery, name: str, value: str) -> Delivery:
    pairs = [(key, value if key == name else old) for key, old in delivery.headers.items]
    return Delivery("s", Headers(pairs), delivery.body, NOW)


# --- who sent it --------------------------------------------------------------------------------


@every_signed
def test_good_signature(case):
    case.verifier()(case.send(), NOW)


@every_signed
def test_wrong_secret(case):
    assert refusal(case.verifier(), case.send(other_secret=True)) == "signature_mismatch"


@every_signed
def test_altered_body(case):
    delivery = case.send()
    for body in (delivery.body + b"\n", b"\xef\xbb\xbf" + delivery.body, delivery.body[:-1], b""):
        altered = Delivery("s", delivery.headers, body, NOW)
        if case.proves_body:
            assert refusal(case.verifier(), altered) == "signature_mismatch"
        else:
            case.verifier()(altered, NOW)


@every_signed
def test_missing_header(case):
    delivery = case.send()
    names = needed_headers(case)
    assert names
    for missing in names:
        rest = Headers([pair for pair in delivery.headers.items if pair[0] != missing])
        without = Delivery("s", rest, delivery.body, NOW)
        assert refusal(case.verifier(), without) == "missing_header"
    assert refusal(case.verifier(), make_delivery([], case.body)) == "missing_header"


@every_signed
def test_repeated_header(case):
    delivery = case.send()
    for name in needed_headers(case):
        pairs = [*delivery.headers.items, (name, delivery.headers.first(name))]
        twice = Delivery("s", Headers(pairs), delivery.body, NOW)
        assert refusal(case.verifier(), twice) == "repeated_header"


@every_signed
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "nonsense",
        "sha256=",
        "v1,",
        "t=1767225600,v1=",
        "é",
        "\xff" * 32,
        "\ud800",
        "=" * 99,
    ],
)
def test_empty_malformed_and_non_ascii_headers(case, value):
    delivery = case.send()
    for name in needed_headers(case):
        assert refusal(case.verifier(), with_header(delivery, name, value)) in {
            "malformed_header",
            "malformed_time",
            "signature_mismatch",  # an id of another text is well formed and signs nothing here
            "stale",  # a time in seconds, where milliseconds are sent
        }


@every_signed
def test_stale_and_future_time_where_a_time_is_signed(case):
    delivery = case.send()
    # A time that may as well be left out is not judged: Checkly sends one beside its signature.
    needed = needed_headers(case)
    texts = [value for name, value in delivery.headers.items if name in needed]
    texts.append(delivery.body.decode())
    marks = (str(int(NOW.timestamp())), NOW.strftime("%Y-%m-%dT%H:%M:%SZ"))
    is_timed = any(mark in text for text in texts for mark in marks)
    for off, reason in ((200_000, "stale"), (-200_000, "from_the_future")):
        then = NOW + timedelta(seconds=off)
        if is_timed:
            assert refusal(case.verifier(), delivery, then) == reason
        else:
            case.verifier()(delivery, then)


@every_signed
@pytest.mark.parametrize("empty", ["", "   "])
def test_empty_secret(case, empty):
    with pytest.raises(ConfigurationError):
        case.verifier(Secret(empty))
    with pytest.raises(ConfigurationError):
        case.verifier(Secret(case.keys.public), Secret(empty))


@every_signed
def test_no_secret(case):
    with pytest.raises(ConfigurationError):
        case.incoming.verifier(case.options, [])
    assert case.incoming.wants_secret(case.options)


@every_signed
def test_rotation(case):
    end = NOW + timedelta(seconds=60)
    old, new = case.keys.public, case.other_keys.public
    verify = case.verifier(Secret(new), Secret(old, not_after=end))
    verify(case.send(), NOW)
    verify(case.send(other_secret=True), NOW)
    verify(case.send(other_secret=True, now=end), end)
    assert refusal(verify, case.send(now=end), end) == "signature_mismatch"
    early = case.verifier(Secret(old, not_before=end))
    assert refusal(early, case.send(), NOW) == "no_live_secret"


@pytest.mark.parametrize("case", [one for one in CASES if not one.values[0].is_signed])
def test_without_a_scheme_the_path_token_is_the_proof(case):
    assert not case.incoming.wants_secret(case.options)
    case.verifier()(make_delivery([], b"anything"), NOW)
    with pytest.raises(ConfigurationError):
        case.verifier(Secret(SECRET))


# --- which it is --------------------------------------------------------------------------------


@every
def test_same_delivery_has_the_same_key(case):
    first = case.send()
    again = case.send(now=NOW + timedelta(seconds=30))
    assert case.key(first) == case.key(again)


@every
def test_other_delivery_has_another_key(case):
    assert case.key(case.send(delivery_id="dlv_1")) != case.key(case.send(delivery_id="dlv_2"))


@every
def test_key_is_short_and_printable_whatever_the_id(case):
    for id_ in ("x" * 5000, "\x00\x01", "a\nb", "", " ", "ü" * 300):
        key = case.key(case.send(delivery_id=id_))
        assert 0 < len(key) <= 200
        assert key.isprintable()


@every
def test_without_ids_the_body_is_the_key(case):
    one, two = make_delivery([], b"[1]"), make_delivery([], b"[2]")
    assert case.key(one).startswith(one.body_digest())
    assert case.key(two).startswith(two.body_digest())


# --- what it says -------------------------------------------------------------------------------


def assert_sound(case: Case, drafts: list[EventDraft]) -> None:
    """Every event can be stored, and its type is ours or plainly the vendor's."""
    assert len({draft.key for draft in drafts}) == len(drafts)
    facts = [draft.fact for draft in drafts if draft.fact]
    assert len(set(facts)) == len(facts)
    for draft in drafts:
        stored = json.dumps(draft.model_dump(mode="json"), allow_nan=False, ensure_ascii=False)
        assert "\\u0000" not in stored.replace("\\\\", "")  # a NUL, not its name in a text
        stored.encode()
        assert draft.vendor_type
        assert (
            draft.type.startswith(f"{case.name}.")
            or draft.type == draft.vendor_type
            or (draft.type.partition(".")[0] in FAMILIES)
        )
        assert draft.time is None or draft.time.utcoffset() == timedelta(0)


@every
def test_every_sample_normalises(case):
    for name in samples.names(case.name):
        delivery = case.send(samples.read(case.name, name), event=samples.event_of(name))
        case.verifier()(delivery, NOW)
        if case.incoming.handshake(delivery, case.options) is not None:
            continue
        drafts = case.normalise(delivery)
        assert drafts
        assert drafts == case.normalise(delivery)
        assert_sound(case, drafts)


@every
def test_unknown_type_is_explicit(case):
    (draft,) = case.normalise(case.send(event="never.heard_of"))
    assert draft.type == f"{case.name}.{draft.vendor_type}"
    assert "never.heard_of" in draft.vendor_type


@every
@pytest.mark.parametrize("body", [b'{"id": "x", ', b"", b"[]", b"\xff\xfe", b"{" * 5000, b'"text"'])
def test_broken_body_of_an_authentic_delivery(case, body):
    delivery = case.send(body)
    if "linear" in {case.name, getattr(case.options, "scheme", "")}:
        # The time is in the body: without one it is not proven to be fresh.
        assert refusal(case.verifier(), delivery) == "malformed_time"
    else:
        case.verifier()(delivery, NOW)
    assert case.key(delivery)
    assert case.incoming.handshake(delivery, case.options) is None
    if (case.name, body) in READABLE:
        assert_sound(case, case.normalise(delivery))
        return
    with pytest.raises(ValueError, match=r".+"):
        case.normalise(delivery)


# --- whatever comes -----------------------------------------------------------------------------

CASES_OF = Counter(one.values[0].name for one in CASES)


def bundles(case: Case) -> int:
    """How many bundles this case's share of the vendor's cases needs, rounded up."""
    return -(-FUZZED // (BUNDLE * CASES_OF[case.name]))


@every
def test_only_our_errors_escape(case):
    """Any body and any headers give what can be stored, or one of our errors."""
    seen = Counter[str]()
    verify = case.verifier()

    @settings(deadline=None, max_examples=bundles(case))
    @given(seed=st.integers(0, 2**64 - 1))
    def fuzz(seed: int) -> None:
        random = Random(f"{seed}")  # noqa: S311  # cases, no secrets
        for _ in range(BUNDLE):
            seen[meet(case, verify, random)] += 1

    fuzz()
    assert seen.total() * CASES_OF[case.name] >= FUZZED
    # The cases are worth something only if many get as far as they can.
    assert seen["read"] * 20 > seen.total()


def meet(case: Case, verify: Verifier, random: Random) -> str:
    """Make one case and put it through; says how it ended."""
    body = any_body(random, case.name)
    event = random.choice(["", "push", "run.failed", "x", random.choice(ODD_TEXTS)])
    delivery = case.send(body, event=event)
    if random.random() < 0.3:
        delivery = Delivery("s", delivery.headers, body, NOW)
    if random.random() < 0.5:
        delivery = Delivery("s", any_headers(random, delivery), delivery.body, NOW)
    note(f"{delivery.headers.items!r}\n{delivery.body[:2000]!r}")
    with suppress(SignatureError):
        verify(delivery, NOW)
    key = case.key(delivery)
    assert 0 < len(key) <= 200
    with suppress(HandshakeError):
        case.incoming.handshake(delivery, case.options)
    try:
        drafts = case.normalise(delivery)
    except ValueError:
        return "refused"
    assert_sound(case, drafts)
    return "read"

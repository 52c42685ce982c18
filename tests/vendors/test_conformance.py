"""What every vendor that sends must do, whoever it is (style.md rule 28).

A vendor joins by being registered; ways of signing that only options bring in are added below.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import FAMILIES, EventDraft
from service.errors import ConfigurationError, HandshakeError, SignatureError
from service.vendors import VENDORS, samples
from service.vendors.base import Delivery, Headers, Incoming, Secret
from tests.vendors.deliveries import NOW, as_delivery, make_delivery, refusal

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
    ],
}


@dataclass(frozen=True)
class Case:
    """One vendor under one set of options."""

    name: str
    incoming: Incoming
    options: Any

    @property
    def body(self) -> bytes:
        return samples.read(self.name, samples.names(self.name)[0])

    def send(
        self,
        body: bytes | None = None,
        *,
        secret: str = SECRET,
        delivery_id: str = "dlv_1",
        event: str | None = None,
        now: datetime = NOW,
    ) -> Delivery:
        """Give a delivery as the vendor would send it."""
        if event is None:
            event = samples.event_of(samples.names(self.name)[0])
        signed = self.incoming.sign(
            self.body if body is None else body,
            secret,
            now,
            self.options,
            event=event,
            delivery_id=delivery_id,
        )
        return as_delivery(signed, now)

    def verifier(self, *secrets: Secret):
        return self.incoming.verifier(self.options, secrets or [Secret(SECRET)])

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
            found.append(pytest.param(Case(vendor.name, vendor.incoming, options), id=name))
    return found


CASES = cases()
pytestmark = pytest.mark.parametrize("case", CASES)


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


def test_good_signature(case):
    case.verifier()(case.send(), NOW)


def test_wrong_secret(case):
    assert refusal(case.verifier(), case.send(secret=OTHER_SECRET)) == "signature_mismatch"


def test_altered_body(case):
    delivery = case.send()
    for body in (delivery.body + b"\n", b"\xef\xbb\xbf" + delivery.body, delivery.body[:-1], b""):
        altered = Delivery("s", delivery.headers, body, NOW)
        assert refusal(case.verifier(), altered) == "signature_mismatch"


def test_missing_header(case):
    delivery = case.send()
    names = needed_headers(case)
    assert names
    for missing in names:
        rest = Headers([pair for pair in delivery.headers.items if pair[0] != missing])
        without = Delivery("s", rest, delivery.body, NOW)
        assert refusal(case.verifier(), without) == "missing_header"
    assert refusal(case.verifier(), make_delivery([], case.body)) == "missing_header"


def test_repeated_header(case):
    delivery = case.send()
    for name in needed_headers(case):
        pairs = [*delivery.headers.items, (name, delivery.headers.first(name))]
        twice = Delivery("s", Headers(pairs), delivery.body, NOW)
        assert refusal(case.verifier(), twice) == "repeated_header"


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
        }


def test_stale_and_future_time_where_a_time_is_signed(case):
    delivery = case.send()
    # A time that may as well be left out is not judged: Checkly sends one beside its signature.
    needed = needed_headers(case)
    texts = [value for name, value in delivery.headers.items if name in needed]
    texts.append(delivery.body.decode())
    marks = (str(int(NOW.timestamp())), NOW.strftime("%Y-%m-%dT%H:%M:%SZ"))
    is_timed = any(mark in text for text in texts for mark in marks)
    for off, reason in ((7200, "stale"), (-7200, "from_the_future")):
        then = NOW + timedelta(seconds=off)
        if is_timed:
            assert refusal(case.verifier(), delivery, then) == reason
        else:
            case.verifier()(delivery, then)


@pytest.mark.parametrize("empty", ["", "   "])
def test_empty_secret(case, empty):
    with pytest.raises(ConfigurationError):
        case.verifier(Secret(empty))
    with pytest.raises(ConfigurationError):
        case.verifier(Secret(SECRET), Secret(empty))


def test_no_secret(case):
    with pytest.raises(ConfigurationError):
        case.incoming.verifier(case.options, [])
    assert case.incoming.wants_secret(case.options)


def test_rotation(case):
    end = NOW + timedelta(seconds=60)
    verify = case.verifier(Secret(OTHER_SECRET), Secret(SECRET, not_after=end))
    verify(case.send(), NOW)
    verify(case.send(secret=OTHER_SECRET), NOW)
    verify(case.send(secret=OTHER_SECRET, now=end), end)
    assert refusal(verify, case.send(now=end), end) == "signature_mismatch"
    early = case.verifier(Secret(SECRET, not_before=end))
    assert refusal(early, case.send(), NOW) == "no_live_secret"


# --- which it is --------------------------------------------------------------------------------


def test_same_delivery_has_the_same_key(case):
    first = case.send()
    again = case.send(now=NOW + timedelta(seconds=30))
    assert case.key(first) == case.key(again)


def test_other_delivery_has_another_key(case):
    assert case.key(case.send(delivery_id="dlv_1")) != case.key(case.send(delivery_id="dlv_2"))


def test_key_is_short_and_printable_whatever_the_id(case):
    for id_ in ("x" * 5000, "\x00\x01", "a\nb", "", " ", "ü" * 300):
        key = case.key(case.send(delivery_id=id_))
        assert 0 < len(key) <= 200
        assert key.isprintable()


def test_without_ids_the_body_is_the_key(case):
    one, two = make_delivery([], b"[1]"), make_delivery([], b"[2]")
    assert case.key(one) == one.body_digest() != case.key(two)


# --- what it says -------------------------------------------------------------------------------


def assert_sound(case: Case, drafts: list[EventDraft]) -> None:
    """Every event can be stored, and its type is ours or plainly the vendor's."""
    assert len({draft.key for draft in drafts}) == len(drafts)
    for draft in drafts:
        stored = json.dumps(draft.model_dump(mode="json"), allow_nan=False, ensure_ascii=False)
        assert "\\u0000" not in stored
        stored.encode()
        assert draft.vendor_type
        assert (
            draft.type.startswith(f"{case.name}.")
            or draft.type == draft.vendor_type
            or (draft.type.partition(".")[0] in FAMILIES)
        )
        assert draft.time is None or draft.time.utcoffset() == timedelta(0)


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


def test_unknown_type_is_explicit(case):
    (draft,) = case.normalise(case.send(event="never.heard_of"))
    assert draft.type == f"{case.name}.{draft.vendor_type}"
    assert "never.heard_of" in draft.vendor_type


@pytest.mark.parametrize("body", [b'{"id": "x", ', b"", b"[]", b"\xff\xfe", b"{" * 5000, b'"text"'])
def test_broken_body_of_an_authentic_delivery(case, body):
    delivery = case.send(body)
    if case.options.model_dump().get("scheme") == "linear":
        # The time is in the body: without one it is not proven to be fresh.
        assert refusal(case.verifier(), delivery) == "malformed_time"
    else:
        case.verifier()(delivery, NOW)
    assert case.key(delivery)
    assert case.incoming.handshake(delivery, case.options) is None
    with pytest.raises(ValueError, match=r".+"):
        case.normalise(delivery)


# --- whatever comes -----------------------------------------------------------------------------

LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "\x00", "\ud83d", "1", "-1", "9" * 30, "error", "2026-01-01", "run.failed"]
    ),
)
JSON = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def paths_of(value: Any, so_far: tuple = ()) -> list[tuple]:
    """Every place in a JSON value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [so_far, *(path for key, inner in items for path in paths_of(inner, (*so_far, key)))]


def replaced(value: Any, path: tuple, new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def bodies(draw: st.DrawFn, case: Case) -> bytes:
    """Any bytes, any JSON, or a sample with something else at some place."""
    kind = draw(st.sampled_from(["bytes", "json", "sample", "sample"]))
    if kind == "bytes":
        return draw(st.binary(max_size=100))
    document = draw(JSON)
    form = False
    if kind == "sample":
        raw = samples.read(case.name, draw(st.sampled_from(samples.names(case.name))))
        form = raw.startswith(b"payload=")
        if not form and not raw.startswith(b"{"):
            return raw + draw(st.binary(max_size=20))
        found = json.loads(raw) if not form else json.loads(_payload(raw))
        document = replaced(found, draw(st.sampled_from(paths_of(found))), document)
    text = json.dumps(document)
    return f"payload={quote_plus(text)}".encode() if form else text.encode()


def _payload(raw: bytes) -> str:
    return parse_qs(raw.decode())["payload"][0]


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_only_our_errors_escape(case, data):
    body = data.draw(bodies(case))
    delivery = case.send(body, event=data.draw(st.sampled_from(["", "push", "run.failed", "x"])))
    if data.draw(st.booleans()):
        delivery = Delivery("s", delivery.headers, body, NOW)
    name = data.draw(st.sampled_from([name for name, _ in delivery.headers.items]))
    if data.draw(st.booleans()):
        delivery = with_header(delivery, name, data.draw(st.text(max_size=30)))
    with suppress(SignatureError):
        case.verifier()(delivery, NOW)
    key = case.key(delivery)
    assert 0 < len(key) <= 200
    with suppress(HandshakeError):
        case.incoming.handshake(delivery, case.options)
    try:
        drafts = case.normalise(delivery)
    except ValueError:
        return
    assert_sound(case, drafts)

"""Signatures made by the senders' own libraries are taken, and refused after one changed byte.

Our own vectors are made by those who wrote the verifier; these are made by those who wrote the
senders. Only the signing half of each library is used; those two that take long to import
are imported by the process that runs these tests, not by each that collects them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import slack_sdk.signature
import standardwebhooks
from nacl.signing import SigningKey

from service.vendors import BY_NAME, samples
from service.vendors.base import Delivery, Secret, Verifier
from tests.vendors.deliveries import NOW, make_delivery, refusal

TS = int(NOW.timestamp())
WHSEC = "whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWo="
DISCORD_KEY = SigningKey(bytes(range(32)))
SignedHeaders = dict[str, str]


def by_standardwebhooks(body: bytes, at: datetime) -> SignedHeaders:
    signature = standardwebhooks.Webhook(WHSEC).sign("msg_0001", at, body.decode())
    ts = str(int(at.timestamp()))
    return {"webhook-id": "msg_0001", "webhook-timestamp": ts, "webhook-signature": signature}


def by_svix(body: bytes, at: datetime) -> SignedHeaders:
    import svix.webhooks  # noqa: PLC0415

    signature = svix.webhooks.Webhook(WHSEC).sign("msg_0001", at, body.decode())
    ts = str(int(at.timestamp()))
    return {"svix-id": "msg_0001", "svix-timestamp": ts, "svix-signature": signature}


def by_stripe(body: bytes, at: datetime) -> SignedHeaders:
    import stripe  # noqa: PLC0415

    header = stripe.WebhookSignature.generate_signature_header(
        payload=body.decode(), secret=WHSEC, timestamp=int(at.timestamp())
    )
    return {"Stripe-Signature": header}


def by_slack_sdk(body: bytes, at: datetime) -> SignedHeaders:
    ts = str(int(at.timestamp()))
    signer = slack_sdk.signature.SignatureVerifier(WHSEC)
    signature = signer.generate_signature(timestamp=ts, body=body)
    assert signature is not None
    return {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": ts}


def by_pynacl(body: bytes, at: datetime) -> SignedHeaders:
    """The library that Discord's pages name for checking its signatures."""
    ts = str(int(at.timestamp()))
    signature = DISCORD_KEY.sign(ts.encode() + body).signature.hex()
    return {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": ts}


@dataclass(frozen=True)
class Sender:
    """A sender's library, and our vendor that receives what it signs."""

    vendor: str
    sign: Callable[[bytes, datetime], SignedHeaders]
    secret: str = WHSEC

    def verifier(self, *more: Secret) -> Verifier:
        incoming = BY_NAME[self.vendor].incoming
        assert incoming is not None
        return incoming.verifier(incoming.options(), [*more, Secret(self.secret)])

    def bodies(self) -> Iterator[bytes]:
        for name in samples.names(self.vendor):
            yield samples.read(self.vendor, name)
        yield b"{}"
        yield '{"text":"Grüße, 世界 \u2028 🚀"}'.encode()

    def deliveries(self) -> Iterator[Delivery]:
        for body in self.bodies():
            yield make_delivery(self.sign(body, NOW).items(), body)


SENDERS = [
    pytest.param(sender, id=f"{name}-{sender.vendor}")
    for name, sender in (
        ("standardwebhooks", Sender("standardwebhooks", by_standardwebhooks)),
        ("standardwebhooks", Sender("svix", by_standardwebhooks)),
        ("standardwebhooks", Sender("generic", by_standardwebhooks)),
        ("svix", Sender("svix", by_svix)),
        ("svix", Sender("standardwebhooks", by_svix)),
        ("stripe", Sender("stripe", by_stripe)),
        ("slack_sdk", Sender("slack", by_slack_sdk)),
        ("pynacl", Sender("discord", by_pynacl, DISCORD_KEY.verify_key.encode().hex())),
    )
]
pytestmark = pytest.mark.parametrize("sender", SENDERS)


def signature_of(delivery: Delivery) -> str:
    """The name of the header that carries the signature."""
    names = [name for name, _ in delivery.headers.items]
    (found,) = [name for name in names if "signature" in name and "timestamp" not in name]
    return found


def changed(delivery: Delivery, header: str, value: str) -> Delivery:
    pairs = [(name, value if name == header else old) for name, old in delivery.headers.items]
    return make_delivery(pairs[4:], delivery.body)  # without what make_delivery adds by itself


def test_what_the_library_signs_is_taken(sender: Sender) -> None:
    verify = sender.verifier()
    for delivery in sender.deliveries():
        verify(delivery, NOW)


def test_one_changed_byte_of_the_body_is_refused(sender: Sender) -> None:
    verify = sender.verifier()
    for delivery in sender.deliveries():
        for at in {0, len(delivery.body) // 2, len(delivery.body) - 1}:
            body = bytearray(delivery.body)
            body[at] ^= 1
            other = Delivery("s", delivery.headers, bytes(body), NOW)
            assert refusal(verify, other) == "signature_mismatch"


def test_one_changed_byte_of_the_signature_is_refused(sender: Sender) -> None:
    verify = sender.verifier()
    delivery = next(sender.deliveries())
    header = signature_of(delivery)
    text = delivery.headers.one(header) or ""
    at_most = len(text) if not text.endswith("=") else len(text.rstrip("=")) - 1
    first = next(at for at in range(len(text)) if "=" in text[:at] or "," in text[:at] or at > 8)
    for at in range(first, at_most):
        other = "0" if text[at] != "0" else "1"
        value = text[:at] + other + text[at + 1 :]
        assert refusal(verify, changed(delivery, header, value)) in {
            "signature_mismatch",
            "malformed_header",
            "malformed_time",
            "stale",
        }


def test_a_replay_is_refused(sender: Sender) -> None:
    delivery = next(sender.deliveries())
    assert refusal(sender.verifier(), delivery, NOW + timedelta(seconds=301)) == "stale"
    early = NOW - timedelta(seconds=301)
    assert refusal(sender.verifier(), delivery, early) == "from_the_future"


def test_it_is_taken_while_the_secret_is_changed(sender: Sender) -> None:
    other = DISCORD_KEY.verify_key.encode()[::-1].hex()
    second = Secret(other if sender.vendor == "discord" else "whsec_b3RoZXItc2VjcmV0LW90aGVyLXM=")
    sender.verifier(second)(next(sender.deliveries()), NOW)


def test_the_library_is_asked_at_a_time_of_our_own(sender: Sender) -> None:
    """Otherwise the tests above would depend on the day they are run."""
    assert datetime.fromtimestamp(TS, UTC) == NOW
    assert sender.sign(b"{}", NOW) == sender.sign(b"{}", NOW)

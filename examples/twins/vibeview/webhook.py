"""VibeView's webhook: subscriptions, secret, deliveries that are retried and can be sent again."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from examples.twins.clock import Clock, zoneless
from examples.twins.sending import Attempt, Sender
from examples.twins.signing import VIBEVIEW_SCHEMES
from examples.twins.vibeview.events import ON_BY_DEFAULT

TIMEOUT_S = 10.0
EXCERPT_CHARS = 500
# How often and after how many phases a failed delivery is tried again is not published; assumed.
RETRY_PHASES = (1, 2, 4)
BASE64_SCHEMES = frozenset({"standard", "svix"})


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a delivery goes and how it is signed; `timestamp` replaces now in the signature."""

    receiver: str
    secret: str
    scheme: str
    pauses_s: Sequence[float]
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way, with the tries it took."""

    delivery_id: str
    envelope: dict[str, object]
    headers: dict[str, str]
    attempts: list[Attempt]

    def show(self) -> dict[str, object]:
        """The delivery as the vendor lists it (the row's members are assumed)."""
        last = self.attempts[-1]
        return {
            "id": self.delivery_id,
            "event_type": self.envelope.get("event"),
            "status": "delivered" if last.succeeded else "failed",
            "response_code": last.status,
            "attempt": len(self.attempts),
            "created_at": zoneless(self.attempts[0].at),
            "payload_excerpt": json.dumps(self.envelope)[:EXCERPT_CHARS],
            "response_excerpt": last.excerpt[:EXCERPT_CHARS] or last.error,
        }


@dataclass(slots=True)
class Webhook:
    """The one webhook that was set up in the web application."""

    clock: Clock
    sender: Sender
    event_types: list[str] = field(default_factory=lambda: list(ON_BY_DEFAULT))
    deliveries: list[Delivery] = field(default_factory=list)

    async def send(
        self, envelope: dict[str, object], to: Destination, *, delivery_id: str | None, repeat: int
    ) -> list[Delivery]:
        """Send a delivery as often as asked, at once."""
        own_id = delivery_id or str(uuid4())
        return list(
            await asyncio.gather(*(self._deliver(envelope, to, own_id) for _ in range(repeat)))
        )

    async def redeliver(self, delivery: Delivery, to: Destination, *, keep_id: bool) -> Delivery:
        """Send a past event again, under a new delivery id unless told to keep it."""
        own_id = delivery.delivery_id if keep_id else str(uuid4())
        return await self._deliver(delivery.envelope, to, own_id)

    def find(self, delivery_id: str) -> Delivery | None:
        """The latest delivery with this id."""
        return next(
            (one for one in reversed(self.deliveries) if one.delivery_id == delivery_id), None
        )

    async def _deliver(
        self, envelope: dict[str, object], to: Destination, delivery_id: str
    ) -> Delivery:
        body = json.dumps(envelope).encode()
        timestamp = int(time.time()) if to.timestamp is None else to.timestamp
        # Standard Webhooks' id is the event's, so that retries carry the same one.
        message_id = str(envelope.get("id", delivery_id))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "VibeView-Webhooks/1.0",
            "X-VibeView-Event": str(envelope.get("event", "")),
            "X-VibeView-Delivery": delivery_id,
            **VIBEVIEW_SCHEMES[to.scheme](to.secret, body, message_id, timestamp),
        }
        attempts = await self.sender.post_with_retries(
            to.receiver, headers=headers, body=body, timeout_s=TIMEOUT_S, pauses_s=to.pauses_s
        )
        delivery = Delivery(delivery_id, envelope, headers, attempts)
        self.deliveries.append(delivery)
        return delivery


def make_secret(scheme: str) -> str:
    """A new secret in the form its scheme uses."""
    raw = secrets.token_bytes(24)
    return f"whsec_{base64.b64encode(raw).decode()}" if scheme in BASE64_SCHEMES else raw.hex()

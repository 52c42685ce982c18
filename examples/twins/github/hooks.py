"""GitHub's webhooks: signed deliveries, never retried by themselves, redelivered on request."""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from examples.twins.clock import Clock, zulu
from examples.twins.github.bodies import HookEvent
from examples.twins.sending import Attempt, Sender
from examples.twins.signing import sign_github

TIMEOUT_S = 10.0
REDELIVERY_WINDOW = timedelta(days=3)
HOOK_ID = 1


@dataclass(slots=True)
class Delivery:
    """One try to deliver an event."""

    delivery_id: int
    guid: str
    event: str
    redelivery: bool
    request_headers: dict[str, str]
    payload: dict[str, object]
    body: bytes
    url: str
    attempt: Attempt

    def show(self, *, full: bool) -> dict[str, object]:
        """A row of the list, or everything."""
        row: dict[str, object] = {
            "id": self.delivery_id,
            "guid": self.guid,
            "delivered_at": zulu(self.attempt.at),
            "redelivery": self.redelivery,
            "duration": round(self.attempt.duration_s, 3),
            "status": "OK" if self.attempt.succeeded else self.attempt.error or "Invalid HTTP",
            "status_code": self.attempt.status or 0,
            "event": self.event,
            "action": self.payload.get("action"),
        }
        if full:
            row["url"] = self.url
            row["request"] = {"headers": self.request_headers, "payload": self.payload}
            row["response"] = {"headers": {}, "payload": self.attempt.excerpt}
        return row


class Hook:
    """One repository webhook with everything it tried to deliver."""

    def __init__(self, clock: Clock, sender: Sender) -> None:
        self._clock = clock
        self._sender = sender
        self._deliveries: dict[int, Delivery] = {}
        self._next_id = 12345678

    async def send(self, event: HookEvent, *, receiver: str, secret: str) -> list[Delivery]:
        """Deliver an event as often as asked, at once."""
        body = json.dumps(event.payload).encode()
        guid = event.guid or str(uuid4())
        return list(
            await asyncio.gather(
                *(
                    self._deliver(event, guid, body, receiver, secret, redelivery=False)
                    for _ in range(event.repeat)
                )
            )
        )

    async def redeliver(self, delivery: Delivery, *, receiver: str, secret: str) -> Delivery:
        """Send a past delivery again under its own GUID."""
        event = HookEvent(event=delivery.event, payload=delivery.payload)
        return await self._deliver(
            event, delivery.guid, delivery.body, receiver, secret, redelivery=True
        )

    def find(self, delivery_id: int) -> Delivery | None:
        """The delivery with this id."""
        return self._deliveries.get(delivery_id)

    def newest_first(self) -> list[Delivery]:
        """Every delivery."""
        return list(reversed(self._deliveries.values()))

    def can_redeliver(self, delivery: Delivery) -> bool:
        """Whether it is young enough."""
        return self._clock.now() - delivery.attempt.at <= REDELIVERY_WINDOW

    async def _deliver(
        self,
        event: HookEvent,
        guid: str,
        body: bytes,
        receiver: str,
        secret: str,
        *,
        redelivery: bool,
    ) -> Delivery:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Hook-ID": str(HOOK_ID),
            "X-GitHub-Event": event.event,
            "X-GitHub-Delivery": guid,
            "X-GitHub-Hook-Installation-Target-Type": "repository",
            "X-GitHub-Hook-Installation-Target-ID": "1296269",
            **sign_github(secret, body),
        }
        attempt = await self._sender.post(receiver, headers=headers, body=body, timeout_s=TIMEOUT_S)
        delivery = Delivery(
            self._next_id,
            guid,
            event.event,
            redelivery,
            headers,
            event.payload,
            body,
            receiver,
            attempt,
        )
        self._next_id += 1
        self._deliveries[delivery.delivery_id] = delivery
        return delivery

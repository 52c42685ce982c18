"""GitHub's webhooks: signed deliveries, never retried by themselves, redelivered on request."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from examples.twins.clock import Clock, zulu
from examples.twins.github.bodies import HookEvent, HookFacts
from examples.twins.github.happenings import FATES, issue_opened
from examples.twins.sending import Attempt, Sender
from examples.twins.signing import sign_github

TIMEOUT_S = 10.0
REDELIVERY_WINDOW = timedelta(days=3)
AT_ONCE = 16
FIRST_DELIVERY = 12345678


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
    """One webhook with everything it tried to deliver."""

    def __init__(
        self, hook_id: int, target: str, target_id: int, clock: Clock, sender: Sender
    ) -> None:
        self.hook_id = hook_id
        self._target = target
        self._target_id = target_id
        self._clock = clock
        self._sender = sender
        self._deliveries: dict[int, Delivery] = {}

    async def send(self, event: HookEvent, *, receiver: str, secret: str) -> list[Delivery]:
        """Deliver an event as often as asked, at once."""
        guid = event.guid or str(uuid4())
        one = self._made(event.event, event.payload, guid, receiver, secret)
        return list(
            await asyncio.gather(*(self._deliver(one, receiver) for _ in range(event.repeat)))
        )

    async def happen(self, facts: HookFacts, *, receiver: str, secret: str) -> dict[str, list[str]]:
        """Let issues be opened: most are sent, some are only entered in the record."""
        told: dict[str, list[str]] = {"sent": [], "withheld": []}
        gate = asyncio.Semaphore(AT_ONCE)
        at = datetime.now(UTC) - timedelta(seconds=facts.age_s)

        async def send(one: Delivery) -> None:
            async with gate:
                await self._deliver(one, receiver, at=at)

        tasks = []
        for number in range(facts.count):
            payload = issue_opened(facts.repo, number + 1)
            one = self._made("issues", payload, str(uuid4()), receiver, secret)
            # Bresenham: so many of so many, spread evenly.
            share = (number + 1) * facts.withheld // facts.count
            if share > number * facts.withheld // facts.count:
                one.attempt = FATES[facts.fate](at)
                self._enter(one)
                told["withheld"].append(one.guid)
            else:
                tasks.append(send(one))
                told["sent"].append(one.guid)
        await asyncio.gather(*tasks)
        return told

    async def redeliver(self, delivery: Delivery, *, receiver: str, secret: str) -> Delivery:
        """Send a past delivery again under its own GUID."""
        again = self._made(delivery.event, delivery.payload, delivery.guid, receiver, secret)
        again.redelivery = True
        return await self._deliver(again, receiver)

    def find(self, delivery_id: int) -> Delivery | None:
        """The delivery with this id."""
        return self._deliveries.get(delivery_id)

    def newest_first(self) -> list[Delivery]:
        """Every delivery."""
        return list(reversed(self._deliveries.values()))

    def can_redeliver(self, delivery: Delivery) -> bool:
        """Whether it is young enough."""
        return self._clock.now() - delivery.attempt.at <= REDELIVERY_WINDOW

    def _made(
        self, event: str, payload: Mapping[str, object], guid: str, receiver: str, secret: str
    ) -> Delivery:
        body = json.dumps(payload).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Hook-ID": str(self.hook_id),
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid,
            "X-GitHub-Hook-Installation-Target-Type": self._target,
            "X-GitHub-Hook-Installation-Target-ID": str(self._target_id),
            **sign_github(secret, body),
        }
        never = Attempt(None, "", datetime.now(UTC), 0.0)
        return Delivery(0, guid, event, False, headers, dict(payload), body, receiver, never)

    async def _deliver(
        self, one: Delivery, receiver: str, *, at: datetime | None = None
    ) -> Delivery:
        attempt = await self._sender.post(
            receiver, headers=one.request_headers, body=one.body, timeout_s=TIMEOUT_S
        )
        if at is not None:
            attempt = Attempt(
                attempt.status, attempt.excerpt, at, attempt.duration_s, attempt.error
            )
        sent = Delivery(
            0,
            one.guid,
            one.event,
            one.redelivery,
            one.request_headers,
            one.payload,
            one.body,
            receiver,
            attempt,
        )
        self._enter(sent)
        return sent

    def _enter(self, delivery: Delivery) -> None:
        delivery.delivery_id = FIRST_DELIVERY + len(self._deliveries)
        self._deliveries[delivery.delivery_id] = delivery

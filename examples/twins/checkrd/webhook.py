"""Checkrd's webhooks: signed, tried again, with a record of what was sent and withheld."""

import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from examples.twins.checkrd.rules_book import Change
from examples.twins.clock import Clock
from examples.twins.sending import Attempt, Sender

if TYPE_CHECKING:
    from examples.twins.checkrd.account import CheckrdSettings

TIMEOUT_S = 10.0
# How often and when a webhook is tried again is not published; assumed.
RETRY_PHASES = (1, 2, 4)


@dataclass(slots=True)
class Told:
    """One fact in the twin's own record; `webhook_id` is `None` when nothing was sent."""

    change: Change
    quiet: bool
    withheld: bool
    webhook_id: str | None = None
    attempts: list[Attempt] = field(default_factory=list)

    def show(self) -> dict[str, object]:
        """The fact as the lever `record` lists it."""
        return {
            **self.change.show(),
            "quiet": self.quiet,
            "withheld": self.withheld,
            "webhook_id": self.webhook_id,
            "attempts": [one.show() for one in self.attempts],
        }


class Webhook:
    """Sends to the receiver of the settings, or else to the rule's own target."""

    def __init__(self, settings: "CheckrdSettings", clock: Clock, sender: Sender) -> None:
        self._settings = settings
        self._clock = clock
        self._sender = sender
        self.record: list[Told] = []

    async def announce(self, change: Change, *, quiet: bool, withheld: bool) -> Told:
        """Tell a change to the rule's target, unless it is withheld or told to nobody."""
        told = Told(change, quiet, withheld)
        self.record.append(told)
        receiver = self._settings.receiver or change.rule.channel_target
        if quiet or withheld or change.rule.channel != "webhook" or not receiver:
            return told
        told.webhook_id = str(uuid4()) if self._settings.own_ids else change.id
        body = self._body(change, told.webhook_id)
        told.attempts = await self.send(body, receiver)
        return told

    async def send(
        self,
        body: Mapping[str, object],
        receiver: str,
        *,
        secret: str | None = None,
        timestamp: int | None = None,
    ) -> list[Attempt]:
        """Sign and post a body, again after pauses when the receiver fails."""
        raw = json.dumps(body).encode()
        at = int(time.time()) if timestamp is None else timestamp
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Checkrd-Webhooks/1.0",
            "Checkrd-Signature": sign(secret or self._settings.secret, raw, at),
        }
        return await self._sender.post_with_retries(
            receiver,
            headers=headers,
            body=raw,
            timeout_s=TIMEOUT_S,
            pauses_s=[phases * self._settings.pace for phases in RETRY_PHASES],
        )

    def _body(self, change: Change, webhook_id: str) -> dict[str, object]:
        entry = change.show()
        if self._settings.body == "entry":
            return entry | {"id": webhook_id}
        data = {name: value for name, value in entry.items() if name != "id"}
        return {
            "id": webhook_id,
            "type": f"alert.{change.new_state}",
            "timestamp": entry["evaluated_at"],
            "data": data,
        }


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """The value of `Checkrd-Signature`: `t=…,v1=…` over `{t}.{body}`."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, "sha256").hexdigest()
    return f"t={timestamp},v1={digest}"

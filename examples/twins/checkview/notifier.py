"""CheckView's webhooks: unsigned, never retried, as often as the frequency says (reference 3.1).

It keeps the record from which reconciliation can be proven: for every run that ended, whether a
webhook was sent, was withheld by a lever, or was not due.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from examples.twins.checkview.bodies import Frequency
from examples.twins.checkview.book import Run
from examples.twins.checkview.dialect import Dialect, speak
from examples.twins.sending import Attempt, Sender

TIMEOUT_S = 10.0
AT_ONCE = 16
LOOK_S = 0.02
Fate = Literal["sent", "withheld", "not_due", "no_receiver"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where webhooks go and how they look; `header` is a name and value of one's own."""

    receiver: str | None
    frequency: Frequency
    dialect: Dialect
    header: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """What became of the webhook of one run."""

    run_id: str
    status: str
    fate: Fate
    attempt: Attempt | None = None

    def show(self) -> dict[str, object]:
        """The entry as the lever lists it."""
        return {
            "test_run_id": self.run_id,
            "status": self.status,
            "fate": self.fate,
            "answer": self.attempt.show() if self.attempt else None,
        }


class Notifier:
    """Sends one webhook for a run that ended, if one is due."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self.record: list[Notification] = []

    def clear(self) -> None:
        """Forget what was sent."""
        self.record.clear()

    async def tell(
        self,
        run: Run,
        to: Destination,
        *,
        now: datetime,
        told: str | None = None,
        withhold: bool = False,
    ) -> Notification:
        """Enter the run that has ended, and send its webhook unless it is held back."""
        fate: Fate = "sent"
        if not _is_due(run, run.flow.frequency or to.frequency):
            fate = "not_due"
        elif withhold:
            fate = "withheld"
        elif to.receiver is None:
            fate = "no_receiver"
        attempt = None
        if fate == "sent":
            body = json.dumps(speak(make_body(run, now, told), to.dialect)).encode()
            attempt = await self.post(body, to)
        entry = Notification(run.run_id, run.outcome, fate, attempt)
        self.record.append(entry)
        return entry

    async def post(self, body: bytes, to: Destination) -> Attempt:
        """Send a body once, whatever it is."""
        headers = {"Content-Type": "application/json", "User-Agent": "CheckView-Notifications"}
        headers.update([to.header] if to.header else [])
        async with self._at_once:
            return await self._sender.post(
                to.receiver or "", headers=headers, body=body, timeout_s=TIMEOUT_S
            )


def make_body(run: Run, now: datetime, told: str | None = None) -> dict[str, object]:
    """What tells of a run, with another status than the true one when `told` says so."""
    shown = run.show(now)
    status = told or run.outcome
    failing = status != "passed"
    names = ("id", "started_at", "finished_at", "url")
    return {
        "event": "test_flow.failed" if failing else "test_flow.passed",
        "test_flow": run.flow.brief(),
        "website": run.flow.website.brief(),
        "test_run": {
            **{name: shown[name] for name in names},
            "status": status,
            "error": run.error if failing else None,
        },
    }


def _is_due(run: Run, frequency: Frequency) -> bool:
    """Whether this end is told; an error counts as failing, a cancelled run as nothing."""
    if run.outcome == "cancelled":
        return False
    failing = run.outcome != "passed"
    before = run.flow.last_failed
    run.flow.last_failed = failing
    turned = failing != bool(before)
    return {"every": True, "once": turned, "every-fail": failing or turned}[frequency]

"""The twin's own record of what happened and whether it was told: what reconciliation is proven by.

Each happening is an ended run with its event. What is withheld stands in VibeView's list of
deliveries as an attempt without an answer, and no webhook was sent for it.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from examples.twins.sending import Attempt
from examples.twins.vibeview.announcer import describe
from examples.twins.vibeview.bodies import Happen, RunOutcome
from examples.twins.vibeview.events import make_envelope
from examples.twins.vibeview.organisation import Organisation
from examples.twins.vibeview.runs import Run
from examples.twins.vibeview.webhook import Delivery, Destination

AT_ONCE = 16
_STATUS = {"run.passed": "passed", "run.failed": "failed", "run.cancelled": "cancelled"}


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of one run, and whether a webhook was sent for it."""

    event: str
    event_id: str
    delivery_id: str
    run_id: str
    withheld: bool

    def show(self) -> dict[str, object]:
        """The happening as the lever and the state show it."""
        return {name: getattr(self, name) for name in self.__slots__}


async def happen(
    organisation: Organisation, asked: Happen, to: Destination | None
) -> list[Happening]:
    """Let runs end, and send their events but for those withheld, which are spread evenly."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def tell(number: int) -> Happening:
        event = asked.events[number % len(asked.events)]
        run = _ended_run(organisation, event, number)
        now = organisation.clock.now()
        data = describe(run, organisation.clock.seconds())
        envelope = make_envelope(event, data=data, now=now)
        before, after = number * asked.withheld, (number + 1) * asked.withheld
        is_withheld = to is None or before // asked.count != after // asked.count
        delivery_id = str(uuid4())
        async with gate:
            if to is None or is_withheld:
                attempt = Attempt(None, "", datetime.now(UTC), 0.0, "no connection")
                lost = Delivery(delivery_id, envelope, {}, [attempt])
                organisation.webhook.deliveries.append(lost)
            else:
                await organisation.webhook.send(envelope, to, delivery_id=delivery_id, repeat=1)
        return Happening(event, str(envelope["id"]), delivery_id, run.run_id, is_withheld)

    found = await asyncio.gather(*(tell(number) for number in range(asked.count)))
    organisation.happenings.extend(one.show() for one in found)
    return list(found)


def _ended_run(organisation: Organisation, event: str, number: int) -> Run:
    suites = list(organisation.book.suites.values())
    suite = suites[number % len(suites)]
    metadata = {"pr_number": number + 1, "repo": "acme-co/webapp", "branch": "main"}
    outcome = RunOutcome.model_validate({"status": _STATUS.get(event, "passed")})
    if event.startswith("visual."):
        outcome.visual_regression_status = "warn"
    return organisation.book.start(
        suite,
        kind="suite_run",
        names=suite.cases,
        asked={"metadata": metadata, "commit_sha": f"{number:040x}"},
        pace_s=0,
        outcome=outcome,
    )

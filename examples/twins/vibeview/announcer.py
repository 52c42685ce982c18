"""Sends the events of a run as it goes, when that is switched on."""

import asyncio

from examples.twins.vibeview.events import make_envelope
from examples.twins.vibeview.organisation import Organisation
from examples.twins.vibeview.runs import Run

LOOK_S = 0.02
ENDS = {"passed": "run.passed", "failed": "run.failed", "cancelled": "run.cancelled"}


class Announcer:
    """Follows runs in the background; the event of a run in state `error` is `run.failed`."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, run: Run) -> None:
        """Announce this run's beginning and end, if runs are announced at all."""
        if self._organisation.settings.announce_runs:
            task = asyncio.create_task(self._announce(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def clear(self) -> None:
        """Leave every run that is under way."""
        for task in self._tasks:
            task.cancel()

    async def _announce(self, run: Run) -> None:
        clock = self._organisation.clock
        while run.status(clock.seconds()) == "pending":  # noqa: ASYNC110 - tests move the clock
            await asyncio.sleep(LOOK_S)
        await self._send(run, "run.started")
        while not run.is_terminal(clock.seconds()):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(LOOK_S)
        await self._send(run, ENDS.get(run.outcome.status, "run.failed"))
        for case in run.cases:
            if case.outcome.status == "failed" and run.kind == "suite_run":
                await self._send(run, "case.failed", case_runs=[case.show()])
        if run.outcome.visual_regression_status in {"warn", "fail"}:
            await self._send(run, "visual.run_completed_with_regressions")

    async def _send(self, run: Run, event: str, **more: object) -> None:
        webhook, to = self._organisation.webhook, self._organisation.destination()
        if to is None or event not in webhook.event_types:
            return
        data = {**describe(run, self._organisation.clock.seconds()), **more}
        envelope = make_envelope(event, data=data, now=self._organisation.clock.now())
        await webhook.send(envelope, to, delivery_id=None, repeat=1)


def describe(run: Run, now_s: float) -> dict[str, object]:
    """What the events of a run say about it."""
    return {
        "type": run.kind,
        **run.summary(now_s),
        "commit_sha": run.asked.get("commit_sha"),
        "duration_ms": run.duration_ms if run.is_terminal(now_s) else None,
        "run_url": run.show(now_s)["run_url"],
        "metadata": run.metadata,
    }

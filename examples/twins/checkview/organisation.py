"""The organisation all calls of the CheckView twin share: settings, book, answers, webhooks."""

import asyncio
from datetime import timedelta

from pydantic import Field
from starlette.requests import Request

from examples.twins.checkview.bodies import AddedRuns, Frequency
from examples.twins.checkview.book import Book, Flow, Run
from examples.twins.checkview.dialect import Dialect
from examples.twins.checkview.notifier import LOOK_S, Destination, Notification, Notifier
from examples.twins.checkview.problems import problem
from examples.twins.checkview.replay import AnswerCache
from examples.twins.clock import Clock
from examples.twins.sending import Sender
from examples.twins.twin import Settings

API = "/api/v1"


class CheckViewSettings(Settings):
    """Settings of this twin. The receiver's address carries the path token: nothing is signed.

    Args:
        secret: the value of the custom header, when one is named.
        header: the name of a custom header that goes with every webhook; empty for none.
        frequency: which ends are told, for flows without a frequency of their own.
        dialect: member names in bodies and answers; the vendor publishes neither.
        lists: whether a list is a bare array or stands in `data`.
        scopes: what the token may do, separated by spaces.
        max_page: rows a page has at most, whatever `limit` asks.
    """

    key: str = Field(default="cvpat_demo", min_length=1)
    header: str = ""
    frequency: Frequency = "every"
    dialect: Dialect = "snake"
    lists: str = Field(default="array", pattern="^(array|data)$")
    scopes: str = "read:organization write:organization"
    max_page: int = Field(default=100, ge=1)


class Organisation:
    """Everything one token can see."""

    def __init__(self, settings: CheckViewSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.answers = AnswerCache(clock)
        self.notifier = Notifier(Sender())
        self._watched: set[asyncio.Task[None]] = set()
        self.book = Book(clock)

    def clear(self) -> None:
        """Two websites, two flows without runs, nothing told."""
        for task in self._watched:
            task.cancel()
        self.book = Book(self.clock)
        self.answers.clear()
        self.notifier.clear()

    def destination(self, receiver: str | None = None) -> Destination:
        """Where webhooks go and how they look."""
        settings = self.settings
        header = (settings.header, settings.secret) if settings.header else None
        return Destination(
            receiver or settings.receiver, settings.frequency, settings.dialect, header
        )

    def known_flow(self, flow_id: str, request: Request) -> Flow:
        """The flow of this id, or 404."""
        flow = self.book.flows.get(flow_id)
        if flow is None:
            raise problem(404, f"Test flow {flow_id} was not found.", request.url.path)
        return flow

    def watch(self, run: Run, *, told: str | None = None, withhold: bool = False) -> None:
        """Tell of a run when it ends."""
        task = asyncio.create_task(self._tell_at_end(run, told, withhold=withhold))
        self._watched.add(task)
        task.add_done_callback(self._watched.discard)

    async def add_runs(self, flow: Flow, asked: AddedRuns) -> list[tuple[Run, Notification | None]]:
        """Runs that nobody asked for: those that have ended are told before this returns."""
        now = self.clock.now()
        ended: list[tuple[Run, bool]] = []
        told: list[tuple[Run, Notification | None]] = []
        for index in range(asked.count):
            behind_s = (asked.count - 1 - index) * asked.every_s
            run = self.book.add_run(
                flow,
                asked.statuses[index % len(asked.statuses)],
                asked.error,
                now + timedelta(seconds=asked.ends_in_s - behind_s),
                timedelta(milliseconds=asked.duration_ms),
                asked.id if asked.count == 1 else None,
            )
            withhold = _falls_on(index, asked.withheld, asked.count)
            if run.ends_at <= now:
                ended.append((run, withhold))
            else:
                self.watch(run, told=asked.told, withhold=withhold)
                told.append((run, None))
        to = self.destination()
        entries = await asyncio.gather(
            *(
                self.notifier.tell(run, to, now=now, told=asked.told, withhold=withhold)
                for run, withhold in ended
            )
        )
        runs = (run for run, _ in ended)
        return [*zip(runs, entries, strict=True), *told]

    async def _tell_at_end(self, run: Run, told: str | None, *, withhold: bool) -> None:
        while self.clock.now() < run.ends_at:  # noqa: ASYNC110 - tests move the clock
            await asyncio.sleep(LOOK_S)
        await self.notifier.tell(
            run, self.destination(), now=self.clock.now(), told=told, withhold=withhold
        )


def _falls_on(index: int, chosen: int, count: int) -> bool:
    """Whether this one of `count` is among `chosen` that are spread evenly."""
    return (index + 1) * chosen // count > index * chosen // count

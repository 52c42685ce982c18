"""Asking CheckView for runs that have ended, one page of its list at a time.

The list is taken to be newest first by the time a run was made; neither is published. A scan goes
from the top down to the floor, which is what the last scan left behind: an overlap before the
newest run it saw, or the oldest run that had not ended, whichever is earlier. What was told above
the floor is remembered, so that every end is told once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pydantic import Field

from schemas.config import Duration
from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import CallContext, Options, Poll, PollAnswer
from service.vendors.checkview.client import CheckViewClient, Page, of_flow
from service.vendors.checkview.facts import event_of, has_ended
from service.vendors.checkview.options import CheckViewConnectionOptions
from service.vendors.checkview.payloads import TestRun
from service.vendors.reading import as_mapping, as_text, as_texts, as_time
from service.vendors.trail import follow

MOST_TOLD = 5000
"""Ends that are remembered: of the overlap, of what a run holds that does not end, and as many of
runs without a time."""
_CURSOR_LOST = frozenset({400, 404, 410})


class TestRunsOptions(Options):
    """Options of the poll `test_runs`."""

    __test__ = False  # the name begins with Test; pytest must not collect it

    test_flow_id: str | None = Field(
        default=None, min_length=1, description="Only runs of this test flow."
    )
    look_back: Duration = Field(
        default=timedelta(hours=1), description="How far the first question goes back."
    )
    overlap: Duration = Field(
        default=timedelta(minutes=10),
        description="How much later than others a run may turn up in the list.",
    )
    patience: Duration = Field(
        default=timedelta(hours=24),
        description="How long a run that has not ended is waited for.",
    )


@dataclass(frozen=True, slots=True)
class Scan:
    """A way down the list that is not finished: the next page, and what was seen on the way.

    `newest` is the time of the newest run, `hold` that of the oldest one that has not ended, `read`
    the cursors that were followed: one that comes again leads nowhere.
    """

    cursor: str | None = None
    newest: datetime | None = None
    hold: datetime | None = None
    read: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunsPosition:
    """What the poll remembers.

    `told` has the ends that were told, each with the time of its run (None: it has none).
    `restarted` says that the cursor of a scan was lost since the last scan that was finished,
    `first` that none was finished yet.
    """

    floor: datetime
    told: Mapping[str, datetime | None]
    scan: Scan = Scan()
    restarted: bool = False
    first: bool = False

    @classmethod
    def read(cls, position: Mapping[str, Json] | None, beginning: datetime) -> RunsPosition:
        """Read a stored position; at first nothing from before the beginning is told."""
        known, scan = as_mapping(position), as_mapping(as_mapping(position).get("scan"))
        told = as_mapping(known.get("told"))
        return cls(
            as_time(known.get("floor")) or beginning,
            {mark: as_time(at) for mark, at in told.items()},
            Scan(
                as_text(scan.get("cursor")),
                as_time(scan.get("newest")),
                as_time(scan.get("hold")),
                as_texts(scan.get("read")),
            ),
            known.get("restarted") is True,
            position is None or known.get("first") is True,
        )

    def write(self) -> dict[str, Json]:
        """Give the form that is stored."""
        scan = self.scan
        return {
            "floor": self.floor.isoformat(),
            "told": {mark: _text(at) for mark, at in self.told.items()},
            "scan": {
                "cursor": scan.cursor,
                "newest": _text(scan.newest),
                "hold": _text(scan.hold),
                "read": list(scan.read),
            },
            "restarted": self.restarted,
            "first": self.first,
        }


def ask_test_runs(
    context: CallContext, options: TestRunsOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Read one page and tell the runs on it that have ended and were not told before."""
    connection: CheckViewConnectionOptions = context.options
    known = RunsPosition.read(position, context.now - options.look_back)
    client = CheckViewClient(context.http, connection)
    try:
        page = client.test_runs_page(known.scan.cursor, test_flow_id=options.test_flow_id)
    except Refused as fault:
        if known.scan.cursor is None or known.restarted or fault.status not in _CURSOR_LOST:
            raise
        # Nothing is lost by beginning again: what was told stays told.
        return PollAnswer([], replace(known, scan=Scan(), restarted=True).write(), more=True)
    told = dict(known.told)
    events: list[EventDraft] = []
    newest, hold = known.scan.newest, known.scan.hold
    met_known = False
    for run in of_flow(page.rows, options.test_flow_id):
        at = run.listed_at
        newest = max(filter(None, (newest, at)), default=None)
        if at is not None and at < known.floor:
            continue
        if not has_ended(run, connection.statuses):
            # One without a time may get any: then the floor stays where it is.
            hold = min(filter(None, (hold, at or known.floor)))
            continue
        event = event_of(run, connection.statuses)
        met_known |= event.fact in told
        # Nobody knows how old a run without a time is; at first all of them are old.
        if event.fact not in told and not (at is None and known.first):
            events.append(event)
        told[event.fact] = at
    read = None if page.next is None else follow(known.scan.read, page.next)
    scan = Scan(page.next, newest, hold, read or ())
    if read is not None and _goes_on(page, known.floor, is_new=not (known.first or met_known)):
        return PollAnswer(events, replace(known, told=told, scan=scan).write(), more=True)
    floor = _next_floor(known.floor, scan, options, context.now)
    return PollAnswer(events, _remembering(told, floor).write())


def _goes_on(page: Page[TestRun], floor: datetime, *, is_new: bool) -> bool:
    """Say whether the next page may have something new.

    Not when its first run must be older than the floor; without times, only when all was new.
    """
    if page.next is None:
        return False
    dated = [run.listed_at for run in page.rows if run.listed_at is not None]
    return dated[-1] >= floor if dated else is_new


def _next_floor(floor: datetime, scan: Scan, options: TestRunsOptions, now: datetime) -> datetime:
    if scan.newest is None:
        return floor
    # A clock that is ahead must not carry the floor over what is made before it is right again.
    reached = min(scan.newest, now) - options.overlap
    if scan.hold is not None:
        reached = min(reached, max(scan.hold, now - options.patience))
    return max(floor, reached)


def _remembering(told: Mapping[str, datetime | None], floor: datetime) -> RunsPosition:
    """Give the position with what must be remembered; where that is too much, the floor rises."""
    undated = [(mark, at) for mark, at in told.items() if at is None][-MOST_TOLD:]
    dated = sorted((at, mark) for mark, at in told.items() if at is not None and at >= floor)
    if len(dated) > MOST_TOLD:
        dated = dated[-MOST_TOLD:]
        floor = dated[0][0]
    return RunsPosition(floor, dict(undated) | {mark: at for at, mark in dated})


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


POLLS = (
    Poll(
        name="test_runs",
        summary="Test runs that have ended",
        options=TestRunsOptions,
        ask=ask_test_runs,
    ),
)

"""Commits deliveries in groups and wakes everybody who waits for a group.

A group is whatever arrived while the previous one was being committed: nobody is made to wait for
company when there is none, and under load the cost of a commit is shared by hundreds. Where the
database takes several transactions at once, a second group is begun beside the first when enough
has gathered, so that the disk of one and the processor of the other do not wait for each other.

Everything here runs in the event loop. Nothing here knows SQL or HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import structlog

from service.bell import Bell
from service.errors import Unavailable
from service.faults import note_fault
from service.store.arrivals import Arrival, Earlier, Inbox, Outcomes

log = structlog.get_logger(__name__)

GROUP_ROWS = 500
GROUP_BYTES = 8 * 1024 * 1024
COMPANY_ROWS = 8
"""So many must have gathered before a group is begun beside one that is under way."""

WAITING_ROWS = 4_000
WAITING_BYTES = 64 * 1024 * 1024
PATIENCE_S = 5.0
"""No sender waits longer than this for a commit; GitHub gives up after 10 s, Slack after 3 s."""
LEAST_GROUP_ROWS = 16
SWIFT_S = 1.0
"""A group that was committed in this time may be followed by a larger one."""
FEWER = 0.8
MORE = 1.25

WATCH_EVERY_S = 0.25
FIRST_PROBE_S = 0.1
LONGEST_PROBE_S = 2.0
CLOSING = "the receiver is shutting down"
LATE = "the database takes less than is sent"

Stored = Earlier | None
"""What became of an arrival: None for a new row under its own id, else the row there was."""


class Waiter(Protocol):
    """Whoever waits for a delivery to be committed; a future is one."""

    def done(self) -> bool:
        """Say whether it was told, or waits no longer."""

    def set_result(self, stored: Stored, /) -> None:
        """Tell what became of the delivery."""

    def set_exception(self, error: Unavailable, /) -> None:
        """Tell that it was not stored, as far as is known."""


class _Waiting(NamedTuple):
    arrival: Arrival
    size: int
    answer: Waiter
    since: float


@dataclass(eq=False, slots=True)
class _Group:
    waiting: list[_Waiting]
    since: float = field(default_factory=time.monotonic)


class GroupCommit:
    """Takes verified deliveries and answers each when it is committed."""

    def __init__(
        self,
        inboxes: Sequence[Inbox],
        bell: Bell,
        *,
        waiting_rows: int = WAITING_ROWS,
        waiting_bytes: int = WAITING_BYTES,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Take one inbox for each group that may be under way at a time, and the bell.

        `waiting_rows` and `waiting_bytes` bound what is held in memory and not committed yet.
        """
        self._inboxes = tuple(inboxes)
        self._bell = bell
        self._waiting_rows = waiting_rows
        self._waiting_bytes = waiting_bytes
        self._patience_s = patience_s
        self._group_rows = GROUP_ROWS
        self._allowed = float(waiting_rows)
        self._gathered: list[_Waiting] = []
        self._under_way: list[_Group] = []
        self._free: list[Inbox] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._hand_over_planned = False
        self._watch: asyncio.TimerHandle | None = None
        self._rows = 0
        self._bytes = 0
        self._hindrance: str | None = "the door is not open yet"
        self._hindered_since = time.monotonic()
        self._stopping = False
        self._emptied: asyncio.Event | None = None

    async def start(self) -> None:
        """Connect; waits for a first attempt, good or bad."""
        self._loop = asyncio.get_running_loop()
        self._first_attempt = asyncio.Event()
        for inbox in self._inboxes:
            self._begin(self._reach(inbox))
        await self._first_attempt.wait()

    async def stop(self) -> None:
        """Take nothing more, commit what waits (no longer than patience lasts), and end."""
        self._stopping = True
        if self._rows:
            self._emptied = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), self._patience_s)
        if self._watch is not None:
            self._watch.cancel()
        self._refuse_gathered(CLOSING)
        for group in self._under_way:
            self._refuse(group.waiting, CLOSING)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for inbox in self._inboxes:
            with suppress(TimeoutError):
                await asyncio.wait_for(inbox.close(), self._patience_s)

    @property
    def hindrance(self) -> str | None:
        """What hinders the storing of any delivery now."""
        return CLOSING if self._stopping else self._hindrance

    @property
    def hindered_s(self) -> float:
        """How long the database has been away."""
        return time.monotonic() - self._hindered_since

    def allowed_rows(self) -> int:
        """How many may wait so that they are committed in half the time that patience lasts."""
        return int(self._allowed)

    def add(self, arrival: Arrival) -> asyncio.Future[Stored]:
        """Take an arrival; the answer comes when its group is committed.

        Raises Unavailable, and so may the answer.
        """
        answer: asyncio.Future[Stored] = self._loop.create_future()
        self.add_for(arrival, answer)
        return answer

    def add_for(self, arrival: Arrival, answer: Waiter) -> None:
        """Take an arrival, and tell this one when its group is committed. Raises Unavailable."""
        if self.hindrance is not None:
            raise Unavailable(self.hindrance)
        size = len(arrival.body) + len(arrival.headers)
        # One delivery alone is always taken: its source's limit may be above ours.
        is_full = self._rows >= self._waiting_rows or self._bytes + size > self._waiting_bytes
        if self._rows and is_full:
            raise Unavailable("too much is waiting to be stored")
        self._gathered.append(_Waiting(arrival, size, answer, time.monotonic()))
        self._rows += 1
        self._bytes += size
        if self._watch is None:
            self._watch = self._loop.call_later(WATCH_EVERY_S, self._look_after_waiting)
        self._plan_hand_over()

    # --- groups -------------------------------------------------------------------------------

    def _plan_hand_over(self) -> None:
        """Begin a group after everything that is ready to run now: it may well be adding to it.

        Behind a group that was committed these are its senders, who come again as soon as they are
        answered. Without them every second group had a few rows and was as dear as one of many.
        """
        if not self._hand_over_planned and self._may_begin():
            self._hand_over_planned = True
            self._loop.call_soon(self._hand_over)

    def _may_begin(self) -> bool:
        """Say whether what was gathered may become a group now."""
        if not self._free:
            return False
        return len(self._gathered) >= (COMPANY_ROWS if self._under_way else 1)

    def _hand_over(self) -> None:
        self._hand_over_planned = False
        while self._may_begin():
            rows = size = 0
            for waiting in self._gathered[: self._group_rows]:
                size += waiting.size
                if rows and size > GROUP_BYTES:
                    break
                rows += 1
            group = _Group(self._gathered[:rows])
            del self._gathered[:rows]
            self._under_way.append(group)
            self._begin(self._commit(self._free.pop(), group))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _commit(self, inbox: Inbox, group: _Group) -> None:
        arrivals = [waiting.arrival for waiting in group.waiting]
        outcomes: Outcomes = {}
        fault: str | None = None
        try:
            outcomes = await inbox.store(arrivals)
        except Unavailable as error:
            log.warning("door_commit_failed", rows=len(arrivals), error=error.message)
            fault = error.message
        except Exception as error:
            log.exception("door_commit_failed", rows=len(arrivals))
            fault = f"the writer failed: {type(error).__name__}"
        finally:
            self._under_way.remove(group)
            self._forget(group.waiting)
        if fault is None:
            self._adapt_to(group)
            self._answer(group.waiting, outcomes)
            self._release(inbox)
            self._bell.ring(_to_ring(arrivals, outcomes))
            return
        # The database is away: whoever waits is told to come again, while we try to reach it.
        self._hinder(fault)
        # Perhaps it was only too much at once.
        self._group_rows = max(LEAST_GROUP_ROWS, len(arrivals) // 2)
        self._refuse(group.waiting, fault)
        self._refuse_gathered(fault)
        await self._reach(inbox)

    async def _reach(self, inbox: Inbox) -> None:
        """Connect, trying again for as long as it takes, and let the inbox be used."""
        pause = FIRST_PROBE_S
        while (fault := await _connect(inbox)) is not None:
            if fault != self._hindrance:  # it is asked again and again, and said once
                log.warning("door_cannot_reach_database", error=fault)
            self._hinder(fault)
            self._first_attempt.set()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PROBE_S)
        self._release(inbox)
        self._first_attempt.set()

    def _hinder(self, fault: str) -> None:
        if self._hindrance is None:
            self._hindered_since = time.monotonic()
        self._hindrance = fault

    def _release(self, inbox: Inbox) -> None:
        """Let an inbox that has just proven to work take the next group."""
        self._hindrance = None
        self._free.append(inbox)
        self._plan_hand_over()

    def _adapt_to(self, group: _Group) -> None:
        """Learn from a group that was committed how much the database takes at once and in time."""
        now = time.monotonic()
        if now - group.since < SWIFT_S:
            self._group_rows = min(GROUP_ROWS, int(self._group_rows * MORE) + 1)
        self._adapt_wait(now - group.waiting[0].since)

    def _adapt_wait(self, seconds: float) -> None:
        if seconds > self._patience_s / 2:
            self._allowed = max(self._allowed * FEWER, 2 * self._group_rows)
        else:
            self._allowed = self._allowed * MORE + 1
        self._allowed = min(self._allowed, self._waiting_rows)

    # --- whoever waits ------------------------------------------------------------------------

    def _answer(self, group: Sequence[_Waiting], outcomes: Outcomes) -> None:
        for waiting in group:
            outcome = outcomes.get(waiting.arrival.id) if outcomes else None
            _tell(waiting.answer, outcome)

    def _refuse(self, group: Sequence[_Waiting], reason: str) -> None:
        for waiting in group:
            _tell(waiting.answer, Unavailable(reason))

    def _refuse_gathered(self, reason: str) -> None:
        gathered, self._gathered = self._gathered, []
        self._refuse(gathered, reason)
        self._forget(gathered)

    def _forget(self, group: Sequence[_Waiting]) -> None:
        self._rows -= len(group)
        self._bytes -= sum(waiting.size for waiting in group)
        if self._emptied is not None and not self._rows:
            self._emptied.set()

    def _look_after_waiting(self) -> None:
        """Let nobody wait for ever for a commit that hangs, or for one that is far off."""
        self._watch = None
        if self._gathered or self._under_way:
            self._watch = self._loop.call_later(WATCH_EVERY_S, self._look_after_waiting)
        too_old = time.monotonic() - self._patience_s
        for group in self._under_way:
            # The group stays under way: it may yet be committed.
            if group.since > too_old:
                self._refuse(_older_than(too_old, group.waiting), LATE)
                continue
            if self._hindrance is None:
                log.error("door_commit_hangs", rows=len(group.waiting))
            self._hinder("the database does not answer in time")
            self._refuse(group.waiting, "the database does not answer in time")
            self._refuse_gathered("the database does not answer in time")
        if self._gathered:
            late = _older_than(too_old, self._gathered)
            del self._gathered[: len(late)]
            self._refuse(late, LATE)
            self._forget(late)
            self._adapt_wait(time.monotonic() - (late or self._gathered)[0].since)


def _tell(waiter: Waiter, outcome: Stored | Unavailable) -> None:
    """Tell one that waits. Whoever cannot be told keeps nobody else from being stored."""
    if waiter.done():  # the sender is gone, or was told to come again
        return
    try:
        if isinstance(outcome, Unavailable):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)
    except Exception as error:  # noqa: BLE001  # note_fault logs it
        note_fault(error, "delivery_not_answered", consequence="its sender will send it again")


def _older_than(moment: float, waiting: Sequence[_Waiting]) -> list[_Waiting]:
    return list(takewhile(lambda one: one.since <= moment, waiting))


async def _connect(inbox: Inbox) -> str | None:
    """Connect; gives what hindered it."""
    try:
        await inbox.connect()
    except Unavailable as error:
        return error.message
    except Exception as error:  # noqa: BLE001  # said in the log by the caller, and tried again
        return f"the writer failed: {type(error).__name__}: {error}"
    return None


def _to_ring(arrivals: Sequence[Arrival], outcomes: Outcomes) -> list[UUID]:
    """Give the deliveries that wait for a worker: new rows, and dead ones that were revived."""
    if not outcomes:
        return [arrival.id for arrival in arrivals]
    new = [arrival.id for arrival in arrivals if arrival.id not in outcomes]
    earlier = (outcome for outcome in outcomes.values() if isinstance(outcome, Earlier))
    return [*new, *{outcome.id for outcome in earlier if outcome.revived}]

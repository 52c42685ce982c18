"""How many calls one credential may make, kept as slots: in this process and, beside it, in Redis.

A vendor counts arrivals. We see when a call is sent and when it is answered; it arrived somewhere
between. So a slot is occupied from before the call is sent until a whole window after it was
answered, and whatever the network does, the vendor never counts more than a rate allows.

Redis is in `shared_rates.py`; what vendors' answers say about limits is in `rate_limit.py`.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from service.errors import RateLimited
from service.rate_limit import MAX_ASKED_WAIT_S

if TYPE_CHECKING:
    from service.vendors.base import Rate

CALL_LEASE_S = 60.0
"""Longer than any call: the slot of a process that died in a call is free again after this."""
MARGIN_S = 0.1
LONGEST_LOOK_S = 0.25
"""Who waits for a slot looks again this often: one that was given back should not stay idle."""


class Slots(Protocol):
    """Where the slots of one credential are kept. Safe for threads."""

    def take(self, slot: str, rates: Sequence[Rate]) -> float:
        """Take a slot of every rate: 0.0 when it was taken, else the seconds until one is free."""
        ...

    def done(self, slot: str, rates: Sequence[Rate]) -> None:
        """Note that the call was answered: its slot is free after one more window."""
        ...

    def drop(self, slot: str, rates: Sequence[Rate]) -> None:
        """Give a slot back whose call was not made."""
        ...

    def hold(self, seconds: float) -> None:
        """Let nobody take a slot before so many seconds have passed."""
        ...


class LocalSlots:
    """The slots of one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ends: dict[str, dict[str, float]] = {}
        self._held_until = -math.inf

    def take(self, slot: str, rates: Sequence[Rate]) -> float:
        """Take a slot of every rate: 0.0 when it was taken, else the seconds until one is free."""
        with self._lock:
            now = self._monotonic()
            wait = max(0.0, self._held_until - now, *(self._wait(rate, now) for rate in rates))
            if wait <= 0:
                for rate in rates:
                    self._ends[rate.name][slot] = now + rate.seconds + CALL_LEASE_S
            return wait

    def done(self, slot: str, rates: Sequence[Rate]) -> None:
        """Note that the call was answered: its slot is free after one more window."""
        with self._lock:
            now = self._monotonic()
            for rate in rates:
                ends = self._ends.get(rate.name, {})
                if slot in ends:
                    ends[slot] = now + rate.seconds + MARGIN_S

    def drop(self, slot: str, rates: Sequence[Rate]) -> None:
        """Give a slot back whose call was not made."""
        with self._lock:
            for rate in rates:
                self._ends.get(rate.name, {}).pop(slot, None)

    def hold(self, seconds: float) -> None:
        """Let nobody take a slot before so many seconds have passed."""
        with self._lock:
            self._held_until = max(self._held_until, self._monotonic() + seconds)

    def _wait(self, rate: Rate, now: float) -> float:
        ends = self._ends.setdefault(rate.name, {})
        if len(ends) < rate.calls:
            return 0.0
        ends = self._ends[rate.name] = {slot: end for slot, end in ends.items() if end > now}
        over = len(ends) - rate.calls + 1
        if over <= 0:
            return 0.0
        # A call that is under way mostly ends long before its lease.
        return min(heapq.nsmallest(over, ends.values())[-1] - now, rate.seconds + MARGIN_S)


class Limiter:
    """Lets the calls of one credential through as its rates allow. Safe for threads.

    A call waits up to `max_wait_s`; what would wait longer is sent away with a time to come back.
    """

    def __init__(
        self,
        rates: Sequence[Rate],
        slots: Sequence[Slots],
        *,
        max_wait_s: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        for rate in rates:
            if rate.calls < 1 or not rate.seconds > 0:
                message = "a rate needs at least one call in more than 0 seconds"
                raise ValueError(message)
        self._rates = tuple(rates)
        self._slots = tuple(slots)
        self._max_wait_s = max_wait_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._promised = -math.inf

    @contextmanager
    def call(self, method: str, path: str) -> Iterator[None]:
        """Hold a slot of every rate that covers the call while the block makes it.

        Raises RateLimited when none will be free in time. Each who is sent away is named a time of
        his own, so that a crowd does not come back at once.
        """
        rates = [rate for rate in self._rates if rate.covers is None or rate.covers(method, path)]
        slot = uuid4().hex
        waited = 0.0
        while (wait := self._take(slot, rates)) > 0:
            if waited + wait > self._max_wait_s:
                raise RateLimited(
                    "the rate kept for this connection is used up",
                    retry_after=timedelta(seconds=self._promise(wait, rates)),
                )
            pause = min(wait, LONGEST_LOOK_S)
            self._sleep(pause)
            waited += pause
        try:
            yield
        finally:
            for kept in self._slots:
                kept.done(slot, rates)

    def hold(self, seconds: float) -> None:
        """Let no call begin before so many seconds have passed: the vendor asked for it."""
        for kept in self._slots:
            kept.hold(seconds)

    def _take(self, slot: str, rates: Sequence[Rate]) -> float:
        for number, kept in enumerate(self._slots):
            wait = kept.take(slot, rates)
            if wait > 0:
                for taken in self._slots[:number]:
                    taken.drop(slot, rates)
                return wait
        return 0.0

    def _promise(self, wait: float, rates: Sequence[Rate]) -> float:
        gap = max((rate.seconds / rate.calls for rate in rates), default=0.0)
        with self._lock:
            now = self._monotonic()
            self._promised = max(now + wait, self._promised + gap)
            return min(self._promised - now, MAX_ASKED_WAIT_S)


class RateKeeper:
    """Gives the slots of a credential: always the same ones, however often a client is made anew.

    `shared(key)` gives the slots that several processes share; None when this is the only one.
    """

    def __init__(self, shared: Callable[[str], Slots] | None = None) -> None:
        self._shared = shared
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Slots, ...]] = {}

    def slots(self, key: str) -> tuple[Slots, ...]:
        """Give the slots of this credential: the process's own first, then those that are shared.

        The own ones stay in force beside the shared ones: when Redis forgets, no process alone
        exceeds a rate.
        """
        with self._lock:
            if key not in self._kept:
                shared = () if self._shared is None else (self._shared(key),)
                self._kept[key] = (LocalSlots(), *shared)
            return self._kept[key]


def rates_with(rates: Sequence[Rate], per_minute: float | None) -> tuple[Rate, ...]:
    """Give the rates, the first replaced by so many calls a minute when that is configured."""
    if per_minute is None:
        return tuple(rates)
    first = rates[0]
    calls, seconds = (int(per_minute), 60.0) if per_minute >= 1 else (1, 60.0 / per_minute)
    return (replace(first, calls=calls, seconds=seconds), *rates[1:])

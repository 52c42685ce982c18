"""What the receiver holds for others, and whether it takes more: the bounds of one process.

A request counts here from its first byte of body until it is answered. Two things are bounded: the
bytes of bodies, whoever sends them, and how many whole requests wait for their answer. Both are
parted by one rule: **a source may have as much as is still free.** One source alone gets a half,
two get a third each, and the next to come always finds room, however loud the others are.

Where room is short the body that has been coming for longest gives way first, so that a sender who
never ends takes nothing from those who do. Everything here runs in the event loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

HELD_BYTES = 128 * 1024 * 1024
UNDER_WAY = 4_000
"""Whole requests that may wait for their answers, of all sources together."""
PRESSED_FROM = 250
"""With so many under way it is worth a look, before a request is parsed, whether it is taken."""
PRESSED_S = 0.25
"""How long that look is worth it after a refusal."""

LONGEST_RETRY_S = 60.0
AWAY_RETRY_S = 5.0
MEASURED_S = 1.0
LEAST_PACE = 10.0
"""Deliveries a second that we believe to be possible when none was answered lately."""
OTHERS = ""
"""The share of everything that is no delivery."""
PREFIX = "/hooks/"


class Holder(Protocol):
    """Whoever holds a body that is still arriving, and can be told to give it up."""

    def give_up_body(self) -> None:
        """Refuse the rest of it; what came is let go."""


class Share:
    """What one source holds."""

    __slots__ = ("arriving", "requests", "size")

    def __init__(self) -> None:
        self.size = 0
        self.requests = 0
        self.arriving: dict[Held, Holder] = {}
        """Bodies of which a part is here, in the order in which they began."""


class Held:
    """One request that is not answered yet, and how much its body weighs."""

    __slots__ = ("is_let_go", "is_whole", "share", "size")

    def __init__(self, share: Share) -> None:
        self.share = share
        self.size = 0
        self.is_whole = False
        self.is_let_go = False


class Gate:
    """Counts what is under way."""

    def __init__(
        self,
        *,
        share_of: Callable[[str], str] = lambda _: OTHERS,
        allowed: Callable[[], int] = lambda: UNDER_WAY,
        held_bytes: int = HELD_BYTES,
        under_way: int = UNDER_WAY,
    ) -> None:
        """Take the bounds: bytes of bodies, and whole requests that wait.

        `share_of` gives the share that a source's name counts under, one for all unknown names;
        `allowed` how many requests the database takes in time.
        """
        self._room = self._held_bytes = held_bytes
        self._most = under_way
        self._share_of = share_of
        self._allowed = allowed
        self._requests = 0
        self._shares: dict[str, Share] = {}
        self._line = 0.0
        self._answered = 0
        self._pace = 0.0
        self._is_alarmed = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held_bytes(self) -> int:
        """How much all bodies weigh now."""
        return self._held_bytes - self._room

    @property
    def under_way(self) -> int:
        """How many whole requests wait for their answers."""
        return self._requests

    @property
    def is_pressed(self) -> bool:
        """Whether some requests may have to be refused."""
        return self._is_alarmed or self._requests >= PRESSED_FROM

    # --- bodies -------------------------------------------------------------------------------

    def begin(self, path: str) -> Held:
        """Count a request for this path from now on."""
        if not path.startswith(PREFIX):
            return self._hold(OTHERS)
        return self.begin_for(path[len(PREFIX) :].partition("/")[0])

    def begin_for(self, name: str) -> Held:
        """Count a delivery to the source of this name from now on."""
        return self._hold(self._share_of(name))

    def begin_whole(self, name: str, size: int) -> Held | None:
        """Count a delivery that is here with its whole body of so many bytes.

        None, and nothing is counted, when there is only room for it if a body gives way.
        """
        held = self._hold(self._share_of(name))
        share = held.share
        if share.size + size > self._room - size:
            return None
        held.size = size
        held.is_whole = True
        share.size += size
        share.requests += 1
        self._room -= size
        self._requests += 1
        return held

    def _hold(self, name: str) -> Held:
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share()
        return Held(share)

    def grow(self, held: Held, size: int, holder: Holder) -> bool:
        """Take so many more bytes of a body; says whether there is room for them."""
        share = held.share
        held.size += size
        share.size += size
        self._room -= size
        if not held.is_whole:
            share.arriving.setdefault(held, holder)
        # One body alone is always taken: its source's limit may be above ours.
        while share.size > self._room and held.size < self._held_bytes - self._room:
            oldest = next(iter(share.arriving), held)
            if oldest is held:
                return False
            share.arriving[oldest].give_up_body()
            self.let_go(oldest)
        return True

    def complete(self, held: Held) -> None:
        """Note that the whole body is there."""
        if held.is_whole or held.is_let_go:
            return
        held.is_whole = True
        held.share.arriving.pop(held, None)
        held.share.requests += 1
        self._requests += 1

    def let_go(self, held: Held) -> None:
        """Note that the request is answered or its sender gone."""
        if held.is_let_go:
            return
        held.is_let_go = True
        share = held.share
        self._room += held.size
        share.size -= held.size
        if held.is_whole:
            share.requests -= 1
            self._requests -= 1
        else:
            share.arriving.pop(held, None)

    # --- requests -----------------------------------------------------------------------------

    def is_full(self, name: str, *, more: int = 0) -> bool:
        """Say whether this share has more requests under way than it may, with so `more`."""
        share = self._shares.get(name)
        mine = more if share is None else share.requests + more
        return mine > min(self._most, self._allowed()) - self._requests - more

    def count_stored(self) -> None:
        """Note that a delivery was stored: how often that happens is how fast a line moves."""
        self._answered += 1
        if self._timer is None:
            self.start()

    def alarm(self) -> None:
        """Look at the next requests before they are parsed, for a while."""
        self._is_alarmed = True
        if self._timer is None:
            self.start()

    def place_in_line(self) -> float:
        """Give the seconds after which a refused delivery may come again.

        Each is given a later place, as fast as deliveries are stored, so that they do not come
        back together; a part is left to chance because most clocks tell whole seconds.
        """
        self.alarm()
        now = asyncio.get_running_loop().time()
        self._line = max(self._line, now) + 1 / max(self._pace, LEAST_PACE)
        seconds = min(1 + self._line - now, LONGEST_RETRY_S / 2)
        return seconds * random.uniform(1, 2)  # noqa: S311  # no secret

    # --- measuring ----------------------------------------------------------------------------

    def start(self) -> None:
        """Measure, for as long as anything is stored or refused."""
        self._timer = asyncio.get_running_loop().call_later(PRESSED_S, self._measure)

    def stop(self) -> None:
        """Measure no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _measure(self) -> None:
        self._timer = None
        if self._answered or self._is_alarmed or self._pace > LEAST_PACE / 100:
            self.start()
        self._is_alarmed = False
        weight = PRESSED_S / MEASURED_S
        self._pace += weight * (self._answered / PRESSED_S - self._pace)
        self._answered = 0


def retry_when_away(for_s: float) -> float:
    """Give the seconds after which to come again when the database has been away for so long."""
    seconds = min(max(AWAY_RETRY_S, for_s / 4), LONGEST_RETRY_S / 2)
    return seconds * random.uniform(1, 2)  # noqa: S311  # no secret

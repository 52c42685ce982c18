"""How often one caller may ask the management API, in fixed windows of a minute."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

REQUESTS_PER_WINDOW = 600
WINDOW_S = 60.0
KEPT_CALLERS = 10_000
"""Callers remembered at once; the longest idle one is forgotten first."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller has left in this window. `reset_s` is in seconds from now."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """Give the headers that tell it (draft-ietf-httpapi-ratelimit-headers-06: delta)."""
        told = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }
        return told if self.allowed else {**told, "Retry-After": str(self.reset_s)}


class Limiter:
    """Counts requests by caller. Used from the event loop alone, so it needs no lock."""

    def __init__(
        self,
        *,
        limit: int = REQUESTS_PER_WINDOW,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, caller: str) -> Allowance:
        """Count one request of this caller."""
        now = self._monotonic()
        began, used = self._windows.pop(caller, (now, 0))
        if now - began >= WINDOW_S:
            began, used = now, 0
        used = min(used + 1, self._limit + 1)
        self._windows[caller] = (began, used)
        if len(self._windows) > KEPT_CALLERS:
            self._windows.popitem(last=False)
        return Allowance(
            allowed=used <= self._limit,
            limit=self._limit,
            remaining=max(0, self._limit - used),
            reset_s=max(1, math.ceil(began + WINDOW_S - now)),
        )


def name_caller(authorization: str | None, address: str) -> str:
    """Give the name a caller is counted under: the token's hash, or the address without one."""
    if authorization:
        return hashlib.sha256(authorization.encode()).hexdigest()
    return address

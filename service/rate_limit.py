"""What vendors' answers say about their limits, and the breaker that spares a host in trouble.

The rates that our side keeps by itself are in `call_rates.py`.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from service.errors import Unreachable

MAX_ASKED_WAIT_S = 3600.0
DEFAULT_LIMITED_WAIT_S = 60.0
"""Waiting time after a 429 that names none (vendors.md §1.2 and §6.3 say 60 s)."""

_EPOCH_SINCE = 1e9
_EPOCH_MS_SINCE = 1e12
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining")
_RESET = ("x-ratelimit-reset", "ratelimit-reset")
_ITEM = re.compile(r";\s*([rt])\s*=\s*(\d{1,18})", re.ASCII)
_NO_LIMIT = 10**18


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Give the seconds the answer asks us to wait, within [0, 3600]; None when it does not say.

    `Retry-After` in seconds or as a date goes before the reset headers (vendors.md §9.4, §9.5).
    """
    wait = _retry_after(headers.get("retry-after"), now)
    return wait if wait is not None else reset_wait(headers, now)


def reset_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Give the seconds until the window begins anew: a Unix time (s or ms) or already seconds."""
    texts = [headers[name] for name in _RESET if name in headers]
    combined = _tightest(headers)
    if "t" in combined:
        texts.append(combined["t"])
    for text in texts:
        number = _number(text)
        if number is None:
            continue
        if number >= _EPOCH_MS_SINCE:
            number /= 1000
        return _clamp(number - now.timestamp() if number > _EPOCH_SINCE else number)
    return None


def calls_left(headers: Mapping[str, str]) -> int | None:
    """Give how many calls the vendor still allows in its window; None when it does not say."""
    texts = [headers[name] for name in _REMAINING if name in headers]
    combined = _tightest(headers)
    if "r" in combined:
        texts.append(combined["r"])
    for text in texts:
        number = _number(text)
        if number is not None:
            return int(number)
    return None


def _tightest(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the items of the policy that leaves the fewest calls (`"a";r=0;t=5, "b";r=9;t=60`)."""
    policies = [dict(_ITEM.findall(part)) for part in headers.get("ratelimit", "").split(",")]
    return min(policies, key=lambda items: int(items.get("r", _NO_LIMIT)))


def _retry_after(text: str | None, now: datetime) -> float | None:
    if text is None:
        return None
    number = _number(text)
    if number is not None:
        return _clamp(number)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _clamp((moment - now).total_seconds())


def _number(text: str) -> float | None:
    try:
        number = float(text.strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _clamp(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_ASKED_WAIT_S)


class CircuitBreaker:
    """Stops calling a host that cannot be reached, so that no thread waits for it.

    Opens after `failures` failed connections in a row; then one call in `pause_s` is let through
    as a trial, and the first that is answered closes it.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        pause_s: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None

    def admit(self, host: str) -> None:
        """Let a call pass. Raises Unreachable, naming when to try again, while it is open."""
        with self._lock:
            if self._open_until is None:
                return
            now = self._monotonic()
            if now < self._open_until:
                raise Unreachable(
                    f"{host} failed {self._failures} times in a row; calls to it are paused",
                    retry_after=timedelta(seconds=self._open_until - now),
                )
            self._open_until = now + self._pause_s  # this caller is the trial

    def succeeded(self) -> None:
        """Note that the host answered, whatever it said."""
        with self._lock:
            self._failures, self._open_until = 0, None

    def failed(self) -> None:
        """Note that the connection could not be made, was cut, or timed out."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._limit:
                self._open_until = self._monotonic() + self._pause_s

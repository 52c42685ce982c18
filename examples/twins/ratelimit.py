"""Request limits as vendors keep them: so many in a window, or a steady rate with a burst."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands after a request: `reset_s` and `retry_after_s` are seconds from now."""

    allowed: bool
    limit: int
    used: int
    reset_s: float
    retry_after_s: int

    @property
    def remaining(self) -> int:
        """Requests left in this window."""
        return max(0, self.limit - self.used)


@dataclass(slots=True)
class Window:
    """At most `limit` points in each window of `window_s` seconds, per key; no limit when None."""

    limit: int | None
    window_s: float = 60.0
    _open: dict[str, tuple[float, int]] = field(default_factory=dict)

    def take(self, key: str, now: float, *, cost: int = 1) -> Standing:
        """Count a request of `key` at monotonic second `now`; a cost of 0 only looks."""
        began, used = self._open.get(key, (now, 0))
        if now - began >= self.window_s:
            began, used = now, 0
        limit = self.limit if self.limit is not None else used + cost + 1
        allowed = used + cost <= limit
        if allowed:
            used += cost
        self._open[key] = (began, used)
        left_s = began + self.window_s - now
        return Standing(allowed, limit, used, left_s, max(1, math.ceil(left_s)))

    def clear(self) -> None:
        """Forget what was counted."""
        self._open.clear()


@dataclass(slots=True)
class Bucket:
    """A steady `rate_per_s` per key, with up to `burst` at once after a pause."""

    rate_per_s: float
    burst: int
    _level: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, key: str, now: float) -> Standing:
        """Count a request of `key` at monotonic second `now`."""
        at, tokens = self._level.get(key, (now, float(self.burst)))
        tokens = min(float(self.burst), tokens + (now - at) * self.rate_per_s)
        allowed = tokens >= 1
        if allowed:
            tokens -= 1
        self._level[key] = (now, tokens)
        wait_s = 0.0 if tokens >= 1 else (1 - tokens) / self.rate_per_s
        return Standing(
            allowed, self.burst, self.burst - int(tokens), wait_s, max(1, math.ceil(wait_s))
        )

    def clear(self) -> None:
        """Forget what was counted."""
        self._level.clear()


Limits = dict[str, Window | Bucket]


def describe_limits(limits: Limits) -> dict[str, dict[str, object]]:
    """Every limit by name with the figures that may be changed."""
    return {
        name: {"limit": limit.limit, "window_s": limit.window_s}
        if isinstance(limit, Window)
        else {"rate_per_s": limit.rate_per_s, "burst": limit.burst}
        for name, limit in limits.items()
    }

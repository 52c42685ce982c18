"""Slots of a credential that several processes share, kept in Redis.

One script takes a slot of every rate or of none, by the clock of Redis, so that the processes need
not agree on the time. What Redis forgets (a restart, FLUSHALL) is forgiven: every process still
keeps to the rates by itself, and the vendor's 429 has the last word.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import redis
import structlog
from redis.exceptions import RedisError

from service.call_rates import CALL_LEASE_S, MARGIN_S, LocalSlots, Slots

if TYPE_CHECKING:
    from service.vendors.base import Rate

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 2.0
ALONE_S = 5.0
"""How long Redis is not asked again after it failed."""
ALONE_SHARE = 4
"""Without Redis a process does not know of the others and keeps to this part of a rate."""

# KEYS: the hold, then one sorted set a rate, slot by the second it ends.
# ARGV: slot, lease, margin, then calls and window a rate. Gives the milliseconds to wait; 0: taken.
_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local wait = math.max(0, redis.call('PTTL', KEYS[1]) / 1000)
for i = 2, #KEYS do
  local calls, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  local over = redis.call('ZCARD', KEYS[i]) - calls
  if over >= 0 then
    local ends = redis.call('ZRANGE', KEYS[i], over, over, 'WITHSCORES')[2]
    wait = math.max(wait, math.min(tonumber(ends) - now, window + tonumber(ARGV[3])), 0.001)
  end
end
if wait > 0 then return math.ceil(wait * 1000) end
for i = 2, #KEYS do
  local window, lease = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2])
  redis.call('ZADD', KEYS[i], string.format('%.6f', now + window + lease), ARGV[1])
  redis.call('PEXPIRE', KEYS[i], math.ceil((window + lease) * 1000) + 1000)
end
return 0
"""
# KEYS: one sorted set a rate. ARGV: slot, margin, then the window a rate.
_DONE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
for i = 1, #KEYS do
  local ends = now + tonumber(ARGV[i + 2]) + tonumber(ARGV[2])
  redis.call('ZADD', KEYS[i], 'XX', string.format('%.6f', ends), ARGV[1])
end
return 0
"""
# KEYS: the hold. ARGV: milliseconds.
_HOLD = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
return 0
"""


def shared_slots(redis_url: str, *, namespace: str = "hookwright") -> Callable[[str], Slots]:
    """Give what makes the shared slots of a credential by its key. Connects when first used."""
    client = redis.Redis.from_url(
        redis_url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=ANSWER_TIMEOUT_S
    )
    return lambda key: SharedSlots(client, f"{namespace}:rates:{key}")


class SharedSlots:
    """The slots of one credential in Redis. Safe for threads; never raises.

    While Redis is away each process keeps to a quarter of every rate by itself.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._take = client.register_script(_TAKE)
        self._done = client.register_script(_DONE)
        self._hold = client.register_script(_HOLD)
        self._client = client
        self._prefix = prefix
        self._monotonic = monotonic
        self._alone = LocalSlots(monotonic)
        self._alone_until = 0.0
        self._lock = threading.Lock()

    def take(self, slot: str, rates: Sequence[Rate]) -> float:
        """Take a slot of every rate: 0.0 when it was taken, else the seconds until one is free."""
        figures = [text for rate in rates for text in (rate.calls, rate.seconds)]
        keys = [f"{self._prefix}:hold", *self._keys(rates)]
        answer = self._ask(
            lambda: self._take(keys=keys, args=[slot, CALL_LEASE_S, MARGIN_S, *figures])
        )
        if answer is None:
            return self._alone.take(slot, [_share(rate) for rate in rates])
        return cast("int", answer) / 1000

    def done(self, slot: str, rates: Sequence[Rate]) -> None:
        """Note that the call was answered: its slot is free after one more window."""
        windows = [rate.seconds for rate in rates]
        if rates:
            self._ask(lambda: self._done(keys=self._keys(rates), args=[slot, MARGIN_S, *windows]))
        self._alone.done(slot, rates)

    def drop(self, slot: str, rates: Sequence[Rate]) -> None:
        """Give a slot back whose call was not made."""
        for key in self._keys(rates):
            self._ask(lambda key=key: self._client.zrem(key, slot))  # type: ignore[misc]  # mypy cannot infer the default
        self._alone.drop(slot, rates)

    def hold(self, seconds: float) -> None:
        """Let nobody take a slot before so many seconds have passed."""
        if seconds > 0:
            self._ask(
                lambda: self._hold(keys=[f"{self._prefix}:hold"], args=[int(seconds * 1000) or 1])
            )
        self._alone.hold(seconds)

    def _keys(self, rates: Sequence[Rate]) -> list[str]:
        return [f"{self._prefix}:{rate.name}" for rate in rates]

    def _ask(self, ask: Callable[[], object]) -> object | None:
        """Give what Redis answered; None when it is away."""
        with self._lock:
            if self._monotonic() < self._alone_until:
                return None
        try:
            return ask()
        except (RedisError, OSError) as error:
            with self._lock:
                self._alone_until = self._monotonic() + ALONE_S
            log.warning(
                "shared_rates_away",
                error=str(error),
                consequence=f"this process keeps to a {ALONE_SHARE}th of each vendor's rate",
            )
            return None


def _share(rate: Rate) -> Rate:
    return replace(rate, calls=max(1, rate.calls // ALONE_SHARE))

"""What Redis says of itself: whether it may forget what was rung for, and how near it is to that.

A Redis that evicts costs no work, only time: what it forgets is rung for again from the rows. But
then every job waits for the sweeper, so the log, `/health` and `hookwright doctor` say it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from service.errors import Unavailable
from service.queue import Queue

log = structlog.get_logger(__name__)

KEEPS_ALL = "noeviction"
TO_DO = (
    "set `maxmemory-policy noeviction` in Redis (`CONFIG SET maxmemory-policy noeviction`, and in "
    "its configuration), or give Hookwright a Redis of its own"
)


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What Redis says of itself. `policy` None: it does not say; `most_bytes` None: no limit.

    `clock_ahead` is by how much its clock is ahead of ours.
    """

    version: str
    policy: str | None
    used_bytes: int
    most_bytes: int | None
    evicted_keys: int
    clock_ahead: timedelta

    @property
    def evicts(self) -> bool:
        """Whether it may forget keys to make room."""
        return self.policy not in {None, KEEPS_ALL}

    @property
    def evicts_queue(self) -> bool:
        """Whether the keys of the queue are among them: they have no time to live."""
        return self.evicts and not str(self.policy).startswith("volatile-")


def ask_queue(queue: Queue, *, clock: Callable[[], datetime]) -> QueueFacts | None:
    """Ask Redis about itself; None when the queue is in the process. Raises Unavailable.

    `INFO` is asked, which managed services answer where they refuse `CONFIG GET`.
    """
    broker: Any = getattr(queue, "broker", None)
    client: Any = getattr(broker, "client", None)
    if client is None:
        return None
    failures: tuple[type[Exception], ...] = (OSError, *broker.failures)
    try:
        said = client.info()
        before = clock()
        seconds, microseconds = client.time()
        after = clock()
    except failures as error:
        raise Unavailable(f"Redis does not answer: {error}") from error
    there = datetime.fromtimestamp(seconds, tz=UTC) + timedelta(microseconds=microseconds)
    return QueueFacts(
        version=f"{said.get('server_name', 'redis')} {said.get('redis_version', '?')}",
        policy=said.get("maxmemory_policy"),
        used_bytes=int(said.get("used_memory", 0)),
        most_bytes=int(said.get("maxmemory", 0)) or None,
        evicted_keys=int(said.get("evicted_keys", 0)),
        clock_ahead=there - (before + (after - before) / 2),
    )


def warn_of_eviction(queue: Queue, *, clock: Callable[[], datetime]) -> None:
    """Say in the log when Redis may forget what was rung for. Never raises."""
    try:
        facts = ask_queue(queue, clock=clock)
    except Unavailable:
        return  # whoever rings says so
    if facts is not None and facts.evicts:
        log.warning(
            "queue_evicts",
            policy=facts.policy,
            evicted_keys=facts.evicted_keys,
            used_bytes=facts.used_bytes,
            most_bytes=facts.most_bytes,
            consequence="no work is lost, but what Redis forgets waits for the sweeper",
            to_do=TO_DO,
        )

"""How an actor is declared: unbound, with every option stated. There are no defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dramatiq

from schemas.jobs import Job
from service.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Declared:
    """An actor that is not bound to a broker yet.

    `priority`: of what a worker has fetched, the smaller number is performed first.
    `retries` are Dramatiq's own: few, because rows remember and the sweeper rings again.
    `time_limit` is longer than everything the actor may wait for inside.
    `expected` are errors that are logged without traceback: the row says what happens next.
    """

    job: type[Job]
    perform: Callable[[Runtime, Any], None]
    priority: int
    retries: int
    first_pause: timedelta
    longest_pause: timedelta
    time_limit: timedelta
    expected: tuple[type[Exception], ...]

    def bind(self, broker: dramatiq.Broker, runtime: Runtime) -> dramatiq.Actor[..., Any]:
        """Declare the actor on a broker; it reads its job back from the message's ids."""

        def act(**ids: Any) -> None:
            self.perform(runtime, self.job.from_ids(ids))

        declare = dramatiq.actor(
            actor_name=self.job.actor,
            queue_name=self.job.queue,
            broker=broker,
            priority=self.priority,
            max_retries=self.retries,
            min_backoff=_milliseconds(self.first_pause),
            max_backoff=_milliseconds(self.longest_pause),
            time_limit=_milliseconds(self.time_limit),
            throws=self.expected,
        )
        return declare(act)


def _milliseconds(value: timedelta) -> int:
    return int(value.total_seconds() * 1000)

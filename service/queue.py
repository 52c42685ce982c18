"""The doorbell: rings workers for rows that wait. Losing a ring loses time, never work.

A queue is kept short: it holds what workers do in the next seconds, and all the rest waits as rows,
from which the sweeper fills it up with a fair share for everybody (workers/sweeps.py).
"""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from uuid import UUID

import dramatiq
import structlog
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import DramatiqError
from dramatiq.middleware import Middleware, Retries, ShutdownNotifications, TimeLimit

from schemas.jobs import (
    JOBS,
    AdvanceRun,
    AdvanceRunInBulk,
    IngestDeliveries,
    IngestFew,
    IngestOneByOne,
    Job,
    PerformBulk,
    PerformPoll,
    ReadBackDelivery,
    Reconcile,
)
from service.errors import Unavailable

if TYPE_CHECKING:
    from service.redis_broker import QuietRedisBroker

log = structlog.get_logger(__name__)

SILENCE_AFTER_FAILURE_S = 1.0
"""After a failed ring, this long no further ring is tried: the sweeper rings for us anyway,
and the door must not wait for a dead Redis with every group."""

MOST_WAITING: Mapping[type[Job], int] = {
    IngestDeliveries: 40,
    IngestFew: 512,
    IngestOneByOne: 40,
    AdvanceRun: 512,
    AdvanceRunInBulk: 256,
    PerformPoll: 128,
    ReadBackDelivery: 128,
    Reconcile: 128,
    PerformBulk: 128,
}
"""How long a queue may be for jobs of this kind to be put into it: some seconds of work. An ingest
job has up to 100 deliveries. Jobs that are not in `BULK` are held to it by the sweeper alone."""
BULK: frozenset[type[Job]] = frozenset({IngestDeliveries, AdvanceRunInBulk, ReadBackDelivery})
"""Jobs that come in masses and that nobody waits for one by one. They are dropped when the queue is
long: their rows wait, and a source or workflow that is busy cannot stand in front of all others."""


class Queue(Protocol):
    """Where jobs are rung."""

    def ring(self, jobs: Sequence[Job]) -> None:
        """Ask for these jobs. Never raises: rows wait, and the sweeper rings again."""

    def room(self, job: type[Job]) -> int:
        """Give how many of these jobs the sweeper may ring for now. Never raises.

        0 as long as the queue is more than half full, so that it is filled up with many at once and
        each gets its share; and 0 when it does not answer.
        """

    def ping(self) -> None:
        """Ask for a sign of life. Raises Unavailable."""


class InProcessBroker(StubBroker):
    """Dramatiq's in-memory broker, made for tests, without its list of dead letters.

    The list would grow for ever, and nobody reads it: rows remember what failed.
    """

    failures: tuple[type[Exception], ...] = ()
    """What its calls raise beside Dramatiq's own errors: nothing."""

    def __init__(self, *, middleware: list[Middleware]) -> None:
        super().__init__(middleware=middleware)
        self.dead_letters_by_queue = defaultdict(_Dropping)

    def length(self, queue: str) -> int:
        """Give how many messages wait in a queue."""
        waiting: int = self.queues[queue].qsize()
        return waiting

    def wake(self, queues: Iterable[str]) -> None:
        """Do nothing: consumers in the process wait for the message itself."""

    def get_declared_delay_queues(self) -> set[str]:
        """Give none; see service/redis_broker.py."""
        return set()


class _Dropping(list[Any]):
    """A list that keeps nothing."""

    def append(self, _item: object, /) -> None:
        """Let the item go."""


AnyBroker: TypeAlias = "InProcessBroker | QuietRedisBroker"


def make_broker(redis_url: str | None, *, namespace: str = "hookwright") -> AnyBroker:
    """Build the broker: over Redis when an address is given, else in the process.

    Every queue of schemas/jobs.py is declared, so that ringing needs no actor to be imported.
    Nothing connects yet. Raises ConfigurationError for an address that cannot be used.
    """
    middleware: list[Middleware] = [TimeLimit(), ShutdownNotifications(), Retries()]
    broker: AnyBroker
    if redis_url is None:
        broker = InProcessBroker(middleware=middleware)
    else:
        # Only here: what speaks to Redis takes a while to load, and many installations have none.
        from service.redis_broker import make_redis_broker  # noqa: PLC0415

        broker = make_redis_broker(redis_url, namespace=namespace, middleware=middleware)
    for queue in sorted({job.queue for job in JOBS}):
        broker.declare_queue(queue)
    return broker


class DramatiqQueue:
    """Rings through a Dramatiq broker."""

    def __init__(
        self, broker: AnyBroker, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.broker = broker
        self._monotonic = monotonic
        self._silent_until = 0.0
        self._is_unheard = False
        self._failures: tuple[type[Exception], ...] = (DramatiqError, OSError, *broker.failures)

    def ring(self, jobs: Sequence[Job]) -> None:
        """Ask for these jobs. Never raises: rows wait, and the sweeper rings again."""
        if self._is_silent():
            return
        try:
            lengths: dict[str, int] = {}
            rung: set[str] = set()
            for job in jobs:
                if type(job) in BULK:
                    if job.queue not in lengths:
                        lengths[job.queue] = self.broker.length(job.queue)
                    if lengths[job.queue] >= MOST_WAITING[type(job)]:
                        continue
                    lengths[job.queue] += 1
                self.broker.enqueue(to_message(job))
                rung.add(job.queue)
        except self._failures as error:
            self._fall_silent(error, jobs=len(jobs))
        else:
            self._wake(rung)

    def _wake(self, queues: Iterable[str]) -> None:
        """Let idle workers look at once. What was put into the queues stands there all the same."""
        try:
            if queues:
                self.broker.wake(queues)
        except self._failures as error:
            if not self._is_unheard:
                self._is_unheard = True
                log.warning(
                    "queue_wake_failed",
                    error=str(error),
                    consequence="idle workers look by themselves, up to half a second later",
                    to_do="let the user of HOOKWRIGHT_REDIS_URL publish (ACL: `+publish` and the "
                    "channels of the namespace)",
                )

    def room(self, job: type[Job]) -> int:
        """Give how many of these jobs the sweeper may ring for now. Never raises."""
        if self._is_silent():
            return 0
        try:
            length = self.broker.length(job.queue)
        except self._failures as error:
            self._fall_silent(error, jobs=0)
            return 0
        most = MOST_WAITING[job]
        return most - length if length <= most // 2 else 0

    def _is_silent(self) -> bool:
        return self._monotonic() < self._silent_until

    def _fall_silent(self, error: Exception, *, jobs: int) -> None:
        self._silent_until = self._monotonic() + SILENCE_AFTER_FAILURE_S
        log.warning(
            "queue_ring_failed",
            jobs=jobs,
            error=str(error),
            consequence="nothing is lost; the sweeper rings again when the queue is back",
        )

    def ping(self) -> None:
        """Ask for a sign of life. Raises Unavailable."""
        client = getattr(self.broker, "client", None)
        if client is None:
            return
        try:
            client.ping()
        except self._failures as error:
            raise Unavailable(f"Redis does not answer: {error}") from error


class UnheardQueue:
    """For a receiver without Redis: there are no workers in its process to ring.

    Workers in other processes find the rows when their sweeper looks, some seconds later.
    """

    def ring(self, jobs: Sequence[Job]) -> None:
        """Do nothing: the rows wait."""

    def room(self, _job: type[Job]) -> int:
        """There is no room: nobody would hear it."""
        return 0

    def ping(self) -> None:
        """There is nothing that could be away."""


def to_message(job: Job) -> dramatiq.Message[Any]:
    """Give the queue message of a job: ids as text, nothing else."""
    return dramatiq.Message(
        queue_name=job.queue,
        actor_name=job.actor,
        args=(),
        kwargs={field.name: _plain(getattr(job, field.name)) for field in dataclasses.fields(job)},
        options={},
    )


def _plain(value: UUID | Iterable[UUID]) -> str | list[str]:
    if isinstance(value, UUID):
        return str(value)
    return [str(item) for item in value]

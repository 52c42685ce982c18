"""What every use case is given: the database, the queue, the vendors, the clock."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from schemas.clock import Clock, utc_now
from schemas.ids import new_id
from service.actions import Actions, AnyAction
from service.call_rates import RateKeeper, Slots
from service.connections import Connections
from service.db import Database
from service.queue import Queue
from service.settings import Effects, Settings
from service.store import runs as runs_store
from service.vendors import BY_NAME
from service.vendors.base import Vendor
from service.versions import Versions

UNSURE_S = 0.5
"""So long before a lease ends nothing is begun any more by what it holds."""
SILENCE_S = 3.0
"""The scheduler asks the database every second or sooner. When nothing came back for so long, the
database was away, or this process was stopped."""
HOLD_BACK_S = 6.0
"""So long after such a silence nothing is taken over from workers that seem lost: they may have
heard nothing either, and renew their leases now."""


@dataclass(slots=True)
class _Lease:
    """A lease that a thread holds: how long it lasts, and until when (monotonic) it surely does."""

    lasts: timedelta
    until: float


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{new_id().hex[-12:]}"


@dataclass(slots=True)
class Runtime:
    """The parts of a running installation.

    `owner` names this process in leases; `stopping` is set when it shall finish what it holds.
    """

    database: Database
    queue: Queue
    settings: Settings
    connections: Connections
    vendors: Mapping[str, Vendor] = field(default_factory=lambda: BY_NAME)
    clock: Clock = utc_now
    jitter: Callable[[], float] = random.random
    owner: str = field(default_factory=_owner)
    versions: Versions = field(default_factory=lambda: Versions(runs_store.current_versions))
    stopping: threading.Event = field(default_factory=threading.Event)
    monotonic: Callable[[], float] = time.monotonic
    actions: Mapping[str, AnyAction] = field(init=False)
    _leases: dict[str, _Lease] = field(init=False, default_factory=dict)
    _leases_lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    _heard_at: float | None = field(init=False, default=None)
    _hold_back_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.actions = Actions(self.vendors)

    @contextmanager
    def holding(self, lasts: timedelta) -> Iterator[str]:
        """Give a lease's owner that is kept alive for as long as this thread is in the block.

        Each taking of a run has an owner of its own: what no thread carries on any more is given
        up, and two threads of one process cannot take one another's run for theirs. `lasts` is how
        long what is taken stays ours unless it is renewed.
        """
        lease = f"{self.owner}/{new_id().hex[-12:]}"
        kept = _Lease(lasts, self.monotonic() + lasts.total_seconds())
        with self._leases_lock:
            self._leases[lease] = kept
        try:
            yield lease
        finally:
            with self._leases_lock:
                del self._leases[lease]

    def leases(self) -> tuple[str, ...]:
        """Give the owners of all leases that threads of this process hold."""
        with self._leases_lock:
            return tuple(self._leases)

    def renewed(self, leases: Iterable[str], at: float) -> None:
        """Note that these leases were renewed; `at` is when that was begun (monotonic)."""
        with self._leases_lock:
            for lease in leases:
                kept = self._leases.get(lease)
                if kept is not None:
                    kept.until = at + kept.lasts.total_seconds()

    def surely_holds(self, lease: str) -> bool:
        """Say whether nobody else can have taken what this lease holds.

        False after this process was stopped for a while, or could not renew it.
        """
        with self._leases_lock:
            kept = self._leases.get(lease)
        return kept is not None and self.monotonic() < kept.until - UNSURE_S

    def database_answered(self) -> None:
        """Note that the database answers; told every second or sooner by whoever takes over."""
        now = self.monotonic()
        if self._heard_at is None or now - self._heard_at > SILENCE_S:
            self._hold_back_until = now + HOLD_BACK_S
        self._heard_at = now

    def database_answers_still(self) -> None:
        """Note the same in the midst of asking, which takes long where much is to be done."""
        if self._heard_at is not None:
            self.database_answered()

    def may_take_over(self) -> bool:
        """Say whether a lease that ran out tells that its worker is lost.

        It tells nothing just after the database was away.
        """
        if self._heard_at is None:
            return True
        now = self.monotonic()
        return now - self._heard_at <= SILENCE_S and now >= self._hold_back_until

    def run_url(self, run_id: UUID) -> str | None:
        """Give where people see a run; None when the installation does not know its address."""
        public_url = self.settings.public_url
        return None if public_url is None else f"{public_url.rstrip('/')}/runs/{run_id}"

    @property
    def shadow(self) -> bool:
        """Say whether effects are only recorded, in the whole installation."""
        return self.settings.effects is Effects.SHADOW


def make_runtime(settings: Settings, database: Database, queue: Queue) -> Runtime:
    """Put the parts together. Raises ConfigurationError when there is no secret key."""
    slots: Callable[[str], Slots] | None = None
    if settings.redis_url:
        from service.shared_rates import shared_slots  # noqa: PLC0415  # see service/queue.py

        slots = shared_slots(settings.redis_url, namespace=settings.redis_namespace)
    return Runtime(
        database=database,
        queue=queue,
        settings=settings,
        connections=Connections(
            settings.required_secret_keys(),
            private_addresses=settings.private_addresses,
            rates=RateKeeper(slots),
        ),
    )

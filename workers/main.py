"""The composition root of the workers: binds actors to a broker and runs them in this process."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import structlog
from dramatiq.worker import Worker

from service.database_clock import DatabaseClock
from service.db import Database
from service.queue import AnyBroker, DramatiqQueue
from service.runtime import Runtime, make_runtime
from service.settings import Settings
from service.store import leased, leases, runs
from service.unit_of_work import unit_of_work
from workers.actors import ACTORS
from workers.chores import CHORES, Housekeeper
from workers.scheduler import Scheduler

log = structlog.get_logger(__name__)

WORKER_TIMEOUT_MS = 500
"""A job wakes its consumer at once; this only bounds how long stopping takes, and what is lost with
a message of Redis's that was not heard."""
HEARTBEAT_FILE = "worker.alive"
STEPS_SHARE = 0.9
"""How much of the time to stop in steps may take; the rest is for consumers and the broker."""


@dataclass(slots=True)
class Running:
    """Workers that are running in this process."""

    runtime: Runtime
    worker: Worker
    scheduler: Scheduler
    housekeeper: Housekeeper
    heartbeat_file: Path
    _ending: threading.Thread | None = None

    def begin_to_stop(self) -> None:
        """Take nothing new from now on. Does not wait; the time to stop in begins now."""
        if self._ending is None:
            self.runtime.stopping.set()
            self._ending = threading.Thread(
                target=self._end, args=(time.monotonic(),), name="workers-ending"
            )
            self._ending.start()

    def stop(self) -> None:
        """Finish the steps under way, leave the rest to others, and end.

        Takes `shutdown_seconds` at most, counted from `begin_to_stop` when that came before.
        """
        self.begin_to_stop()
        if self._ending is not None:
            self._ending.join()
        self.heartbeat_file.unlink(missing_ok=True)
        log.info("workers_stopped")

    def _end(self, began: float) -> None:
        self.housekeeper.stop()
        self.scheduler.stop_ringing()
        limit = self.runtime.settings.shutdown_seconds * STEPS_SHARE
        left = max(0.0, began + limit - time.monotonic())
        self.worker.stop(timeout=int(left * 1000))
        # Until here the leases of the calls under way are kept: nobody may begin them once more.
        self.scheduler.stop()


def setup(broker: AnyBroker, runtime: Runtime) -> None:
    """Bind every actor to the broker."""
    for actor in ACTORS:
        actor.bind(broker, runtime)


def start(
    settings: Settings, database: Database, broker: AnyBroker, *, alone: bool = False
) -> Running:
    """Start the workers and the scheduler in this process.

    `alone`: it is certain that no other process works on this database. What the one before it held
    goes on at once. Raises ConfigurationError when there is no secret key.
    """
    runtime = make_runtime(settings, database, DramatiqQueue(broker))
    clock = None if database.is_sqlite else DatabaseClock(database)
    if clock is not None:
        clock.adjust()
        runtime.clock = clock
    setup(broker, runtime)
    settings.make_data_dir()
    heartbeat_file = settings.data_dir / HEARTBEAT_FILE
    worker = Worker(
        broker, worker_threads=settings.worker_threads, worker_timeout=WORKER_TIMEOUT_MS
    )
    if alone:
        _free_all(runtime)
    scheduler = Scheduler(runtime, heartbeat_file=heartbeat_file, alone=alone, clock=clock)
    worker.start()
    scheduler.start()
    housekeeper = Housekeeper(runtime, CHORES, scheduler.is_leader)
    housekeeper.start()
    # What is loaded stays: looking through it for garbage again and again cost a tenth of the time.
    gc.freeze()
    log.info("workers_started", threads=settings.worker_threads, owner=runtime.owner)
    return Running(runtime, worker, scheduler, housekeeper, heartbeat_file)


def _free_all(runtime: Runtime) -> None:
    """Take everything from the process before this one: it is known to be gone."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        runs.free_all(work.session, now=now)
        leased.free_all(work.session, now=now)
        leases.free_all(work.session)

"""The sweeper and the timers: one leader rings for rows whose time has come.

Waits, retries, polls and lost bells look the same from here: a row with a due time. The leader is
whoever holds a lease in the database; when it dies, another takes over after `LEADER_LEASE`.
Every process also keeps the leases of the runs it carries on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from schemas.jobs import AdvanceRun, IngestDeliveries, PerformPoll, Reconcile
from service.db import Session
from service.errors import HookwrightError
from service.reconcile_request import start_due
from service.runs import LEASE
from service.runtime import Runtime
from service.scheduling import keep_in_step
from service.scheduling import start_due as start_schedules
from service.store import (
    deliveries,
    gates,
    leased,
    leases,
    polls,
    reconciliations,
    runs,
    schedules,
)
from service.unit_of_work import unit_of_work
from service.versions import Version

log = structlog.get_logger(__name__)

LEADER = "scheduler"
LEADER_LEASE = timedelta(seconds=5)
RENEW_AFTER = timedelta(seconds=2)
TICK_S = 0.5
HEARTBEAT_S = 4.0
RING_AGAIN = timedelta(seconds=10)
"""How soon a row is rung for again when nobody came: the bound on a lost bell."""
TIDY_EVERY = timedelta(minutes=1)
BATCH = 500
JOB_SIZE = 100


class Scheduler:
    """Two threads: one rings while it is the leader, one keeps this process's leases."""

    def __init__(self, runtime: Runtime, *, heartbeat_file: Path | None = None) -> None:
        self._runtime = runtime
        self._heartbeat_file = heartbeat_file
        self._stop = threading.Event()
        self._renew_at = datetime.min.replace(tzinfo=UTC)
        self._leads_until = datetime.min.replace(tzinfo=UTC)
        self._tidy_at = datetime.min.replace(tzinfo=UTC)
        self._versions: Sequence[Version] | None = None
        self._threads = (
            threading.Thread(target=self._every, args=(TICK_S, self.ring_due), name="scheduler"),
            threading.Thread(target=self._every, args=(HEARTBEAT_S, self.beat), name="heartbeat"),
        )

    def start(self) -> None:
        """Begin to ring and to beat."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads and give the leadership back."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        runtime = self._runtime
        try:
            with unit_of_work(runtime.database, runtime.queue) as work:
                leases.release(work.session, LEADER, runtime.owner)
        except HookwrightError:
            log.warning("leadership_not_returned", consequence="it runs out by itself")

    def ring_due(self) -> int:
        """Ring for everything that is due, if this process is the leader; gives how much."""
        runtime = self._runtime
        now = runtime.clock()
        with unit_of_work(runtime.database, runtime.queue) as work:
            session = work.session
            if not self._leads(session, now):
                return 0
            due = deliveries.ring_due(session, now=now, again=RING_AGAIN, limit=BATCH)
            for start in range(0, len(due), JOB_SIZE):
                work.ring(IngestDeliveries(tuple(due[start : start + JOB_SIZE])))
            due_runs = runs.ring_due(session, now=now, again=RING_AGAIN, limit=BATCH)
            for run_id in due_runs:
                work.ring(AdvanceRun(run_id))
            due_polls = polls.ring_due(session, now=now, again=RING_AGAIN, limit=BATCH)
            for poll_id in due_polls:
                work.ring(PerformPoll(poll_id))
            begun = start_due(runtime, work, now=now, limit=BATCH)
            compared = reconciliations.ring_due(session, now=now, again=RING_AGAIN, limit=BATCH)
            for reconciliation_id in compared:
                work.ring(Reconcile(reconciliation_id))
            versions = runtime.versions.current(session)
            if versions is not self._versions:
                keep_in_step(session, versions, now=now)
            due_schedules = schedules.due(session, now=now, limit=BATCH)
            if now >= self._tidy_at:
                gates.forget_gates(session, now=now, limit=BATCH)
                self._tidy_at = now + TIDY_EVERY
            rung = len(due) + len(due_runs) + len(due_polls) + begun + len(compared)
        self._versions = versions
        return rung + start_schedules(runtime, due_schedules)

    def _leads(self, session: Session, now: datetime) -> bool:
        # Two leaders for a moment would only ring twice, so a lease that is still good is not
        # renewed with every tick: an idle installation should not write all the time.
        if now < self._renew_at:
            return True
        leads = leases.acquire(session, LEADER, self._runtime.owner, now=now, ttl=LEADER_LEASE)
        if leads:
            self._renew_at = now + RENEW_AFTER
            self._leads_until = now + LEADER_LEASE
        return leads

    def is_leader(self) -> bool:
        """Say whether this process is the one that rings, as far as it can know by itself."""
        return self._runtime.clock() < self._leads_until

    def beat(self) -> None:
        """Keep what this process is working on, and show that it is alive."""
        runtime = self._runtime
        held = runtime.leases()
        if held:
            began = runtime.monotonic()
            with unit_of_work(runtime.database, runtime.queue) as work:
                now = runtime.clock()
                renewed = runs.extend_leases(work.session, held, now=now, ttl=LEASE)
                renewed |= leased.extend(work.session, held, now=now, ttl=leased.LEASE)
            runtime.renewed(renewed, began)
        if self._heartbeat_file is not None:
            self._heartbeat_file.touch()

    def _every(self, seconds: float, act: Callable[[], object]) -> None:
        while not self._stop.is_set():
            try:
                act()
            except HookwrightError as error:
                log.warning("scheduler_paused", error=error.message, again_in_s=seconds)
            except Exception:
                # The outermost frame of the thread: a fault must not end the timers for good.
                log.exception("scheduler_faulty", again_in_s=seconds)
            self._stop.wait(seconds)

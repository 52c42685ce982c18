"""The sweeper and the timers: one leader rings for rows whose time has come.

Waits, retries, polls and lost bells look the same from here: a row with a due time. The leader is
whoever holds a lease in the database; when it dies, another takes over after `LEADER_LEASE`. What
is rung for is in sweeps.py. Every process also keeps the leases of what it carries on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog

from service.database_clock import DatabaseClock
from service.db import Session
from service.errors import HookwrightError, Unavailable
from service.faults import note_fault
from service.reconcile_request import start_due
from service.runs import LEASE
from service.runtime import Runtime
from service.scheduling import keep_in_step
from service.scheduling import start_due as start_schedules
from service.store import gates, leased, leases, reconciliations, runs, schedules
from service.store.next_due import look_ahead
from service.store.sweeping import Due
from service.unit_of_work import reading, unit_of_work
from service.versions import MARK, Version
from workers.sweeps import RING_AGAIN, SWEEPS, Moment, Sweep

log = structlog.get_logger(__name__)

LEADER = "scheduler"
LEADER_LEASE = timedelta(seconds=5)
RENEW_AFTER = timedelta(seconds=2)
TIMES_ALONE = 3
"""Where no other process can lead, leadership is written down so many times as seldom."""
TICK_S = 0.5
QUIET_TICK_S = 1.0
"""Where nothing is due sooner: what comes in between is rung for by whoever brings it."""
BACKLOG_TICK_S = 0.1
"""While more waits than a queue takes, it is looked this often whether there is room again."""
HEARTBEAT_S = 2.0
AGAIN_S = 0.25
"""After a heartbeat that failed: the database may be back any moment."""
FAULT_PAUSE_S = 10.0
"""So long a part of the timers that failed by a fault of ours is left out."""
TIDY_EVERY = timedelta(minutes=1)
BATCH = 500
LOOK_ANYWAY = timedelta(seconds=5)
"""So often everything is looked through, also when nothing seems to be due."""


@dataclass(slots=True)
class _Found:
    """What one look into the database has found."""

    due: dict[Sweep, Due] = field(default_factory=dict)
    compare: bool = False
    versions: Sequence[Version] | None = None
    schedules: Sequence[UUID] = ()


class Scheduler:
    """Two threads: one rings while it is the leader, one keeps this process's leases.

    `clock` is kept in step with the database's. `alone`: no other process works on this database,
    so that what the one before it has rung for is rung for again at once.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        heartbeat_file: Path | None = None,
        sweeps: Sequence[Sweep] = SWEEPS,
        alone: bool = False,
        clock: DatabaseClock | None = None,
    ) -> None:
        self._runtime = runtime
        self._heartbeat_file = heartbeat_file
        self._clock = clock
        self._sweeps = sweeps
        self._alone = alone
        self._early = set(sweeps) if alone else set[Sweep]()
        self._backlog: set[Sweep] = set()
        self._room: dict[Sweep, int] = {}
        self._left_out_until: dict[str, float] = {}
        self._no_ringing = threading.Event()
        self._no_beating = threading.Event()
        self._renew_at = self._leads_until = self._tidy_at = datetime.min.replace(tzinfo=UTC)
        self._look_at = self._renew_at
        self._mark: int | None = None
        self._tick_s = TICK_S
        self._versions: Sequence[Version] | None = None
        self._ringing = threading.Thread(target=self._ring, name="scheduler")
        self._beating = threading.Thread(target=self._beat, name="heartbeat")

    def start(self) -> None:
        """Begin to ring and to beat."""
        self._ringing.start()
        self._beating.start()

    def stop_ringing(self) -> None:
        """Ring no more and give the leadership back; what this process holds is still kept."""
        self._no_ringing.set()
        self._ringing.join()
        runtime = self._runtime
        try:
            with unit_of_work(runtime.database, runtime.queue) as work:
                leases.release(work.session, LEADER, runtime.owner)
        except HookwrightError:
            log.warning("leadership_not_returned", consequence="it runs out by itself")

    def stop(self) -> None:
        """End both threads."""
        if not self._no_ringing.is_set():
            self.stop_ringing()
        self._no_beating.set()
        self._beating.join()

    # --- the leader ---------------------------------------------------------------------------

    def is_leader(self) -> bool:
        """Say whether this process is the one that rings, as far as it can know by itself."""
        return self._runtime.clock() < self._leads_until

    def _leads(self, now: datetime) -> bool:
        # Two leaders for a moment would only ring twice, so a lease that is still good is not
        # renewed with every tick: an idle installation should not write all the time.
        if now < self._renew_at:
            return True
        runtime = self._runtime
        with unit_of_work(runtime.database, runtime.queue) as work:
            times = TIMES_ALONE if self._alone else 1
            ttl = LEADER_LEASE * times
            leads = leases.acquire(work.session, LEADER, runtime.owner, now=now, ttl=ttl)
        if leads:
            self._renew_at = now + RENEW_AFTER * times
            self._leads_until = now + ttl
        return leads

    # --- ringing ------------------------------------------------------------------------------

    def ring_due(self) -> int:
        """Ring for everything that is due, if this process is the leader; gives how much."""
        now = self._runtime.clock()
        if not self._leads(now):
            return 0
        if self._is_quiet(now):
            return 0
        # In a backlog nothing is looked for that there is no room for.
        self._room = {sweep: self._room_for(sweep) for sweep in self._backlog}
        found = self._look(now)
        rung = sum(
            self._try(sweep.name, partial(self._sweep, sweep, due, now))
            for sweep, due in found.due.items()
        )
        if found.compare:
            rung += self._try("comparisons", partial(self._start_comparisons, now))
        if found.versions is not None and found.versions is not self._versions:
            self._try("schedules in step", partial(self._keep_in_step, found.versions, now))
        if found.schedules:
            start = partial(start_schedules, self._runtime, found.schedules)
            rung += self._try("schedules", start)
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_EVERY
            self._try("gates", partial(self._forget_gates, now))
        return rung

    def _is_quiet(self, now: datetime) -> bool:
        """Say whether nothing is to be done: by one question, as long as there is no backlog."""
        self._tick_s = TICK_S
        if self._backlog or self._early or now >= min(self._look_at, self._tidy_at):
            self._look_at = now + LOOK_ANYWAY
            return False
        try:
            with reading(self._runtime.database) as session:
                ahead = look_ahead(session, MARK)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001  # the kind it came from fails again by itself, and is told
            return False
        self._runtime.database_answers_still()
        is_quiet = ahead.is_quiet(now, self._mark)
        self._mark = ahead.mark
        soon = now + timedelta(seconds=QUIET_TICK_S)
        if is_quiet and (ahead.due_at is None or ahead.due_at > soon):
            self._tick_s = QUIET_TICK_S
        return is_quiet

    def _room_for(self, sweep: Sweep) -> int:
        return self._runtime.queue.room(sweep.job) * sweep.size

    def _look(self, now: datetime) -> _Found:
        """Look once for everything, by reading alone."""
        found = _Found()
        runtime = self._runtime
        parts: dict[str, Callable[[Session], None]] = {}
        for sweep in self._sweeps:
            parts[sweep.name] = partial(self._find, found, sweep, now)
        parts["comparisons"] = partial(_find_comparisons, found, now)
        parts["schedules"] = partial(_find_schedules, found, runtime, now)
        parts = {name: find for name, find in parts.items() if not self._is_left_out(name)}
        try:
            with reading(runtime.database) as session:
                for find in parts.values():
                    find(session)
            runtime.database_answers_still()
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001  # the part it came from fails again, and is told
            for name, find in parts.items():
                self._try(name, partial(self._look_alone, find))
        return found

    def _look_alone(self, find: Callable[[Session], None]) -> int:
        with reading(self._runtime.database) as session:
            find(session)
        return 0

    def _find(self, found: _Found, sweep: Sweep, now: datetime, session: Session) -> None:
        limit = min(sweep.most, self._room.get(sweep, sweep.most))
        found.due[sweep] = sweep.find(session, self._moment(sweep, now), limit)

    def _moment(self, sweep: Sweep, now: datetime) -> Moment:
        by = now + RING_AGAIN if sweep in self._early else now
        return Moment(by=by, until=now + RING_AGAIN, lost=self._runtime.may_take_over())

    def _sweep(self, sweep: Sweep, due: Due, now: datetime) -> int:
        """Put off what was found, as far as there is room for it, and ring for it."""
        moment = self._moment(sweep, now)
        room = self._room.get(sweep)
        if room is None:
            room = self._room_for(sweep) if due.many else sweep.most
        many = due.many[:room]
        if len(many) >= min(room, sweep.most):
            self._backlog.add(sweep)
        else:
            self._backlog.discard(sweep)
            self._early.discard(sweep)
        for ids, few in ((due.few, True), (many, False)):
            if ids:
                self._put_off(sweep, ids, moment, few)
        return len(due.few) + len(many)

    def _put_off(
        self,
        sweep: Sweep,
        ids: Sequence[UUID],
        moment: Moment,
        few: bool,  # noqa: FBT001  # Sweep's
    ) -> None:
        runtime = self._runtime
        with unit_of_work(runtime.database, runtime.queue) as work:
            for job in sweep.put_off(work.session, ids, moment, few):
                work.ring(job)

    def _start_comparisons(self, now: datetime) -> int:
        runtime = self._runtime
        with unit_of_work(runtime.database, runtime.queue) as work:
            return start_due(runtime, work, now=now, limit=BATCH)

    def _keep_in_step(self, versions: Sequence[Version], now: datetime) -> int:
        runtime = self._runtime
        with unit_of_work(runtime.database, runtime.queue) as work:
            keep_in_step(work.session, versions, now=now)
        self._versions = versions
        return 0

    def _forget_gates(self, now: datetime) -> int:
        runtime = self._runtime
        with unit_of_work(runtime.database, runtime.queue) as work:
            return gates.forget_gates(work.session, now=now, limit=BATCH)

    def _is_left_out(self, name: str) -> bool:
        return self._runtime.monotonic() < self._left_out_until.get(name, 0.0)

    def _try(self, name: str, act: Callable[[], int]) -> int:
        """Do a part of the work. What is wrong with it must not stop the other parts."""
        if self._is_left_out(name):
            return 0
        try:
            done = act()
            self._runtime.database_answers_still()
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # note_fault logs it
            note_fault(error, "sweep_faulty", part=name)
            self._left_out_until[name] = self._runtime.monotonic() + FAULT_PAUSE_S
            return 0
        return done

    # --- leases -------------------------------------------------------------------------------

    def beat(self) -> None:
        """Keep what this process is working on, and show that it is alive."""
        runtime = self._runtime
        if self._clock is not None:
            self._clock.adjust()
        held = runtime.leases()
        if held:
            began = runtime.monotonic()
            with unit_of_work(runtime.database, runtime.queue) as work:
                now = runtime.clock()
                renewed = runs.extend_leases(work.session, held, now=now, ttl=LEASE)
                renewed |= leased.extend(work.session, held, now=now, ttl=leased.LEASE)
                renewed |= leases.extend(work.session, held, now=now, ttl=LEASE)
            runtime.renewed(renewed, began)
        if self._heartbeat_file is not None:
            self._heartbeat_file.touch()

    # --- threads ------------------------------------------------------------------------------

    def _ring(self) -> None:
        while not self._no_ringing.is_set():
            if self._go_on(self.ring_due, TICK_S) and not self._alone:
                self._runtime.database_answered()
            self._rest()

    def _rest(self) -> None:
        """Wait for the next tick; in a backlog no longer than until there is room again."""
        if not self._backlog:
            self._no_ringing.wait(self._tick_s)
            return
        runtime = self._runtime
        end = runtime.monotonic() + TICK_S
        while not self._no_ringing.wait(BACKLOG_TICK_S) and runtime.monotonic() < end:
            if any(runtime.queue.room(sweep.job) for sweep in self._backlog):
                return

    def _beat(self) -> None:
        while not self._no_beating.is_set():
            is_good = self._go_on(self.beat, AGAIN_S)
            self._no_beating.wait(HEARTBEAT_S if is_good else AGAIN_S)

    @staticmethod
    def _go_on(act: Callable[[], object], again_in_s: float) -> bool:
        """Act, whatever comes of it; False when it could not be done."""
        try:
            act()
        except HookwrightError as error:
            log.warning("scheduler_paused", error=error.message, again_in_s=again_in_s)
        except Exception as error:  # noqa: BLE001  # note_fault logs it
            # The outermost frame of the thread: a fault must not end the timers for good.
            note_fault(error, "scheduler_faulty", again_in_s=again_in_s)
        else:
            return True
        return False


def _find_comparisons(found: _Found, now: datetime, session: Session) -> None:
    found.compare = reconciliations.sources_are_due(session, now=now)


def _find_schedules(found: _Found, runtime: Runtime, now: datetime, session: Session) -> None:
    found.versions = runtime.versions.current(session)
    found.schedules = schedules.due(session, now=now, limit=BATCH)

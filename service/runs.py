"""Carry a run on: take it, and between its steps (service/carrying.py) call outside and record.

A run is carried on by one worker at a time, which holds its lease. Everything that was decided is
committed before anything is called, and the call is made with no transaction open; so whoever takes
the run over after a crash reads from its rows how far it came.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog

from schemas.storable import storable
from schemas.workflow import RunError, RunStatus, StepStatus
from service import admission, branches, effects, questions
from service.carrying import Again, Begun, go_on, put_in_doubt, record_outcome
from service.doubts import settle_by_answer
from service.effects import Result
from service.ending import give_up
from service.errors import Unavailable
from service.faults import note_fault
from service.losses import MOST_LOSSES, SUSPECT_AFTER_RINGS, said_of
from service.lost_commits import take_back_uncalled
from service.resting import await_person, release
from service.routing import announcer
from service.runtime import Runtime
from service.store import runs as store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork, unit_of_work
from service.versions import Version
from service.workflows.decisions import (
    Finish,
    Perform,
    Succeeded,
)
from service.workflows.gates import gates_of

T = TypeVar("T")

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=8)
"""How long a run stays with a worker that says nothing; workers/scheduler.py renews it."""
OUTAGE_PATIENCE_S = 60.0
FIRST_OUTAGE_PAUSE_S = 0.2
LONGEST_OUTAGE_PAUSE_S = 2.0
MOST_FAILURES = 5
FIRST_PAUSE = timedelta(seconds=2)


def advance_run(runtime: Runtime, run_id: UUID) -> None:
    """Carry a run on until it ends or has to wait. Safe to call twice and at the same time."""
    with runtime.holding(LEASE) as lease:
        _carry_on(runtime, run_id, lease, lambda: _surely(runtime, run_id, lease, _take))


class NewRun:
    """A run that is carried on from the transaction that makes it: a commit less before it calls.

    `begin` belongs into that transaction, `go_on` behind its end. To be held by `lease` meanwhile.
    """

    def __init__(self, runtime: Runtime, lease: str) -> None:
        self._runtime = runtime
        self._lease = lease
        self._run_id: UUID | None = None
        self._begun: Begun | Again | None = None

    def begin(self, work: UnitOfWork, run_id: UUID) -> bool:
        """Carry the run on to its first call; False when it is to be begun like any other."""
        runtime = self._runtime
        run = store.load_new(work.session, run_id)
        version = runtime.versions.open(run.row.workflow, run.version)
        if work.holds_others or gates_of(version.document):
            return False
        store.hold(run, owner=self._lease, now=runtime.clock(), ttl=LEASE)
        self._run_id = run_id
        self._begun = go_on(runtime, work, run)
        return True

    def go_on(self, *, is_lost: bool = False) -> None:
        """Make the call and carry on. `is_lost`: the answer to the commit was lost."""
        run_id, lease = self._run_id, self._lease
        if run_id is None:
            return

        def begin() -> Begun | Again | None:
            if not is_lost:
                return self._begun
            care = partial(_take_with_care, self._runtime, run_id, lease, is_lost=True)
            return _patiently(self._runtime, care)

        _carry_on(self._runtime, run_id, lease, begin)


def _carry_on(
    runtime: Runtime, run_id: UUID, lease: str, begin: Callable[[], Begun | Again | None]
) -> None:
    try:
        begun = begin()
        while begun is not None:
            if isinstance(begun, Again):
                begun = _surely(runtime, run_id, lease, _resume)
                continue
            result = effects.perform(
                begun.call,
                runtime.database,
                now=runtime.clock(),
                may_send=lambda: runtime.surely_holds(lease),
            )
            begun = _settle_patiently(runtime, run_id, lease, begun, result)
    except Unavailable:
        # The lease is not renewed any more: somebody goes on when the database is back.
        raise
    except Exception as error:
        # The outermost frame of a run: a fault of ours must not make it come back for ever.
        note_fault(error, "run_not_advanced", run_id=str(run_id))
        _set_aside(runtime, run_id, lease, error)
        raise


def _take(runtime: Runtime, run_id: UUID, lease: str) -> Begun | Again | None:
    version: Version | None = None
    with unit_of_work(runtime.database, runtime.queue) as work:
        run = _claim(runtime, work, run_id, lease)
        if run is None:
            return None
        losses = run.row.losses
        if losses == 0 and run.row.rings <= SUSPECT_AFTER_RINGS:
            version = runtime.versions.open(run.row.workflow, run.version)
            if not admission.stands_before_gate(work, run, version):
                return go_on(runtime, work, run)
    if losses >= MOST_LOSSES:
        _fail(
            runtime, run_id, lease, RunError(step="", code="worker_lost", message=said_of(losses))
        )
        return None
    if version is None:
        return _take_with_care(runtime, run_id, lease)
    return _pass_gates(runtime, run_id, version, lease)


def _surely(
    runtime: Runtime,
    run_id: UUID,
    lease: str,
    begin: Callable[[Runtime, UUID, str], Begun | Again | None],
) -> Begun | Again | None:
    """Begin with a run, and find out what became of a commit whose answer was lost."""
    try:
        return begin(runtime, run_id, lease)
    except Unavailable as error:
        if not error.perhaps_done:
            raise
    return _patiently(runtime, lambda: _take_with_care(runtime, run_id, lease, is_lost=True))


def _take_with_care(
    runtime: Runtime, run_id: UUID, lease: str, *, is_lost: bool = False
) -> Begun | Again | None:
    """Go on when the taking is committed: it counts, should this worker be lost with it too.

    `is_lost`: the answer to an earlier commit of this thread was lost; what that has begun was
    never called.
    """
    with unit_of_work(runtime.database, runtime.queue) as work:
        run = store.reload_held(work.session, run_id, owner=lease)
        if run is None:
            return None
        if is_lost and not run.row.losses and not run.row.failures:
            # Else what is under way may be what another worker has begun, and called.
            take_back_uncalled(work, run, runtime.clock())
        version = runtime.versions.open(run.row.workflow, run.version)
        if not admission.stands_before_gate(work, run, version):
            return go_on(runtime, work, run)
    return _pass_gates(runtime, run_id, version, lease)


def _pass_gates(
    runtime: Runtime, run_id: UUID, version: Version, lease: str
) -> Begun | Again | None:
    if not admission.pass_gates(runtime, run_id, version, lease):
        return None
    return _resume(runtime, run_id, lease)


def _claim(runtime: Runtime, work: UnitOfWork, run_id: UUID, lease: str) -> LoadedRun | None:
    return store.claim(
        work.session,
        run_id,
        owner=lease,
        now=runtime.clock(),
        ttl=LEASE,
        lost=runtime.may_take_over(),
    )


def _resume(runtime: Runtime, run_id: UUID, lease: str) -> Begun | Again | None:
    """Go on in a new transaction with a run that this worker holds."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        run = store.reload_held(work.session, run_id, owner=lease)
        return None if run is None else go_on(runtime, work, run)


def _settle_patiently(
    runtime: Runtime, run_id: UUID, lease: str, begun: Begun, result: Result
) -> Begun | Again | None:
    """Record what came of a call, waiting for the database to come back if it is away.

    Only we know what the other side answered; without it the effect would be in doubt.
    """
    is_lost = False

    def settle() -> Begun | Again | None:
        nonlocal is_lost
        try:
            return _settle(runtime, run_id, lease, begun, result, is_lost=is_lost)
        except Unavailable as error:
            is_lost = is_lost or error.perhaps_done
            raise

    return _patiently(runtime, settle, while_stopping=True)


def _patiently(runtime: Runtime, act: Callable[[], T], *, while_stopping: bool = False) -> T:
    """Do what needs the database, waiting for it to come back. Raises Unavailable in the end.

    `while_stopping`: wait on when this process shall stop, as long as it is let.
    """
    began = runtime.monotonic()
    pause = FIRST_OUTAGE_PAUSE_S
    while True:
        try:
            return act()
        except Unavailable:
            stopping = runtime.stopping.wait(pause)
            if runtime.monotonic() - began > OUTAGE_PATIENCE_S:
                raise
            if stopping and not while_stopping:
                raise
            if stopping:
                time.sleep(pause)
            pause = min(pause * 2, LONGEST_OUTAGE_PAUSE_S)


def _settle(
    runtime: Runtime, run_id: UUID, lease: str, begun: Begun, result: Result, *, is_lost: bool
) -> Begun | Again | None:
    """Record what came of a call, and go on.

    `is_lost`: the answer to committing just that was lost; it may have been recorded.
    """
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        # The ledger tells what happened outside even when the run was taken from us meanwhile.
        record = effects.record if begun.decision is not None else questions.record
        outcome = record(work.session, begun.call, result, now=now)
        run = store.reload_held(work.session, run_id, owner=lease)
        waits = False
        if run is not None:
            run.row.rings = run.row.losses = 0
        if run is not None and is_lost:
            take_back_uncalled(work, run, now, called=begun.call.step)
        if run is not None and begun.decision is not None and _awaits(run, begun.decision):
            state = record_outcome(runtime, work, run, begun.decision, outcome)
            waits = state.status is StepStatus.WAITING
            if state.status is StepStatus.FAILED:
                known = result.when_given_up(begun.call)
                if known is not result:
                    outcome = effects.record(work.session, begun.call, known, now=now)
                    record_outcome(runtime, work, run, begun.decision, outcome)
        if run is not None:
            return go_on(runtime, work, run, waits=waits)
    log.warning("run_lease_lost", run_id=str(run_id), step=begun.call.step)
    if begun.decision is not None and isinstance(result.outcome, Succeeded):
        # Whoever has taken the run over may be asking people what we have just learnt.
        settle_by_answer(
            runtime.database,
            runtime.queue,
            run_id=run_id,
            step=begun.call.step,
            output=result.outcome.output,
            now=runtime.clock(),
            announce=announcer(runtime),
        )
    return None


def _awaits(run: LoadedRun, decision: Perform) -> bool:
    """Say whether this attempt's outcome is not recorded yet."""
    row = run.steps[decision.step.id]
    return row.status == StepStatus.RUNNING and row.attempts == decision.attempt


def _set_aside(runtime: Runtime, run_id: UUID, lease: str, error: Exception) -> None:
    """Try again later, and after some tries fail the run: a poisoned run must not stop others."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        run = _hold(runtime, work, run_id, lease)
        if run is None:
            return
        now = runtime.clock()
        failures = run.row.failures + 1
        if failures < MOST_FAILURES:
            release(run, due_at=now + FIRST_PAUSE * 2 ** (failures - 1))
            run.row.failures = failures
            return
        message = f"Hookwright could not carry the run on: {type(error).__name__}: {error}"
        failed = RunError(
            step="", code="bug", message=storable(message)[:2000], fault=note_fault(error)
        )
        _end_as_failed(runtime, work, run, failed, now)


def _fail(runtime: Runtime, run_id: UUID, lease: str, error: RunError) -> None:
    log.error("run_set_aside", run_id=str(run_id), reason=error.message)
    with unit_of_work(runtime.database, runtime.queue) as work:
        run = _hold(runtime, work, run_id, lease)
        if run is not None:
            _end_as_failed(runtime, work, run, error, runtime.clock())


def _hold(runtime: Runtime, work: UnitOfWork, run_id: UUID, lease: str) -> LoadedRun | None:
    """Lock a run, and before it the gates that it may leave."""
    admission.lock_gates_of(work, run_id, runtime.clock())
    # The taking of the run may itself have been rolled back with what went wrong.
    return store.reload_held(work.session, run_id, owner=lease) or _claim(
        runtime, work, run_id, lease
    )


def _end_as_failed(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, error: RunError, now: datetime
) -> None:
    doubtful = [step for step in run.steps if put_in_doubt(runtime, work, run, step, now)]
    if doubtful and not run.cancel_requested:
        await_person(runtime, work, run, doubtful[0], now)
        return
    give_up(runtime, work, run, Finish(RunStatus.FAILED, error), now)
    # Its branches, if any are under way, have nobody any more who waits for them.
    run.row.cancel_requested = True
    branches.end_soon(work, run.root.id, now)

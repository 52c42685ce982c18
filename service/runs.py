"""Carry a run on: lock its row, ask the planner, record, call outside, record, go on.

A run is carried on by one worker at a time, which holds its lease. Everything that was decided is
committed before anything is called, and the call is made with no transaction open; so whoever takes
the run over after a crash reads from its rows how far it came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeVar
from uuid import UUID

import structlog

from schemas.document import ActionStep, EmitStep, Step
from schemas.jobs import AdvanceRun
from schemas.run_tables import AttemptRow
from schemas.storable import storable
from schemas.workflow import RunError, RunStatus, StepState, StepStatus, WaitKind
from service import admission, awaiting, branches, effects, questions
from service.approvals import decided_already
from service.calling import cancel_called
from service.doubts import settle_by_answer
from service.effects import Call, Result, Turn
from service.ending import finish, give_up
from service.errors import Unavailable
from service.faults import note_fault
from service.losses import MOST_LOSSES, SUSPECT_AFTER_RINGS, said_of
from service.lost_commits import take_back_uncalled
from service.own_actions import OwnAction
from service.resting import await_person, release, rest
from service.routing import announcer
from service.run_records import store_state, view_of
from service.runtime import Runtime
from service.steps import prepare
from service.store import runs as store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork, unit_of_work
from service.versions import Version
from service.workflows.decisions import (
    AwaitPerson,
    Decision,
    Done,
    Fail,
    Failed,
    Finish,
    Outcome,
    Perform,
    Skip,
    Spread,
    Succeeded,
    Wait,
)
from service.workflows.own_steps import in_shadow
from service.workflows.planner import plan
from service.workflows.shadow import not_awaited
from service.workflows.transitions import after_attempt

T = TypeVar("T")

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=8)
"""How long a run stays with a worker that says nothing; workers/scheduler.py renews it."""
TURN = timedelta(milliseconds=500)
OUTAGE_PATIENCE_S = 60.0
FIRST_OUTAGE_PAUSE_S = 0.2
LONGEST_OUTAGE_PAUSE_S = 2.0
MOST_FAILURES = 5
FIRST_PAUSE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Begun:
    """A step that was recorded as running, and the call it is about to make.

    Without a `decision` the call is a follow-up: a question outside that is decided is closed.
    """

    decision: Perform | None
    call: Call


@dataclass(frozen=True, slots=True)
class Again:
    """The run goes on in a transaction of its own.

    What an event starts may lock gates. They are locked in order, so one event is as much as a
    transaction may hold.
    """


def advance_run(runtime: Runtime, run_id: UUID) -> None:
    """Carry a run on until it ends or has to wait. Safe to call twice and at the same time."""
    with runtime.holding(LEASE) as lease:
        try:
            begun = _surely(runtime, run_id, lease, _take)
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
                return _go_on(runtime, work, run)
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

    `is_lost`: the answer to an earlier commit was lost; what that has begun was never called.
    """
    with unit_of_work(runtime.database, runtime.queue) as work:
        run = store.reload_held(work.session, run_id, owner=lease)
        if run is None:
            return None
        if is_lost:
            take_back_uncalled(work, run, runtime.clock())
        version = runtime.versions.open(run.row.workflow, run.version)
        if not admission.stands_before_gate(work, run, version):
            return _go_on(runtime, work, run)
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
        return None if run is None else _go_on(runtime, work, run)


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

    return _patiently(runtime, settle)


def _patiently(runtime: Runtime, act: Callable[[], T]) -> T:
    """Do what needs the database, waiting for it to come back. Raises Unavailable in the end."""
    began = runtime.monotonic()
    pause = FIRST_OUTAGE_PAUSE_S
    while True:
        try:
            return act()
        except Unavailable:
            stopping = runtime.stopping.wait(pause)
            if stopping or runtime.monotonic() - began > OUTAGE_PATIENCE_S:
                raise
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
        if run is not None:
            run.row.rings = run.row.losses = 0
        if run is not None and is_lost:
            take_back_uncalled(work, run, now, called=begun.call.step)
        if run is not None and begun.decision is not None and _awaits(run, begun.decision):
            state = _record_outcome(runtime, work, run, begun.decision, outcome)
            if state.status is StepStatus.FAILED:
                known = result.when_given_up(begun.call)
                if known is not result:
                    outcome = effects.record(work.session, begun.call, known, now=now)
                    _record_outcome(runtime, work, run, begun.decision, outcome)
        if run is not None:
            return _go_on(runtime, work, run)
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


def _go_on(runtime: Runtime, work: UnitOfWork, run: LoadedRun) -> Begun | Again | None:
    version = runtime.versions.open(run.row.workflow, run.version)
    if run.row.started_at is None and not run.cancel_requested:
        run.row.started_at = runtime.clock()
    if not awaiting.look_again(runtime, work, run, version):
        _hand_over(runtime, work, run)
        return None
    while True:
        if runtime.stopping.is_set():
            _hand_over(runtime, work, run)
            return None
        now = runtime.clock()
        decision = plan(version.document, view_of(runtime, work, run, version), now)
        did: Begun | bool
        if isinstance(decision, Perform):
            did = _perform(runtime, work, run, version, decision, now)
        else:
            closing = _close_question(runtime, work, run, version, decision)
            did = closing or (
                closing is None and _apply(runtime, work, run, version, decision, now)
            )
        if did is not True:
            return did or None
        if isinstance(decision, Perform) and _makes_events(runtime, decision.step):
            return Again()


def _makes_events(runtime: Runtime, step: Step) -> bool:
    if isinstance(step, ActionStep):
        return isinstance(runtime.actions.get(step.uses), OwnAction)
    return isinstance(step, EmitStep)


def _perform(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    version: Version,
    decision: Perform,
    now: datetime,
) -> Begun | bool:
    """Begin an attempt. True when its outcome is known already, False when the run rests."""
    begun = _begin(runtime, work, run, version, decision)
    if isinstance(begun, Turn):
        rest(work, run, decision.step.id, WaitKind.TARGET, now + TURN, now)
        return False
    return begun or True


def _close_question(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, version: Version, decision: Decision
) -> Begun | Literal[False] | None:
    """Say outside how what was asked there was decided, before the step's end is recorded.

    None when there is nothing (more) to say, False when the run rests until the next try.
    """
    if not isinstance(decision, Done | Fail):
        return None
    step = version.document.step(decision.step_id)
    follow_up = questions.close_question(runtime, work, run, step, decision.state)
    if follow_up is None:
        return None
    if isinstance(follow_up, Call):
        run.row.status = RunStatus.RUNNING
        return Begun(None, follow_up)
    run.row.status = RunStatus.WAITING
    release(run, due_at=follow_up)
    return False


def _apply(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    version: Version,
    decision: Skip | Fail | Done | Spread | Wait | AwaitPerson | Finish,
    now: datetime,
) -> bool:
    """Do what was decided; False when the run rests or has ended."""
    match decision:
        case Skip() | Fail() | Done():
            if decision.state.status is StepStatus.CANCELLED and not cancel_called(
                runtime, work, run, decision.step_id
            ):
                rest(work, run, decision.step_id, WaitKind.CALL, now + TURN, now)
                return False
            _close_lost_attempt(work, run, decision.step_id, now)
            store_state(work, run, version, decision.state, now)
            awaiting.end(work, run)
            return True
        case Spread():
            store_state(work, run, version, decision.state, now)
            work.session.flush()  # the step's row first: nothing else tells the session their order
            branches.spread(work, run, version.document.step(decision.step_id), decision, now)
            return True
        case Wait():
            store_state(work, run, version, decision.state, now)
            return _wait(runtime, work, run, version, decision, now)
        case AwaitPerson():
            await_person(runtime, work, run, decision.step_id, now)
        case Finish():
            finish(runtime, work, run, version, decision, now)
    return False


def _wait(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    version: Version,
    wait: Wait,
    now: datetime,
) -> bool:
    """Let the run wait; True when what it would wait for is there already."""
    until = wait.until
    # Branches of `on_cancel` are begun by the cancel: it does not end them.
    ends_branches = run.cancel_requested and not version.document.is_tidying(wait.step_id)
    match wait.kind:
        case WaitKind.EVENT if ended := _not_awaited(runtime, work, run, version, wait, now):
            store_state(work, run, version, ended, now)
            awaiting.end(work, run)
            return True
        case WaitKind.EVENT:
            due_at = awaiting.begin(runtime, work, run, version, wait)
            if due_at is None:
                return True
            run.row.status = RunStatus.WAITING
            release(run, due_at=due_at)
            return False
        case WaitKind.APPROVAL:
            known = decided_already(work, run, wait.state, now)
            if known is not None:
                store_state(work, run, version, known, now)
                return True
        case WaitKind.BRANCHES if ends_branches:
            branches.end_soon(work, run.root.id, now)
            until = now + branches.END_AGAIN
        case WaitKind.BRANCHES if run.wait is None or run.wait.kind != WaitKind.BRANCHES:
            work.session.flush()
            branches.resume(work, run, version.document.step(wait.step_id), now)
    rest(work, run, wait.step_id, wait.kind, until, now)
    return False


def _not_awaited(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, version: Version, wait: Wait, now: datetime
) -> StepState | None:
    if not run.row.shadow:
        return None
    states = view_of(runtime, work, run, version).steps
    return not_awaited(version.document, states, wait.state, now)


def _begin(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, version: Version, decision: Perform
) -> Begun | Turn | None:
    """Record the step as running. None when its outcome was known and is recorded already."""
    now = runtime.clock()
    prepared = prepare(runtime, work, run, decision, now)
    if isinstance(prepared, Turn):
        return prepared
    if run.wait is not None:
        store.clear_wait(work.session, run.row.id)
    run.row.status = RunStatus.RUNNING
    _close_lost_attempt(work, run, decision.step.id, now)
    store_state(work, run, version, decision.state, now)
    step = run.steps[decision.step.id]
    work.session.flush()  # the step's row first: nothing else tells the session their order
    work.session.add(
        AttemptRow(
            step_id=step.id,
            run_id=run.row.id,
            number=decision.attempt,
            status=StepStatus.RUNNING,
            started_at=now,
        )
    )
    work.session.flush()
    if isinstance(prepared, Call):
        return Begun(decision, prepared)
    _record_outcome(runtime, work, run, decision, prepared)
    return None


def _close_lost_attempt(work: UnitOfWork, run: LoadedRun, step_id: str, now: datetime) -> None:
    """Say of an attempt that its worker never came back from; the ledger tells of its effect."""
    step = run.steps.get(step_id)
    if step is None or step.status != StepStatus.RUNNING:
        return
    row = store.attempt(work.session, step.id, step.attempts)
    if row is None or row.status != StepStatus.RUNNING:
        return
    row.status = StepStatus.FAILED
    row.ended_at = now
    row.error = {"code": "worker_lost", "message": "the worker was lost during this attempt"}


def _record_outcome(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, decision: Perform, outcome: Outcome
) -> StepState:
    now = runtime.clock()
    if isinstance(outcome, Failed):
        outcome = replace(outcome, message=storable(outcome.message))
    version = runtime.versions.open(run.row.workflow, run.version)
    state = after_attempt(
        version.document,
        view_of(runtime, work, run, version),
        decision.state,
        outcome,
        now=now,
        jitter=runtime.jitter(),
    )
    if run.row.shadow:
        state = in_shadow(version.document, state)
    store_state(work, run, version, state, now)
    row = store.attempt(work.session, run.steps[decision.step.id].id, decision.attempt)
    if row is None:
        return state
    row.ended_at = now
    if isinstance(outcome, Succeeded):
        row.status = StepStatus.SUCCEEDED
        row.output = dict(outcome.output)
    else:
        in_doubt = state.status is StepStatus.IN_DOUBT
        row.status = StepStatus.IN_DOUBT if in_doubt else StepStatus.FAILED
        row.error = {"code": outcome.code, "message": outcome.message}
        if outcome.fault is not None:
            row.error = {**row.error, "fault": outcome.fault}
    return state


def _hand_over(runtime: Runtime, work: UnitOfWork, run: LoadedRun) -> None:
    """This process is stopping: let another one go on at once."""
    release(run, due_at=runtime.clock())
    work.ring(AdvanceRun(run.row.id))


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
    give_up(runtime, work, run, Finish(RunStatus.FAILED, error), now)
    # Its branches, if any are under way, have nobody any more who waits for them.
    run.row.cancel_requested = True
    branches.end_soon(work, run.root.id, now)

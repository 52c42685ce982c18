"""The next steps of a run that this worker holds: ask the planner, do what it says, until it rests.

Everything here happens in the caller's transaction. A call outside is only written down; it is made
by service/runs.py once that is committed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from schemas.document import ActionStep, Step
from schemas.jobs import AdvanceRun
from schemas.run_tables import AttemptRow
from schemas.storable import storable
from schemas.workflow import RunStatus, StepError, StepState, StepStatus, WaitKind
from service import awaiting, branches, effects, questions
from service.approvals import decided_already
from service.calling import cancel_called
from service.effects import Call, Turn
from service.ending import finish
from service.own_actions import OwnAction
from service.resting import await_person, release, rest
from service.run_records import store_state, view_of
from service.runtime import Runtime
from service.steps import prepare
from service.store import runs as store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.versions import Version
from service.workflows.decisions import (
    AwaitPerson,
    Decision,
    Done,
    Fail,
    Failed,
    Finish,
    InDoubt,
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

TURN = timedelta(milliseconds=500)
MOST_TOGETHER = 10
"""Steps that a transaction performs: while it lasts, nobody else writes into SQLite."""


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

    What an event starts may lock gates, and what it wakes are runs; our own actions lock alerts.
    These are locked in order, so what follows may not be in the same transaction.
    """


def go_on(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, *, waits: bool = False
) -> Begun | Again | None:
    """Carry the run on until it rests or ends, or until a call is to be made.

    `waits`: a step has just come to wait, and what for is not written down yet. That belongs into
    the same transaction: whoever went on without it would perform the step once more.
    """
    version = runtime.versions.open(run.row.workflow, run.version)
    if run.row.started_at is None and not run.cancel_requested:
        run.row.started_at = runtime.clock()
    if not waits and not awaiting.look_again(runtime, work, run, version):
        _hand_over(runtime, work, run)
        return None
    performed = 0
    while True:
        if runtime.stopping.is_set() and not waits:
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
        performed += isinstance(decision, Perform)
        waits = (
            isinstance(decision, Perform)
            and run.steps[decision.step.id].status == StepStatus.WAITING
        )
        if not waits and (
            work.holds_others
            or performed >= MOST_TOGETHER
            or (isinstance(decision, Perform) and _changes_alerts(runtime, decision.step))
        ):
            return Again()


def _changes_alerts(runtime: Runtime, step: Step) -> bool:
    return isinstance(step, ActionStep) and isinstance(runtime.actions.get(step.uses), OwnAction)


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
            in_vain = decision.state.status in {StepStatus.FAILED, StepStatus.CANCELLED}
            if in_vain and put_in_doubt(runtime, work, run, decision.step_id, now):
                run.steps[decision.step_id].reason = decision.state.reason
                return True
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
    record_outcome(runtime, work, run, decision, prepared)
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


def put_in_doubt(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, step_id: str, now: datetime
) -> bool:
    """Put a step in doubt that is to end, and whose call nobody knows what has become of.

    A failure would say that nothing happened. False when no call is open, or it does no harm.
    """
    step = run.steps.get(step_id)
    if step is None or StepStatus(step.status).is_final or step.status == StepStatus.IN_DOUBT:
        return False
    doubt = InDoubt("nobody found out what became of its call")
    if not effects.leave_in_doubt(
        work.session, runtime.actions, run_id=run.row.id, step=step_id, message=doubt.message
    ):
        return False
    _close_lost_attempt(work, run, step_id, now)
    step.status = StepStatus.IN_DOUBT
    step.error = StepError(code=doubt.code, message=doubt.message).model_dump(mode="json")
    return True


def record_outcome(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, decision: Perform, outcome: Outcome
) -> StepState:
    """Record what came of an attempt; gives what its step has become by it."""
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

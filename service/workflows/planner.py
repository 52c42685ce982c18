"""What a run does next: one decision at a time, from the document, the records and the clock.

Pure: the same document, view and time give the same decision, whoever asks and how often. What an
attempt's outcome means for its step is decided in `transitions`.
"""

from __future__ import annotations

from datetime import datetime

from schemas.workflow import (
    Document,
    RunError,
    RunStatus,
    Step,
    StepState,
    StepStatus,
    WaitKind,
)
from service.workflows.decisions import (
    AwaitPerson,
    Decision,
    Fail,
    Finish,
    Perform,
    RunView,
    Skip,
    Wait,
)
from service.workflows.durations import resolve_count, resolve_duration
from service.workflows.expressions import ExpressionError, holds, render
from service.workflows.scope import Scope, run_scope
from service.workflows.transitions import DEFAULT_RETRY, failed, poll_deadline, run_error, tries

_SETTLED = {StepStatus.SUCCEEDED, StepStatus.SKIPPED}


def plan(document: Document, view: RunView, now: datetime) -> Decision:
    """Give what the run does next at this time (aware UTC).

    Steps are taken in order. After a step that failed for good (and does not say
    `on_error: continue`) the steps of `on_failure` are taken in order, whatever becomes of each,
    and the run ends failed. Never raises for anything a document or an event can hold: what an
    expression cannot do becomes `Fail`.
    """
    if view.cancel_requested:
        return Finish(RunStatus.CANCELLED)
    for step in document.steps:
        state = _state(view, step)
        if state.status is StepStatus.CANCELLED:
            return Finish(RunStatus.CANCELLED)
        if state.status is StepStatus.FAILED and step.on_error == "fail":
            return _after_failure(document, view, run_error(state), now)
        if not state.status.is_final:
            return _advance(step, state, run_scope(document, view), now)
    return Finish(RunStatus.SUCCEEDED)


def _state(view: RunView, step: Step) -> StepState:
    return view.steps.get(step.id) or StepState(step_id=step.id)


def _after_failure(document: Document, view: RunView, error: RunError, now: datetime) -> Decision:
    for step in document.on_failure:
        state = _state(view, step)
        if not state.status.is_final:
            return _advance(step, state, run_scope(document, view, error=error), now)
    return Finish(RunStatus.FAILED, error)


def _advance(step: Step, state: StepState, scope: Scope, now: datetime) -> Decision:
    if state.status is StepStatus.IN_DOUBT:
        return AwaitPerson(step.id)
    if state.status is StepStatus.WAITING and state.due_at is not None and state.due_at > now:
        return Wait(step.id, state, state.wait or WaitKind.RETRY, state.due_at)
    try:
        if state.status is StepStatus.PENDING:
            return _begin(step, state, scope, now)
        return _perform(step, state, scope, now)
    except ExpressionError as error:
        return Fail(step.id, failed(state, code=error.code, message=error.message))


def _begin(step: Step, state: StepState, scope: Scope, now: datetime) -> Decision:
    if step.condition is not None and not holds(step.condition, scope):
        reason = f"its condition is false: {step.condition}"
        skipped = state.model_copy(update={"status": StepStatus.SKIPPED, "reason": reason})
        return Skip(step.id, skipped, reason)
    if step.poll is not None and step.poll.first is not None:
        until = now + resolve_duration(step.poll.first, scope)
        waiting = {"status": StepStatus.WAITING, "due_at": until, "wait": WaitKind.POLL}
        return Wait(step.id, state.model_copy(update=waiting), WaitKind.POLL, until)
    return _perform(step, state, scope, now)


def _perform(step: Step, state: StepState, scope: Scope, now: datetime) -> Decision:
    recovering = state.status is StepStatus.RUNNING
    if recovering and _lost_too_often(step, state, scope):
        message = f"the worker was lost during attempt {state.attempts}, and no attempt is left"
        return Fail(step.id, failed(state, code="worker_lost", message=message))
    params = render(step.params, scope)
    timeout = None if step.timeout is None else resolve_duration(step.timeout, scope)
    running = {
        "status": StepStatus.RUNNING,
        "attempts": state.attempts + 1,
        "started_at": state.started_at or now,
        "attempted_at": now,
        "due_at": None,
        "wait": None,
    }
    return Perform(
        step=step,
        state=state.model_copy(update=running),
        attempt=state.attempts + 1,
        params=params,
        connection=step.connection,
        timeout=timeout,
        recovering=recovering,
    )


def _lost_too_often(step: Step, state: StepState, scope: Scope) -> bool:
    """Say whether a step that may be killing its workers has been tried often enough."""
    if step.poll is None:
        return tries(state) >= resolve_count((step.retry or DEFAULT_RETRY).attempts, scope)
    # An outage may outlast the poll: one question is asked after the deadline, then no more.
    deadline = poll_deadline(step.poll, state, scope)
    return deadline is not None and (state.attempted_at or deadline) >= deadline

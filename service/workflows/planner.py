"""What a run does next: one decision at a time, from the document, the records and the clock.

Pure: the same document, view and time give the same decision, whoever asks and how often. What an
attempt's outcome means for its step is decided in `transitions`, how each kind of step begins and
goes on in `beginning` and `waiting`.
"""

from __future__ import annotations

from datetime import datetime

from schemas.document import Document, EachStep, Step
from schemas.events import Json
from schemas.workflow import RunError, RunStatus, StepState, StepStatus, WaitKind
from service.workflows.beginning import begin, perform
from service.workflows.decisions import (
    AwaitPerson,
    Decision,
    Done,
    Fail,
    Finish,
    RunView,
    Wait,
)
from service.workflows.expressions import ExpressionError, render
from service.workflows.scope import run_scope
from service.workflows.transitions import cancelled, failed, known_error, run_error
from service.workflows.waiting import go_on

_ANSWERED = {
    WaitKind.APPROVAL,
    WaitKind.BRANCHES,
    WaitKind.CALL,
    WaitKind.EVENT,
    WaitKind.SLEEP,
}
"""Waits that end with an answer or with their time, not with another attempt."""
_CANCELLED_IN_CALL = "cancelled while its call was under way: it may have taken effect"


def plan(document: Document, view: RunView, now: datetime) -> Decision:
    """Give what the run, or this branch of it, does next at this time (aware UTC).

    Steps are taken in order. After a step that failed for good (and does not say
    `on_error: continue`) the steps of `on_failure` are taken in order, whatever becomes of each,
    and the run ends failed; a cancelled run ends in the same way with `on_cancel`. A branch just
    ends. Never raises for anything a document or an event can hold: what an expression cannot do
    becomes `Fail`.
    """
    steps = document.steps
    place = view.place
    if place is not None:
        steps = document.sequence(place.container, place.number)
    if view.cancel_requested and (place is None or not document.is_tidying(place.container)):
        return _cancel(document, view, steps, now)
    ended = _carry_on(document, view, steps, now)
    if isinstance(ended, StepState):
        error = run_error(ended)
        if place is not None or ended.status is StepStatus.CANCELLED:
            status = RunStatus.FAILED if ended.status is StepStatus.FAILED else RunStatus.CANCELLED
            return Finish(status, error if status is RunStatus.FAILED else None)
        rescue = _carry_on(document, view, document.on_failure, now, tolerant=True)
        if rescue is None or isinstance(rescue, StepState):
            return Finish(RunStatus.FAILED, error)
        return rescue
    return ended or _succeed(document, view)


def _carry_on(
    document: Document,
    view: RunView,
    steps: tuple[Step, ...],
    now: datetime,
    *,
    tolerant: bool = False,
) -> Decision | StepState | None:
    """Give the decision; the state of a step with which the sequence broke off; None at its end.

    `tolerant` (in `on_failure` and `on_cancel`): no failure breaks it off.
    """
    for step in steps:
        state = view.steps.get(step.id) or StepState(step_id=step.id)
        if not state.status.is_final:
            return _advance(document, view, step, state, now)
        if tolerant:
            continue
        if state.status is StepStatus.CANCELLED:
            return state
        if state.status is StepStatus.FAILED and step.on_error == "fail":
            return state
    return None


def _advance(
    document: Document,
    view: RunView,
    step: Step,
    state: StepState,
    now: datetime,
) -> Decision:
    if state.status is StepStatus.IN_DOUBT:
        return AwaitPerson(step.id)
    waits = state.status is StepStatus.WAITING
    if waits and state.answer is None and state.due_at is not None and state.due_at > now:
        return Wait(step.id, state, state.wait or WaitKind.RETRY, state.due_at)
    scope = run_scope(document, view, error=known_error(document, view, step))
    try:
        if state.status is StepStatus.PENDING:
            return begin(document, step, state, scope, now)
        answered = state.answer is not None or state.tally is not None
        if waits and (answered or state.wait in _ANSWERED):
            return go_on(step, state)
        return perform(document, step, state, scope, now)
    except ExpressionError as fault:
        return Fail(step.id, failed(state, code=fault.code, message=fault.message))


def _succeed(document: Document, view: RunView) -> Finish:
    container = None if view.place is None else document.step(view.place.container)
    wanted: Json = document.outputs if container is None else None
    if isinstance(container, EachStep):
        wanted = container.collect
    if not wanted:
        return Finish(RunStatus.SUCCEEDED)
    try:
        output = render(wanted, run_scope(document, view))
    except ExpressionError as fault:
        step = "outputs" if container is None else container.id
        return Finish(RunStatus.FAILED, RunError(step=step, code=fault.code, message=fault.message))
    return Finish(RunStatus.SUCCEEDED, output=output)


def _cancel(document: Document, view: RunView, steps: tuple[Step, ...], now: datetime) -> Decision:
    """End what is open, then take the steps of `on_cancel`; a branch leaves these to its run."""
    for step in (*steps, *(() if view.place else document.on_failure)):
        state = view.steps.get(step.id)
        if state is None or state.status.is_final or state.status is StepStatus.IN_DOUBT:
            continue
        if state.tally is not None and state.tally.under_way:
            return Wait(step.id, state, WaitKind.BRANCHES, None)
        begun = state.status is StepStatus.RUNNING
        reason = _CANCELLED_IN_CALL if begun else "the run was cancelled"
        return Done(step.id, cancelled(state, reason))
    if view.place is None and view.steps:
        rest = _carry_on(document, view, document.on_cancel, now, tolerant=True)
        if rest is not None and not isinstance(rest, StepState):
            return rest
    return Finish(RunStatus.CANCELLED)

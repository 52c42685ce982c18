"""How a step of each kind begins, and how one that makes attempts makes the next one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.document import (
    ActionStep,
    ApprovalStep,
    CallStep,
    Document,
    EachStep,
    EmitStep,
    ParallelStep,
    SleepStep,
    SleepUntil,
    Step,
    WaitStep,
)
from schemas.events import Json
from schemas.workflow import StepState, StepStatus, Tally, WaitKind
from service.workflows.decisions import Decision, Done, Fail, Perform, Skip, Spread, Wait
from service.workflows.durations import LONGEST, resolve_count, resolve_duration
from service.workflows.expressions import ExpressionError, compile_expression, holds, render
from service.workflows.interpolation import unwrap
from service.workflows.scope import Scope
from service.workflows.templates import compile_template
from service.workflows.transitions import (
    failed,
    poll_deadline,
    poll_of,
    retry_of,
    succeeded,
    tries,
    waiting,
)

TEMPLATE = "template"


def begin(  # noqa: PLR0911  # one a kind
    document: Document, step: Step, state: StepState, scope: Scope, now: datetime
) -> Decision:
    """Begin a step that is pending. Raises ExpressionError."""
    if step.condition is not None and not holds(step.condition, scope):
        reason = f"its condition is false: {step.condition}"
        skipped = state.model_copy(update={"status": StepStatus.SKIPPED, "reason": reason})
        return Skip(step.id, skipped, reason)
    match step:
        case ActionStep(poll=poll) if poll is not None and poll.first is not None:
            return _pause(state, WaitKind.POLL, now + resolve_duration(poll.first, scope))
        case ApprovalStep(approval=approval) if approval.ask is None:
            until = now + resolve_duration(approval.timeout, scope)
            asked = {"text": render(approval.text, scope)}
            begun = state.model_copy(update={"started_at": now, "output": asked})
            return _pause(begun, WaitKind.APPROVAL, until)
        case WaitStep(wait_for=wait_for):
            begun = state.model_copy(update={"started_at": now})
            return _pause(begun, WaitKind.EVENT, now + resolve_duration(wait_for.timeout, scope))
        case SleepStep(sleep=sleep):
            begun = state.model_copy(update={"started_at": now})
            return _pause(begun, WaitKind.SLEEP, _awakening(sleep, scope, now))
        case EachStep():
            return _each(step, state, scope, now)
        case ParallelStep(parallel=arms):
            return _spread(state, Tally(total=len(arms)), len(arms), now)
        case _:
            return perform(document, step, state, scope, now)


def perform(
    document: Document, step: Step, state: StepState, scope: Scope, now: datetime
) -> Decision:
    """Make the next attempt of a step. Raises ExpressionError."""
    recovering = state.status is StepStatus.RUNNING
    if recovering and _lost_too_often(step, state, scope):
        message = f"the worker was lost during attempt {state.attempts}, and no attempt is left"
        return Fail(step.id, failed(state, code="worker_lost", message=message))
    timeout = step.timeout if isinstance(step, ActionStep) else None
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
        params=_params(document, step, scope),
        connection=_connection(step),
        timeout=None if timeout is None else resolve_duration(timeout, scope),
        recovering=recovering,
    )


def _params(document: Document, step: Step, scope: Scope) -> Mapping[str, Json]:
    match step:
        case ApprovalStep(approval=approval):
            asked = {"text": approval.text, "channel": approval.channel}
            return {k: render(v, scope) for k, v in asked.items() if v is not None}
        case EmitStep(emit=emit):
            return {
                "type": emit.type,
                "subject": render(emit.subject, scope),
                "facts": render(emit.facts, scope),
            }
        case ActionStep(params=params) | CallStep(params=params):
            return {name: _param(document, value, scope) for name, value in params.items()}
        case _:
            message = f"a step of this kind makes no attempts: {step.id}"
            raise ExpressionError(message, source=step.id)


def _param(document: Document, value: Json, scope: Scope) -> Any:
    if isinstance(value, Mapping) and set(value) == {TEMPLATE}:
        name = str(value[TEMPLATE])
        if name not in document.templates:
            message = f"the document has no template `{name}`"
            raise ExpressionError(message, source=name)
        return compile_template(document.templates[name], name).render(scope)
    return render(value, scope)


def _connection(step: Step) -> str | None:
    match step:
        case ActionStep(connection=connection):
            return connection
        case ApprovalStep(approval=approval):
            return approval.connection
        case _:
            return None


def _lost_too_often(step: Step, state: StepState, scope: Scope) -> bool:
    """Say whether a step that may be killing its workers has been tried often enough."""
    poll = poll_of(step)
    if poll is None:
        # Beyond its attempts a step is begun once more, to find out what came of the lost one: a
        # failure would say that nothing happened, and something may have.
        return tries(state) > resolve_count(retry_of(step).attempts, scope)
    # An outage may outlast the poll: one question is asked after the deadline, then no more.
    deadline = poll_deadline(poll, state, scope)
    return deadline is not None and (state.attempted_at or deadline) >= deadline


def _pause(state: StepState, kind: WaitKind, until: datetime) -> Wait:
    return Wait(state.step_id, waiting(state, kind, until), kind, until)


def _awakening(sleep: str | SleepUntil, scope: Scope, now: datetime) -> datetime:
    if isinstance(sleep, str):
        return now + resolve_duration(sleep, scope)
    value = render(sleep.until, scope)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        message = f"`until` must give a time such as 2026-01-31T09:00:00Z, not {value!r}"
        raise ExpressionError(message, source=sleep.until) from error
    if moment.tzinfo is None:
        message = f"the time {value} says no time zone; write Z or +01:00 behind it"
        raise ExpressionError(message, source=sleep.until)
    if moment - now > LONGEST:
        message = f"{value} is more than {LONGEST.days} days away"
        raise ExpressionError(message, source=sleep.until)
    return moment.astimezone(UTC)


def _each(step: EachStep, state: StepState, scope: Scope, now: datetime) -> Decision:
    items = compile_expression(unwrap(step.for_each).source).evaluate(scope)
    if not isinstance(items, list):
        message = f"{step.for_each}: `for_each` goes through a list"
        raise ExpressionError(message, source=step.for_each)
    if len(items) > step.most:
        message = f"{step.for_each} has {len(items)} items, and `most` allows {step.most}"
        return Fail(step.id, failed(state, code="too_many_items", message=message))
    if not items:
        empty: dict[str, Json] = {"count": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
        if step.collect is not None:
            empty["results"] = []
        begun = state.model_copy(update={"started_at": now})
        return Done(step.id, succeeded(begun, empty))
    begin_now = min(len(items), step.max_parallel)
    return _spread(state, Tally(total=len(items)), begin_now, now, items)


def _spread(
    state: StepState, tally: Tally, begin_now: int, now: datetime, items: list[Json] | None = None
) -> Spread:
    begun = state.model_copy(update={"started_at": now, "tally": tally})
    return Spread(state.step_id, waiting(begun, WaitKind.BRANCHES, None), tally, begin_now, items)

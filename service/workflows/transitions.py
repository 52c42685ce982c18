"""What an attempt's outcome makes of its step: succeeded, waiting, failed or in doubt.

Pure: time and chance (the jitter of a retry) are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from schemas.document import ActionStep, ApprovalStep, CallStep, Document, Poll, Retry, Step
from schemas.workflow import RunError, StepError, StepState, StepStatus, WaitKind
from service.errors import NotSent, RateLimited
from service.workflows.decisions import Failed, InDoubt, Outcome, RunView, Succeeded
from service.workflows.durations import resolve_count, resolve_duration
from service.workflows.expressions import ExpressionError, holds
from service.workflows.scope import Scope, run_scope

DEFAULT_RETRY = Retry()
"""For steps that say nothing: 5 attempts, the first pause up to 2 s, none longer than 1 minute."""
_NOTHING_TRIED = frozenset({RateLimited.code, NotSent.code})
LONGEST_PUT_OFF = timedelta(days=1)
"""How long rate limits may put a step off before they count as failures."""
LONGEST_PAUSE = timedelta(days=1)
"""The most that another side's `Retry-After` can hold a step up."""


def after_attempt(
    document: Document,
    view: RunView,
    state: StepState,
    outcome: Outcome,
    *,
    now: datetime,
    jitter: float,
) -> StepState:
    """Give the step's state after an attempt.

    `state` is the running state that `Perform` carried. `jitter` is a random number of 0..1: a
    retry waits that part of its pause (full jitter). Transient failures are retried by the step's
    `retry`; in a step with `poll` they are asked again after `every` until the poll's `timeout`.
    Permanent failures are never retried. Never raises: an expression that cannot be evaluated
    fails the step.
    """
    step = document.step(state.step_id)
    scope = run_scope(document, view, error=known_error(document, view, step))
    try:
        if isinstance(outcome, InDoubt):
            error = StepError(code=outcome.code, message=outcome.message, fault=outcome.fault)
            return _changed(state, StepStatus.IN_DOUBT, error=error)
        if isinstance(outcome, Succeeded):
            return _after_success(step, state, outcome, scope, now)
        return _after_failure(step, state, outcome, scope, now, jitter)
    except ExpressionError as error:
        return failed(state, code=error.code, message=error.message)


def settle_doubt(
    state: StepState,
    *,
    took_effect: bool,
    output: dict[str, object],
    asked_until: datetime | None = None,
) -> StepState:
    """Give the state of a step in doubt once a person (or a look-up) knows what happened.

    An effect that was made makes the step succeeded with this output; one that was not lets the
    step be tried again as if nothing had happened. `asked_until`: for an approval whose question
    was asked, until when it waits for the answer.
    """
    if took_effect and asked_until is not None:
        return waiting(state, WaitKind.APPROVAL, asked_until)
    if took_effect:
        return succeeded(state, output)
    return StepState(
        step_id=state.step_id,
        attempts=state.attempts,
        put_off=state.put_off,
        polls=state.polls,
        round=state.round,
    )


def anew(state: StepState, *, another_effect: bool) -> StepState:
    """Give the state of a step that is performed anew, with all its retries.

    `another_effect`: what it does is to happen once more, though it happened before.
    """
    return StepState(
        step_id=state.step_id,
        attempts=state.attempts,
        put_off=state.attempts,
        polls=state.polls,
        round=state.round + another_effect,
    )


def _after_success(
    step: Step, state: StepState, outcome: Succeeded, scope: Scope, now: datetime
) -> StepState:
    output = dict(outcome.output)
    if isinstance(step, ApprovalStep):
        asked = state.model_copy(update={"output": output})
        return waiting(
            asked, WaitKind.APPROVAL, now + resolve_duration(step.approval.timeout, scope)
        )
    if isinstance(step, CallStep):
        return waiting(state.model_copy(update={"output": output}), WaitKind.CALL, None)
    poll = poll_of(step)
    if poll is None:
        return succeeded(state, output)
    state = state.model_copy(update={"polls": state.polls + 1, "output": output})
    if holds(poll.until, scope.with_output(output)):
        return succeeded(state, output)
    return _ask_again(poll, state, None, scope, now)


def _after_failure(
    step: Step, state: StepState, outcome: Failed, scope: Scope, now: datetime, jitter: float
) -> StepState:
    asked = outcome.retry_after
    pause = None if asked is None else min(max(asked, timedelta(0)), LONGEST_PAUSE)
    error = StepError(
        code=outcome.code,
        message=outcome.message,
        retryable=outcome.retryable,
        retry_after_s=None if pause is None else pause.total_seconds(),
        fault=outcome.fault,
    )
    if not outcome.retryable:
        return _changed(state, StepStatus.FAILED, error=error)
    poll = poll_of(step)
    if poll is not None:
        return _ask_again(poll, state, error, scope, now)
    retry = retry_of(step)
    if outcome.code in _NOTHING_TRIED and now - (state.started_at or now) < LONGEST_PUT_OFF:
        # A burst that meets a limit takes longer, it does not fail.
        state = state.model_copy(update={"put_off": state.put_off + 1})
    elif tries(state) >= resolve_count(retry.attempts, scope):
        return _changed(state, StepStatus.FAILED, error=error)
    if pause is None:
        pause = jitter * _pause(retry, max(tries(state), 1), scope)
    due_at = now + pause
    return _changed(state, StepStatus.WAITING, error=error, due_at=due_at, wait=WaitKind.RETRY)


def poll_of(step: Step) -> Poll | None:
    """Give how a step is polled, None when it is performed once."""
    return step.poll if isinstance(step, ActionStep) else None


def retry_of(step: Step) -> Retry:
    """Give how a step's transient failures are tried again."""
    return (step.retry if isinstance(step, ActionStep) else None) or DEFAULT_RETRY


def tries(state: StepState) -> int:
    """Give how many attempts count against the step's retries."""
    return state.attempts - state.put_off


def _pause(retry: Retry, attempts: int, scope: Scope) -> timedelta:
    first = resolve_duration(retry.first, scope)
    longest = resolve_duration(retry.max, scope)
    # Doubling stops at the longest pause: 2 ** attempts alone could overflow a timedelta.
    pause = first
    for _ in range(attempts - 1):
        if pause >= longest:
            break
        pause *= 2
    return min(pause, longest)


def _ask_again(
    poll: Poll, state: StepState, error: StepError | None, scope: Scope, now: datetime
) -> StepState:
    deadline = poll_deadline(poll, state, scope) or now
    if now >= deadline:
        message = f"{poll.until} did not hold within {poll.timeout}"
        if error is not None:
            message += f"; the last answer was an error: {error.message}"
        return failed(state, code="poll_timeout", message=message)
    pause = resolve_duration(poll.every, scope)
    if error is not None and error.retry_after_s is not None:
        pause = max(pause, timedelta(seconds=error.retry_after_s))
    # The last question is asked at the deadline itself, so that a late answer still counts.
    due_at = min(now + pause, deadline)
    return _changed(state, StepStatus.WAITING, error=error, due_at=due_at, wait=WaitKind.POLL)


def known_error(document: Document, view: RunView, step: Step) -> RunError | None:
    """Give the `error` that a step of `on_failure` sees; None for all other steps."""
    if document.sections[step.id] != "on_failure":
        return None
    for main in document.steps:
        state = view.steps.get(main.id)
        if state is not None and state.status is StepStatus.FAILED and main.on_error == "fail":
            return run_error(state)
    return None


def run_error(state: StepState) -> RunError:
    """Give the error of a run whose step has failed like this."""
    error = state.error or StepError(code="failed", message="the step failed")
    return RunError(step=state.step_id, code=error.code, message=error.message, fault=error.fault)


def succeeded(state: StepState, output: Mapping[str, object]) -> StepState:
    """Give the state of a step that has succeeded with these outputs."""
    return _changed(state, StepStatus.SUCCEEDED, output=dict(output), answer=None)


def cancelled(state: StepState, reason: str) -> StepState:
    """Give the state of a step that was cancelled, with the reason in words for people."""
    return _changed(state, StepStatus.CANCELLED, reason=reason, answer=None)


def waiting(state: StepState, kind: WaitKind, until: datetime | None) -> StepState:
    """Give the state of a step that waits."""
    return _changed(state, StepStatus.WAITING, due_at=until, wait=kind)


def failed(state: StepState, *, code: str, message: str) -> StepState:
    """Give the state of the step once it has failed for good."""
    error = StepError(code=code, message=message)
    return _changed(state, StepStatus.FAILED, error=error, answer=None)


def poll_deadline(poll: Poll, state: StepState, scope: Scope) -> datetime | None:
    """Give when the poll is given up: its timeout after the first attempt, None before that."""
    if state.started_at is None:
        return None
    return state.started_at + resolve_duration(poll.timeout, scope)


def _changed(state: StepState, status: StepStatus, **update: object) -> StepState:
    cleared = {"status": status, "error": None, "due_at": None, "wait": None}
    return state.model_copy(update=cleared | update)

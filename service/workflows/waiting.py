"""How a step goes on that waited for something from outside: an answer, or the end of its wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.document import ApprovalStep, CallStep, EachStep, ParallelStep, Step, WaitStep
from schemas.workflow import RunStatus, StepState, Tally, WaitKind
from service.workflows.decisions import Decision, Done, Fail, Wait
from service.workflows.transitions import failed, succeeded


def go_on(step: Step, state: StepState) -> Decision:
    """Take the answer of a step that waits; without one its time has come, or nothing has."""
    match step:
        case ApprovalStep():
            return _decided(step, state)
        case WaitStep():
            return _awaited(step, state)
        case CallStep():
            return _called(state)
        case EachStep() | ParallelStep():
            return _gathered(step, state)
        case _:
            return Done(step.id, succeeded(state, {}))


def approval_answer(
    *, approved: bool, by: str | None, note: str | None, decided_at: str, timed_out: bool = False
) -> dict[str, Any]:
    """Give the answer that lets an approval go on. `decided_at`: RFC 3339."""
    return {
        "approved": approved,
        "by": by,
        "note": note,
        "decided_at": decided_at,
        "timed_out": timed_out,
    }


def event_answer(event: Mapping[str, Any]) -> dict[str, Any]:
    """Give the answer that lets a `wait_for` go on: the JSON form of the event."""
    return {"event": dict(event), "timed_out": False}


def call_answer(
    *, run_id: str, status: RunStatus, outputs: Mapping[str, Any] | None, error: str | None
) -> dict[str, Any]:
    """Give the answer that lets a `call` go on: how the called run ended."""
    return {
        "run_id": run_id,
        "status": status.value,
        "outputs": dict(outputs or {}),
        "error": error,
    }


def may_begin(step: Step, tally: Tally) -> bool:
    """Say whether one more branch of a `for_each` or `parallel` may begin now."""
    if tally.begun >= tally.total or _halted(step, tally):
        return False
    return not isinstance(step, EachStep) or tally.under_way < step.max_parallel


def is_settled(step: Step, tally: Tally) -> bool:
    """Say whether no branch is under way and none will begin."""
    return not tally.under_way and (tally.begun >= tally.total or _halted(step, tally))


def _halted(step: Step, tally: Tally) -> bool:
    # A cancelled item is nobody's wish to stop the others, unless the whole run is cancelled.
    return isinstance(step, EachStep) and step.on_error == "fail" and tally.failed > 0


def _decided(step: ApprovalStep, state: StepState) -> Decision:
    approval = step.approval
    answer = state.answer
    if answer is None:
        decided_at = "" if state.due_at is None else state.due_at.isoformat()
        answer = approval_answer(
            approved=approval.on_timeout == "approve",
            by=None,
            note=None,
            decided_at=decided_at.replace("+00:00", "Z"),
            timed_out=True,
        )
    text = (state.output or {}).get("text")
    state = state.model_copy(
        update={"output": answer if text is None else {**answer, "text": text}}
    )
    if answer["approved"] or approval.on_reject == "continue":
        return Done(step.id, succeeded(state, state.output or answer))
    if answer["timed_out"]:
        message = f"nobody decided within {approval.timeout}"
        return Fail(step.id, failed(state, code="approval_timeout", message=message))
    note = f": {answer['note']}" if answer.get("note") else ""
    message = f"rejected by {answer.get('by') or 'somebody'}{note}"
    return Fail(step.id, failed(state, code="rejected", message=message))


def _awaited(step: WaitStep, state: StepState) -> Decision:
    if state.answer is not None:
        return Done(step.id, succeeded(state, state.answer))
    if step.wait_for.on_timeout == "continue":
        return Done(step.id, succeeded(state, {"event": None, "timed_out": True}))
    message = f"no {step.wait_for.event} that fits came within {step.wait_for.timeout}"
    return Fail(step.id, failed(state, code="wait_timeout", message=message))


def _called(state: StepState) -> Decision:
    answer = state.answer
    if answer is None:
        return Wait(state.step_id, state, WaitKind.CALL, None)
    if answer["status"] == RunStatus.SUCCEEDED.value:
        output = {**answer["outputs"], "run_id": answer["run_id"]}
        return Done(state.step_id, succeeded(state, output))
    because = f": {answer['error']}" if answer.get("error") else ""
    message = f"the called run {answer['run_id']} ended {answer['status']}{because}"
    return Fail(state.step_id, failed(state, code="called_run_failed", message=message))


def _gathered(step: EachStep | ParallelStep, state: StepState) -> Decision:
    tally = state.tally
    if tally is None or not is_settled(step, tally):
        return Wait(step.id, state, WaitKind.BRANCHES, None)
    output: dict[str, Any] = {
        "count": tally.total,
        "succeeded": tally.succeeded,
        "failed": tally.failed,
        "cancelled": tally.cancelled,
    }
    if isinstance(step, EachStep) and step.collect is not None:
        output["results"] = (state.answer or {}).get("results", [])
    lost = tally.failed + tally.cancelled
    if not lost or step.on_error == "continue":
        return Done(step.id, succeeded(state, output))
    first = tally.first_error
    code = "branch_cancelled" if first is None else first.code
    message = f"{lost} of {tally.total} failed or were cancelled"
    if first is not None:
        message += f"; the first: {first.step}: {first.message}"
    gone = state.model_copy(update={"answer": None, "output": output})
    return Fail(step.id, failed(gone, code=code, message=message))

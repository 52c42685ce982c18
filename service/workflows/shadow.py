"""What a shadow run cannot know: whatever an effect would have answered that was not made.

A shadowed effect succeeds with nulls, and so does what cannot be asked without them. Only that: a
step whose parameters do not fit for another reason fails as it would in live mode, and an event is
waited for unless its condition reads what nobody knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from schemas.document import (
    ActionStep,
    ApprovalStep,
    CallStep,
    Document,
    EachStep,
    EmitStep,
    Step,
    WaitStep,
)
from schemas.events import Json
from schemas.workflow import StepState, StepStatus
from service.workflows.transitions import succeeded

SHADOW = "shadow: "
"""With this begin the reasons of steps that were left out in shadow mode."""
_NOT_CAUSED = SHADOW + "what would cause the event was not done"


def reads_unknown(document: Document, step: Step, states: Mapping[str, StepState]) -> bool:
    """Say whether a step of a shadow run reads what an effect that was not made would have given.

    `states`: those of the steps that it can see.
    """
    text = "\n".join(_texts(document, step))
    for state in states.values():
        if state.step_id == step.id or not _names(text, state.step_id):
            continue
        if _is_unknown(document.step(state.step_id), state):
            return True
    return False


def not_awaited(
    document: Document, states: Mapping[str, StepState], state: StepState, now: datetime
) -> StepState | None:
    """Give the end of a `wait_for` in a shadow run whose event cannot be recognised; else None.

    Its condition reads what is not known, mostly of the very step that would cause the event. With
    `on_timeout: continue` it ends as if its time were over, else it is skipped.
    """
    step = document.step(state.step_id)
    if not isinstance(step, WaitStep) or state.answer is not None:
        return None
    if not reads_unknown(document, step, states):
        return None
    ended = state.model_copy(update={"started_at": state.started_at or now, "reason": _NOT_CAUSED})
    if step.wait_for.on_timeout == "continue":
        return succeeded(ended, {"event": None, "timed_out": True})
    return ended.model_copy(update={"status": StepStatus.SKIPPED, "due_at": None, "wait": None})


def _is_unknown(step: Step, state: StepState) -> bool:
    if (state.reason or "").startswith(SHADOW):
        return True
    output = state.output
    if state.status is not StepStatus.SUCCEEDED or not output:
        return False
    match step:
        case ActionStep() | EmitStep():
            return all(value is None for value in output.values())
        case ApprovalStep():
            return output.get("by") is None
        case CallStep() | EachStep():
            return _has_null(output)
        case _:
            return False


def _has_null(value: Json) -> bool:
    if isinstance(value, Mapping):
        return any(_has_null(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_null(item) for item in value)
    return value is None


def _texts(document: Document, step: Step) -> Iterator[str]:
    """Give the texts of a step's expressions, with the lists of the loops whose items they name."""
    own = json.dumps(step.model_dump(mode="json"), ensure_ascii=False)
    found = [own, *(text for name, text in document.templates.items() if json.dumps(name) in own)]
    yield from found
    for other in document.by_id.values():
        if isinstance(other, EachStep) and any(_mentions(text, other.variable) for text in found):
            yield other.for_each


def _names(text: str, step_id: str) -> bool:
    quoted = rf"""\[\s*\\?["']{re.escape(step_id)}\\?["']"""
    return re.search(rf"\bsteps\s*(?:\.\s*{re.escape(step_id)}\b|{quoted})", text) is not None


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None

"""What steps do that need nobody outside: what `emit` emits, and whether a `call` may begin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas.document import CallStep, Document, EmitStep
from schemas.events import FAMILIES, EventDraft, Json, is_own_type
from schemas.plain_words import faults_in_plain_words
from schemas.workflow import StepState, StepStatus
from service.workflows.decisions import Failed
from service.workflows.inputs import WrongInputs, check_inputs
from service.workflows.transitions import poll_of, succeeded
from service.workflows.waiting import approval_answer

MOST_DEPTH = 10
"""How many runs may stand before one in its chain of events and calls."""


def emitted(step: EmitStep, params: Mapping[str, Json]) -> EventDraft | Failed:
    """Give the event of an `emit` step; facts of a family that is known must be of its form."""
    if is_own_type(step.emit.type):
        message = f"events of the type {step.emit.type} are made by Hookwright alone"
        return Failed("reserved_type", message, retryable=False)
    subject = params.get("subject")
    if subject is not None and not isinstance(subject, str):
        subject = json.dumps(subject, ensure_ascii=False)
    facts = params.get("facts") or {}
    model = FAMILIES.get(step.emit.type.partition(".")[0])
    if model is not None:
        try:
            facts = model.model_validate(facts).model_dump(mode="json")
        except ValidationError as error:
            message = f"the facts do not fit {step.emit.type}: {faults_in_plain_words(error)}"
            return Failed("invalid_facts", message, retryable=False)
    return EventDraft(
        type=step.emit.type, vendor_type=step.emit.type, subject=subject, facts=dict(facts)
    )


def wrong_params(error: ValidationError) -> Failed:
    """Give the outcome of a step whose parameters do not fit its action."""
    message = f"the step's parameters do not fit: {faults_in_plain_words(error)}"
    return Failed("invalid_params", message, retryable=False)


def unknown_workflow(step: CallStep) -> Failed:
    """Give the outcome of a call of a workflow that there is not."""
    message = f"there is no enabled workflow {step.call!r}"
    return Failed("unknown_workflow", message, retryable=False)


def called_inputs(
    document: Document, params: Mapping[str, Json], *, depth: int
) -> dict[str, Any] | Failed:
    """Give the inputs with which a called workflow begins, or why it does not.

    `depth`: how many runs stand before the calling one in its chain.
    """
    if depth >= MOST_DEPTH:
        message = f"{MOST_DEPTH} runs stand before it in its chain: it would never end"
        return Failed("chain_too_long", message, retryable=False)
    try:
        return check_inputs(document, params)
    except WrongInputs as error:
        return Failed("invalid_inputs", str(error), retryable=False)


def unasked(state: StepState, now: datetime) -> StepState:
    """Give what a shadow run makes of an approval: nobody is asked, it goes on as if approved."""
    answer = approval_answer(
        approved=True,
        by=None,
        note="shadow: nobody was asked",
        decided_at=now.isoformat().replace("+00:00", "Z"),
    )
    return succeeded(state, answer)


def in_shadow(document: Document, state: StepState) -> StepState:
    """Give what a shadow run makes of a step's state: nothing was begun that could be watched."""
    polls = poll_of(document.step(state.step_id)) is not None
    if not polls or state.status is not StepStatus.WAITING:
        return state
    reason = "shadow: what it would watch was not begun"
    return state.model_copy(
        update={"status": StepStatus.SKIPPED, "due_at": None, "wait": None, "reason": reason}
    )

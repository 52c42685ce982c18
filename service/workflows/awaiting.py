"""Whether an event is the one that a `wait_for` step waits for."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.document import Document, WaitStep
from schemas.events import Json
from service.workflows.decisions import RunView
from service.workflows.expressions import ExpressionError, holds
from service.workflows.matching import triggered
from service.workflows.scope import run_scope
from service.workflows.transitions import known_error


def is_awaited(
    document: Document, view: RunView, step: WaitStep, event: Mapping[str, Json]
) -> bool:
    """Say whether the event (JSON form) fits the step of this run or branch.

    An event for which the step's `if` cannot be evaluated does not fit: the awaited one may still
    come. Never raises.
    """
    wait_for = step.wait_for
    if not triggered(wait_for, event):
        return False
    if wait_for.condition is None:
        return True
    scope = run_scope(document, view, error=known_error(document, view, step)).with_event(event)
    try:
        return holds(wait_for.condition, scope)
    except ExpressionError:
        return False

"""Whether an event is the one that a `wait_for` step waits for."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.document import Document, WaitFor, WaitStep
from schemas.events import Json
from service.workflows.decisions import RunView
from service.workflows.expressions import ExpressionError, holds
from service.workflows.matching import triggered
from service.workflows.scope import Scope, run_scope
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
    try:
        return condition_holds(wait_for, awaiting_scope(document, view, step), event)
    except ExpressionError:
        return False


def awaiting_scope(document: Document, view: RunView, step: WaitStep) -> Scope:
    """Give what the step's condition reads, but for the event that is judged."""
    return run_scope(document, view, error=known_error(document, view, step))


def condition_holds(wait_for: WaitFor, scope: Scope, event: Mapping[str, Json]) -> bool:
    """Say whether the condition holds for an event of the awaited type. Raises ExpressionError."""
    return wait_for.condition is None or holds(wait_for.condition, scope.with_event(event))

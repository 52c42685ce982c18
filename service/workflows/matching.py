"""Whether an event starts a workflow, and in words why or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.document import Document, EventTrigger, WaitFor
from schemas.events import Json
from service.workflows.expressions import ExpressionError, holds
from service.workflows.inputs import default_inputs
from service.workflows.scope import Scope, start_scope


@dataclass(frozen=True, slots=True)
class Match:
    """The answer. `error` says why the workflow's `if` could not be evaluated for this event."""

    started: bool
    reason: str
    error: str | None = None


def matches(document: Document, event: Mapping[str, Json], values: Mapping[str, Json]) -> Match:
    """Say whether the event (JSON form of `schemas.events.Event`) starts a run.

    `values` are the document's vars with the installation's over them. Never raises: an `if` that
    cannot be evaluated starts nothing, and the reason says so.
    """
    found = [trigger for trigger in document.event_triggers if triggered(trigger, event)]
    if not found:
        return Match(started=False, reason=_no_trigger(document, event))
    scope = start_scope(event, values, default_inputs(document))
    try:
        trigger = _first_that_holds(found, scope)
        if trigger is None:
            reason = f"the condition of its trigger is false: {found[0].condition}"
            return Match(started=False, reason=reason)
        if document.condition is None:
            return Match(started=True, reason=f"{event.get('type')} matches {trigger.event}")
        started = holds(document.condition, scope)
    except ExpressionError as error:
        reason = f"its condition cannot be evaluated: {error.message}"
        return Match(started=False, reason=reason, error=error.message)
    truth = "true" if started else "false"
    return Match(started=started, reason=f"its condition is {truth}: {document.condition}")


def _first_that_holds(found: Sequence[EventTrigger], scope: Scope) -> EventTrigger | None:
    """Give a trigger whose condition is true. Raises ExpressionError when none is and one fails."""
    fault: ExpressionError | None = None
    for trigger in found:
        try:
            if trigger.condition is None or holds(trigger.condition, scope):
                return trigger
        except ExpressionError as error:
            fault = fault or error
    if fault is not None:
        raise fault
    return None


def triggered(trigger: EventTrigger | WaitFor, event: Mapping[str, Json]) -> bool:
    """Say whether the event is of the trigger's type, vendor and source."""
    return (
        type_matches(trigger.event, str(event.get("type")))
        and trigger.vendor in {None, event.get("vendor")}
        and trigger.source in {None, event.get("source")}
    )


def type_matches(pattern: str, event_type: str) -> bool:
    """Say whether a type fits a pattern: `*` stands for any characters, dots included."""
    first, *rest = pattern.split("*")
    if not rest:
        return event_type == pattern
    # Each part is looked for once, behind the one before: no pattern makes this slow.
    position = len(first)
    end = len(event_type) - len(rest[-1])
    if position > end or not event_type.startswith(first) or not event_type.endswith(rest[-1]):
        return False
    for part in rest[:-1]:
        found = event_type.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _no_trigger(document: Document, event: Mapping[str, Json]) -> str:
    wanted = ", ".join(trigger.event for trigger in document.event_triggers)
    if not wanted:
        return "no event starts it"
    found = f"{event.get('type')} of {event.get('vendor')} (source {event.get('source')})"
    return f"{found} is none of its triggers: {wanted}"

"""What can be read of each kind of thing: of events, of inputs, and of the steps of a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.events import Event
from schemas.workflow import RUN_FIELDS, StepStatus
from service.workflows.catalogue import Catalogue
from service.workflows.parts import PlainStep
from service.workflows.value_types import (
    BOOLEAN,
    NUMBER,
    SCALAR,
    TEXT,
    Declared,
    Fields,
    ListOf,
    Type,
    fields_of,
    one_of,
    resolved,
)

_ERROR = Fields({"code": TEXT, "message": TEXT})
_TALLY: Mapping[str, Type] = dict.fromkeys(("count", "succeeded", "failed", "cancelled"), NUMBER)
_APPROVAL = Fields(
    {
        **dict.fromkeys(("approved", "timed_out"), BOOLEAN),
        **dict.fromkeys(("by", "note", "decided_at"), TEXT),
    }
)
_INPUTS: Mapping[str, Type] = {
    "text": TEXT,
    "number": NUMBER,
    "boolean": BOOLEAN,
    "list": ListOf(None),
}


def event_type(patterns: Iterable[str], catalogue: Catalogue | None) -> Type:
    """Give the type of an event that fits one of these patterns."""
    facts = one_of(facts_type(pattern, catalogue) for pattern in patterns)
    declared: dict[str, Type] = {
        name: Declared(annotation) for name, annotation in fields_of(Event).items()
    }
    return Fields({**declared, "facts": facts})


def facts_type(pattern: str, catalogue: Catalogue | None) -> Type:
    """Give the type of the facts of events that fit a pattern, None when it is not known."""
    model = None if catalogue is None else catalogue.facts.get(pattern.partition(".")[0])
    return None if model is None else Declared(model)


def started_by(data: Mapping[str, Any], catalogue: Catalogue | None) -> Type:
    """Give the type of `event`: of the triggers' events, as far as the triggers can be read.

    A workflow that is also started otherwise reads facts of an event all the same, under an `if`.
    """
    patterns = [item["event"] for item in _triggers(data) if isinstance(item.get("event"), str)]
    return event_type(patterns or ["*"], catalogue)


def run_type(event: Type) -> Type:
    """Give the type of `run`."""
    return Fields({**dict.fromkeys(RUN_FIELDS, SCALAR), "event": event})


def vars_type(data: Mapping[str, Any]) -> Type:
    """Give the type of `vars`: the installation may give them values of other types."""
    declared = data.get("vars")
    return Fields(dict.fromkeys(declared) if isinstance(declared, Mapping) else {})


def inputs_type(data: Mapping[str, Any]) -> Type:
    """Give the type of `inputs`."""
    fields: dict[str, Type] = {}
    for trigger in _triggers(data):
        manual = trigger.get("manual")
        inputs = manual.get("inputs") if isinstance(manual, Mapping) else None
        for name, wanted in inputs.items() if isinstance(inputs, Mapping) else ():
            kind = wanted.get("type") if isinstance(wanted, Mapping) else None
            fields[name] = _INPUTS.get(kind) if isinstance(kind, str) else None
    return Fields(fields)


def step_type(step: PlainStep, catalogue: Catalogue | None, collected: Type = None) -> Type:
    """Give the type of `steps.<id>`. `collected`: what a `for_each` gathers of each item."""
    outputs = _outputs(step, catalogue, collected)
    known = resolved(outputs)
    if not isinstance(known, Fields):
        return None
    common: dict[str, Type] = {"status": Declared(StepStatus), "error": _ERROR, "output": outputs}
    return Fields({**known.fields, **common}, known.open)


def _outputs(  # noqa: PLR0911  # one a kind of step
    step: PlainStep, catalogue: Catalogue | None, collected: Type
) -> Type:
    match step.kind:
        case "uses":
            uses = step.value.get("uses")
            actions = {} if catalogue is None else catalogue.actions
            signature = actions.get(uses) if isinstance(uses, str) else None
            model = None if signature is None else signature.outputs
            return None if model is None else Declared(model)
        case "approval":
            return _APPROVAL
        case "wait_for":
            awaited = step.value["wait_for"]
            pattern = awaited.get("event") if isinstance(awaited, Mapping) else None
            event = event_type([pattern], catalogue) if isinstance(pattern, str) else None
            return Fields({"event": event, "timed_out": BOOLEAN})
        case "sleep":
            return Fields({})
        case "emit":
            return Fields({"event_id": SCALAR})
        case "call":
            return _called(step.value["call"], catalogue)
        case "for_each":
            gathers = isinstance(step.value.get("collect"), str)
            return Fields({**_TALLY, "results": ListOf(collected)} if gathers else _TALLY)
        case "parallel":
            return Fields(_TALLY)
        case _:
            return None


def _called(name: Any, catalogue: Catalogue | None) -> Type:
    known = (catalogue.workflows if catalogue else None) or {}
    signature = known.get(name) if isinstance(name, str) else None
    if signature is None:
        return None
    return Fields({**dict.fromkeys(signature.outputs), "run_id": SCALAR})


def _triggers(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = data.get("on")
    items = found if isinstance(found, list) else []
    return [item for item in items if isinstance(item, Mapping)]

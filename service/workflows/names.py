"""Whether the names that an expression reads exist at its place, down to typed fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from schemas.events import Event
from schemas.workflow import RUN_FIELDS, RunError
from service.workflows.catalogue import ActionSignature, Catalogue
from service.workflows.findings import did_you_mean
from service.workflows.functions import ARITIES
from service.workflows.references import Reference
from service.workflows.scope import RESERVED_STEP_FIELDS
from service.workflows.typed_paths import WrongPath, fields_of, wrong_part
from service.workflows.yaml_tree import Path

DOCUMENT_ROOTS = frozenset({"event", "events", "vars"})
STEP_ROOTS = DOCUMENT_ROOTS | {"steps", "run"}
_MOMENTS = {"now", "today"}
_PLACES = {
    "output": ("`output` can only be read in `until`", "read `steps.<id>.<field>` instead"),
    "error": ("`error` can only be read in `on_failure`", None),
    "steps": ("`steps` cannot be read here", "here are `vars` and `event`"),
    "run": ("`run` cannot be read here", "here are `vars` and `event`"),
}


@dataclass(frozen=True, slots=True)
class Names:
    """What an expression at one place may read.

    `steps` are the earlier steps with their actions. `output` is the model of the attempt's
    outputs, where there is one.
    """

    roots: frozenset[str]
    steps: Mapping[str, ActionSignature | None] = field(default_factory=dict)
    output: type[BaseModel] | None = None


def reference_fault(
    reference: Reference, names: Names, data: Mapping[str, Any], catalogue: Catalogue | None
) -> tuple[str, str | None] | None:
    """Say what is wrong with reading this name here, with a hint; None when nothing is.

    `data` is the document as plain values.
    """
    root, *rest = reference.path
    path = tuple(rest)
    if root not in names.roots:
        return _unknown_root(root, names)
    match root:
        case "steps":
            return _step_fault(path, names, data)
        case "vars":
            declared = data.get("vars")
            known = tuple(declared) if isinstance(declared, Mapping) else ()
            wrong = _one_of(path, known)
        case "run":
            wrong = _one_of(path, RUN_FIELDS)
        case "event":
            wrong = wrong_part(Event, path) or _facts_fault(path, data, catalogue)
        case "error":
            wrong = wrong_part(RunError, path)
        case "output" if names.output is not None:
            wrong = wrong_part(names.output, path)
        case _:
            wrong = None
    return None if wrong is None else _no_field(wrong, reference.path)


def _step_fault(path: Path, names: Names, data: Mapping[str, Any]) -> tuple[str, str | None] | None:
    fields = tuple(str(part) for part in path)
    if not fields:
        return "`steps` is read one step at a time", "write `steps.<id>.<field>`"
    step_id, *rest = fields
    if step_id not in names.steps:
        everywhere = [
            step.get("id")
            for section in ("steps", "on_failure")
            for _, step in steps_of(data.get(section))
        ]
        if step_id in everywhere:
            message = f"the step `{step_id}` is not performed before this one"
            return message, "only earlier steps can be read"
        return f"there is no step `{step_id}`", did_you_mean(step_id, names.steps)
    signature = names.steps[step_id]
    outputs = None if signature is None else signature.outputs
    if outputs is None or not rest or rest[0] in {"status", "error"}:
        return None
    inner = tuple(rest[1:] if rest[0] == "output" else rest)
    wrong = wrong_part(outputs, inner)
    if wrong is None:
        return None
    message, hint = _no_field(wrong, ("steps", *fields))
    if wrong.known and wrong.known == tuple(fields_of(outputs)):
        hint = did_you_mean(wrong.field, {*wrong.known, *RESERVED_STEP_FIELDS})
    return message, hint


def _facts_fault(
    path: Path, data: Mapping[str, Any], catalogue: Catalogue | None
) -> WrongPath | None:
    """Check `event.facts.…` where every trigger names a family whose facts are known."""
    if catalogue is None or path[:1] != ("facts",):
        return None
    triggers = data.get("on")
    wrong: WrongPath | None = None
    for trigger in triggers if isinstance(triggers, list) else [None]:
        event = trigger.get("event") if isinstance(trigger, Mapping) else None
        family = event.partition(".")[0] if isinstance(event, str) else ""
        model = catalogue.facts.get(family)
        if model is None:
            return None
        found = wrong_part(model, tuple(str(part) for part in path[1:]))
        if found is None:
            return None
        wrong = found
    return wrong


def steps_of(value: Any) -> list[tuple[int, Mapping[str, Any]]]:
    """Give the steps of a section that look like steps, with their positions."""
    if not isinstance(value, list):
        return []
    return [(at, step) for at, step in enumerate(value) if isinstance(step, Mapping)]


def _one_of(path: Path, known: tuple[str, ...]) -> WrongPath | None:
    if not path or path[0] in known:
        return None
    return WrongPath(str(path[0]), known)


def _unknown_root(root: str, names: Names) -> tuple[str, str | None]:
    if root in _PLACES:
        return _PLACES[root]
    if root in _MOMENTS:
        return (
            f"there is no `{root}`: an attempt must ask for the same thing each time it is made",
            "use `run.started_at` or `event.time`",
        )
    if root in names.steps:
        return f"there is no `{root}` here", f"did you mean `steps.{root}`?"
    if root in ARITIES:
        return f"`{root}` is a function and needs its arguments", None
    return f"there is no `{root}` here", did_you_mean(root, names.roots)


def _no_field(wrong: WrongPath, path: tuple[str, ...]) -> tuple[str, str | None]:
    read = ".".join(path)
    if not wrong.known:
        return f"`{read}`: the value before `{wrong.field}` has no fields", None
    return f"`{read}`: there is no `{wrong.field}`", did_you_mean(wrong.field, wrong.known)

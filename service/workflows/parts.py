"""The parts of a document as plain values: which keys each may have, and where its steps stand.

What is wrong with a document is found on its plain values, since a document that has faults cannot
be a typed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from schemas.document import (
    SECTIONS,
    STEP_KINDS,
    ActionStep,
    AnyStep,
    Approval,
    ApprovalStep,
    CallStep,
    Coalesce,
    Concurrency,
    CronTrigger,
    Debounce,
    Document,
    EachStep,
    Emit,
    EmitStep,
    EventTrigger,
    Input,
    Manual,
    ManualTrigger,
    ParallelStep,
    Poll,
    Retry,
    SleepStep,
    SleepUntil,
    Throttle,
    WaitFor,
    WaitStep,
)
from schemas.events import Json
from service.workflows.yaml_tree import Path

TRIGGER_KINDS: Mapping[str, type[BaseModel]] = {
    "event": EventTrigger,
    "cron": CronTrigger,
    "manual": ManualTrigger,
}
STEP_MODELS: Mapping[str, type[AnyStep]] = {
    "uses": ActionStep,
    "approval": ApprovalStep,
    "wait_for": WaitStep,
    "sleep": SleepStep,
    "emit": EmitStep,
    "call": CallStep,
    "for_each": EachStep,
    "parallel": ParallelStep,
}
LABELS: Mapping[type[BaseModel], str] = {
    Document: "the document",
    EventTrigger: "a trigger with `event`",
    CronTrigger: "a trigger with `cron`",
    ManualTrigger: "a trigger",
    Manual: "`manual`",
    Input: "an input",
    Concurrency: "`concurrency`",
    Coalesce: "`coalesce`",
    Debounce: "`debounce`",
    Throttle: "`throttle`",
    **{model: f"a step with `{kind}`" for kind, model in STEP_MODELS.items()},
    Retry: "`retry` of a step with `uses`",
    Poll: "`poll` of a step with `uses`",
    Approval: "`approval`",
    WaitFor: "`wait_for`",
    SleepUntil: "`sleep`",
    Emit: "`emit`",
}
"""Every part that has keys of its own, and how it is spoken of."""

_TRIGGERS, _STEPS, _ARMS, _INPUTS = "triggers", "steps", "arms", "inputs"
_INNER: Mapping[tuple[object, str], type[BaseModel] | str] = {
    (Document, "on"): _TRIGGERS,
    **{(Document, section): _STEPS for section in SECTIONS},
    (Document, "concurrency"): Concurrency,
    (Document, "coalesce"): Coalesce,
    (Document, "debounce"): Debounce,
    (Document, "throttle"): Throttle,
    (ManualTrigger, "manual"): Manual,
    (Manual, "inputs"): _INPUTS,
    (ActionStep, "retry"): Retry,
    (ActionStep, "poll"): Poll,
    (ApprovalStep, "approval"): Approval,
    (WaitStep, "wait_for"): WaitFor,
    (SleepStep, "sleep"): SleepUntil,
    (EmitStep, "emit"): Emit,
    (EachStep, "steps"): _STEPS,
    (ParallelStep, "parallel"): _ARMS,
}


@dataclass(frozen=True, slots=True)
class PlainStep:
    """A step as it was written. `kinds`: the keys that tell what kind it is; one, if it is right.

    `depth`: how many containers there are around it.
    """

    path: Path
    value: Mapping[str, Any]
    kinds: tuple[str, ...]
    depth: int = 0

    @property
    def id(self) -> str | None:
        """Its id, None when it has none that is a text."""
        found = self.value.get("id")
        return found if isinstance(found, str) else None

    @property
    def kind(self) -> str | None:
        """The kind it is taken for."""
        return self.kinds[0] if self.kinds else None


def keys_of(model: type[BaseModel]) -> list[str]:
    """Give the keys a part of a document may have, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def model_at(data: Json, path: Path) -> type[BaseModel] | None:
    """Give which part of a document stands at a path, None when it is none with keys of its own."""
    state: object = Document
    value = data
    for part in path:
        value = value[part]
        if isinstance(part, int):
            state = _element(state, value)
        elif state == _INPUTS:
            state = Input
        else:
            state = _INNER.get((state, part))
    return state if isinstance(state, type) and issubclass(state, BaseModel) else None


def _element(state: object, value: Json) -> object:
    if state == _ARMS:
        return _STEPS
    if not isinstance(value, Mapping):
        return None
    if state == _TRIGGERS:
        return next((model for kind, model in TRIGGER_KINDS.items() if kind in value), EventTrigger)
    if state == _STEPS:
        kinds = kinds_of(value)
        return STEP_MODELS[kinds[0]] if kinds else AnyStep
    return None


def kinds_of(step: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the keys of a step that tell its kind."""
    return tuple(kind for kind in STEP_KINDS if kind in step)


def sequence_at(path: Path, value: Json, depth: int = 0) -> list[PlainStep]:
    """Give the steps of one sequence, without what is no mapping."""
    if not isinstance(value, list):
        return []
    return [
        PlainStep((*path, at), step, kinds_of(step), depth)
        for at, step in enumerate(value)
        if isinstance(step, Mapping)
    ]


def arms_of(step: PlainStep) -> list[list[PlainStep]]:
    """Give the sequences inside a step: none of most."""
    if step.kind == "for_each":
        return [sequence_at((*step.path, "steps"), step.value.get("steps"), step.depth + 1)]
    inner = step.value.get("parallel")
    if step.kind == "parallel" and isinstance(inner, list):
        return [
            sequence_at((*step.path, "parallel", at), arm, step.depth + 1)
            for at, arm in enumerate(inner)
        ]
    return []


def steps_in(data: Mapping[str, Any]) -> Iterator[PlainStep]:
    """Give every step of a document, those inside others included, in the document's order."""
    for section in SECTIONS:
        yield from _walk(sequence_at((section,), data.get(section)))


def _walk(steps: list[PlainStep]) -> Iterator[PlainStep]:
    for step in steps:
        yield step
        for arm in arms_of(step):
            yield from _walk(arm)

"""The document itself, and the ids of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr, model_validator

from schemas.config import NAME_PATTERN
from schemas.document.gates import Coalesce, Concurrency, Debounce, Throttle
from schemas.document.parts import Condition, Part, PlainDuration, StepId, first_kind
from schemas.document.steps import NAMED_KINDS, STEP_KINDS, EachStep, ParallelStep, Step, walk
from schemas.document.triggers import EventTrigger, Input, ManualTrigger, Trigger
from schemas.events import Json

SECTIONS = ("steps", "on_failure", "on_cancel")


class Document(Part):
    """A workflow document (contract §8). `templates`: texts by name, or by the file's path."""

    name: Annotated[StrictStr, Field(pattern=NAME_PATTERN)] = Field(
        description="Small letters, digits, `-` and `_`, at most 63; it stays over versions."
    )
    description: StrictStr = Field(default="", description="What it is for.")
    triggers: tuple[Trigger, ...] = Field(
        alias="on", min_length=1, description="What starts a run; any one of them."
    )
    condition: Condition | None = Field(
        default=None, alias="if", description="No run is started when it does not hold."
    )
    vars: dict[str, Json] = Field(
        default_factory=dict,
        description="Values that an installation may replace where it names the file.",
    )
    concurrency: Concurrency | None = Field(
        default=None, description="How many runs may be under way."
    )
    coalesce: Coalesce | None = Field(
        default=None,
        description="Gather the events of a window into one run; not together with `debounce`.",
    )
    debounce: PlainDuration | Debounce | None = Field(
        default=None, description="Begin when it has become quiet: a duration, or the form below."
    )
    throttle: Throttle | None = Field(default=None, description="How often runs may begin.")
    steps: tuple[Step, ...] = Field(min_length=1, description="What is done, one after the other.")
    on_failure: tuple[Step, ...] = Field(
        default=(), description="Done when a step has failed for good; they read `error`."
    )
    on_cancel: tuple[Step, ...] = Field(default=(), description="Done when the run was cancelled.")
    outputs: dict[StepId, Json] = Field(
        default_factory=dict, description="What a calling workflow reads."
    )
    templates: dict[str, StrictStr] = Field(
        default_factory=dict, description="Texts by name, instead of files."
    )
    mode: Literal["live", "shadow"] = Field(
        default="live", description="`shadow`: effects are recorded and not made."
    )

    @model_validator(mode="before")
    @classmethod
    def _give_ids(cls, data: Any) -> Any:
        return with_ids(data) if isinstance(data, Mapping) else data

    @cached_property
    def by_id(self) -> dict[str, Step]:
        """Every step by its id, those of arms and loops included, in the document's order."""
        return {step.id: step for name in SECTIONS for step in walk(getattr(self, name))}

    @cached_property
    def sections(self) -> dict[str, str]:
        """The section that each step stands in, at whatever depth, by the step's id."""
        return {step.id: name for name in SECTIONS for step in walk(getattr(self, name))}

    def is_tidying(self, step_id: str) -> bool:
        """Say whether a step is part of `on_cancel`, and so is not ended by what it answers."""
        return self.sections[step_id] == "on_cancel"

    def step(self, step_id: str) -> Step:
        """Give the step with this id, of whatever part. Raises KeyError."""
        return self.by_id[step_id]

    def sequence(self, container: str, number: int) -> tuple[Step, ...]:
        """Give the steps of one arm of a `parallel`, or those of a `for_each`."""
        step = self.by_id[container]
        if isinstance(step, ParallelStep):
            return step.parallel[number]
        if isinstance(step, EachStep):
            return step.steps
        raise KeyError(container)

    @cached_property
    def inputs(self) -> dict[str, Input]:
        """What a start by hand takes, by name."""
        for trigger in self.triggers:
            if isinstance(trigger, ManualTrigger):
                return trigger.manual.inputs
        return {}

    @property
    def event_triggers(self) -> tuple[EventTrigger, ...]:
        """The triggers that are events."""
        return tuple(item for item in self.triggers if isinstance(item, EventTrigger))

    @property
    def quiet(self) -> Debounce | None:
        """How it is debounced, in the long form."""
        return Debounce(quiet=self.debounce) if isinstance(self.debounce, str) else self.debounce


def with_ids(data: Mapping[str, Any]) -> dict[str, Any]:
    """Give plain values of a document in which every step that may lack an id has one.

    Steps are numbered by kind in the document's order: `emit_1`, `for_each_1`. What has not the
    shape of a step is left as it is.
    """
    given = {step["id"] for step in _plain_steps(data) if isinstance(step.get("id"), str)}
    counts: dict[str, int] = {}

    def name(kind: str) -> str:
        while True:
            counts[kind] = counts.get(kind, 0) + 1
            if f"{kind}_{counts[kind]}" not in given:
                return f"{kind}_{counts[kind]}"

    def sequence(steps: Any) -> Any:
        return [_step(step) for step in steps] if isinstance(steps, list | tuple) else steps

    def _step(step: Any) -> Any:
        kind = first_kind(step, STEP_KINDS) if isinstance(step, Mapping) else None
        if kind is None:
            return step
        changed = dict(step)
        if "id" not in step and kind not in NAMED_KINDS:
            changed["id"] = name(kind)
        if kind == "for_each" and "steps" in step:
            changed["steps"] = sequence(step["steps"])
        if kind == "parallel" and isinstance(step["parallel"], list | tuple):
            changed["parallel"] = [sequence(arm) for arm in step["parallel"]]
        return changed

    return {key: sequence(value) if key in SECTIONS else value for key, value in data.items()}


def _plain_steps(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    pending = [data.get(name) for name in SECTIONS]
    while pending:
        steps = pending.pop()
        for step in steps if isinstance(steps, list | tuple) else ():
            if isinstance(step, Mapping):
                yield step
                pending.append(step.get("steps"))
                inner = step.get("parallel")
                pending.extend(inner if isinstance(inner, list | tuple) else ())

"""Workflow documents (contract §8) as typed values. No I/O.

A document is held as it was written: durations are texts (`15s`) and expressions are texts, so that
the JSON form of a document (`model_dump(mode="json")`) is the document again. What the texts mean
is decided in `service/workflows`. Steps that were given no id have one here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from schemas.config import NAME_PATTERN
from schemas.events import Json

STEP_ID_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
EVENT_PATTERN = r"^[a-z0-9_*][a-z0-9_.*-]*$"
EMITTED_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z0-9_-]+)+$"
MOST_ITEMS = 10_000
"""Items that one `for_each` can ever go through."""
STEP_KINDS = (
    "uses",
    "approval",
    "wait_for",
    "sleep",
    "emit",
    "call",
    "for_each",
    "parallel",
)
"""The keys that tell what kind of step a step is; each step has exactly one of them."""
NAMED_KINDS = frozenset({"uses", "approval", "wait_for", "call"})
"""Kinds whose steps must be given an id: people and other steps speak of them."""
SECTIONS = ("steps", "on_failure", "on_cancel")


class Part(BaseModel):
    """Base of every part of a document: immutable, unknown keys refused, written by alias."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


Text = Annotated[StrictStr, Field(min_length=1)]
Condition = Annotated[StrictStr | StrictBool, Field(description="A CEL expression.")]
Expression = Annotated[Text, Field(description="A CEL expression.")]
DurationText = Annotated[
    StrictStr,
    Field(
        pattern=r"^(\d+(\.\d+)?(ms|s|m|h|d)|\$\{\{[\s\S]*\}\})$",
        description="`500ms`, `15s`, `5m`, `2h`, `1d`, or one whole `${{ … }}` of vars and event.",
    ),
]
PlainDuration = Annotated[
    StrictStr,
    Field(pattern=r"^\d+(\.\d+)?(ms|s|m|h|d)$", description="`500ms`, `15s`, `5m`, `2h`, `1d`."),
]
CountOrText = Annotated[
    Annotated[StrictInt, Field(ge=1, le=100)]
    | Annotated[StrictStr, Field(pattern=r"^\$\{\{[\s\S]*\}\}$")],
    Field(description="A number, or one whole `${{ … }}` of vars and event."),
]
EventPattern = Annotated[StrictStr, Field(pattern=EVENT_PATTERN, max_length=200)]
StepId = Annotated[StrictStr, Field(pattern=STEP_ID_PATTERN)]


# --- what starts a run ------------------------------------------------------------------------


class EventTrigger(Part):
    """An event's type (with `*`), optionally of one vendor or source, or under a condition."""

    event: EventPattern = Field(description="Its type; `*` stands for any characters.")
    vendor: Text | None = Field(
        default=None, description="Only events of this vendor; `hookwright` for our own."
    )
    source: Text | None = Field(
        default=None, description="Only events of deliveries to this source."
    )
    condition: Condition | None = Field(
        default=None, alias="if", description="Only events for which it holds."
    )


class CronTrigger(Part):
    """A schedule of five fields, read in a time zone."""

    cron: Text = Field(description="Minute, hour, day of month, month, day of week.")
    timezone: Text = Field(
        default="UTC", description="In which the fields are read: a name such as `Europe/Berlin`."
    )


class Input(Part):
    """A value that whoever starts the workflow by hand or calls it gives."""

    type: Literal["text", "number", "boolean", "list", "map", "any"] = Field(
        default="any", description="What is accepted; `any` takes every value."
    )
    default: Json = Field(default=None, description="The value when none is given.")
    required: StrictBool = Field(default=False, description="Whether one must be given.")
    description: StrictStr = Field(default="", description="What it is for.")


class Manual(Part):
    """What a start by hand takes."""

    inputs: dict[StepId, Input] = Field(
        default_factory=dict, description="What may be given, by name."
    )


class ManualTrigger(Part):
    """A person starts it, or another workflow calls it."""

    manual: Manual = Field(description="`{}` when it takes no inputs.")


def _trigger_kind(value: Any) -> str | None:
    return _kind(value, ("event", "cron", "manual"))


Trigger = Annotated[
    Annotated[EventTrigger, Tag("event trigger")]
    | Annotated[CronTrigger, Tag("cron trigger")]
    | Annotated[ManualTrigger, Tag("manual trigger")],
    Discriminator(
        lambda value: (kind := _trigger_kind(value)) and f"{kind} trigger",
        custom_error_type="trigger_kind",
        custom_error_message="a trigger has one of `event`, `cron`, `manual`",
    ),
]


class Concurrency(Part):
    """How many runs of one key may be under way, and what a further one does."""

    key: Expression | None = Field(
        default=None,
        description="Runs that give the same value are of one key; by default all runs are.",
    )
    when_busy: Literal["queue", "skip", "replace"] = Field(
        default="queue",
        description="What a further run does: wait its turn, be skipped, or cancel older ones.",
    )
    limit: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        default=1, description="How many of a key may be under way."
    )


class Coalesce(Part):
    """The first event of a key opens a window; one run sees all that came within it."""

    key: Expression | None = Field(
        default=None, description="Events that give the same value are gathered together."
    )
    within: PlainDuration = Field(
        description="How long the window stays open after its first event."
    )


class Debounce(Part):
    """The run begins once no event of its key has come for `quiet`, or after `at_most`."""

    key: Expression | None = Field(
        default=None, description="Events that give the same value are gathered together."
    )
    quiet: PlainDuration = Field(description="How long no further event may have come.")
    at_most: PlainDuration | None = Field(
        default=None, description="It begins this long after its first event, quiet or not."
    )


class Throttle(Part):
    """At most `limit` runs of a key begin in any span of `per`; others wait or are skipped."""

    limit: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        description="How many runs of a key may begin."
    )
    per: PlainDuration = Field(description="In any span this long.")
    key: Expression | None = Field(
        default=None, description="Runs that give the same value are counted together."
    )
    when_over: Literal["wait", "skip"] = Field(
        default="wait", description="What a run beyond the limit does."
    )


# --- steps --------------------------------------------------------------------------------------


class Retry(Part):
    """How transient failures of a step are tried again: doubling from `first` up to `max`."""

    attempts: CountOrText = Field(default=5, description="Tries altogether.")
    first: DurationText = Field(
        default="2s", description="The longest first pause; each later one may be twice as long."
    )
    max: DurationText = Field(default="1m", description="The longest pause of all.")


class Poll(Part):
    """A step that is performed every `every` until `until` holds, for at most `timeout`.

    `first` is how long to wait before asking for the first time; by default it is asked at once.
    """

    every: DurationText = Field(description="The pause between two questions.")
    until: Condition = Field(
        description="Asked anew until it holds; `output` is the latest answer."
    )
    timeout: DurationText = Field(
        description="When the step fails with `poll_timeout`, from its first question."
    )
    first: DurationText | None = Field(
        default=None, description="How long to wait before the first question; none when left out."
    )


class AnyStep(Part):
    """What steps of every kind have."""

    id: StepId = Field(
        description="How others read it; `emit`, `for_each`, `parallel`, `sleep` may go without."
    )
    condition: Condition | None = Field(
        default=None, alias="if", description="The step is skipped when it does not hold."
    )
    on_error: Literal["fail", "continue"] = Field(
        default="fail", description="Whether the run fails with the step or goes on."
    )


class ActionStep(AnyStep):
    """An action with its parameters, and how it is retried, polled and limited."""

    uses: Text = Field(description="The action's name.")
    connection: Text | None = Field(
        default=None, description="The account; needed when there are several of the vendor."
    )
    params: dict[str, Json] = Field(
        default_factory=dict,
        alias="with",
        description="Its parameters. A text may also be `{template: PATH}`.",
    )
    retry: Retry | None = Field(
        default=None, description="How failures that may pass are tried again; the same by default."
    )
    poll: Poll | None = Field(default=None, description="Ask again until the answer fits.")
    timeout: DurationText | None = Field(default=None, description="Of one attempt.")


class Approval(Part):
    """What a person is asked. `ask`: the vendor over which; by default only here."""

    text: Text = Field(description="The question; it may hold `${{ … }}`.")
    ask: Text | None = Field(
        default=None,
        description="The vendor over which it is asked, `slack`; by default only here.",
    )
    connection: Text | None = Field(default=None, description="The account over which it is asked.")
    channel: Text | None = Field(
        default=None, description="Where it is asked; by default the connection's own."
    )
    timeout: DurationText = Field(default="24h", description="How long it is waited for.")
    on_timeout: Literal["reject", "approve"] = Field(
        default="reject", description="What counts when nobody has decided."
    )
    on_reject: Literal["fail", "continue"] = Field(
        default="fail",
        description="Whether the step fails when it is rejected; see `approved` otherwise.",
    )


class ApprovalStep(AnyStep):
    """Waits until a person approves or rejects."""

    approval: Approval = Field(description="What is asked.")


class WaitFor(Part):
    """Which other event is awaited; in `if`, `event` is that event."""

    event: EventPattern = Field(
        description="The type of the awaited event; `*` stands for any characters."
    )
    vendor: Text | None = Field(default=None, description="Only events of this vendor.")
    source: Text | None = Field(
        default=None, description="Only events of deliveries to this source."
    )
    condition: Condition | None = Field(
        default=None,
        alias="if",
        description="`event` is the awaited one, `run.event` the run's own.",
    )
    timeout: DurationText = Field(description="How long it is waited for.")
    on_timeout: Literal["fail", "continue"] = Field(
        default="fail",
        description="Whether the step fails when none came; see `timed_out` otherwise.",
    )


class WaitStep(AnyStep):
    """Waits for another event, which may also have come since the run began."""

    wait_for: WaitFor = Field(description="What is awaited.")


class SleepUntil(Part):
    """A moment: one `${{ … }}` that gives a time, as a text (RFC 3339) or a CEL timestamp."""

    until: Text = Field(
        description="One `${{ … }}` that gives a time with its zone, at most 366 days away."
    )


class SleepStep(AnyStep):
    """Waits for a while, or until a moment."""

    sleep: DurationText | SleepUntil = Field(description="How long, or `{until: TIME}`.")


class Emit(Part):
    """An event of ours; its type is plain text, so that it is known what it can start."""

    type: Annotated[StrictStr, Field(pattern=EMITTED_PATTERN, max_length=200)] = Field(
        description="Plain text, such as `nightly.finished`; not of a family that only we make."
    )
    subject: Text | None = Field(default=None, description="What it is about.")
    facts: dict[str, Json] = Field(
        default_factory=dict, description="Its facts; those of our own families are checked."
    )


class EmitStep(AnyStep):
    """Emits an event, which may start other workflows."""

    emit: Emit = Field(description="The event.")


class CallStep(AnyStep):
    """Starts another workflow with inputs and waits for its end."""

    call: Annotated[StrictStr, Field(pattern=NAME_PATTERN)] = Field(
        description="The workflow's name; it needs a `manual` trigger."
    )
    params: dict[str, Json] = Field(default_factory=dict, alias="with", description="Its inputs.")


class EachStep(AnyStep):
    """Performs its steps for every item of a list, some items at once."""

    for_each: Expression = Field(description="A list.")
    variable: StepId = Field(
        default="item",
        alias="as",
        description="The name of the item; its number is `<name>_index`, from 0.",
    )
    max_parallel: Annotated[StrictInt, Field(ge=1, le=100)] = Field(
        default=4, description="How many items are under way at once."
    )
    most: Annotated[StrictInt, Field(ge=1, le=MOST_ITEMS)] = Field(
        default=1000, description="A longer list fails the step with `too_many_items`."
    )
    collect: Text | None = Field(
        default=None, description="One `${{ … }}` whose values become `results`."
    )
    steps: tuple[Step, ...] = Field(min_length=1, description="What is done for each item.")


class ParallelStep(AnyStep):
    """Performs several sequences at once and waits for all of them."""

    parallel: tuple[Annotated[tuple[Step, ...], Field(min_length=1)], ...] = Field(
        min_length=1, max_length=50, description="The arms, each a list of steps; at most 50."
    )


def _step_kind(value: Any) -> str | None:
    return _kind(value, STEP_KINDS)


Step = Annotated[
    Annotated[ActionStep, Tag("uses step")]
    | Annotated[ApprovalStep, Tag("approval step")]
    | Annotated[WaitStep, Tag("wait_for step")]
    | Annotated[SleepStep, Tag("sleep step")]
    | Annotated[EmitStep, Tag("emit step")]
    | Annotated[CallStep, Tag("call step")]
    | Annotated[EachStep, Tag("for_each step")]
    | Annotated[ParallelStep, Tag("parallel step")],
    Discriminator(
        lambda value: (kind := _step_kind(value)) and f"{kind} step",
        custom_error_type="step_kind",
        custom_error_message=f"a step has one of {', '.join(f'`{kind}`' for kind in STEP_KINDS)}",
    ),
]


def _kind(value: Any, kinds: tuple[str, ...]) -> str | None:
    if isinstance(value, Mapping):
        return next((kind for kind in kinds if kind in value), None)
    return next((kind for kind in kinds if hasattr(value, kind)), None)


def kind_of(step: Step) -> str:
    """Give the key that tells what kind of step it is."""
    return str(_step_kind(step))


# --- the document ---------------------------------------------------------------------------------


class Document(Part):
    """A workflow document (contract §8). `templates`: texts by name, or by the file's path."""

    name: Annotated[StrictStr, Field(pattern=NAME_PATTERN)] = Field(
        description="Small letters, digits and `-`; it stays the same over versions."
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


def arms(step: Step) -> tuple[tuple[Step, ...], ...]:
    """Give the sequences inside a step: none of most."""
    if isinstance(step, ParallelStep):
        return step.parallel
    return (step.steps,) if isinstance(step, EachStep) else ()


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Give every step with those inside it, in the document's order."""
    for step in steps:
        yield step
        for arm in arms(step):
            yield from walk(arm)


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
        kind = _step_kind(step) if isinstance(step, Mapping) else None
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


EachStep.model_rebuild()
ParallelStep.model_rebuild()
Document.model_rebuild()

"""The kinds of steps, each told by its one distinguishing key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictInt, StrictStr, Tag

from schemas.config import NAME_PATTERN
from schemas.document.parts import (
    Condition,
    CountOrText,
    DurationText,
    EventPattern,
    Expression,
    Part,
    StepId,
    Text,
    first_kind,
)
from schemas.events import Json

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
    return first_kind(value, STEP_KINDS)


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


def kind_of(step: Step) -> str:
    """Give the key that tells what kind of step it is."""
    return str(_step_kind(step))


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


EachStep.model_rebuild()
ParallelStep.model_rebuild()

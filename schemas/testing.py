"""Test files of workflows (`*.test.yaml`): what is given, and what is expected of the run. No I/O.

In whatever is expected of texts, `…` stands for any characters; of mappings, only the keys that are
named are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
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

from schemas.config import parse_duration
from schemas.document import PlainDuration
from schemas.events import Json

ELLIPSIS = ("…", "...")
"""How one writes that more may stand here."""
OUTCOMES = ("returns", "fails", "doubt", "lost")
HAPPENINGS = ("event", "approve", "reject", "settle", "cancel")

YEARS = range(1990, 2101)
"""Of all times in a test file."""
LONGEST = timedelta(days=366)
"""What a case may wait for at once."""


def read_span(text: str) -> timedelta:
    """Read `0s`, `500ms`, `15s`, `2h`: as in a document, but it may be nothing."""
    return cast("timedelta", parse_duration(text))


def _check_span(text: str) -> str:
    if read_span(text) > LONGEST:
        message = f"{text} is too long: at most {LONGEST.days} days"
        raise ValueError(message)
    return text


def _check_start(start: datetime) -> datetime:
    if start.year not in YEARS:
        message = f"a time of a test lies in the years {YEARS[0]} to {YEARS[-1]}"
        raise ValueError(message)
    return start


Span = Annotated[PlainDuration, AfterValidator(_check_span)]
Start = Annotated[AwareDatetime, AfterValidator(_check_start)]
Text = Annotated[StrictStr, Field(min_length=1)]
Status = Literal["succeeded", "failed", "cancelled", "waiting"]


class Part(BaseModel):
    """Base of every part of a test file: immutable, unknown keys refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


def _one_of(value: Part, keys: tuple[str, ...]) -> None:
    given = [key for key in keys if key in value.model_fields_set]
    if len(given) != 1:
        listed = ", ".join(f"`{key}`" for key in keys)
        found = "none" if not given else " and ".join(f"`{key}`" for key in given)
        message = f"write one of {listed}; here is {found}"
        raise ValueError(message)


class GivenFailure(Part):
    """How a call fails. `retryable`: by default what a failure of this code is."""

    code: Text = Field(description="The failure's code, such as `timed_out` or `refused`.")
    message: StrictStr = Field(default="it failed in this test", description="Its words.")
    retryable: StrictBool | None = Field(
        default=None, description="Whether it may pass; by default what its code says."
    )
    retry_after: Span | None = Field(
        default=None, description="How long the other side asks to wait."
    )


class GivenAnswer(Part):
    """What comes of a call, and how long it takes (`after`).

    `returns`: its outputs; those left out are null. `fails`: its failure, or only the code of it.
    `doubt`: nobody can tell whether it took effect. `lost`: its worker dies during the call.
    """

    returns: dict[str, Json] | None = Field(
        default=None, description="Its outputs; those left out are null."
    )
    fails: GivenFailure | Text | None = Field(
        default=None, description="How it fails, or only the code."
    )
    doubt: Text | None = Field(
        default=None, description="Why nobody can tell whether it took effect."
    )
    lost: StrictBool = Field(default=False, description="Its worker dies during the call.")
    after: Span | None = Field(default=None, description="How long the call takes.")

    @model_validator(mode="after")
    def _is_one(self) -> GivenAnswer:
        _one_of(self, OUTCOMES)
        return self


class GivenEvent(Part):
    """An event: all by itself, or a recorded one (`sample: vendor/name`) with fields replaced.

    `facts` of a sample are laid over the recorded ones. `type` is needed without a sample.
    """

    sample: Text | None = Field(
        default=None,
        description="A recorded delivery, `vendor/name`; the other keys are laid over it.",
    )
    type: Text | None = Field(default=None, description="Its type; needed without a sample.")
    vendor: Text | None = Field(default=None, description="Its vendor.")
    vendor_type: Text | None = Field(default=None, description="The vendor's own name for it.")
    source: StrictStr | None = Field(default=None, description="The source it came to.")
    subject: StrictStr | None = Field(default=None, description="What it is about.")
    time: Start | None = Field(default=None, description="When it happened.")
    facts: dict[str, Json] = Field(default_factory=dict, description="Its facts.")
    payload: Json = Field(default=None, description="The vendor's own body.")

    @model_validator(mode="after")
    def _has_type(self) -> GivenEvent:
        if self.sample is None and self.type is None:
            message = "an event needs its `type`, or a `sample` such as `checksum/run.failed`"
            raise ValueError(message)
        return self


class GivenLater(Part):
    """Something that happens `after` so much time since the start.

    `approve`, `reject` and `settle` name the step; inside a branch by its path (`each[3].ok`).
    """

    after: Span = Field(description="How long after the start.")
    event: GivenEvent | None = Field(default=None, description="An event arrives.")
    approve: Text | None = Field(default=None, description="Somebody approves this step.")
    reject: Text | None = Field(default=None, description="Somebody rejects it.")
    settle: Text | None = Field(
        default=None, description="Somebody says what became of this step, which is in doubt."
    )
    cancel: Literal[True] | None = Field(default=None, description="Somebody cancels the run.")
    by: StrictStr | None = Field(default=None, description="Who it is.")
    note: StrictStr | None = Field(default=None, description="What they say.")
    took_effect: StrictBool = Field(
        default=True, description="With `settle`: whether it took effect."
    )
    output: dict[str, Json] = Field(
        default_factory=dict, description="With `settle`: what it gave."
    )

    @model_validator(mode="after")
    def _is_one(self) -> GivenLater:
        _one_of(self, HAPPENINGS)
        return self


class GivenCall(Part):
    """How a called workflow ends."""

    status: Literal["succeeded", "failed", "cancelled"] = Field(
        default="succeeded", description="How it ends."
    )
    outputs: dict[str, Json] = Field(default_factory=dict, description="What it gives.")
    error: StrictStr | None = Field(default=None, description="Why it failed.")
    after: Span | None = Field(default=None, description="How long it takes.")


class ExpectedEffect(Part):
    """Something that was changed outside: `times` calls of an action, one after the other."""

    uses: Text = Field(description="The action.")
    params: dict[str, Json] = Field(
        default_factory=dict, alias="with", description="Its parameters, as far as they are named."
    )
    times: Annotated[StrictInt, Field(ge=1, le=10_000)] = Field(
        default=1, description="How often, one call after the other."
    )


class ExpectedEvent(Part):
    """An event that the run emits."""

    type: Text = Field(description="Its type.")
    subject: StrictStr | None = Field(default=None, description="What it is about.")
    facts: dict[str, Json] = Field(
        default_factory=dict, description="Its facts, as far as they are named."
    )


class ExpectedError(Part):
    """Why the run failed."""

    step: Text | None = Field(default=None, description="Which step failed.")
    code: Text | None = Field(default=None, description="With which code.")
    message: Text | None = Field(default=None, description="With which words.")


More = Annotated[Literal["…", "..."], Tag("more")]


def _more(tag: str) -> Discriminator:
    return Discriminator(lambda value: "more" if isinstance(value, str) else tag)


class Expected(Part):
    """What is expected; what is not named is not looked at."""

    starts: StrictBool | None = Field(default=None, description="Whether a run begins.")
    reason: Text | None = Field(default=None, description="Why it does not.")
    status: Status | None = Field(default=None, description="How it ends, or that it waits.")
    steps: dict[str, StrictStr | None] | None = Field(
        default=None, description="The steps in their order, with their states."
    )
    effects: (
        tuple[Annotated[Annotated[ExpectedEffect, Tag("effect")] | More, _more("effect")], ...]
        | None
    ) = Field(default=None, description="What is changed outside, in order.")
    emits: (
        tuple[Annotated[Annotated[ExpectedEvent, Tag("event")] | More, _more("event")], ...] | None
    ) = Field(default=None, description="The events it emits, in order.")
    output: Json = Field(default=None, description="What it gives a calling workflow.")
    error: ExpectedError | None = Field(default=None, description="Why it failed.")
    took: Span | None = Field(default=None, description="How long it took, in virtual time.")
    waits_for: dict[str, StrictStr] | None = Field(
        default=None, description="What steps wait for, such as `{heal: person}`."
    )

    @model_validator(mode="after")
    def _is_something(self) -> Expected:
        if not self.model_fields_set:
            message = "nothing is expected here: such a case could not fail"
            raise ValueError(message)
        return self


def _one_or_list(value: Any) -> str:
    return "answers" if isinstance(value, list | tuple) else "answer"


Answers = Annotated[
    Annotated[GivenAnswer, Tag("answer")]
    | Annotated[tuple[GivenAnswer, ...], Field(min_length=1), Tag("answers")],
    Discriminator(_one_or_list),
]


class Given(Part):
    """What a case, or the defaults of all cases, may give.

    `actions` holds the outcomes by step or by action: one for all its calls, or a list of which
    each call takes the next. `later` happens while the run is under way. `called` tells how called
    workflows end, by their names.
    """

    event: GivenEvent | None = Field(default=None, description="What starts it.")
    events: tuple[GivenEvent, ...] = Field(
        default=(), description="What starts it, when it gathers several."
    )
    vars: dict[str, Json] = Field(default_factory=dict, description="The installation's vars.")
    inputs: dict[str, Json] | None = Field(default=None, description="A start by hand with these.")
    start: Start | None = Field(default=None, description="When it begins.")
    actions: dict[str, Answers] = Field(
        default_factory=dict, description="Outcomes by step, or by action; a list is taken in turn."
    )
    later: tuple[GivenLater, ...] = Field(
        default=(), description="What happens while it is under way."
    )
    called: dict[str, GivenCall] = Field(
        default_factory=dict, description="How called workflows end, by name."
    )


class Case(Given):
    """One case: what is given, and what is expected."""

    name: Text = Field(description="What it shows.")
    expect: Expected = Field(description="What is expected.")


class WorkflowTests(Part):
    """A test file. `workflow`: the document's file, by default the one of the same name.

    `defaults` lies under every case, mapping by mapping; each case is validated with it.
    """

    workflow: Text | None = Field(
        default=None, description="The document's file; by default the one of the same name."
    )
    defaults: dict[str, Json] = Field(default_factory=dict, description="Lies under every case.")
    cases: tuple[Case, ...] = Field(min_length=1, description="The cases.")


def merged(defaults: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    """Give a case's plain values with the defaults under them, mapping by mapping.

    An answer of `actions` replaces the default one as a whole.
    """
    found = dict(defaults)
    for key, value in case.items():
        below = found.get(key)
        if key == "actions" and isinstance(below, Mapping) and isinstance(value, Mapping):
            found[key] = {**below, **value}
        elif isinstance(below, Mapping) and isinstance(value, Mapping):
            found[key] = merged(below, value)
        else:
            found[key] = value
    return found

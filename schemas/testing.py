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

    model_config = ConfigDict(frozen=True, extra="forbid")


def _one_of(value: Part, keys: tuple[str, ...]) -> None:
    given = [key for key in keys if key in value.model_fields_set]
    if len(given) != 1:
        listed = ", ".join(f"`{key}`" for key in keys)
        found = "none" if not given else " and ".join(f"`{key}`" for key in given)
        message = f"write one of {listed}; here is {found}"
        raise ValueError(message)


class GivenFailure(Part):
    """How a call fails. `retryable`: by default what a failure of this code is."""

    code: Text
    message: StrictStr = "it failed in this test"
    retryable: StrictBool | None = None
    retry_after: Span | None = None


class GivenAnswer(Part):
    """What comes of a call, and how long it takes (`after`).

    `returns`: its outputs; those left out are null. `fails`: its failure, or only the code of it.
    `doubt`: nobody can tell whether it took effect. `lost`: its worker dies during the call.
    """

    returns: dict[str, Json] | None = None
    fails: GivenFailure | Text | None = None
    doubt: Text | None = None
    lost: StrictBool = False
    after: Span | None = None

    @model_validator(mode="after")
    def _is_one(self) -> GivenAnswer:
        _one_of(self, OUTCOMES)
        return self


class GivenEvent(Part):
    """An event: all by itself, or a recorded one (`sample: vendor/name`) with fields replaced.

    `facts` of a sample are laid over the recorded ones. `type` is needed without a sample.
    """

    sample: Text | None = None
    type: Text | None = None
    vendor: Text | None = None
    vendor_type: Text | None = None
    source: StrictStr | None = None
    subject: StrictStr | None = None
    time: Start | None = None
    facts: dict[str, Json] = Field(default_factory=dict)
    payload: Json = None

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

    after: Span
    event: GivenEvent | None = None
    approve: Text | None = None
    reject: Text | None = None
    settle: Text | None = None
    cancel: Literal[True] | None = None
    by: StrictStr | None = None
    note: StrictStr | None = None
    took_effect: StrictBool = True
    output: dict[str, Json] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_one(self) -> GivenLater:
        _one_of(self, HAPPENINGS)
        return self


class GivenCall(Part):
    """How a called workflow ends."""

    status: Literal["succeeded", "failed", "cancelled"] = "succeeded"
    outputs: dict[str, Json] = Field(default_factory=dict)
    error: StrictStr | None = None
    after: Span | None = None


class ExpectedEffect(Part):
    """Something that was changed outside: `times` calls of an action, one after the other."""

    uses: Text
    params: dict[str, Json] = Field(default_factory=dict, alias="with")
    times: Annotated[StrictInt, Field(ge=1, le=10_000)] = 1


class ExpectedEvent(Part):
    """An event that the run emits."""

    type: Text
    subject: StrictStr | None = None
    facts: dict[str, Json] = Field(default_factory=dict)


class ExpectedError(Part):
    """Why the run failed."""

    step: Text | None = None
    code: Text | None = None
    message: Text | None = None


More = Annotated[Literal["…", "..."], Tag("more")]


def _more(tag: str) -> Discriminator:
    return Discriminator(lambda value: "more" if isinstance(value, str) else tag)


class Expected(Part):
    """What is expected; what is not named is not looked at."""

    starts: StrictBool | None = None
    reason: Text | None = None
    status: Status | None = None
    steps: dict[str, StrictStr | None] | None = None
    effects: (
        tuple[Annotated[Annotated[ExpectedEffect, Tag("effect")] | More, _more("effect")], ...]
        | None
    ) = None
    emits: (
        tuple[Annotated[Annotated[ExpectedEvent, Tag("event")] | More, _more("event")], ...] | None
    ) = None
    output: Json = None
    error: ExpectedError | None = None
    took: Span | None = None
    waits_for: dict[str, StrictStr] | None = None

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

    event: GivenEvent | None = None
    events: tuple[GivenEvent, ...] = ()
    vars: dict[str, Json] = Field(default_factory=dict)
    inputs: dict[str, Json] | None = None
    start: Start | None = None
    actions: dict[str, Answers] = Field(default_factory=dict)
    later: tuple[GivenLater, ...] = ()
    called: dict[str, GivenCall] = Field(default_factory=dict)


class Case(Given):
    """One case: what is given, and what is expected."""

    name: Text
    expect: Expected


class WorkflowTests(Part):
    """A test file. `workflow`: the document's file, by default the one of the same name.

    `defaults` lies under every case, mapping by mapping; each case is validated with it.
    """

    workflow: Text | None = None
    defaults: dict[str, Json] = Field(default_factory=dict)
    cases: tuple[Case, ...] = Field(min_length=1)


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

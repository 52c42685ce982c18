"""Workflow documents, and the states of their runs and steps, as typed values. No I/O.

A document is held as it was written: durations are texts (`15s`) and expressions are texts, so that
the JSON form of a document (`model_dump(mode="json")`) is the document again. What the texts mean
is decided in `service/workflows`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from schemas.config import NAME_PATTERN
from schemas.events import Json

STEP_ID_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
EVENT_PATTERN = r"^[a-z0-9_*][a-z0-9_.*-]*$"
RUN_FIELDS = (
    "id",
    "workflow",
    "version",
    "mode",
    "started_at",
    "url",
    "correlation_id",
)
"""What expressions may read of `run`; whoever starts a run gives all of them."""


class RunStatus(StrEnum):
    """States of a run (contract §8)."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Say whether nothing more will happen to the run by itself."""
        return self in {
            RunStatus.SUCCEEDED,
            RunStatus.FAILED,
            RunStatus.CANCELLED,
            RunStatus.SKIPPED,
        }


class StepStatus(StrEnum):
    """States of a step: those of a run, and `in_doubt` (contract §8)."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"

    @property
    def is_final(self) -> bool:
        """Say whether nothing more will happen to the step by itself."""
        return self in {
            StepStatus.SUCCEEDED,
            StepStatus.FAILED,
            StepStatus.CANCELLED,
            StepStatus.SKIPPED,
        }


class WaitKind(StrEnum):
    """Why a step waits."""

    RETRY = "retry"
    POLL = "poll"


class Part(BaseModel):
    """Base of every part of a document: immutable, unknown keys refused, written by alias."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


Text = Annotated[StrictStr, Field(min_length=1)]
Condition = Annotated[StrictStr | StrictBool, Field(description="A CEL expression.")]
DurationText = Annotated[
    StrictStr,
    Field(
        pattern=r"^(\d+(\.\d+)?(ms|s|m|h|d)|\$\{\{[\s\S]*\}\})$",
        description="`500ms`, `15s`, `5m`, `2h`, `1d`, or one whole `${{ … }}` of vars and event.",
    ),
]
CountOrText = Annotated[
    Annotated[StrictInt, Field(ge=1, le=100)]
    | Annotated[StrictStr, Field(pattern=r"^\$\{\{[\s\S]*\}\}$")],
    Field(description="A number, or one whole `${{ … }}` of vars and event."),
]


class Trigger(Part):
    """What starts a run: an event's type (with `*`), optionally of one vendor or source."""

    event: Annotated[StrictStr, Field(pattern=EVENT_PATTERN, max_length=200)]
    vendor: Text | None = None
    source: Text | None = None


class Retry(Part):
    """How transient failures of a step are tried again: doubling from `first` up to `max`."""

    attempts: CountOrText = 5
    first: DurationText = "2s"
    max: DurationText = "1m"


class Poll(Part):
    """A step that is performed every `every` until `until` holds, for at most `timeout`.

    `first` is how long to wait before asking for the first time; by default it is asked at once.
    """

    every: DurationText
    until: Condition
    timeout: DurationText
    first: DurationText | None = None


class Step(Part):
    """One step: an action with its parameters, and how it is retried, polled and limited."""

    id: Annotated[StrictStr, Field(pattern=STEP_ID_PATTERN)]
    uses: Text
    connection: Text | None = None
    params: dict[str, Json] = Field(default_factory=dict, alias="with")
    condition: Condition | None = Field(default=None, alias="if")
    retry: Retry | None = None
    poll: Poll | None = None
    timeout: DurationText | None = None
    on_error: Literal["fail", "continue"] = "fail"


class Document(Part):
    """A workflow document (contract §8)."""

    name: Annotated[StrictStr, Field(pattern=NAME_PATTERN)]
    description: StrictStr = ""
    triggers: tuple[Trigger, ...] = Field(alias="on", min_length=1)
    condition: Condition | None = Field(default=None, alias="if")
    vars: dict[str, Json] = Field(default_factory=dict)
    steps: tuple[Step, ...] = Field(min_length=1)
    on_failure: tuple[Step, ...] = ()
    mode: Literal["live", "shadow"] = "live"

    def step(self, step_id: str) -> Step:
        """Give the step with this id, of `steps` or `on_failure`. Raises KeyError."""
        for step in (*self.steps, *self.on_failure):
            if step.id == step_id:
                return step
        raise KeyError(step_id)


class StepError(BaseModel):
    """Why a step failed or is in doubt. `retry_after_s`: seconds the other side asked for."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    retryable: bool = False
    retry_after_s: float | None = None


class RunError(BaseModel):
    """Why a run failed; expressions of `on_failure` read it as `error`."""

    model_config = ConfigDict(frozen=True)

    step: str
    code: str
    message: str


class StepState(BaseModel):
    """What is recorded of a step.

    `attempts` counts every try that was begun, `polls` the answers that a polling step was given.
    `put_off` counts the tries that a rate limit turned away: they use up no retry.
    `started_at` is when the first attempt began, `attempted_at` the latest one; `due_at` and `wait`
    are set while it waits.
    """

    model_config = ConfigDict(frozen=True)

    step_id: str
    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    put_off: int = 0
    polls: int = 0
    started_at: datetime | None = None
    attempted_at: datetime | None = None
    due_at: datetime | None = None
    wait: WaitKind | None = None
    output: dict[str, Any] | None = None
    error: StepError | None = None
    reason: str | None = None
    """Why it was skipped, in words for people."""

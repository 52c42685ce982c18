"""The states of runs and steps, as typed values. Documents stand in `schemas/document`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

RUN_FIELDS = (
    "id",
    "workflow",
    "version",
    "mode",
    "started_at",
    "url",
    "correlation_id",
    "event",
)
"""What expressions may read of `run`; whoever starts a run gives all of them.

`run.event` is the event that started it: inside `wait_for`, `event` is another one.
"""


_FINAL = frozenset({"succeeded", "failed", "cancelled", "skipped"})


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
        return self.value in _FINAL


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
        return self.value in _FINAL


class WaitKind(StrEnum):
    """Why a step, or a run that has not begun, waits."""

    RETRY = "retry"
    POLL = "poll"
    SLEEP = "sleep"
    EVENT = "event"
    """For another event (`wait_for`)."""
    APPROVAL = "approval"
    CALL = "call"
    """For the end of a workflow it called."""
    BRANCHES = "branches"
    """For the arms of a `parallel` or the items of a `for_each`."""
    TARGET = "turn"
    """Another run is changing the same thing outside."""
    PERSON = "person"
    """An outcome is in doubt."""
    GATHERING = "gathering"
    """The run has not begun: more events may join it (`coalesce`, `debounce`)."""
    QUEUE = "queue"
    """The run has not begun: another of its key is under way (`concurrency`)."""
    THROTTLE = "throttle"
    """The run has not begun: too many of its key began lately (`throttle`)."""


def _is_none(value: object) -> bool:
    return value is None


class StepError(BaseModel):
    """Why a step failed or is in doubt. `retry_after_s`: seconds the other side asked for.

    `fault`: what the traceback of a fault of ours is found by in the log.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    retryable: bool = False
    retry_after_s: float | None = None
    fault: str | None = Field(default=None, exclude_if=_is_none)


class RunError(BaseModel):
    """Why a run failed; expressions of `on_failure` read it as `error`.

    `fault`: what the traceback of a fault of ours is found by in the log.
    """

    model_config = ConfigDict(frozen=True)

    step: str
    code: str
    message: str
    fault: str | None = Field(default=None, exclude_if=_is_none)


class Tally(BaseModel):
    """How far the branches of a `parallel` or a `for_each` have come.

    `begun` counts the branches that were started, in their order; the last three those that ended.
    `first_error` is why the first of them failed.
    """

    model_config = ConfigDict(frozen=True)

    total: int
    begun: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    first_error: RunError | None = None

    @property
    def ended(self) -> int:
        """How many branches have ended."""
        return self.succeeded + self.failed + self.cancelled

    @property
    def under_way(self) -> int:
        """How many branches have begun and not ended."""
        return self.begun - self.ended


class StepState(BaseModel):
    """What is recorded of a step.

    `attempts` counts every try that was begun, `polls` the answers that a polling step was given.
    `put_off` counts the tries that a rate limit turned away: they use up no retry.
    `round` counts how often it was asked for anew after the run had ended: each round is an effect
    of its own. `started_at` is when the first attempt began, `attempted_at` the latest one;
    `due_at` and `wait` are set while it waits. `answer` is what came from outside for a step that
    waits for it (a decision, an event, the end of a called run), until the step takes it.
    """

    model_config = ConfigDict(frozen=True)

    step_id: str
    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    put_off: int = 0
    polls: int = 0
    round: int = 0
    started_at: datetime | None = None
    attempted_at: datetime | None = None
    due_at: datetime | None = None
    wait: WaitKind | None = None
    output: dict[str, Any] | None = None
    error: StepError | None = None
    reason: str | None = None
    """Why it was skipped or cancelled, in words for people."""
    answer: dict[str, Any] | None = None
    tally: Tally | None = None

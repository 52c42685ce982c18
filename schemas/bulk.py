"""Bodies about replays and about work in bulk (contract §6, `bulk-jobs`). No I/O."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.api import Answer, RunRef, TimedQuestion, UtcTime
from schemas.api_deliveries import DeliveryOut
from schemas.states import DeliveryState

DEFAULT_PER_SECOND = 10.0
MOST_PER_SECOND = 100.0
LEAST_PER_SECOND = 0.01


class BulkKind(StrEnum):
    """What is done to everything that a filter finds."""

    REPLAY_DELIVERIES = "replay_deliveries"
    RETRY_RUNS = "retry_runs"


class BulkState(StrEnum):
    """How far work in bulk has come."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Everything was tried, and something could not be done."""
    CANCELLED = "cancelled"


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReplayRequest(_Request):
    """How a delivery is read anew. `only`: the one workflow that is started anew.

    `shadow`: what the runs would change outside is only recorded. `dry_run`: nothing is done, and
    the answer says what would be.
    """

    only: str | None = Field(default=None, max_length=200)
    shadow: bool = False
    dry_run: bool = False


class ReplayOut(Answer):
    """What reading a delivery anew has come to.

    Of its `events` so many were `stored` as new to us. `runs` were started by it, the first 100.
    In a dry run `again` and `first` name the workflows, once for each run that would be started:
    anew for events that were stored before, and for the first time.
    """

    dry_run: bool
    delivery: DeliveryOut
    events: int = 0
    stored: int = 0
    runs: list[RunRef] = Field(default_factory=list)
    again: list[str] = Field(default_factory=list)
    first: list[str] = Field(default_factory=list)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class DeliveryFilter(_Request):
    """Which deliveries are read anew: `since` is included, `until` is not.

    At least their state has to be named, and for those that were read before (`ingested`) since
    when: a filter never means everything by what it leaves out.
    """

    state: Annotated[
        tuple[Literal["dead", "malformed", "unconfirmed", "ingested"], ...],
        BeforeValidator(_as_list),
        Field(min_length=1),
    ]
    source: str | None = Field(default=None, max_length=200)
    vendor: str | None = Field(default=None, max_length=200)
    since: UtcTime | None = None
    until: UtcTime | None = None
    q: str | None = Field(default=None, max_length=200)

    @model_validator(mode="after")
    def _bounded(self) -> DeliveryFilter:
        if DeliveryState.INGESTED in self.state and self.since is None:
            message = "say since when: what was read before is acted upon once more"
            raise ValueError(message)
        return self


class RunFilter(_Request):
    """Which runs go on: those that began since, and before `until`. Their state has to be named."""

    status: Annotated[
        tuple[Literal["failed", "cancelled"], ...], BeforeValidator(_as_list), Field(min_length=1)
    ]
    workflow: str | None = Field(default=None, max_length=200)
    since: UtcTime | None = None
    until: UtcTime | None = None


PerSecond = Annotated[float, Field(ge=LEAST_PER_SECOND, le=MOST_PER_SECOND)]


class ReplayManyRequest(_Request):
    """Which deliveries are read anew, how, and how many a second at most.

    What comes after this was asked for is not taken. `dry_run`: they are only counted.
    """

    filter: DeliveryFilter
    per_second: PerSecond = DEFAULT_PER_SECOND
    only: str | None = Field(default=None, max_length=200)
    shadow: bool = False
    dry_run: bool = False


class RetryManyRequest(_Request):
    """Which runs go on from where they ended, and how many a second at most.

    What begins after this was asked for is not taken. `dry_run`: they are only counted.
    """

    filter: RunFilter
    per_second: PerSecond = DEFAULT_PER_SECOND
    dry_run: bool = False


class BulkCount(Answer):
    """How many there are that a filter finds now; nothing was done."""

    dry_run: Literal[True] = True
    kind: BulkKind
    total: int


class BulkQuestion(TimedQuestion):
    """Which work in bulk."""

    kind: BulkKind | None = None
    state: BulkState | None = None


class BulkFailure(BaseModel):
    """One thing that could not be done, and why. `fault`: what its traceback is found by."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    reason: str
    fault: str | None = None


class BulkJobOut(Answer):
    """Work in bulk and its progress.

    Of `total` so many are `done`, `skipped` because they were not in that state any more, and
    `failed`; `first_failures` tells of the first 20. `question` is what was asked for.
    """

    id: UUID
    kind: BulkKind
    question: dict[str, Any]
    per_second: float
    state: BulkState
    by: str
    total: int
    done: int
    skipped: int
    failed: int
    first_failures: list[BulkFailure]
    error: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class BulkPosition(BaseModel):
    """How far work in bulk has come: after which id, and when the next may be begun."""

    model_config = ConfigDict(frozen=True)

    after: UUID | None = None
    next_at: datetime | None = None
    failures: tuple[BulkFailure, ...] = ()

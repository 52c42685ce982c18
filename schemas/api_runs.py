"""Bodies and questions of `/api/v1/runs`. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from schemas.api import Answer, EventRef, Question, RunRef, TimedQuestion
from schemas.api_events import EventOut
from schemas.effect_lists import EffectOut
from schemas.events import Json
from schemas.workflow import RunStatus, WaitKind


class RunQuestion(TimedQuestion):
    """Which runs. `waiting_for`: those that wait for this, themselves or in a branch."""

    workflow: str | None = None
    status: RunStatus | None = None
    event: UUID | None = None
    waiting_for: WaitKind | None = None


class BranchQuestion(Question):
    """Which branches of a run. `step` is the `parallel` or `for_each` they belong to."""

    step: str | None = Field(default=None, max_length=200)
    status: RunStatus | None = None


class StepDecision(BaseModel):
    """What a person decides on a step that asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["approve", "reject"]
    note: str | None = Field(default=None, max_length=2000)


class Settlement(BaseModel):
    """What a person found out about a step in doubt.

    `output`: what later steps read of an effect that was made, by the names of the action's
    outputs. What is not given is null.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    took_effect: StrictBool
    output: dict[str, Json] | None = None


class WaitOut(Answer):
    """Why a run stands still, and until when (None: until something happens).

    `words` say it to people. `question`: what a person is asked. `path`: the branch that waits.
    """

    run_id: UUID
    path: str | None
    step: str
    kind: str
    words: str
    question: str | None
    since: datetime
    due_at: datetime | None


class RunOut(Answer):
    """A run in a list. `waits` is filled where runs are asked for by what they wait for.

    `replay` is 0 for the run that its event started by itself, and counts those that were started
    for it anew; `started_by` says by whom, `bulk_job_id` with which work in bulk.
    """

    id: UUID
    workflow: str
    status: RunStatus
    shadow: bool
    reason: str | None
    error: dict[str, Any] | None
    event_id: UUID
    correlation_id: UUID
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    retries: int
    replay: int
    started_by: str | None
    bulk_job_id: UUID | None
    cancel_requested: bool
    waits: list[WaitOut] = Field(default=[])


class AttemptOut(Answer):
    """One try of a step."""

    number: int
    status: str
    started_at: datetime
    ended_at: datetime | None
    output: Json = None
    error: dict[str, Any] | None


class StepOut(Answer):
    """One node of a run with its tries. `round`: how often it was performed once more."""

    step: str
    position: int
    kind: str
    action: str | None
    status: str
    polls: int
    round: int
    output: Json = None
    answer: dict[str, Json] | None
    error: dict[str, Any] | None
    reason: str | None
    started_at: datetime | None
    ended_at: datetime | None
    attempts: list[AttemptOut]


class SpreadOut(Answer):
    """How far the branches of a step have come."""

    step: str
    total: int
    begun: int
    under_way: int
    succeeded: int
    failed: int
    cancelled: int


class BranchOut(Answer):
    """A branch: an arm of a `parallel` (`number` from 0) or what is done for one `item`."""

    id: UUID
    path: str
    step: str
    number: int
    item: Json = None
    status: RunStatus
    error: dict[str, Any] | None
    output: Json = None
    started_at: datetime | None
    ended_at: datetime | None
    wait: WaitOut | None = None


class CallRef(RunRef):
    """A run that was called by another one, and the step that called it."""

    step: str


class RunDetail(RunOut):
    """A run, or a branch of one, with everything that happened in it.

    `events` are those it sees beside its own. `branches` are the failed ones and those under way,
    the first of them; `GET /runs/{id}/branches` lists all. A branch has a `path`, and a `parent`
    whose step it carries on; `root_id` is the run it belongs to.
    """

    version: int
    description: str
    event: EventOut
    events: list[EventRef]
    steps: list[StepOut]
    wait: WaitOut | None
    effects: list[EffectOut]
    output: Json = None
    path: str | None
    item: Json = None
    parent: RunRef | None
    root_id: UUID
    called_by: CallRef | None
    calls: list[CallRef]
    spreads: list[SpreadOut]
    branches: list[BranchOut]

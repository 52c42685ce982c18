"""Bodies and questions of the API about effects: what was changed outside, or is in doubt."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from schemas.api import Answer, TimedQuestion
from schemas.events import Json
from schemas.states import EffectState


class EffectQuestion(TimedQuestion):
    """Which effects, by when they were intended. `action` takes `*`; `run` is a run or branch."""

    state: EffectState | None = None
    action: str | None = Field(default=None, max_length=200)
    connection: str | None = None
    run: UUID | None = None


class EffectOut(Answer):
    """A change that was made, or in shadow mode (`shadowed`) would have been made.

    `params`: what the action was given.
    """

    id: UUID
    step: str
    action: str
    connection: str
    target: str | None
    params: dict[str, Json]
    state: str
    calls: int
    error: str | None
    reference: dict[str, Json] | None
    intended_at: datetime
    made_at: datetime | None


class EffectEntry(EffectOut):
    """An effect with where it belongs. Without a run: the run was removed since.

    `run_id` is the run, `path` with the step's name what it is settled by: `each[3].note`. `key` is
    the same on every retry.
    """

    key: str
    run_id: UUID | None
    workflow: str | None
    path: str

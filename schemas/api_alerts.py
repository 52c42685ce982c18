"""Bodies and questions of `/api/v1/alerts`. No I/O."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.api import Answer, TimedQuestion
from schemas.events import Json
from schemas.states import AlertState


class AlertQuestion(TimedQuestion):
    """Which alerts. `key` takes `*`."""

    state: AlertState | None = None
    severity: str | None = None
    key: str | None = Field(default=None, max_length=300)


class AlertNote(BaseModel):
    """What is kept beside an alert that somebody takes on or resolves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: str | None = Field(default=None, max_length=2000)


class AlertOut(Answer):
    """An alert."""

    id: UUID
    key: str
    state: AlertState
    severity: str
    title: str
    details: dict[str, Json]
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    changes: int
    event_id: UUID | None
    run_id: UUID | None

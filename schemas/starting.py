"""What a start by hand is asked with."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import Json


class StartRequest(BaseModel):
    """Inputs for a workflow with a `manual` trigger, or the id of a stored event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: dict[str, Json] = Field(default_factory=dict)
    event: UUID | None = None

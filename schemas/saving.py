"""`/api/v1/workflows/{name}`: saving a document, its versions, and playing one over the past.

No I/O.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.api import Answer, UtcTime
from schemas.events import Json
from schemas.testing import Text

Mode = Literal["live", "shadow"]
DocumentText = Annotated[Text, Field(description="The workflow document (YAML 1.2 or JSON).")]
Vars = Annotated[dict[str, Json], Field(description="Values that replace `vars` of the document.")]


class Asked(BaseModel):
    """Base of what is asked: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SaveRequest(Asked):
    """A workflow document with the values for its `vars`."""

    document: DocumentText
    vars: Vars = Field(default_factory=dict)


class VersionOut(Answer):
    """A version of a workflow in a list. New runs take the current one."""

    version: int
    current: bool
    created_at: datetime


class VersionDetail(VersionOut):
    """A version with its document: as plain values, and as it was written."""

    mode: Mode
    document: dict[str, Any]
    vars: dict[str, Any]
    source_text: str


class BacktestRequest(Asked):
    """What is played over which stored events.

    Without `document` the present version is. `since` is included, `until` is not; they are the
    last seven days unless told. `examples`: how many of each kind of difference are shown.
    """

    document: DocumentText | None = None
    vars: Vars | None = None
    since: UtcTime | None = None
    until: UtcTime | None = None
    examples: int = Field(default=5, ge=0, le=100)


class Beside(Answer):
    """One count of what would be (`new`) and of what was (`present`)."""

    new: int
    present: int


class CountsBeside(Answer):
    """Counts by name of what would be (`new`) and of what was (`present`)."""

    new: dict[str, int]
    present: dict[str, int]


class StepsBeside(Answer):
    """By the path of a step: how often it ended in which state."""

    new: dict[str, dict[str, int]]
    present: dict[str, dict[str, int]]


class BacktestReport(Answer):
    """What a document would have done, beside what was done.

    `events_left` is above 0 when there were more events than are played in one request; `note` then
    says what to do. `compared`: how often it is only_new, only_present, different, same, gathered.
    """

    workflow: str
    since: datetime
    until: datetime
    events: int
    events_left: int
    note: str | None
    runs: Beside
    compared: dict[str, int]
    conditions_failed: int
    runs_with_guesses: int
    ends: CountsBeside
    steps: StepsBeside
    effects: CountsBeside
    emitted: dict[str, int]
    errors: dict[str, int]
    examples: list[dict[str, Any]]

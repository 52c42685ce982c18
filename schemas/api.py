"""Bodies and questions of the management API (contract §6): what all of them share. No I/O.

Those of one resource stand in a module of their own: `api_runs`, `effect_lists`, `reconciling`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from schemas.test_reports import FindingOut
from schemas.workflow import RunStatus

T = TypeVar("T")


class Answer(BaseModel):
    """Base of every answer."""

    # Here and in other bases: validators are made when they are first used. There are hundreds of
    # models, and making all of them was a quarter of what a command takes to start.
    model_config = ConfigDict(defer_build=True, from_attributes=True)


class Page(Answer, Generic[T]):
    """A part of a list, newest first. `next_cursor` is sent as `cursor` for the part after it."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


class Fault(Answer):
    """One thing wrong with a request: where (JSON pointer or parameter) and what."""

    pointer: str
    detail: str


class Problem(Answer):
    """An error (RFC 9457). `title` is the same for every problem of one `type`.

    `findings`: everything that is wrong with a document, each with its place. `fault`: what the
    traceback of a mistake of ours is found by in the log.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    hint: str | None = None
    fault: str | None = None
    errors: list[Fault] | None = None
    findings: list[FindingOut] | None = None


_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)


def _as_utc(time: datetime) -> datetime:
    return min(max(time, _FIRST), _LAST).astimezone(UTC)


UtcTime = Annotated[AwareDatetime, AfterValidator(_as_utc)]
"""A time that lists are narrowed by. Nothing is older than 1970: a time before it stands for all,
and there is room to reckon from each."""


class Question(BaseModel):
    """What every list takes: how many rows, and after which."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=100)

    def filters(self) -> dict[str, Any]:
        """Give what narrows the list, without what turns its pages."""
        return self.model_dump(exclude={"limit", "cursor"}, exclude_none=True, mode="json")


class TimedQuestion(Question):
    """A list with a time: `since` is included, `until` is not. Times carry a zone."""

    since: UtcTime | None = None
    until: UtcTime | None = None


class EventRef(Answer):
    """An event as others speak of it."""

    id: UUID
    type: str
    subject: str | None
    time: datetime
    received_at: datetime


class RunRef(Answer):
    """A run as others speak of it. `replay`: 0 for the one that its event started by itself."""

    id: UUID
    workflow: str
    status: RunStatus
    replay: int
    created_at: datetime
    ended_at: datetime | None

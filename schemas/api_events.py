"""Bodies and questions of `/api/v1/events`. No I/O."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from schemas.api import Answer, RunRef, TimedQuestion
from schemas.events import Event, Json, Origin


class EventQuestion(TimedQuestion):
    """Which events. `type` takes `*`.

    `search`: the words that an event has, in any order, in its types, its vendor, source and
    subject and the texts of its facts. A word ending in `*` stands for all that begin so. Upper and
    lower case are the same. `q` is another name for it.
    """

    type: str | None = Field(default=None, max_length=200)
    vendor: str | None = None
    source: str | None = None
    subject: str | None = None
    search: str | None = Field(default=None, max_length=200)
    q: str | None = Field(default=None, max_length=200)

    @property
    def words(self) -> str | None:
        """The words that are searched for."""
        return " ".join(filter(None, (self.search, self.q))) or None


class EventOut(Answer):
    """An event in a list: everything but the vendor's own body."""

    id: UUID
    type: str
    vendor: str
    vendor_type: str
    source: str | None
    delivery_id: UUID | None
    origin: Origin
    subject: str | None
    time: datetime
    received_at: datetime
    facts: dict[str, Json]
    correlation_id: UUID
    caused_by: UUID | None


class EventDetail(Event):
    """An event with the vendor's own body and the runs it started."""

    runs: list[RunRef]

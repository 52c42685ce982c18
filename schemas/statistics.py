"""Bodies of counts and of `/api/v1/stats` (contract §6). No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.api import Answer, UtcTime

MOST_HOURS = timedelta(days=14)
"""How far back there are numbers by the hour."""
MOST_DAYS = timedelta(days=400)
"""How far back there are numbers by the day."""

Per = Literal["hour", "day"]


class CountOut(Answer):
    """How many rows of a list there are. Up to 10,000 are counted, of more it is an estimate."""

    count: int
    estimated: bool


class FailuresOut(Answer):
    """How much has failed and waits for somebody.

    `failed_runs` began in the last 24 hours. Everything else is counted however old it is.
    `unusable_workflows` are enabled and start no run, because this version cannot read their
    documents.
    """

    dead_deliveries: int
    malformed_deliveries: int
    unconfirmed_deliveries: int
    failed_runs: int
    effects_in_doubt: int
    open_gaps: int
    failing_polls: int
    open_alerts: int
    unusable_workflows: list[str]


class StatisticsQuestion(BaseModel):
    """Which numbers: of whole hours or days, from the one with `since` to the one before `until`.

    Without times: of the last 24 hours, or 30 days. `vendor` and `source` narrow deliveries and
    events, `workflow` narrows runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    per: Per = "hour"
    since: UtcTime | None = None
    until: UtcTime | None = None
    vendor: str | None = Field(default=None, max_length=200)
    source: str | None = Field(default=None, max_length=200)
    workflow: str | None = Field(default=None, max_length=200)

    @model_validator(mode="after")
    def _bounded(self) -> StatisticsQuestion:
        if self.since is None or self.until is None:
            return self
        if self.until <= self.since:
            message = "until is not after since"
            raise ValueError(message)
        most = MOST_HOURS if self.per == "hour" else MOST_DAYS
        if self.until - self.since > most:
            message = f"at most {most.days} days by the {self.per}"
            raise ValueError(message)
        return self


class DeliveryNumbers(Answer):
    """Deliveries that were read, by what they came to. One that is read anew counts once more."""

    source: str
    vendor: str
    ingested: int = 0
    malformed: int = 0
    unconfirmed: int = 0
    dead: int = 0


class EventNumbers(Answer):
    """Events of a type."""

    type: str
    vendor: str
    source: str | None
    count: int


class RunNumbers(Answer):
    """Runs that have begun, and how runs ended. One that goes on after its end ends once more."""

    workflow: str
    begun: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0


class Moment(Answer):
    """The numbers of one hour or day."""

    begins: datetime
    deliveries: int = 0
    unread: int = Field(default=0, description="Of these, those that gave no event.")
    events: int = 0
    runs_begun: int = 0
    runs_failed: int = 0


class StatisticsOut(Answer):
    """How much there was: together, and by the hour or day. What is removed stays counted.

    Deliveries and events count when they were received, runs when they began and when they ended.
    """

    per: Per
    since: datetime
    until: datetime
    deliveries: list[DeliveryNumbers]
    events: list[EventNumbers]
    runs: list[RunNumbers]
    moments: list[Moment]

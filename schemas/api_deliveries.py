"""Bodies and questions of `/api/v1/deliveries` and `/api/v1/rejections`. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.api import Answer, EventRef, RunRef, TimedQuestion
from schemas.states import DeliveryState


class DeliveryQuestion(TimedQuestion):
    """Which deliveries."""

    source: str | None = None
    vendor: str | None = None
    verdict: Literal["verified"] | None = None
    state: DeliveryState | None = None


class DeliverySearch(DeliveryQuestion):
    """Which deliveries, by their keys as well: no index has the parts of keys."""

    q: str | None = Field(
        default=None,
        max_length=200,
        description="A delivery key. Where no delivery that fits the other filters has exactly "
        "this key, those are given that have it as a part of theirs, in upper or lower case.",
    )


class RejectionQuestion(TimedQuestion):
    """Which refused requests. `source` also finds what was sent to a name that is no source's."""

    source: str | None = None
    reason: str | None = None
    cause: str | None = Field(default=None, max_length=40)


class DeliveryOut(Answer):
    """A delivery in a list. `replays`: how often it was read anew by hand.

    `rejection_id`: it was refused at first, and accepted when that request was verified again.
    `fault`: what the traceback of its `error` is found by in the log.
    """

    id: UUID
    source: str
    vendor: str
    delivery_key: str
    received_at: datetime
    verdict: Literal["verified"] = "verified"
    state: DeliveryState
    body_bytes: int
    failures: int
    error: str | None
    fault: str | None
    replays: int
    rejection_id: UUID | None


class Body(Answer):
    """A stored body: as text when it is UTF-8, else as base64."""

    encoding: Literal["text", "base64"]
    content: str


class DeliveryDetail(DeliveryOut):
    """A delivery with all that came and all that became of it. Secret headers are struck out."""

    headers: list[tuple[str, str]]
    body: Body
    events: list[EventRef]
    runs: list[RunRef]


class RejectionOut(Answer):
    """A refused request in a list. `count`: how many like it were refused.

    `reason` and `detail` are what the door said, `cause` and `diagnosis` what was found out
    afterwards (null: not looked into yet). `address` is the name it was sent to where that was no
    source's. `complete`: nothing was cut, so that it can be verified again; once it has proven
    authentic, `delivery_id` is the delivery that it is.
    """

    id: UUID
    source: str
    received_at: datetime
    reason: str
    detail: str
    remote: str
    address: str | None
    body_bytes: int
    count: int
    complete: bool
    cause: str | None
    diagnosis: str | None
    delivery_id: UUID | None
    accepted_at: datetime | None


class RejectionDetail(RejectionOut):
    """A refused request. The body may have been cut; `body_bytes` is its true size."""

    headers: list[tuple[str, str]]
    body: Body

"""What CheckView calls and levers take."""

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

Status = Literal["passed", "failed", "error", "cancelled"]
Frequency = Literal["every", "once", "every-fail"]


class _Lever(BaseModel):
    """A control call: unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class AuditRequest(BaseModel):
    """What `POST /ux-audits` takes: a website by id, or an address (the body is assumed)."""

    website_id: str | None = Field(
        default=None, validation_alias=AliasChoices("website_id", "websiteId")
    )
    url: str | None = None


class AddedRuns(_Lever):
    """Runs that end without anybody's call, and the webhooks that tell of them.

    Args:
        count: how many.
        withheld: for how many of them no webhook is sent, spread evenly over all.
        statuses: how they end, taken in turn.
        told: the status the webhook claims, when it is not the true one.
        ends_in_s: when the last one ends, in seconds from now; negative is in the past.
        every_s: seconds between the end of one and the next.
        id: the id, when it is only one.
    """

    count: int = Field(default=1, ge=1, le=5000)
    withheld: int = Field(default=0, ge=0)
    test_flow_id: str | None = None
    statuses: list[Status] = Field(default=["failed"], min_length=1)
    told: str | None = None
    ends_in_s: float = 0
    every_s: float = Field(default=0, ge=0)
    duration_ms: int = Field(default=70_000, ge=0)
    error: str | None = "Element not found"
    id: str | None = None


class AddedFlow(_Lever):
    """A further test flow; without a frequency of its own it has the organisation's."""

    id: str
    name: str = "Another flow"
    website_id: str = "w-1"
    frequency: Frequency | None = None


class Script(_Lever):
    """How the next runs that are asked for end; `passed` when there are none left."""

    runs: list[Status]


class SentNotification(_Lever):
    """A webhook sent by hand: any body, about a run that need not exist.

    Args:
        raw: the body as text, in place of a JSON object.
        overrides: members laid over a typical body, objects merged member by member.
    """

    event: str = "test_flow.failed"
    overrides: dict[str, object] = Field(default_factory=dict)
    raw: str | None = None
    repeat: int = Field(default=1, ge=1, le=100)
    receiver: str | None = None

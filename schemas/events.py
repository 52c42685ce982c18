"""Events: normalised facts, the same for every vendor (contract §7). No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Json: TypeAlias = Any
"""A JSON value as `json.loads` gives it."""

VisualStatus = Literal["ok", "warn", "fail"]


EVENT_TYPES: tuple[str, ...] = (
    *(f"test_run.{end}" for end in ("started", "passed", "failed", "errored", "cancelled")),
    "test_run.healed",
    "test_case.failed",
    *(f"visual_regression.{end}" for end in ("warned", "failed", "cleared", "baseline_updated")),
    *(f"check.{end}" for end in ("failed", "degraded", "still_failing", "recovered")),
    "certificate.expiring",
    *(f"credits.{end}" for end in ("low", "depleted", "restored")),
    *(f"agent_alert.{end}" for end in ("fired", "resolved")),
    "agent.kill_switch_changed",
    "policy.updated",
    *(f"heal.{end}" for end in ("started", "completed", "failed")),
    *(f"bug.{end}" for end in ("found", "changed")),
    "app.uploaded",
    *(f"alert.{end}" for end in ("opened", "acknowledged", "resolved")),
    "run.failed",
)
"""Our own vocabulary (contract §7). Beside it stand GitHub's names (`pull_request.opened`) and
`<vendor>.<vendor type>` for what is not normalised."""


class Facts(BaseModel):
    """Base of every family's facts: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Suite(Facts):
    """The suite or selection a run belongs to."""

    id: str | None = None
    name: str | None = None


class Counts(Facts):
    """Test counts of a run; 0 where the vendor says nothing."""

    passed: int = 0
    failed: int = 0
    recovered: int = 0
    bug: int = 0


class FailedTest(Facts):
    """One failing test of a run."""

    id: str | None = None
    title: str | None = None
    file: str | None = None
    error: str | None = None
    url: str | None = None


class TestRunFacts(Facts):
    """Facts of `test_run.*`, `test_case.failed` and `visual_regression.*`."""

    __test__ = False  # the name begins with Test; pytest must not collect it

    run_id: str | None = None
    status: str | None = None
    url: str | None = None
    suite: Suite = Field(default_factory=Suite)
    counts: Counts = Field(default_factory=Counts)
    failed_tests: tuple[FailedTest, ...] = ()
    visual: VisualStatus | None = None
    repository: str | None = None
    branch: str | None = None
    commit_sha: str | None = None
    pr_number: int | None = None
    duration_ms: int | None = None
    metadata: dict[str, Json] = Field(default_factory=dict)


class CreditsFacts(Facts):
    """Facts of `credits.*`. Amounts are micro-credits: 1 000 000 = 1.00 USD."""

    remaining_micro: int | None = None
    allowance_micro: int | None = None
    prepaid_micro: int | None = None
    floor_micro: int | None = None
    period_end: datetime | None = None
    topup_url: str | None = None
    tier: Literal["warn", "critical", "zero"] | None = None
    account: str | None = None


class BugFacts(Facts):
    """Facts of `bug.*`: a fault of the application that a vendor found."""

    bug_id: str | None = None
    title: str | None = None
    status: str | None = None
    severity: str | None = None
    url: str | None = None
    tags: tuple[str, ...] = ()
    run_id: str | None = None
    repository: str | None = None


class EventDraft(BaseModel):
    """An event as a vendor's `normalise` or a poll gives it, before it has an id.

    `type` is a name of contract §7, or `<vendor>.<vendor type>` for what we do not know.
    `time` is when it happened at the vendor (aware UTC), `None` when the vendor does not say.
    `facts` is the JSON form of the family's facts. `key` tells two events of one delivery or
    one poll apart and is the same each time the same fact is read again.
    """

    model_config = ConfigDict(frozen=True)

    type: str
    vendor_type: str
    subject: str | None = None
    time: datetime | None = None
    facts: dict[str, Json] = Field(default_factory=dict)
    payload: Json = None
    key: str = ""


class Event(BaseModel):
    """A stored event, as workflows, the API and subscriptions see it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    type: str
    vendor: str
    vendor_type: str
    source: str | None
    delivery_id: UUID | None
    subject: str | None
    time: datetime
    received_at: datetime
    facts: dict[str, Json]
    payload: Json
    correlation_id: UUID
    caused_by: UUID | None

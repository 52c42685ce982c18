"""Events: normalised facts, the same for every vendor (contract §7). No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
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
    "approval.decided",
    *(f"alert.{end}" for end in ("opened", "acknowledged", "resolved")),
    "run.failed",
)
"""Our own vocabulary (contract §7). Beside it stand GitHub's names (`pull_request.opened`) and
`<vendor>.<vendor type>` for what is not normalised."""


OWN_FAMILIES = frozenset({"run", "alert", "workflow", "schedule"})
"""Families of which only Hookwright itself makes events: no sender can forge one."""


def is_own_type(event_type: str) -> bool:
    """Say whether only Hookwright itself makes events of this type."""
    return event_type.partition(".")[0] in OWN_FAMILIES


class Facts(BaseModel):
    """Base of every family's facts: immutable, unknown keys refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


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


class CheckFacts(Facts):
    """Facts of `check.*`: a monitor that fails, degrades or recovers."""

    check_id: str | None = None
    name: str | None = None
    kind: str | None = None
    status: str | None = None
    result_id: str | None = None
    url: str | None = None
    error: str | None = None
    group: str | None = None
    location: str | None = None
    response_time_ms: int | None = None
    tags: tuple[str, ...] = ()
    severity: str | None = None


class CertificateFacts(Facts):
    """Facts of `certificate.expiring`."""

    domain: str | None = None
    days_remaining: int | None = None
    check_id: str | None = None
    name: str | None = None
    url: str | None = None


class AgentAlertFacts(Facts):
    """Facts of `agent_alert.*`: a rule about an AI agent fired or came to rest."""

    alert_id: str | None = None
    rule_id: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    condition: str | None = None
    previous_state: str | None = None
    state: str | None = None
    observed_value: float | None = None
    threshold: float | None = None
    reason: str | None = None
    url: str | None = None


class KillSwitchFacts(Facts):
    """Facts of `agent.kill_switch_changed`."""

    agent_id: str | None = None
    agent_name: str | None = None
    active: bool | None = None
    reason: str | None = None


class PolicyFacts(Facts):
    """Facts of `policy.updated`."""

    agent_id: str | None = None
    version: str | None = None
    hash: str | None = None


class HealFacts(Facts):
    """Facts of `heal.*`: failing tests being mended."""

    batch_id: str | None = None
    run_id: str | None = None
    status: str | None = None
    sessions: int = 0
    completed: int = 0
    failed: int = 0
    pr_urls: tuple[str, ...] = ()
    bug_suspected: bool = False
    url: str | None = None
    repository: str | None = None


class AppFacts(Facts):
    """Facts of `app.uploaded`."""

    app_id: str | None = None
    name: str | None = None
    platform: str | None = None
    version: str | None = None
    build_id: str | None = None
    url: str | None = None


class ApprovalFacts(Facts):
    """Facts of `approval.decided`: somebody approved or rejected what a step asks.

    `by` is a name for people and `by_id` what allow-lists are compared with. `asked_in` is the
    channel in which the question stands.
    """

    run_id: str | None = None
    step: str | None = None
    approved: bool | None = None
    by: str | None = None
    by_id: str | None = None
    asked_in: str | None = None


class AlertFacts(Facts):
    """Facts of `alert.*`: one of our own alerts was opened, got worse, or was resolved.

    `run_id` is the run that opened it. `details` is what was kept with it.
    """

    alert_id: str | None = None
    key: str | None = None
    title: str | None = None
    severity: str | None = None
    state: str | None = None
    details: dict[str, Json] = Field(default_factory=dict)
    run_id: str | None = None


class RunFacts(Facts):
    """Facts of `run.failed`: a run of a workflow here has failed for good, and with which step."""

    run_id: str | None = None
    workflow: str | None = None
    step: str | None = None
    code: str | None = None
    message: str | None = None
    url: str | None = None


FAMILIES: Mapping[str, type[Facts]] = MappingProxyType(
    {
        "test_run": TestRunFacts,
        "test_case": TestRunFacts,
        "visual_regression": TestRunFacts,
        "check": CheckFacts,
        "certificate": CertificateFacts,
        "credits": CreditsFacts,
        "agent_alert": AgentAlertFacts,
        "agent": KillSwitchFacts,
        "policy": PolicyFacts,
        "heal": HealFacts,
        "bug": BugFacts,
        "app": AppFacts,
        "approval": ApprovalFacts,
        "alert": AlertFacts,
        "run": RunFacts,
    }
)
"""The facts of each family, by the first word of an event's type."""


class EventDraft(BaseModel):
    """An event as a vendor's `normalise` or a poll gives it, before it has an id.

    `type` is a name of contract §7, or `<vendor>.<vendor type>` for what we do not know.
    `time` is when it happened at the vendor (aware UTC), `None` when the vendor does not say.
    `facts` is the JSON form of the family's facts. `key` tells two events of one delivery or
    one poll apart and is the same each time the same fact is read again. `fact`, where the vendor
    gives one, is an identity that is the same whichever way the fact reaches us: by webhook, poll
    or the vendor's record (`alert:<id>:firing`). What has one is stored once for each account.
    """

    model_config = ConfigDict(frozen=True)

    type: str
    vendor_type: str
    subject: str | None = None
    time: datetime | None = None
    facts: dict[str, Json] = Field(default_factory=dict)
    payload: Json = None
    key: str = ""
    fact: str = ""


class Origin(StrEnum):
    """How an event reached us."""

    WEBHOOK = "webhook"
    POLL = "poll"
    RECONCILED = "reconciled"
    OWN = "own"
    """Hookwright made it: of a run, an alert, a schedule, a start by hand."""


class Event(BaseModel):
    """A stored event, as workflows, the API and subscriptions see it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    type: str
    vendor: str
    vendor_type: str
    source: str | None
    delivery_id: UUID | None
    origin: Origin = Origin.WEBHOOK
    subject: str | None
    time: datetime
    received_at: datetime
    facts: dict[str, Json]
    payload: Json
    correlation_id: UUID
    caused_by: UUID | None

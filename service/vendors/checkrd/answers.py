"""Answers of Checkrd's API (vendors.md §4.3). What we do not read is kept beside what we do."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, ConfigDict, Field

from service.vendors.checkrd.payloads import AlertChange, Number
from service.vendors.reading import Flag, Object, Payload, Text, Time, Whole


class Answer(Payload):
    """Base of every answer: immutable, members we do not name are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Agent(Answer):
    """An agent. Whether it is stopped has to be told: nobody should have to guess that."""

    id: str
    kill_switch_active: bool
    org_id: Text = None
    name: Text = None
    slug: Text = None
    description: Text = None
    status: Text = None
    public_key: Text = None
    active_policy_mode: Text = None
    created_at: Time = None


class ControlState(Answer):
    """What an agent has to obey now; the policy is a signed envelope (DSSE)."""

    kill_switch_active: bool
    policy_envelope: Object = Field(default_factory=dict)


class ControlEvent(Answer):
    """One message of the control stream: `init`, `kill_switch`, `policy_updated`, `heartbeat`."""

    event: str
    kill_switch_active: Flag = Field(
        default=None, validation_alias=AliasChoices("kill_switch_active", "active")
    )
    active_policy_hash: Text = Field(
        default=None, validation_alias=AliasChoices("active_policy_hash", "hash")
    )
    version: Text = None
    policy_envelope: Object = Field(default_factory=dict)


class AlertRule(Answer):
    """A rule that watches an agent, and where it stands."""

    id: str
    agent_id: Text = None
    condition_type: Text = None
    threshold: Number = None
    window_minutes: Whole = None
    channel: Text = None
    channel_target: Text = None
    cooldown_minutes: Whole = None
    is_enabled: Flag = None
    alert_state: Text = None
    last_value: Number = None
    last_triggered_at: Time = None
    last_evaluated_at: Time = None
    muted_until: Time = None
    notification_count: Whole = None
    pending_evaluations: Whole = None
    consecutive_hits: Whole = None


class HistoryEntry(AlertChange):
    """One change of a rule's state."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Notification(Answer):
    """One message about an alert, and what became of it (`pending`, `sent`, `failed`)."""

    id: Text = None
    channel: Text = None
    channel_target: Text = None
    observed_value: Number = None
    threshold: Number = None
    condition_type: Text = None
    alert_state: Text = None
    status: Text = None
    attempt: Whole = None
    error_message: Text = None
    created_at: Time = None
    delivered_at: Time = None


class StateBucket(Answer):
    """How many changes to each state there were from this time on."""

    bucket_start: Time = None
    firing: int = 0
    resolved: int = 0
    pending: int = 0
    ok: int = 0
    no_data: int = 0
    total: int = 0


class Accepted(Answer):
    """How many events of a batch of telemetry were taken."""

    accepted: int


class AgentRequest(Answer):
    """One request that an agent made, and what its policy said to it."""

    request_id: Text = None
    timestamp: Time = None
    agent_id: Text = None
    url_host: Text = None
    url_path: Text = None
    method: Text = None
    status_code: Whole = None
    latency_ms: Number = None
    policy_result: Text = None
    deny_reason: Text = None
    matched_rule: Text = None
    trace_id: Text = None
    span_id: Text = None


class Figures(Answer):
    """Figures of the dashboard; the vendor does not publish their names."""


class AuditEntry(Answer):
    """Who did what to which thing."""

    id: Text = None
    action: Text = None
    actor: Any = None
    resource_type: Text = None
    resource_id: Text = None
    created_at: Time = None


class Billing(Answer):
    """The plan: `plan_tier` is `free`, `team` or `enterprise`."""

    plan_tier: Text = None
    subscription_status: Text = None
    paid_until: Time = None
    trial_ends_at: Time = None
    limits: Object = Field(default_factory=dict)
    usage: Object = Field(default_factory=dict)


class ApiKey(Answer):
    """An API key as it is listed, without the key."""

    id: Text = None
    name: Text = None
    prefix: Text = None
    created_at: Time = None


class Health(Answer):
    """Whether the service is well, and whether changes reach agents at once."""

    status: Text = None

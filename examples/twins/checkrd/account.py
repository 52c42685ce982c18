"""What all calls of the Checkrd twin share: settings, agents, rules, requests, the audit log."""

from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from pydantic import Field

from examples.twins.checkrd.agents_book import Agent, AgentBook
from examples.twins.checkrd.rules_book import Rule, RuleBook
from examples.twins.checkrd.sessions import Sessions
from examples.twins.checkrd.webhook import Webhook
from examples.twins.clock import Clock
from examples.twins.sending import Sender
from examples.twins.twin import Refusal, Settings

ORG_ID = "3f0a7b52-9c55-4a0e-8d7f-5b8c2e1d4f60"
AGENT_ID = "0b9e4d52-7c1f-4a8e-8f5e-d3c1f0a7e642"
RULE_ID = "6f1d2c7a-5b0e-4f5e-9b1a-2f4f6f0f9c11"
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "payment_required",
    403: "permission_error",
    404: "not_found",
    409: "idempotency_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


class CheckrdSettings(Settings):
    """Settings of this twin.

    Args:
        jwt: a log-in token that lasts until the lever `expire` ends it.
        refresh_token: what `/auth/refresh` takes; with `rotate_refresh` each counts only once.
        token_s: seconds a renewed log-in lasts.
        role: of the user who logged in; a `viewer` may change nothing.
        key_scope: what the API key may do: `control` (and telemetry) or `all`.
        body: form of an alert's webhook: `notification` (id, type, timestamp, data) or `entry`.
        own_ids: whether a webhook has an id of its own instead of the history entry's.
        announce_control: whether kill switch and policies are sent to the receiver as well.
        heartbeat_s: real seconds between two signs of life of a control stream.
        write_s: real seconds a write takes; meanwhile its idempotency key is in use.
        hits_to_fire: evaluations over the threshold before a rule fires; before, it is pending.
        plan: the organisation's plan.
    """

    key: str = Field(default="ck_test_twin", min_length=1)
    secret: str = "checkrd-webhook-secret"
    jwt: str = Field(default="jwt_twin", min_length=1)
    refresh_token: str = Field(default="refresh_twin", min_length=1)
    rotate_refresh: bool = False
    token_s: float = Field(default=900.0, ge=0)
    role: Literal["admin", "viewer"] = "admin"
    key_scope: Literal["control", "all"] = "control"
    body: Literal["notification", "entry"] = "notification"
    own_ids: bool = False
    announce_control: bool = False
    heartbeat_s: float = Field(default=15.0, gt=0)
    write_s: float = Field(default=0.0, ge=0)
    hits_to_fire: int = Field(default=1, ge=1)
    plan: Literal["free", "team", "enterprise"] = "team"


class Account:
    """Everything that exists in one organisation."""

    def __init__(self, settings: CheckrdSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._sender = Sender()
        self.clear()

    def clear(self) -> None:
        """One agent with one rule that posts to the receiver; nothing has happened."""
        self.sessions = Sessions(self.settings, self.clock)
        self.webhook = Webhook(self.settings, self.clock, self._sender)
        self.agents = AgentBook()
        self.rules = RuleBook()
        self.requests: list[dict[str, object]] = []
        self.audit: list[dict[str, object]] = []
        now = written(self.clock.now())
        self.agents.add(Agent(AGENT_ID, ORG_ID, "sales-agent", "sales-agent", now))
        self.rules.add(
            Rule(
                id=RULE_ID,
                agent_id=AGENT_ID,
                condition_type="error_rate",
                threshold=0.2,
                channel="webhook",
                # Empty: only where a receiver is set does this rule tell anybody.
                channel_target="",
            )
        )

    def note(self, action: str, resource_type: str, resource_id: str, **more: object) -> None:
        """Enter something in the audit log."""
        self.audit.append(
            {
                "id": str(uuid4()),
                "action": action,
                "actor": {"type": "user", "id": "user_twin"},
                "resource_type": resource_type,
                "resource_id": resource_id,
                "created_at": written(self.clock.now()),
                "metadata": more,
            }
        )

    def agent(self, agent_id: str) -> Agent:
        """The agent with this id; refuses when there is none."""
        found = self.agents.find(agent_id)
        if found is None:
            raise refusal(404, "Agent not found", "resource_not_found")
        return found

    def rule(self, rule_id: str) -> Rule:
        """The rule with this id; refuses when there is none."""
        found = self.rules.find(rule_id)
        if found is None:
            raise refusal(404, "Alert rule not found", "resource_not_found")
        return found


def refusal(
    status: int, message: str, code: str | None = None, param: str | None = None
) -> Refusal:
    """`{"error": {"type", "code", "message", "param"?}}`."""
    kind = TYPES.get(status, "api_error")
    error: dict[str, object] = {"type": kind, "code": code or kind, "message": message}
    return Refusal(status, {"error": error | ({"param": param} if param else {})})


def written(moment: datetime) -> str:
    """A time as the vendor writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

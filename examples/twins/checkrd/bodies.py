"""Bodies that Checkrd's calls and this twin's levers take (reference 4.3)."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Condition = Literal["error_rate", "latency_p99", "denied_rate", "volume_drop"]
Channel = Literal["email", "webhook"]
Mode = Literal["enforce", "dry_run"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class NewAgent(_Body):
    """Body of an agent that is made."""

    name: str = Field(min_length=1)
    slug: str | None = None
    description: str | None = None
    public_key: str | None = None
    active_policy_mode: Mode = "enforce"


class AgentChange(_Body):
    """What of an agent is changed."""

    name: str | None = None
    description: str | None = None
    public_key: str | None = None
    active_policy_mode: Mode | None = None


class KillSwitch(_Body):
    """The state wanted of a kill switch."""

    active: bool
    reason: str | None = None


class NewRule(_Body):
    """Body of a rule that is made."""

    agent_id: str
    condition_type: Condition
    threshold: float = Field(gt=0)
    window_minutes: int = Field(default=15, ge=1)
    channel: Channel
    channel_target: str
    cooldown_minutes: int = Field(default=60, ge=0)


class RuleChange(_Body):
    """What of a rule is changed."""

    condition_type: Condition | None = None
    threshold: float | None = Field(default=None, gt=0)
    window_minutes: int | None = Field(default=None, ge=1)
    channel: Channel | None = None
    channel_target: str | None = None
    cooldown_minutes: int | None = Field(default=None, ge=0)


class Mute(_Body):
    """Until when a rule tells nothing; `until` goes before."""

    until: AwareDatetime | None = None
    duration_minutes: int | None = Field(default=None, ge=1)


class Toggle(_Body):
    """Whether a rule is to watch."""

    is_enabled: bool


class Telemetry(_Body):
    """A batch of what an agent did."""

    events: list[dict[str, object]] = Field(max_length=1000)
    sdk_version: str


class _Lever(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Evaluation(_Lever):
    """What `POST /_twin/evaluate` takes: a value that a rule sees; null is no data."""

    rule_id: str | None = None
    value: float | None
    at: datetime | None = None
    withheld: bool = False


class Past(_Lever):
    """What `POST /_twin/history` takes: changes of a rule, firing and resolved by turns.

    Args:
        count: how many; the last one is of `until` (now) and the others `spacing_s` apart.
        withhold_every: of so many, one is not sent; 0 withholds none.
        send: whether those that are not withheld are sent now.
    """

    count: int = Field(ge=1, le=20_000)
    rule_id: str | None = None
    until: AwareDatetime | None = None
    spacing_s: float = Field(default=60.0, gt=0)
    withhold_every: int = Field(default=0, ge=0)
    send: bool = True


class Many(_Lever):
    """How many of a kind are made."""

    count: int = Field(default=1, ge=1, le=20_000)
    name: str = "agent"


class Policy(_Lever):
    """What `POST /_twin/policies` takes: a new policy of an agent."""

    agent_id: str | None = None
    yaml: str = "default: deny\n"


class Requests(_Lever):
    """What `POST /_twin/requests` takes: requests an agent made, as the dashboard lists them."""

    count: int = Field(default=1, ge=1, le=20_000)
    agent_id: str | None = None
    overrides: dict[str, object] = Field(default_factory=dict)


class Login(_Lever):
    """What `POST /_twin/login` takes: a log-in that lasts so long."""

    lasts_s: float | None = None


class Sent(_Lever):
    """What `POST /_twin/send` takes: any body, signed and posted."""

    body: dict[str, object]
    receiver: str | None = None
    secret: str | None = None
    timestamp: int | None = None

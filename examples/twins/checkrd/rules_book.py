"""Alert rules: when they fire, come to rest, are muted, and the history of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

State = str
BELOW = frozenset({"volume_drop"})


@dataclass(slots=True)
class Rule:
    """One rule and where it stands."""

    id: str
    agent_id: str
    condition_type: str
    threshold: float
    channel: str
    channel_target: str
    window_minutes: int = 15
    cooldown_minutes: int = 60
    is_enabled: bool = True
    alert_state: State = "ok"
    last_value: float | None = None
    last_triggered_at: datetime | None = None
    last_evaluated_at: datetime | None = None
    muted_until: datetime | None = None
    notification_count: int = 0
    consecutive_hits: int = 0

    def show(self) -> dict[str, object]:
        """The rule as the API shows it."""
        return {
            "id": self.id,
            "agent_id": self.agent_id,
            "condition_type": self.condition_type,
            "threshold": self.threshold,
            "window_minutes": self.window_minutes,
            "channel": self.channel,
            "channel_target": self.channel_target,
            "cooldown_minutes": self.cooldown_minutes,
            "is_enabled": self.is_enabled,
            "alert_state": self.alert_state,
            "last_value": self.last_value,
            "last_triggered_at": _text(self.last_triggered_at),
            "last_evaluated_at": _text(self.last_evaluated_at),
            "muted_until": _text(self.muted_until),
            "notification_count": self.notification_count,
            "pending_evaluations": self.consecutive_hits if self.alert_state == "pending" else 0,
            "consecutive_hits": self.consecutive_hits,
        }

    def next_state(self, value: float | None, *, hits_to_fire: int) -> State:
        """The state after an evaluation that saw this value; counts hits."""
        if value is None:
            self.consecutive_hits = 0
            return "no_data"
        is_below = self.condition_type in BELOW
        if value < self.threshold if is_below else value > self.threshold:
            self.consecutive_hits += 1
            is_firing = self.alert_state == "firing" or self.consecutive_hits >= hits_to_fire
            return "firing" if is_firing else "pending"
        self.consecutive_hits = 0
        return "resolved" if self.alert_state == "firing" else "ok"

    def is_quiet(self, state: State, at: datetime) -> bool:
        """Whether this change is told to nobody: muted, in the cooldown, or not worth telling."""
        if not self.is_enabled or state not in {"firing", "resolved"}:
            return True
        if self.muted_until is not None and at < self.muted_until:
            return True
        pause = timedelta(minutes=self.cooldown_minutes)
        last = self.last_triggered_at
        return state == "firing" and last is not None and at < last + pause


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history."""

    id: str
    rule: Rule
    agent_name: str
    previous_state: State
    new_state: State
    observed_value: float | None
    evaluated_at: datetime

    def show(self) -> dict[str, object]:
        """The entry as the API lists it and as webhooks carry it."""
        return {
            "id": self.id,
            "alert_rule_id": self.rule.id,
            "agent_id": self.rule.agent_id,
            "agent_name": self.agent_name,
            "condition_type": self.rule.condition_type,
            "previous_state": self.previous_state,
            "new_state": self.new_state,
            "observed_value": self.observed_value,
            "threshold": self.rule.threshold,
            "reason": f"{self.rule.condition_type} is {self.observed_value}",
            "evaluated_at": _text(self.evaluated_at),
        }


@dataclass(slots=True)
class RuleBook:
    """Rules, the history of their changes, and the notifications they caused."""

    history: list[Change] = field(default_factory=list)
    notifications: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    _rules: dict[str, Rule] = field(default_factory=dict)

    def add(self, rule: Rule) -> None:
        """Make a rule known."""
        self._rules[rule.id] = rule

    def find(self, rule_id: str) -> Rule | None:
        """The rule with this id."""
        return self._rules.get(rule_id)

    def remove(self, rule_id: str) -> None:
        """Forget a rule; its history stays."""
        self._rules.pop(rule_id, None)

    def all(self) -> list[Rule]:
        """Every rule, newest first."""
        return list(reversed(self._rules.values()))

    def move(
        self, rule: Rule, state: State, *, value: float | None, at: datetime, agent_name: str
    ) -> Change:
        """Enter a change of state."""
        change = Change(str(uuid4()), rule, agent_name, rule.alert_state, state, value, at)
        rule.alert_state = state
        self.history.append(change)
        return change


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

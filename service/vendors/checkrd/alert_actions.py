"""Actions about alert rules: where one stands, what changed, quiet for a while.

The vendor forgets an idempotency key after 24 h. A change that is tried again later than that is
made again, which does no harm: each sets a state.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checkrd.alerts import AlertState
from service.vendors.checkrd.answers import AlertRule
from service.vendors.checkrd.calls import written
from service.vendors.checkrd.client import CheckrdClient

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
MOST_ROWS = 500
LONGEST_MINUTES = 30 * 24 * 60
"""30 days, the longest period the vendor speaks of."""


class AlertParams(Params):
    """Which rule."""

    rule_id: Text = Field(description="The alert rule's id.")
    agent_id: Text | None = Field(
        default=None, description="The agent it watches, which makes the rule quicker to find."
    )


class AlertOutputs(Outputs):
    """An alert rule as it is now."""

    rule_id: str = Field(description="The alert rule's id.")
    found: bool = Field(description="False when there is no such rule; the rest is then empty.")
    agent_id: str | None = Field(description="The agent it watches.")
    condition: str | None = Field(description="What it watches, such as `error_rate`.")
    state: str | None = Field(
        description="`ok`, `no_data`, `pending`, `firing` or `resolved`, as the vendor says."
    )
    firing: bool = Field(description="Whether it fires now.")
    enabled: bool | None = Field(description="Whether it is switched on.")
    threshold: float | None = Field(description="The value it fires beyond.")
    last_value: float | None = Field(description="The value it saw last.")
    muted_until: str | None = Field(description="Until when it tells nothing.")


def alert(context: CallContext, params: AlertParams) -> Done:
    """Give an alert rule."""
    rule = CheckrdClient.of(context).find_alert(params.rule_id, agent_id=params.agent_id)
    return Done(_alert(params.rule_id, rule), changed=False)


def _alert(rule_id: str, rule: AlertRule | None) -> AlertOutputs:
    known = rule or AlertRule(id=rule_id)
    return AlertOutputs(
        rule_id=rule_id,
        found=rule is not None,
        agent_id=known.agent_id,
        condition=known.condition_type,
        state=known.alert_state,
        firing=known.alert_state == "firing",
        enabled=known.is_enabled,
        threshold=known.threshold,
        last_value=known.last_value,
        muted_until=written(known.muted_until),
    )


class RuleParams(Params):
    """Which rule."""

    rule_id: Text = Field(description="The alert rule's id.")


class MuteAlertParams(RuleParams):
    """Which rule, and how long; `until` goes before `minutes`."""

    minutes: int | None = Field(
        default=None, ge=1, le=LONGEST_MINUTES, description="For how many minutes from now on."
    )
    until: AwareDatetime | None = Field(default=None, description="Until when, with its zone.")

    @model_validator(mode="after")
    def _need_one(self) -> MuteAlertParams:
        if self.minutes is None and self.until is None:
            message = "give minutes or until"
            raise ValueError(message)
        return self


def mute_alert(context: CallContext, params: MuteAlertParams) -> Done:
    """Let a rule tell nothing for a while."""
    rule = CheckrdClient.of(context).mute_alert(
        params.rule_id,
        until=params.until,
        duration_minutes=None if params.until else params.minutes,
        idempotency_key=context.idempotency_key,
    )
    return Done(_alert(rule.id, rule), {"rule_id": rule.id})


def unmute_alert(context: CallContext, params: RuleParams) -> Done:
    """Let a rule tell again."""
    rule = CheckrdClient.of(context).unmute_alert(
        params.rule_id, idempotency_key=context.idempotency_key
    )
    return Done(_alert(rule.id, rule), {"rule_id": rule.id})


class SwitchAlertParams(RuleParams):
    """Which rule, and whether it is to watch."""

    enabled: bool = Field(description="True switches the rule on, false switches it off.")


def switch_alert(context: CallContext, params: SwitchAlertParams) -> Done:
    """Switch a rule on or off."""
    rule = CheckrdClient.of(context).toggle_alert(
        params.rule_id, is_enabled=params.enabled, idempotency_key=context.idempotency_key
    )
    return Done(_alert(rule.id, rule), {"rule_id": rule.id})


class AlertHistoryParams(Params):
    """Which changes."""

    rule_id: Text | None = Field(default=None, description="Only the changes of this alert rule.")
    agent_id: Text | None = Field(default=None, description="Only the changes of this agent.")
    state: AlertState | None = Field(default=None, description="Only the changes to this state.")
    minutes: int = Field(
        default=1440, ge=1, le=LONGEST_MINUTES, description="How many minutes back from now."
    )
    limit: int = Field(default=100, ge=1, le=MOST_ROWS, description="How many at most.")


class AlertChangeOutputs(Outputs):
    """One change of an alert rule's state."""

    id: str | None = Field(description="The entry's id.")
    rule_id: str | None = Field(description="The alert rule's id.")
    agent_id: str | None = Field(description="The agent's id.")
    agent_name: str | None = Field(description="The agent's name.")
    condition: str | None = Field(description="What the rule watches.")
    previous_state: str | None = Field(description="The state before.")
    state: str | None = Field(description="The state from then on.")
    observed_value: float | None = Field(description="The value that was seen.")
    threshold: float | None = Field(description="The value the rule fires beyond.")
    reason: str | None = Field(description="Why, in the vendor's words.")
    at: str | None = Field(description="When it happened.")


class AlertHistoryOutputs(Outputs):
    """The changes that were found."""

    changes: tuple[AlertChangeOutputs, ...] = Field(description="The changes, as listed.")
    count: int = Field(description="How many there are here.")
    more: bool = Field(description="Whether there are others beyond `limit`.")


def alert_history(context: CallContext, params: AlertHistoryParams) -> Done:
    """Give the changes of alert rules."""
    entries = CheckrdClient.of(context).alert_history(
        since=context.now - timedelta(minutes=params.minutes),
        until=context.now,
        alert_rule_ids=(params.rule_id,) if params.rule_id else (),
        agent_id=params.agent_id,
        new_state=params.state,
    )
    rows = list(islice(entries, params.limit + 1))
    kept = tuple(
        AlertChangeOutputs(
            id=row.id,
            rule_id=row.alert_rule_id,
            agent_id=row.agent_id,
            agent_name=row.agent_name,
            condition=row.condition_type,
            previous_state=row.previous_state,
            state=row.new_state,
            observed_value=row.observed_value,
            threshold=row.threshold,
            reason=row.reason,
            at=written(row.evaluated_at),
        )
        for row in rows[: params.limit]
    )
    outputs = AlertHistoryOutputs(changes=kept, count=len(kept), more=len(rows) > len(kept))
    return Done(outputs, changed=False)

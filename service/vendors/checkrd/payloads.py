"""What we read of Checkrd's bodies. Alert webhooks are not documented: all of it is optional."""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

from pydantic import AliasChoices, BeforeValidator, Field

from service.vendors.reading import Flag, Payload, Text, Time


def as_number(value: object) -> float | None:
    """Give a finite number, also when it came as text; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


Number: TypeAlias = Annotated[float | None, BeforeValidator(as_number)]


class AlertChange(Payload):
    """A rule's change of state: what a webhook carries and what the alert history lists."""

    id: Text = None
    alert_rule_id: Text = None
    agent_id: Text = None
    agent_name: Text = None
    condition_type: Text = None
    previous_state: Text = None
    new_state: Text = Field(default=None, validation_alias=AliasChoices("new_state", "alert_state"))
    observed_value: Number = None
    threshold: Number = None
    reason: Text = None
    url: Text = None
    evaluated_at: Time = None


class AgentData(Payload):
    """What a control message says about an agent: its kill switch, its policy."""

    agent_id: Text = None
    agent_name: Text = None
    active: Flag = None
    reason: Text = None
    version: Text = None
    hash: Text = None

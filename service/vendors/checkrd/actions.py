"""What workflows may ask of Checkrd, by name."""

from __future__ import annotations

from datetime import timedelta

from service.vendors.base import Action, Safety
from service.vendors.checkrd import agent_actions, alert_actions

KEY_LASTS = timedelta(hours=23)
"""Checkrd knows an idempotency key for 24 hours (vendors.md §4.2); a little less is certain."""

ACTIONS = (
    Action(
        name="checkrd.kill_switch",
        summary="Stop an agent, or let it go on",
        params=agent_actions.KillSwitchParams,
        outputs=agent_actions.KillSwitchOutputs,
        perform=agent_actions.kill_switch,
        safety=Safety.FIND_AND_UPDATE,
        target=lambda params, _options: f"agent:{params.agent_id}:kill-switch",
        look_up=agent_actions.find_kill_switch,
    ),
    Action(
        name="checkrd.agent",
        summary="Say how an agent is set and whether it is stopped",
        params=agent_actions.AgentParams,
        outputs=agent_actions.AgentOutputs,
        perform=agent_actions.agent,
        safety=Safety.READ,
    ),
    Action(
        name="checkrd.control_state",
        summary="Say what an agent has to obey now; an API key suffices",
        params=agent_actions.AgentParams,
        outputs=agent_actions.ControlStateOutputs,
        perform=agent_actions.control_state,
        safety=Safety.READ,
    ),
    Action(
        name="checkrd.recent_requests",
        summary="Give the requests an agent made lately",
        params=agent_actions.RecentRequestsParams,
        outputs=agent_actions.RecentRequestsOutputs,
        perform=agent_actions.recent_requests,
        safety=Safety.READ,
    ),
    Action(
        name="checkrd.alert",
        summary="Say where an alert rule stands",
        params=alert_actions.AlertParams,
        outputs=alert_actions.AlertOutputs,
        perform=alert_actions.alert,
        safety=Safety.READ,
    ),
    Action(
        name="checkrd.alert_history",
        summary="Give the changes of alert rules",
        params=alert_actions.AlertHistoryParams,
        outputs=alert_actions.AlertHistoryOutputs,
        perform=alert_actions.alert_history,
        safety=Safety.READ,
    ),
    Action(
        name="checkrd.mute_alert",
        summary="Let an alert rule tell nothing for a while",
        params=alert_actions.MuteAlertParams,
        outputs=alert_actions.AlertOutputs,
        perform=alert_actions.mute_alert,
        safety=Safety.VENDOR_KEY,
        key_lasts=KEY_LASTS,
    ),
    Action(
        name="checkrd.unmute_alert",
        summary="Let an alert rule tell again",
        params=alert_actions.RuleParams,
        outputs=alert_actions.AlertOutputs,
        perform=alert_actions.unmute_alert,
        safety=Safety.VENDOR_KEY,
        key_lasts=KEY_LASTS,
    ),
    Action(
        name="checkrd.switch_alert",
        summary="Switch an alert rule on or off",
        params=alert_actions.SwitchAlertParams,
        outputs=alert_actions.AlertOutputs,
        perform=alert_actions.switch_alert,
        safety=Safety.VENDOR_KEY,
        key_lasts=KEY_LASTS,
    ),
)

"""Checkrd's events in our words: one table, and one reading of an alert's change for every way.

A webhook, the poll and the record all make their event here, so that the same change has the same
type, the same facts and the same identity whichever way it reaches us.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC

from schemas.events import AgentAlertFacts, EventDraft, Json, KillSwitchFacts, PolicyFacts
from service.vendors.checkrd.options import Identity
from service.vendors.checkrd.payloads import AgentData, AlertChange
from service.vendors.reading import as_key, as_name

ALERT = "alert."
TYPES: Mapping[str, str] = {
    "alert.firing": "agent_alert.fired",
    "alert.resolved": "agent_alert.resolved",
    # Only when the rule was firing before: a rule may go from firing to ok without `resolved`.
    "alert.ok": "agent_alert.resolved",
    "kill_switch": "agent.kill_switch_changed",
    "policy_updated": "policy.updated",
}
"""The vendor's names (vendors.md §4.1) and ours; any other becomes `checkrd.<name>`."""


def state_of(change: AlertChange, vendor_type: str = "") -> str | None:
    """Give the state the rule is in now: the body's own, else the last word of its type."""
    told = change.new_state or vendor_type.rpartition(".")[2]
    return as_name(told.lower()) if told else None


def alert_type(state: str | None, previous: str | None) -> str:
    """Give the event that a change to this state is."""
    vendor_type = f"{ALERT}{state or 'unknown'}"
    if vendor_type == "alert.ok" and (previous or "").lower() != "firing":
        return f"checkrd.{vendor_type}"
    return TYPES.get(vendor_type, f"checkrd.{vendor_type}")


def alert_fact(
    change: AlertChange, state: str | None, entry_id: str | None, identity: Identity
) -> str:
    """Give the identity of a change; empty when nothing identifies it.

    A rule is evaluated once at a time, so rule, new state and time name one change. The time is
    cut to the second, because two ways of telling may differ in their fractions.
    """
    by_id = f"alert-history:{entry_id}" if entry_id else ""
    by_evaluation = ""
    if change.alert_rule_id and state and change.evaluated_at:
        second = change.evaluated_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        by_evaluation = f"alert:{change.alert_rule_id}:{state}:{second}"
    fact = by_id or by_evaluation if identity == "id" else by_evaluation or by_id
    return as_key(fact) if fact else ""


def alert_event(
    change: AlertChange,
    payload: Json,
    *,
    entry_id: str | None,
    identity: Identity,
    vendor_type: str = "",
    type_: str | None = None,
) -> EventDraft:
    """Give the event of a change of state.

    `vendor_type` is the vendor's name where there is one, `type_` what options say it is.
    """
    state = state_of(change, vendor_type)
    facts = AgentAlertFacts(
        alert_id=entry_id,
        rule_id=change.alert_rule_id,
        agent_id=change.agent_id,
        agent_name=change.agent_name,
        condition=change.condition_type,
        previous_state=change.previous_state,
        state=state,
        observed_value=change.observed_value,
        threshold=change.threshold,
        reason=change.reason,
        url=change.url,
    )
    return EventDraft(
        type=type_ or alert_type(state, change.previous_state),
        vendor_type=vendor_type or f"{ALERT}{state or 'unknown'}",
        subject=change.alert_rule_id or change.agent_id,
        time=change.evaluated_at,
        facts=facts.model_dump(mode="json"),
        payload=payload,
        fact=alert_fact(change, state, entry_id, identity),
    )


def agent_facts(type_: str, told: AgentData) -> dict[str, Json]:
    """Give the facts of a control message; none for a type that is not ours."""
    if type_ == TYPES["kill_switch"]:
        return KillSwitchFacts(
            agent_id=told.agent_id,
            agent_name=told.agent_name,
            active=told.active,
            reason=told.reason,
        ).model_dump(mode="json")
    if type_ == TYPES["policy_updated"]:
        return PolicyFacts(agent_id=told.agent_id, version=told.version, hash=told.hash).model_dump(
            mode="json"
        )
    return {}

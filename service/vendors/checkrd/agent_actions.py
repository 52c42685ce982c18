"""Actions about an agent: how it is, what it did, its kill switch."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Annotated

from pydantic import Field, StringConstraints

from service.errors import VendorBroken
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checkrd.answers import Agent
from service.vendors.checkrd.calls import written
from service.vendors.checkrd.client import CheckrdClient

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
MOST_ROWS = 500
LONGEST_MINUTES = 30 * 24 * 60
"""30 days, the longest period the vendor speaks of."""


class AgentParams(Params):
    """Which agent."""

    agent_id: Text = Field(description="The agent's id.")


class AgentOutputs(Outputs):
    """An agent as it is now."""

    agent_id: str = Field(description="The agent's id.")
    name: str | None = Field(description="Its name for people.")
    slug: str | None = Field(description="Its name in addresses.")
    status: str | None = Field(description="Its status in the vendor's own word.")
    kill_switch_active: bool = Field(description="Whether it is stopped.")
    policy_mode: str | None = Field(description="`enforce`, or `dry_run` when nothing is denied.")


def agent(context: CallContext, params: AgentParams) -> Done:
    """Give an agent."""
    return Done(_agent(CheckrdClient.of(context).agent(params.agent_id)), changed=False)


def _agent(found: Agent) -> AgentOutputs:
    return AgentOutputs(
        agent_id=found.id,
        name=found.name,
        slug=found.slug,
        status=found.status,
        kill_switch_active=found.kill_switch_active,
        policy_mode=found.active_policy_mode,
    )


class ControlStateOutputs(Outputs):
    """What an agent has to obey now."""

    kill_switch_active: bool = Field(description="Whether the agent is told to stop.")
    has_policy: bool = Field(description="Whether a signed policy is in force.")


def control_state(context: CallContext, params: AgentParams) -> Done:
    """Give what an agent has to obey now."""
    state = CheckrdClient.of(context).control_state(params.agent_id)
    outputs = ControlStateOutputs(
        kill_switch_active=state.kill_switch_active, has_policy=bool(state.policy_envelope)
    )
    return Done(outputs, changed=False)


class KillSwitchParams(AgentParams):
    """Which agent, which state, and why."""

    active: bool = Field(default=True, description="True stops the agent, false lets it go on.")
    reason: Text | None = Field(
        default=None, description="Why, in words that Checkrd keeps in its audit log."
    )
    correlation_id: Text | None = Field(
        default=None,
        description="What leads back to us, put behind the reason; the step's own key by default.",
    )


class KillSwitchOutputs(AgentOutputs):
    """The agent after it was stopped or let go."""

    changed: bool = Field(description="False when the switch already stood so.")


def kill_switch(context: CallContext, params: KillSwitchParams) -> Done:
    """Stop an agent or let it go on; nothing is called when it already is so.

    The step's own idempotency key is not sent: when somebody turned the switch back between two
    tries, the vendor would only repeat its first answer. So the state is read after it was set.
    """
    client = CheckrdClient.of(context)
    found = client.agent(params.agent_id)
    if found.kill_switch_active == params.active:
        return _switched(found, params, changed=False)
    client.set_kill_switch(params.agent_id, active=params.active, reason=_reason(context, params))
    found = client.agent(params.agent_id)
    if found.kill_switch_active != params.active:
        raise VendorBroken(
            f"Checkrd took the kill switch of agent {params.agent_id} and shows it unchanged",
            perhaps_done=True,
        )
    return _switched(found, params, changed=True)


def find_kill_switch(context: CallContext, params: KillSwitchParams) -> Done | None:
    """Say whether the switch stands as was wanted."""
    found = CheckrdClient.of(context).agent(params.agent_id)
    if found.kill_switch_active != params.active:
        return None
    return _switched(found, params, changed=True)


def _switched(found: Agent, params: KillSwitchParams, *, changed: bool) -> Done:
    outputs = KillSwitchOutputs(**_agent(found).model_dump(), changed=changed)
    return Done(outputs, {"agent_id": found.id, "active": params.active}, changed=changed)


def _reason(context: CallContext, params: KillSwitchParams) -> str:
    mark = params.correlation_id or context.idempotency_key
    return f"{params.reason or 'asked for by a workflow'} [hookwright {mark}]"


class RecentRequestsParams(AgentParams):
    """Which requests of which agent."""

    policy_result: Text | None = Field(
        default=None, description="Only those the policy answered so, in the vendor's own word."
    )
    minutes: int = Field(
        default=15, ge=1, le=LONGEST_MINUTES, description="How many minutes back from now."
    )
    limit: int = Field(default=20, ge=1, le=MOST_ROWS, description="How many at most.")


class RequestOutputs(Outputs):
    """One request that an agent made."""

    at: str | None = Field(description="When it was made.")
    method: str | None = Field(description="Its HTTP method.")
    host: str | None = Field(description="The host that was called.")
    path: str | None = Field(description="The path that was called.")
    status_code: int | None = Field(description="The status of its answer.")
    policy_result: str | None = Field(description="What the policy said to it.")
    deny_reason: str | None = Field(description="Why it was denied.")
    rule: str | None = Field(description="The rule of the policy that decided.")
    trace_id: str | None = Field(description="The trace it belongs to.")


class RecentRequestsOutputs(Outputs):
    """The requests that were found."""

    requests: tuple[RequestOutputs, ...] = Field(description="The requests, as listed.")
    count: int = Field(description="How many there are here.")
    more: bool = Field(description="Whether there are others beyond `limit`.")


def recent_requests(context: CallContext, params: RecentRequestsParams) -> Done:
    """Give what an agent did lately."""
    found = CheckrdClient.of(context).dashboard_events(
        agent_id=params.agent_id,
        policy_result=params.policy_result,
        since=context.now - timedelta(minutes=params.minutes),
        until=context.now,
    )
    rows = list(islice(found, params.limit + 1))
    kept = tuple(
        RequestOutputs(
            at=written(row.timestamp),
            method=row.method,
            host=row.url_host,
            path=row.url_path,
            status_code=row.status_code,
            policy_result=row.policy_result,
            deny_reason=row.deny_reason,
            rule=row.matched_rule,
            trace_id=row.trace_id,
        )
        for row in rows[: params.limit]
    )
    outputs = RecentRequestsOutputs(requests=kept, count=len(kept), more=len(rows) > len(kept))
    return Done(outputs, changed=False)

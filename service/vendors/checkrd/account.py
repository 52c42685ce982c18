"""Calls about what agents did, and about the account: log, billing, keys, health."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from service.http import path_of
from service.vendors.checkrd.answers import (
    AgentRequest,
    ApiKey,
    AuditEntry,
    Billing,
    Figures,
    Health,
)
from service.vendors.checkrd.calls import CheckrdCalls, written

DASHBOARD = "/v1/dashboard"
AUDIT_LOG = "/v1/audit-log"


class AccountCalls(CheckrdCalls):
    """The dashboard and the account. Times narrow every figure of the dashboard (assumed)."""

    def dashboard_stats(
        self,
        *,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Figures:
        """Give the totals."""
        asked = _narrowed(agent_id, since, until)
        return self._get(f"{DASHBOARD}/stats", asked).read(Figures)

    def dashboard_events(
        self,
        *,
        agent_id: str | None = None,
        method: str | None = None,
        host: str | None = None,
        status_code: int | None = None,
        status_class: str | None = None,
        policy_result: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        trace_id: str | None = None,
    ) -> Iterator[AgentRequest]:
        """Give every request that agents made and that fits, page by page."""
        asked = {
            **_narrowed(agent_id, since, until),
            "method": method,
            "host": host,
            "status_code": status_code,
            "status_class": status_class,
            "policy_result": policy_result,
            "trace_id": trace_id,
        }
        return self._every(f"{DASHBOARD}/events", asked, AgentRequest)

    def dashboard_timeseries(
        self,
        *,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Figures]:
        """Give the totals over time."""
        return self._figures("timeseries", agent_id, since, until)

    def dashboard_agents(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Figures]:
        """Give the figures of each agent."""
        return self._figures("agents", None, since, until)

    def dashboard_hosts(
        self,
        *,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Figures]:
        """Give the figures of each host that was called."""
        return self._figures("hosts", agent_id, since, until)

    def dashboard_rule_hits(
        self,
        *,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Figures]:
        """Give how often each rule of a policy decided."""
        return self._figures("rule-hits", agent_id, since, until)

    def audit_log(self) -> Iterator[AuditEntry]:
        """Give everything people and keys did, page by page."""
        return self._every(AUDIT_LOG, {}, AuditEntry)

    def audit_log_of(self, resource_type: str, resource_id: str) -> Iterator[AuditEntry]:
        """Give everything that was done to one thing, page by page."""
        return self._every(AUDIT_LOG + path_of(resource_type, resource_id), {}, AuditEntry)

    def billing_status(self) -> Billing:
        """Give the plan, its limits and what of it is used."""
        return self._get("/v1/billing/status").read(Billing)

    def api_keys(self) -> Iterator[ApiKey]:
        """Give the account's API keys, without the keys themselves."""
        return self._every("/v1/keys", {}, ApiKey)

    def health(self) -> Health:
        """Give whether the service is well."""
        return self._get("/health").read(Health)

    def _figures(
        self, what: str, agent_id: str | None, since: datetime | None, until: datetime | None
    ) -> list[Figures]:
        answer = self._get(f"{DASHBOARD}/{what}", _narrowed(agent_id, since, until))
        return [answer.fit(Figures, row) for row in answer.objects("data")]


def _narrowed(
    agent_id: str | None, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    return {"agent_id": agent_id, "from": written(since), "to": written(until)}

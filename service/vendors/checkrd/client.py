"""Checkrd's API: every call that vendors.md §4.3 lists, as one client."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Self
from uuid import uuid4

from schemas.events import Json
from service.errors import Permanent, Refused
from service.vendors.base import CallContext
from service.vendors.checkrd.account import AccountCalls
from service.vendors.checkrd.agents import AgentCalls
from service.vendors.checkrd.alerts import AlertCalls
from service.vendors.checkrd.answers import Accepted
from service.vendors.checkrd.message_signature import TelemetrySigner

MOST_EVENTS = 1000
TELEMETRY = "/v1/telemetry"
SDK_VERSION = "hookwright"
"""What we call ourselves in telemetry."""


class CheckrdClient(AgentCalls, AlertCalls, AccountCalls):
    """Agents, alerts, telemetry, dashboard and account, by one connection.

    Writes take an `idempotency_key`; the vendor honours it for 24 h, and while the first call
    under it still runs, another raises Transient.
    """

    @classmethod
    def of(cls, context: CallContext) -> Self:
        """Give the client of a context's connection."""
        return cls(context.http, context.options, context.credentials)

    def send_telemetry(
        self,
        events: Sequence[Mapping[str, Json]],
        *,
        signer: TelemetrySigner,
        now: datetime,
        sdk_version: str = SDK_VERSION,
        idempotency_key: str | None = None,
    ) -> int:
        """Send what an agent did, signed as this agent, and give how many events were taken.

        At most 1000 events. The signature is good for 300 s from `now` on.
        """
        if not 0 < len(events) <= MOST_EVENTS:
            raise Permanent(f"telemetry is sent in batches of 1 to {MOST_EVENTS} events")
        url = self._options.telemetry_url or self._http.address(TELEMETRY)
        # The digest covers these very bytes, so they are made here and nowhere else.
        body = json.dumps({"events": [dict(one) for one in events], "sdk_version": sdk_version})
        content = body.encode()
        headers = {
            "Content-Type": "application/json",
            **signer.headers("POST", url, content, now, secrets.token_hex(16)),
            "Idempotency-Key": idempotency_key or str(uuid4()),
        }
        return (
            self._call(
                "POST",
                url,
                content=content,
                headers=headers,
                safe=bool(idempotency_key),
                by_key=True,
            )
            .read(Accepted)
            .accepted
        )


def check(context: CallContext) -> str:
    """Ask whose credential it is, and which plan it has."""
    client = CheckrdClient.of(context)
    try:
        page = client.agents_page(limit=1)
    except Refused as fault:
        if fault.status != HTTPStatus.FORBIDDEN or context.credentials.has_login:
            raise
        return "an API key for telemetry and control; agents and alerts take the credential jwt"
    owner = next((agent.org_id for agent in page.rows if agent.org_id), None)
    plan = client.billing_status().plan_tier or "unknown"
    return f"organisation {owner or 'without agents'}, plan {plan}"

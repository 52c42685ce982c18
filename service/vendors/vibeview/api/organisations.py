"""Organisations: their tokens, their audit log, what sessions may cost (vendors.md §1.4, §1.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, SecretStr

from service.http import path_of
from service.vendors.reading import Flag, Object, Payload, Text, Time
from service.vendors.vibeview.api.calling import Calls, Page, Role, page_of, rows_of, walk

AUDIT_PAGE = 200

TimeRange = Literal["last-hour", "last-day", "last-week", "last-month"]


class Organisation(Payload):
    """An organisation the token belongs to."""

    id: Text = None
    name: Text = None


class ApiToken(Payload):
    """An API token, without its secret part."""

    id: Text = None
    label: Text = None
    token_prefix: Text = None
    created_by: Text = None
    role: Text = None
    used: Flag = None
    created_at: Time = None


class NewApiToken(Payload):
    """A token that was just made; `token` is given this once."""

    id: Text = None
    label: Text = None
    token: SecretStr


class AuditEvent(Payload):
    """One thing that somebody did in the organisation."""

    id: Text = None
    user_email: Text = None
    action: Text = None
    resource_type: Text = None
    resource_id: Text = None
    details: Object = Field(default_factory=dict)
    created_at: Time = None


class SessionDefaults(Payload):
    """What sessions may do; without overage, streaming stops when its minutes are used up."""

    allow_streaming_overage: Flag = None


class OrganisationCalls(Calls):
    """The organisations of a token."""

    def all(self) -> list[Organisation]:
        """Give the organisations the token belongs to."""
        return rows_of(self._get("/organizations/", role="viewer"), Organisation, "organizations")

    def api_tokens(self, organisation_id: str) -> list[ApiToken]:
        """Give the API tokens there are."""
        return rows_of(self._get(_tokens(organisation_id)), ApiToken, "tokens", "api_tokens")

    def create_api_token(self, organisation_id: str, *, label: str, role: Role) -> NewApiToken:
        """Make an API token, which is given this once."""
        body = {"label": label, "role": role}
        return self._ask("POST", _tokens(organisation_id), json=body).read(NewApiToken)

    def delete_api_token(self, organisation_id: str, token_id: str) -> None:
        """End an API token."""
        self._ask("DELETE", f"{_tokens(organisation_id)}{path_of(token_id)}")

    def audit_page(
        self,
        organisation_id: str,
        *,
        action: str | None = None,
        user_email: str | None = None,
        resource_type: str | None = None,
        time_range: TimeRange | None = None,
        offset: int = 0,
        limit: int = AUDIT_PAGE,
    ) -> Page[AuditEvent]:
        """Give a page of what people did; `limit` is at most 200."""
        params = {
            "action": action,
            "user_email": user_email,
            "resource_type": resource_type,
            "time_range": time_range,
            "limit": limit,
            "offset": offset,
        }
        path = f"/organizations{path_of(organisation_id)}/audit-events"
        return page_of(self._get(path, params), AuditEvent, "events")

    def audit_events(
        self,
        organisation_id: str,
        *,
        action: str | None = None,
        user_email: str | None = None,
        resource_type: str | None = None,
        time_range: TimeRange | None = None,
    ) -> Iterator[AuditEvent]:
        """Give everything that people did and that fits."""
        return walk(
            lambda offset: self.audit_page(
                organisation_id,
                action=action,
                user_email=user_email,
                resource_type=resource_type,
                time_range=time_range,
                offset=offset,
            )
        )

    def set_session_defaults(
        self, organisation_id: str, *, allow_streaming_overage: bool
    ) -> SessionDefaults:
        """Say whether streaming may go on at the cost of credit when its minutes are used up."""
        path = f"/organizations{path_of(organisation_id)}/session-defaults"
        body = {"allow_streaming_overage": allow_streaming_overage}
        return self._ask("PATCH", path, json=body, safe=True).read(SessionDefaults)


def _tokens(organisation_id: str) -> str:
    return f"/organizations{path_of(organisation_id)}/api-tokens"

"""One Checkrd account: its credentials, what a connection can choose, and its log-in's renewal.

JWTs are short-lived and renewed through `/auth/refresh`, whose body is not documented: path and
fields are options (vendors.md §4.2).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from service.errors import Refused, VendorBroken
from service.http import VendorHttp
from service.vendors.base import Options, PerMinuteOrUsual, Token, dig
from service.vendors.checkrd.payloads import as_number
from service.vendors.reading import as_mapping, as_text, as_time

SESSION = "checkrd-session"
ENDS_SOON = timedelta(seconds=60)
LONGEST_S = 10 * 365 * 86_400.0
"""More seconds than any log-in lasts; what is said beyond them is not believed."""
_UNUSABLE = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
)


_REPLACED = (
    "Checkrd gives a new refresh token with every renewal and only this process knows it: other "
    "processes, and this one after a restart, have the configured one, which may be refused; use a "
    "refresh token that stays the same"
)

log = structlog.get_logger(__name__)


class NotRenewed(Refused):
    """The vendor does not renew the log-in."""


class CheckrdCredentials(BaseModel):
    """An API key, a log-in token, what renews it, or several of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="An API key (ck_live_… or ck_test_…), for telemetry and control messages.",
    )
    jwt: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="A log-in token, for agents, alerts and the kill switch.",
    )
    refresh_token: SecretStr | None = Field(
        default=None, min_length=1, description="What renews the log-in when it ends."
    )

    @model_validator(mode="after")
    def _need_one(self) -> CheckrdCredentials:
        if not self.api_key and not self.has_login:
            message = "give api_key, or jwt (and refresh_token, which renews it)"
            raise ValueError(message)
        return self

    @property
    def has_login(self) -> bool:
        """Whether calls can be made in a user's name."""
        return self.jwt is not None or self.refresh_token is not None


class CheckrdConnectionOptions(Options):
    """Options of a connection. How a log-in is renewed is not documented."""

    key_header: Literal["x-api-key", "authorization"] = Field(
        default="x-api-key", description="The header the API key is sent under."
    )
    version: str = Field(
        default="2026-04-06",
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="The form of the API that every call asks for; without one the vendor "
        "answers in its newest.",
    )
    per_minute: PerMinuteOrUsual = Field(
        default=None, description="Calls a minute, in place of the usual rate."
    )
    telemetry_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+/[^\s#]*$",
        description="The whole address of telemetry as the vendor sees it, which its signature "
        "covers, where that is another than the connection calls.",
    )
    refresh_path: str = Field(
        default="/auth/refresh",
        pattern=r"^/[^\s?#]*$",
        description="The path at which a log-in is renewed.",
    )
    refresh_field: str = Field(
        default="refresh_token",
        min_length=1,
        description="The member of the renewal's body that holds the refresh token.",
    )
    access_token_path: str = Field(
        default="access_token", description="Where the renewal's answer has the new log-in token."
    )
    expires_in_path: str = Field(
        default="expires_in",
        description="Where it says for how many seconds; without it the token's own end counts.",
    )
    refresh_token_path: str = Field(
        default="refresh_token",
        description="Where it has the next refresh token, if each counts only once.",
    )


def version_header(options: CheckrdConnectionOptions) -> dict[str, str]:
    """Give the header that pins the form of the API."""
    return {"Checkrd-Version": options.version}


def key_headers(
    credentials: CheckrdCredentials, options: CheckrdConnectionOptions
) -> dict[str, str]:
    """Give the API key under the header this account takes; nothing without a key."""
    if credentials.api_key is None:
        return {}
    key = credentials.api_key.get_secret_value()
    if options.key_header == "authorization":
        return {"Authorization": f"Bearer {key}"}
    return {"X-API-Key": key}


def auth_headers(
    credentials: CheckrdCredentials, options: CheckrdConnectionOptions
) -> Mapping[str, str]:
    """Give the pinned version, and the log-in or else the API key.

    A log-in that can be renewed is not among them: `fetch_token` gives it.
    """
    version = version_header(options)
    if credentials.refresh_token is not None:
        return version
    if credentials.jwt is not None:
        return {**version, **_bearer(credentials.jwt.get_secret_value())}
    return {**version, **key_headers(credentials, options)}


def fetch_token(
    http: VendorHttp,
    credentials: CheckrdCredentials,
    options: CheckrdConnectionOptions,
    now: datetime,
) -> Token | None:
    """Give a log-in that is good for a while; None where nothing can renew it.

    The configured token is used first, as long as it lasts. Raises Refused when the vendor does
    not renew it.
    """
    if credentials.refresh_token is None:
        return None
    session = http.remember(SESSION, lambda: _Session(credentials))
    return session.next_token(http, options, now)


class _Session:
    """A log-in as it is renewed. The client's token is fetched by one thread at a time."""

    def __init__(self, credentials: CheckrdCredentials) -> None:
        self._given = credentials.jwt
        self._refresh = credentials.refresh_token or SecretStr("")
        self._is_replaced = False

    def next_token(
        self, http: VendorHttp, options: CheckrdConnectionOptions, now: datetime
    ) -> Token:
        """Give the configured token the first time it is asked for, a renewed one from then on."""
        given, self._given = self._given, None
        if given is not None:
            end = end_of(given.get_secret_value())
            if end is None or end > now + ENDS_SOON:
                return Token(_bearer(given.get_secret_value()), end)
        told = self._renew(http, options)
        fresh = as_text(dig(told, options.access_token_path))
        if fresh is None:
            raise VendorBroken(
                f"Checkrd renewed the log-in and named no token at {options.access_token_path}",
                hint="set the connection's option access_token_path",
            )
        # Where a refresh token counts only once, the answer brings the next.
        following = as_text(dig(told, options.refresh_token_path))
        if following and following != self._refresh.get_secret_value():
            self._refresh = SecretStr(following)
            if not self._is_replaced:
                self._is_replaced = True
                log.warning("checkrd_refresh_token_replaced", hint=_REPLACED)
        lasts = as_number(dig(told, options.expires_in_path))
        if lasts is None or not 0 < lasts < LONGEST_S:
            return Token(_bearer(fresh), end_of(fresh))
        return Token(_bearer(fresh), now + timedelta(seconds=lasts))

    def _renew(self, http: VendorHttp, options: CheckrdConnectionOptions) -> object:
        try:
            # Called safe although it is none: what is in doubt is no effect of the call behind it.
            return http.request(
                "POST",
                options.refresh_path,
                json={options.refresh_field: self._refresh.get_secret_value()},
                headers=version_header(options),
                bare=True,
                safe=True,
            ).json()
        except Refused as fault:
            if fault.status not in _UNUSABLE:
                raise
            raise NotRenewed(
                fault.message,
                status=fault.status,
                hint="Checkrd does not renew the log-in: log in there again and replace the "
                "connection's credentials jwt and refresh_token, or check the options refresh_path "
                "and refresh_field",
            ) from fault


def end_of(jwt: str) -> datetime | None:
    """Give when a JWT ends by its own `exp`; None when it does not say or is none."""
    parts = jwt.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return None
    return as_time(as_mapping(claims).get("exp"))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}

"""Checkly's API, grouped by what its calls are about (vendors.md §2.2 to §2.4)."""

from __future__ import annotations

from service.http import VendorHttp
from service.vendors.base import CallContext
from service.vendors.checkly.alert_calls import AlertCalls
from service.vendors.checkly.calling import (
    Api,
    ChecklyConnectionOptions,
    ChecklyCredentials,
    auth_headers,
)
from service.vendors.checkly.check_calls import CheckCalls
from service.vendors.checkly.error_calls import ErrorCalls
from service.vendors.checkly.session_calls import SessionCalls

__all__ = [
    "ChecklyClient",
    "ChecklyConnectionOptions",
    "ChecklyCredentials",
    "auth_headers",
    "check",
    "client_of",
]


class ChecklyClient:
    """Every call of one account. Errors are those of VendorHttp."""

    def __init__(self, http: VendorHttp, options: ChecklyConnectionOptions) -> None:
        api = Api(http, options)
        self.sessions = SessionCalls(api)
        self.checks = CheckCalls(api)
        self.alerts = AlertCalls(api)
        self.errors = ErrorCalls(api)


def client_of(context: CallContext) -> ChecklyClient:
    """Give the client of a call's connection."""
    return ChecklyClient(context.http, context.options)


def check(context: CallContext) -> str:
    """Read the alert channels, for which key and account must both be right."""
    page = client_of(context).alerts.channels_page(limit=1)
    found = len(page.rows) if page.total is None else page.total
    word = "alert channel" if found == 1 else "alert channels"
    return f"account {context.credentials.account_id} with {found} {word}"

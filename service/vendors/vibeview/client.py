"""The connection to VibeView: its credentials and options, and the client of all its areas."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from service.errors import Refused
from service.http import VendorHttp
from service.vendors.base import CallContext, Options, PerMinute, Rate
from service.vendors.vibeview.api.ai import AICalls
from service.vendors.vibeview.api.apps import AppCalls
from service.vendors.vibeview.api.calling import API
from service.vendors.vibeview.api.cases import CaseCalls
from service.vendors.vibeview.api.ci import CICalls
from service.vendors.vibeview.api.credits import CreditCalls
from service.vendors.vibeview.api.organisations import OrganisationCalls
from service.vendors.vibeview.api.runs import RunCalls
from service.vendors.vibeview.api.sessions import DeviceCalls, SessionCalls
from service.vendors.vibeview.api.suites import SuiteCalls
from service.vendors.vibeview.api.webhooks import WebhookCalls

NOT_FOUND = 404


class VibeViewCredentials(BaseModel):
    """An organisation's API token (`tok_…`) or a log-in token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_token: SecretStr = Field(
        min_length=1, description="An API token of the organisation (`tok_…`)."
    )


class VibeViewConnectionOptions(Options):
    """Options of a connection: `per_minute` is the vendor's own limit for each client."""

    per_minute: PerMinute = Field(
        default=100, description="How many calls a minute are made at most."
    )


def auth_headers(
    credentials: VibeViewCredentials, _options: VibeViewConnectionOptions
) -> Mapping[str, str]:
    """Give the token as a bearer."""
    return {"Authorization": f"Bearer {credentials.api_token.get_secret_value()}"}


def _is_costly(method: str, path: str) -> bool:
    """Say whether the vendor allows this call ten times a minute: AI test runs and uploads."""
    is_upload = path.startswith(f"{API}/apps/") and path.endswith("/builds")
    return method == "POST" and (path == f"{API}/ai/test/run" or is_upload)


def _is_log_in(_method: str, path: str) -> bool:
    return path.startswith(f"{API}/auth")


RATES = (
    Rate(calls=100),
    Rate(calls=10, name="runs", covers=_is_costly),
    Rate(calls=5, name="auth", covers=_is_log_in),
)
"""What VibeView allows each client (vendors.md §0.3)."""


class VibeViewClient:
    """Every call of VibeView's API that Hookwright knows, by area. Errors are VendorHttp's."""

    def __init__(self, http: VendorHttp) -> None:
        self.ci = CICalls(http)
        self.webhooks = WebhookCalls(http)
        self.suites = SuiteCalls(http)
        self.cases = CaseCalls(http)
        self.runs = RunCalls(http)
        self.sessions = SessionCalls(http)
        self.devices = DeviceCalls(http)
        self.apps = AppCalls(http)
        self.ai = AICalls(http)
        self.credits = CreditCalls(http)
        self.organisations = OrganisationCalls(http)


def check(context: CallContext) -> str:
    """Ask whose token it is; a token that may not list organisations shows its balance."""
    client = VibeViewClient(context.http)
    try:
        names = [one.name or one.id or "?" for one in client.organisations.all()]
    except Refused as fault:
        if fault.status != NOT_FOUND:
            raise
        return f"a token with {client.credits.balance().total_micro / 1_000_000:.2f} USD of credit"
    return f"organisation {', '.join(names) or 'without name'}"

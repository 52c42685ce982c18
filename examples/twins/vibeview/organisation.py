"""The organisation all calls of the VibeView twin share: settings, suites, credit, the webhook."""

from typing import Literal

from pydantic import Field

from examples.twins.clock import Clock
from examples.twins.sending import Sender
from examples.twins.twin import Refusal, Settings
from examples.twins.vibeview.account import Account
from examples.twins.vibeview.bodies import SentEvent
from examples.twins.vibeview.book import RunBook
from examples.twins.vibeview.credits import Credits
from examples.twins.vibeview.devices import SessionBook
from examples.twins.vibeview.library import Library
from examples.twins.vibeview.suites import Suite
from examples.twins.vibeview.webhook import RETRY_PHASES, Destination, Webhook

API = "/api/v1"


class VibeViewSettings(Settings):
    """Settings of this twin.

    Args:
        scheme: how webhooks are signed; every alternative of the reference can be chosen.
        role: the token's role.
        retry_after: whether a 429 carries `Retry-After`; the vendor documents none.
        redeliver_keeps_id: whether a redelivery carries the old delivery id.
        thresholds_at: which of the two contradicting pages is right about a suite's thresholds.
        lists_webhooks: whether the list of webhooks, which the reference lacks, is served.
        deliveries_form: the form of the list of deliveries, which is not published.
        pages_deliveries: whether that list has pages.
        announce_runs: whether runs send their subscribed events to the receiver by themselves.
    """

    key: str = Field(default="tok_demo", min_length=1)
    secret: str = "vibeview-webhook-secret"
    scheme: Literal["sha256-body", "t-v1", "sha256-timestamp-body", "standard", "svix"] = (
        "sha256-body"
    )
    role: Literal["viewer", "developer", "admin"] = "admin"
    retry_after: bool = False
    redeliver_keeps_id: bool = False
    announce_runs: bool = False
    thresholds_at: Literal["suite", "settings"] = "suite"
    lists_webhooks: bool = False
    deliveries_form: Literal["total", "object", "array"] = "total"
    pages_deliveries: bool = True


class Organisation:
    """Everything one token can see."""

    def __init__(self, settings: VibeViewSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._sender = Sender()
        self.clear()

    def clear(self) -> None:
        """Two suites without runs, 5.75 USD of credit, the default subscriptions."""
        self.credits = Credits(self.clock)
        self.webhook = Webhook(self.clock, self._sender)
        self.book = RunBook(self.clock)
        self.library = Library(self.clock)
        self.sessions = SessionBook()
        self.account = Account(self.clock)
        self.happenings: list[dict[str, object]] = []
        login = ("Sign in", "Sign out", "Open profile")
        self.add_suite(Suite("suite_abc123", "Login Flow", ("smoke", "login"), login))
        shop = ("Add to basket", "Pay")
        self.add_suite(Suite("suite_def456", "Checkout", ("smoke", "visual"), shop))

    def add_suite(self, suite: Suite) -> None:
        """Add or replace a suite."""
        self.book.add_suite(suite)
        self.library.add(suite)

    def destination(self, asked: SentEvent | None = None) -> Destination | None:
        """Where webhooks go and how they are signed; `None` without a receiver."""
        wanted = asked or SentEvent(event="")
        receiver = wanted.receiver or self.settings.receiver
        if receiver is None:
            return None
        return Destination(
            receiver=receiver,
            secret=self.settings.secret if wanted.secret is None else wanted.secret,
            scheme=wanted.scheme or self.settings.scheme,
            pauses_s=[phases * self.settings.pace for phases in RETRY_PHASES],
            timestamp=wanted.timestamp,
        )


def refusal(status: int, message: str) -> Refusal:
    """`{"detail": "..."}`."""
    return Refusal(status, {"detail": message})

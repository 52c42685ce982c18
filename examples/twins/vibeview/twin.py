"""The VibeView twin put together: admission, errors, levers."""

from collections.abc import Sequence

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.clock import Clock
from examples.twins.ratelimit import Limits, Window
from examples.twins.twin import Refusal
from examples.twins.vibeview import bodies
from examples.twins.vibeview.administration import Administration
from examples.twins.vibeview.ai import AI
from examples.twins.vibeview.announcer import Announcer
from examples.twins.vibeview.billing import Billing
from examples.twins.vibeview.ci import CI
from examples.twins.vibeview.events import make_envelope, merge, typical_data
from examples.twins.vibeview.happenings import happen
from examples.twins.vibeview.integrations import Integrations
from examples.twins.vibeview.organisation import API, Organisation, VibeViewSettings, refusal
from examples.twins.vibeview.records import Records
from examples.twins.vibeview.sessions import Sessions
from examples.twins.vibeview.suites import Suite
from examples.twins.vibeview.tests import Tests

ROLES = ("viewer", "developer", "admin")


class VibeViewTwin:
    """VibeView's API for one organisation."""

    name = "vibeview"

    def __init__(self, settings: VibeViewSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.limits: Limits = {"api": Window(limit=100), "costly": Window(limit=10)}
        self._organisation = Organisation(settings, self.clock)
        self._announcer = Announcer(self._organisation)

    def clear(self) -> None:
        """Two suites without runs, an app, 5.75 USD of credit, the default subscriptions."""
        self._announcer.clear()
        self._organisation.clear()

    def routes(self) -> Sequence[Route]:
        """The calls of the API."""
        return (
            *CI(self._organisation, self._announcer).routes(),
            *Billing(self._organisation).routes(),
            *Integrations(self._organisation).routes(),
            *Tests(self._organisation).routes(),
            *Records(self._organisation, self._announcer).routes(),
            *Sessions(self._organisation).routes(),
            *AI(self._organisation).routes(),
            *Administration(self._organisation).routes(),
        )

    def levers(self) -> Sequence[Route]:
        """Balance, ledger, suites, outcomes, webhooks."""
        post = ["POST"]
        return (
            Route("/balance", self.set_balance, methods=post),
            Route("/ledger", self.add_entry, methods=post),
            Route("/suites", self.add_suite, methods=post),
            Route("/outcomes", self.script, methods=post),
            Route("/send", self.send, methods=post),
            Route("/happen", self.happen, methods=post),
            Route("/audit", self.audit, methods=post),
        )

    async def admit(self, request: Request) -> None:
        """A bearer token, the request limit, then the role the call needs."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise refusal(401, "Not authenticated")
        if token.strip() != self.settings.key:
            raise refusal(401, "Invalid or expired token")
        standing = self.limits["api"].take("token", self.clock.seconds())
        if standing.allowed and _is_costly(request):
            standing = self.limits["costly"].take("token", self.clock.seconds())
        if not standing.allowed:
            headers = (("retry-after", str(standing.retry_after_s)),)
            body = {"detail": f"Rate limit exceeded: {standing.limit} per 1 minute"}
            raise Refusal(429, body, headers if self.settings.retry_after else ())
        needed = _needed_role(request)
        if ROLES.index(self.settings.role) < ROLES.index(needed):
            raise refusal(403, f"This action needs the role {needed}")

    def refusal(self, status: int, message: str) -> Refusal:
        """`{"detail": "..."}`."""
        return refusal(status, message)

    def invalid(self, error: ValidationError) -> Refusal:
        """422 with the array FastAPI gives."""
        found = error.errors(include_url=False, include_context=False)
        detail = [
            {"type": one["type"], "loc": ["body", *one["loc"]], "msg": one["msg"]} for one in found
        ]
        return Refusal(422, {"detail": detail})

    def state(self) -> dict[str, object]:
        """Suites, runs, credit, subscriptions, deliveries."""
        organisation = self._organisation
        return {
            **organisation.book.show(),
            "balance": organisation.credits.balance(),
            "ledger": organisation.credits.entries,
            "subscriptions": organisation.webhook.event_types,
            "deliveries": [one.show() for one in organisation.webhook.deliveries],
            "happenings": organisation.happenings,
        }

    async def set_balance(self, request: Request) -> Response:
        """Lever: set the balance."""
        change = bodies.BalanceChange.model_validate_json(await request.body())
        self._organisation.credits.change(change)
        return JSONResponse(self._organisation.credits.balance())

    async def add_entry(self, request: Request) -> Response:
        """Lever: add a ledger entry."""
        entry = bodies.AddedEntry.model_validate_json(await request.body())
        rows = [self._organisation.credits.add_entry(entry) for _ in range(entry.count)]
        return JSONResponse(rows[-1], 201)

    async def add_suite(self, request: Request) -> Response:
        """Lever: add a suite."""
        asked = bodies.AddedSuite.model_validate_json(await request.body())
        suite = Suite(asked.id, asked.name, tuple(asked.tags), tuple(asked.cases), asked.platform)
        self._organisation.add_suite(suite)
        return JSONResponse({"id": suite.suite_id, "test_ids": suite.test_ids()}, 201)

    async def script(self, request: Request) -> Response:
        """Lever: how the next runs end."""
        self._organisation.book.follow(bodies.Script.model_validate_json(await request.body()))
        return JSONResponse({"scripted": True})

    async def send(self, request: Request) -> Response:
        """Lever: deliver an event to the receiver and wait for its answer."""
        asked = bodies.SentEvent.model_validate_json(await request.body())
        webhook, to = self._organisation.webhook, self._organisation.destination(asked)
        if to is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        if asked.only_subscribed and asked.event not in webhook.event_types:
            return JSONResponse([])
        data = typical_data(asked.event, balance=self._organisation.credits.balance())
        typical = make_envelope(asked.event, data=data, now=self.clock.now())
        sent = await webhook.send(
            merge(typical, asked.overrides), to, delivery_id=asked.delivery_id, repeat=asked.repeat
        )
        return JSONResponse([{**one.show(), "envelope": one.envelope} for one in sent])

    async def happen(self, request: Request) -> Response:
        """Lever: runs end, and webhooks are sent for some of them; gives what happened."""
        asked = bodies.Happen.model_validate_json(await request.body() or b"{}")
        found = await happen(self._organisation, asked, self._organisation.destination())
        return JSONResponse([one.show() for one in found])

    async def audit(self, request: Request) -> Response:
        """Lever: somebody did something, so many times."""
        asked = bodies.Audited.model_validate_json(await request.body() or b"{}")
        for number in range(asked.count):
            self._organisation.account.note(asked.action, "suite", str(number))
        return JSONResponse({"noted": asked.count})


def _is_costly(request: Request) -> bool:
    path = request.url.path.removeprefix(API)
    is_upload = path.startswith("/apps/") and path.endswith("/builds")
    return request.method == "POST" and (path == "/ai/test/run" or is_upload)


def _needed_role(request: Request) -> str:
    path = request.url.path.removeprefix(API)
    if path == "/credits/topup" or path.startswith("/integrations/webhooks"):
        return "admin"
    # Roles of other calls are not published; that writing is for developers is assumed.
    is_reading = request.method == "GET" and not path.startswith("/ci/")
    return "viewer" if is_reading else "developer"

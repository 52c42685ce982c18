"""The twin of VibeView: runs, credit, webhooks (reference 1)."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins import vibeview_bodies as bodies
from examples.twins.clock import Clock
from examples.twins.ratelimit import Limits, Window
from examples.twins.record import mark_effect
from examples.twins.twin import Refusal, Settings
from examples.twins.vibeview_credits import Credits
from examples.twins.vibeview_events import EVENT_TYPES, make_envelope, show_catalog
from examples.twins.vibeview_runs import RunBook, Suite
from examples.twins.vibeview_webhook import RETRY_PHASES, Destination, Webhook, make_secret

API = "/api/v1"
WEBHOOK_ID = "1"
ROLES = ("viewer", "developer", "admin")
MAX_LEDGER_ROWS = 100
# Builds by id: whether they belong to the app under test.
BUILDS = {7: True, 8: False}


class VibeViewSettings(Settings):
    """Settings of this twin.

    Args:
        scheme: how webhooks are signed; every alternative of the reference can be chosen.
        role: the token's role.
        retry_after: whether a 429 carries `Retry-After`; the vendor documents none.
        redeliver_keeps_id: whether a redelivery carries the old delivery id.
    """

    key: str = Field(default="tok_demo", min_length=1)
    secret: str = "vibeview-webhook-secret"
    scheme: Literal["sha256-body", "t-v1", "sha256-timestamp-body", "standard", "svix"] = (
        "sha256-body"
    )
    role: Literal["viewer", "developer", "admin"] = "admin"
    retry_after: bool = False
    redeliver_keeps_id: bool = False


class VibeViewTwin:
    """VibeView's API for one organisation."""

    name = "vibeview"

    def __init__(self, settings: VibeViewSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.limits: Limits = {"api": Window(limit=100)}
        self.clear()

    def clear(self) -> None:
        """Two suites without runs, 5.75 USD of credit, the default subscriptions."""
        self._credits = Credits(self.clock)
        self._webhook = Webhook(self.clock)
        self._book = RunBook(self.clock)
        login = ("Sign in", "Sign out", "Open profile")
        self._book.add_suite(Suite("suite_abc123", "Login Flow", ("smoke", "login"), login))
        shop = ("Add to basket", "Pay")
        self._book.add_suite(Suite("suite_def456", "Checkout", ("smoke", "visual"), shop))

    def routes(self) -> Sequence[Route]:
        """The calls of the API."""
        get, post = ["GET"], ["POST"]
        hook = f"{API}/integrations/webhooks/{{id}}"
        return (
            Route(f"{API}/ci/run-suite", self.run_suite, methods=post),
            Route(f"{API}/ci/run-test", self.run_test, methods=post),
            Route(f"{API}/ci/run-suites", self.run_suites, methods=post),
            Route(f"{API}/ci/runs/{{id}}", self.show_run, methods=get),
            Route(f"{API}/ci/list-suites", self.list_suites, methods=get),
            Route(f"{API}/ci/multi-suite-runs/{{id}}", self.show_multi_run, methods=get),
            Route(f"{API}/credits/balance", self.show_balance, methods=get),
            Route(f"{API}/credits/ledger", self.show_ledger, methods=get),
            Route(f"{API}/credits/topup", self.top_up, methods=post),
            Route(f"{API}/usage/dashboard", self.show_usage, methods=get),
            Route(f"{API}/integrations/events/catalog", self.show_catalog, methods=get),
            Route(f"{hook}/subscriptions", self.show_subscriptions, methods=get),
            Route(f"{hook}/subscriptions", self.replace_subscriptions, methods=["PUT"]),
            Route(f"{hook}/regenerate-secret", self.regenerate_secret, methods=post),
            Route(f"{hook}/deliveries", self.list_deliveries, methods=get),
            Route(f"{hook}/deliveries/{{delivery}}/redeliver", self.redeliver, methods=post),
            Route(f"{API}/tests/runs/{{id}}", self.show_test_run, methods=get),
            Route(f"{API}/tests/suites", self.list_test_suites, methods=get),
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
        )

    async def admit(self, request: Request) -> None:
        """A bearer token, the request limit, then the role the call needs."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self.refusal(401, "Not authenticated")
        if token.strip() != self.settings.key:
            raise self.refusal(401, "Invalid or expired token")
        standing = self.limits["api"].take("token", self.clock.seconds())
        if not standing.allowed:
            headers = (("retry-after", str(standing.retry_after_s)),)
            body = {"detail": f"Rate limit exceeded: {standing.limit} per 1 minute"}
            raise Refusal(429, body, headers if self.settings.retry_after else ())
        needed = _needed_role(request)
        if ROLES.index(self.settings.role) < ROLES.index(needed):
            raise self.refusal(403, f"This action needs the role {needed}")

    def refusal(self, status: int, message: str) -> Refusal:
        """`{"detail": "..."}`."""
        return Refusal(status, {"detail": message})

    def invalid(self, error: ValidationError) -> Refusal:
        """422 with the array FastAPI gives."""
        found = error.errors(include_url=False, include_context=False)
        detail = [
            {"type": one["type"], "loc": ["body", *one["loc"]], "msg": one["msg"]} for one in found
        ]
        return Refusal(422, {"detail": detail})

    def state(self) -> dict[str, object]:
        """Suites, runs, credit, subscriptions, deliveries."""
        return {
            **self._book.show(),
            "balance": self._credits.balance(),
            "ledger": self._credits.entries,
            "subscriptions": self._webhook.event_types,
            "deliveries": [one.show() for one in self._webhook.deliveries],
        }

    async def run_suite(self, request: Request) -> Response:
        """Start a suite."""
        asked = bodies.RunSuite.model_validate_json(await request.body() or b"{}")
        suite = self._book.suites.get(asked.suite_id)
        if suite is None:
            raise self.refusal(404, "Suite not found")
        self._check_build(asked.build_id)
        fields = asked.model_dump()
        run = self._book.start(
            suite, kind="suite_run", names=suite.cases, asked=fields, pace_s=self.settings.pace
        )
        mark_effect(request)
        return JSONResponse({"run_id": run.run_id, "status": "pending"})

    async def run_test(self, request: Request) -> Response:
        """Start one test."""
        asked = bodies.RunTest.model_validate_json(await request.body() or b"{}")
        found = self._book.find_test(asked.test_id)
        if found is None:
            raise self.refusal(404, "Test not found")
        self._check_build(asked.build_id)
        suite, name = found
        fields = asked.model_dump()
        run = self._book.start(
            suite, kind="test_run", names=(name,), asked=fields, pace_s=self.settings.pace
        )
        mark_effect(request)
        return JSONResponse({"run_id": run.run_id, "status": "pending"})

    async def run_suites(self, request: Request) -> Response:
        """Start every suite with these tags."""
        asked = bodies.RunSuites.model_validate_json(await request.body() or b"{}")
        suites = self._book.matching(list(asked.tags), asked.match)
        if not suites:
            raise self.refusal(404, "No suites matched the given tags")
        self._check_build(asked.build_id)
        multi = self._book.start_all(suites, asked=asked.model_dump(), pace_s=self.settings.pace)
        mark_effect(request)
        return JSONResponse(
            {
                "aggregate_id": multi.public_id,
                "matched_suite_ids": [suite.suite_id for suite in suites],
                "status_url": f"{API}/ci/multi-suite-runs/{multi.public_id}",
            }
        )

    async def show_run(self, request: Request) -> Response:
        """A run of either kind."""
        run = self._book.runs.get(request.path_params["id"])
        if run is None:
            raise self.refusal(404, "Run not found")
        return JSONResponse(run.show(self.clock.seconds()))

    async def show_multi_run(self, request: Request) -> Response:
        """A run of several suites."""
        multi = self._book.multi_runs.get(request.path_params["id"])
        if multi is None:
            raise self.refusal(404, "Multi-suite run not found")
        return JSONResponse(multi.show(self.clock.seconds()))

    async def list_suites(self, request: Request) -> Response:
        """Suites as CI calls list them."""
        return JSONResponse(
            [
                {
                    "id": suite.suite_id,
                    "name": suite.name,
                    "platform": suite.platform,
                    "case_count": len(suite.cases),
                    "description": None,
                    "tags": [{"name": tag, "display_name": tag.title()} for tag in suite.tags],
                }
                for suite in self._wanted_suites(request)
            ]
        )

    async def list_test_suites(self, request: Request) -> Response:
        """Suites with their last run."""
        now_s = self.clock.seconds()
        rows: list[dict[str, object]] = []
        for suite in self._wanted_suites(request):
            runs = [run for run in self._book.runs.values() if run.suite == suite]
            last = runs[-1].show(now_s) if runs else None
            rows.append(
                {
                    "public_id": suite.suite_id,
                    "name": suite.name,
                    "case_count": len(suite.cases),
                    "reset_strategy": "relaunch",
                    "last_run_status": last["status"] if last else None,
                    "last_run_at": last["started_at"] if last else None,
                    "tags": [{"name": tag, "display_name": tag.title()} for tag in suite.tags],
                }
            )
        return JSONResponse(rows)

    async def show_test_run(self, request: Request) -> Response:
        """The record of a test run."""
        run = self._book.runs.get(request.path_params["id"])
        if run is None or run.kind != "test_run":
            raise self.refusal(404, "Test run not found")
        return JSONResponse(run.record(self.clock.seconds()))

    async def show_balance(self, _: Request) -> Response:
        """The credit that is left."""
        return JSONResponse(self._credits.balance())

    async def show_ledger(self, request: Request) -> Response:
        """A page of the ledger, newest first."""
        limit = self._figure(request, "limit", usual=50, low=1, high=MAX_LEDGER_ROWS)
        offset = self._figure(request, "offset", usual=0, low=0, high=10**9)
        return JSONResponse(self._credits.ledger(limit=limit, offset=offset))

    async def top_up(self, request: Request) -> Response:
        """A link where a person pays; nothing changes by itself."""
        asked = bodies.TopUp.model_validate_json(await request.body() or b"{}")
        balance = self._credits.balance()
        if (asked.bundle_key is None) == (asked.amount_usd is None):
            raise self.refusal(400, "Provide exactly one of bundle_key or amount_usd")
        if asked.bundle_key not in {None, "bundle_10"}:
            raise self.refusal(400, "Unknown bundle")
        if asked.amount_usd is not None:
            low, high = balance["custom_min_micro"], balance["custom_max_micro"]
            if not int(str(low)) <= asked.amount_usd * 1_000_000 <= int(str(high)):
                raise self.refusal(400, "amount_usd is out of bounds")
        mark_effect(request)
        return JSONResponse({"url": "https://checkout.stripe.com/c/pay/cs_test_twin"})

    async def show_usage(self, _: Request) -> Response:
        """The dashboard's figures."""
        return JSONResponse(self._credits.usage(runs=len(self._book.runs)))

    async def show_catalog(self, _: Request) -> Response:
        """Every event type."""
        return JSONResponse(show_catalog())

    async def show_subscriptions(self, request: Request) -> Response:
        """Event types of the webhook."""
        self._known_webhook(request)
        return JSONResponse({"event_types": self._webhook.event_types})

    async def replace_subscriptions(self, request: Request) -> Response:
        """Replace the whole set."""
        self._known_webhook(request)
        asked = bodies.Subscriptions.model_validate_json(await request.body() or b"{}")
        unknown = sorted(set(asked.event_types) - EVENT_TYPES)
        if unknown:
            raise self.refusal(400, f"Unknown event types: {', '.join(unknown)}")
        self._webhook.event_types = list(dict.fromkeys(asked.event_types))
        mark_effect(request)
        return JSONResponse({"event_types": self._webhook.event_types})

    async def regenerate_secret(self, request: Request) -> Response:
        """A new secret, shown once; the old one signs nothing any more."""
        self._known_webhook(request)
        self.settings.secret = make_secret(self.settings.scheme)
        mark_effect(request)
        return JSONResponse({"secret": self.settings.secret})

    async def list_deliveries(self, request: Request) -> Response:
        """Deliveries, newest first."""
        self._known_webhook(request)
        rows = [one.show() for one in reversed(self._webhook.deliveries)]
        return JSONResponse({"total": len(rows), "deliveries": rows})

    async def redeliver(self, request: Request) -> Response:
        """Send one past event again."""
        self._known_webhook(request)
        delivery = self._webhook.find(request.path_params["delivery"])
        if delivery is None:
            raise self.refusal(404, "Delivery not found")
        receiver = self.settings.receiver
        if receiver is None:
            raise self.refusal(400, "The webhook has no URL")
        mark_effect(request)
        sent = await self._webhook.redeliver(
            delivery,
            self._destination(bodies.SentEvent(event="", receiver=receiver)),
            keep_id=self.settings.redeliver_keeps_id,
        )
        return JSONResponse(sent.show())

    def _known_webhook(self, request: Request) -> None:
        if request.path_params["id"] != WEBHOOK_ID:
            raise self.refusal(404, "Webhook not found")

    def _wanted_suites(self, request: Request) -> list[Suite]:
        tags = [tag for tag in request.query_params.get("tags", "").split(",") if tag]
        return self._book.matching(tags, request.query_params.get("match", "any"))

    def _check_build(self, build_id: int | None) -> None:
        if build_id is not None and build_id not in BUILDS:
            raise self.refusal(404, "Build not found")
        if build_id is not None and not BUILDS[build_id]:
            raise self.refusal(403, "Build belongs to another app")

    def _figure(self, request: Request, name: str, *, usual: int, low: int, high: int) -> int:
        given = request.query_params.get(name, str(usual))
        if given.isdecimal() and low <= int(given) <= high:
            return int(given)
        message = f"Input should be a whole number from {low} to {high}"
        detail = [{"type": "int_parsing", "loc": ["query", name], "msg": message, "input": given}]
        raise Refusal(422, {"detail": detail})

    async def set_balance(self, request: Request) -> Response:
        """Lever: set the balance."""
        self._credits.change(bodies.BalanceChange.model_validate_json(await request.body()))
        return JSONResponse(self._credits.balance())

    async def add_entry(self, request: Request) -> Response:
        """Lever: add a ledger entry."""
        entry = bodies.AddedEntry.model_validate_json(await request.body())
        return JSONResponse(self._credits.add_entry(entry), 201)

    async def add_suite(self, request: Request) -> Response:
        """Lever: add a suite."""
        asked = bodies.AddedSuite.model_validate_json(await request.body())
        suite = Suite(asked.id, asked.name, tuple(asked.tags), tuple(asked.cases), asked.platform)
        self._book.add_suite(suite)
        return JSONResponse({"id": suite.suite_id, "test_ids": suite.test_ids()}, 201)

    async def script(self, request: Request) -> Response:
        """Lever: how the next runs end."""
        self._book.follow(bodies.Script.model_validate_json(await request.body()))
        return JSONResponse({"scripted": True})

    async def send(self, request: Request) -> Response:
        """Lever: deliver an event to the receiver and wait for its answer."""
        asked = bodies.SentEvent.model_validate_json(await request.body())
        if asked.only_subscribed and asked.event not in self._webhook.event_types:
            return JSONResponse([])
        envelope = make_envelope(
            asked.event,
            overrides=asked.overrides,
            balance=self._credits.balance(),
            now=self.clock.now(),
        )
        sent = await self._webhook.send(
            envelope,
            self._destination(asked),
            delivery_id=asked.delivery_id,
            repeat=asked.repeat,
        )
        return JSONResponse([{**one.show(), "envelope": one.envelope} for one in sent])

    def _destination(self, asked: bodies.SentEvent) -> Destination:
        receiver = asked.receiver or self.settings.receiver
        if receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        return Destination(
            receiver=receiver,
            secret=self.settings.secret if asked.secret is None else asked.secret,
            scheme=asked.scheme or self.settings.scheme,
            pauses_s=[phases * self.settings.pace for phases in RETRY_PHASES],
            timestamp=asked.timestamp,
        )


def _needed_role(request: Request) -> str:
    path = request.url.path.removeprefix(API)
    if path == "/credits/topup" or path.startswith("/integrations/webhooks"):
        return "admin"
    return "developer" if path.startswith("/ci/") else "viewer"

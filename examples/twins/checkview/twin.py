"""The CheckView twin put together: admission, errors, levers."""

import asyncio
import json
import math
from collections.abc import Sequence

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkview.bodies import AddedFlow, AddedRuns, Script, SentNotification
from examples.twins.checkview.calls import HEALTH, Calls
from examples.twins.checkview.dialect import speak
from examples.twins.checkview.organisation import CheckViewSettings, Organisation
from examples.twins.checkview.problems import problem
from examples.twins.clock import Clock, zulu
from examples.twins.front import answer_with
from examples.twins.ratelimit import Limits, Standing, Window
from examples.twins.twin import Refusal


class CheckViewTwin:
    """CheckView's API for one organisation. The limit `api` is that of a paid plan: 60 a minute."""

    name = "checkview"

    def __init__(self, settings: CheckViewSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.limits: Limits = {"api": Window(limit=60)}
        self._organisation = Organisation(settings, self.clock)

    def clear(self) -> None:
        """Two websites, two flows without runs, nothing told."""
        self._organisation.clear()

    def routes(self) -> Sequence[Route]:
        """The calls of the API."""
        return Calls(self._organisation).routes()

    def levers(self) -> Sequence[Route]:
        """Runs that end by themselves, flows, outcomes, webhooks by hand, what was told."""
        post = ["POST"]
        return (
            Route("/runs", self.add_runs, methods=post),
            Route("/flows", self.add_flow, methods=post),
            Route("/outcomes", self.script, methods=post),
            Route("/send", self.send, methods=post),
            Route("/notifications", self.show_notifications, methods=["GET"]),
        )

    async def admit(self, request: Request) -> None:
        """A bearer token, the organisation's limit, then the scope the call needs."""
        path = request.url.path
        if path in HEALTH:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise problem(401, "Authentication is required.", path)
        if token.strip() != self.settings.key:
            raise problem(401, "The access token is invalid or has expired.", path)
        limit = self.limits["api"]
        standing = limit.take("organisation", self.clock.seconds())
        answer_with(request, self._figures(standing))
        if not standing.allowed:
            wait = {"Retry-After": str(standing.retry_after_s)}
            detail = f"The organization may make {standing.limit} requests a minute."
            raise problem(429, detail, path, wait)
        needed = "read:organization" if request.method == "GET" else "write:organization"
        if needed not in self.settings.scopes.split():
            raise problem(403, f"The access token lacks the scope {needed}.", path)

    def refusal(self, status: int, message: str) -> Refusal:
        """A problem body."""
        return problem(status, message)

    def invalid(self, error: ValidationError) -> Refusal:
        """400 that names what does not fit."""
        found = [".".join(map(str, one["loc"])) + f": {one['msg']}" for one in error.errors()]
        return problem(400, "; ".join(found))

    def state(self) -> dict[str, object]:
        """Websites, flows, runs, audits, and what was told of the runs."""
        told = [entry.show() for entry in self._organisation.notifier.record]
        return {**self._organisation.book.show(), "notifications": told}

    async def add_runs(self, request: Request) -> Response:
        """Lever: let runs end, with a webhook for each or without."""
        asked = AddedRuns.model_validate_json(await request.body())
        book = self._organisation.book
        flow = book.flows.get(asked.test_flow_id or next(iter(book.flows)))
        if flow is None:
            raise Refusal(404, {"error": f"no flow {asked.test_flow_id!r}"})
        added = await self._organisation.add_runs(flow, asked)
        return JSONResponse(
            [
                {
                    "id": run.run_id,
                    "status": run.outcome,
                    "ends_at": run.ends_at.isoformat(),
                    "fate": entry.fate if entry else None,
                }
                for run, entry in added
            ],
            201,
        )

    async def add_flow(self, request: Request) -> Response:
        """Lever: add a flow, perhaps with a frequency of its own."""
        asked = AddedFlow.model_validate_json(await request.body())
        book = self._organisation.book
        website = book.websites.get(asked.website_id)
        if website is None:
            raise Refusal(404, {"error": f"no website {asked.website_id!r}"})
        flow = book.add_flow(asked.id, asked.name, website, asked.frequency)
        return JSONResponse(flow.show(), 201)

    async def script(self, request: Request) -> Response:
        """Lever: how the next runs end that are started by a call."""
        self._organisation.book.follow(Script.model_validate_json(await request.body()))
        return JSONResponse({"scripted": True})

    async def send(self, request: Request) -> Response:
        """Lever: send a webhook by hand and wait for the receiver's answers."""
        asked = SentNotification.model_validate_json(await request.body())
        to = self._organisation.destination(asked.receiver)
        if to.receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        typical = merge(self._typical(asked.event), asked.overrides)
        body = asked.raw or json.dumps(speak(typical, self.settings.dialect))
        sent = await asyncio.gather(
            *(self._organisation.notifier.post(body.encode(), to) for _ in range(asked.repeat))
        )
        return JSONResponse([one.show() for one in sent])

    async def show_notifications(self, _: Request) -> Response:
        """Lever: for every run that ended, whether a webhook was sent, withheld or not due."""
        return JSONResponse([entry.show() for entry in self._organisation.notifier.record])

    def _figures(self, standing: Standing) -> list[tuple[str, str]]:
        # Rounded up: who waits for the second that is named is never too early.
        reset = math.ceil(self.clock.now().timestamp() + standing.reset_s)
        figures = {"Limit": standing.limit, "Remaining": standing.remaining, "Reset": reset}
        return [(f"X-RateLimit-{name}", str(figure)) for name, figure in figures.items()]

    def _typical(self, event: str) -> dict[str, object]:
        now = zulu(self.clock.now())
        flow = next(iter(self._organisation.book.flows.values()))
        status = event.rpartition(".")[2]
        return {
            "event": event,
            "test_flow": flow.brief(),
            "website": flow.website.brief(),
            "test_run": {
                "id": "run-9",
                "status": status,
                "started_at": now,
                "finished_at": now,
                "error": "Element not found" if status == "failed" else None,
                "url": "https://app.checkview.io/test-runs/run-9",
            },
        }


def merge(base: dict[str, object], over: dict[str, object]) -> dict[str, object]:
    """`base` with the members of `over`, objects merged member by member, arrays replaced."""
    merged = dict(base)
    for name, value in over.items():
        known = merged.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            merged[name] = merge(known, value)
        else:
            merged[name] = value
    return merged

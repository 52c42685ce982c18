"""The Checkly twin put together: admission, errors, levers."""

from collections.abc import Sequence

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkly import bodies
from examples.twins.checkly.account import Account, Check, ChecklySettings, refusal
from examples.twins.checkly.alerts import Alerts
from examples.twins.checkly.channels import Channels
from examples.twins.checkly.check_runs import CheckRuns
from examples.twins.checkly.errors import Errors
from examples.twins.checkly.sessions import Sessions
from examples.twins.clock import Clock
from examples.twins.ratelimit import Limits, Window
from examples.twins.twin import Refusal


class ChecklyTwin:
    """Checkly's API for one account."""

    name = "checkly"

    def __init__(self, settings: ChecklySettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.limits: Limits = {"api": Window(limit=600), "trigger": Window(limit=10)}
        self._account = Account(settings, self.clock)
        self._channels = Channels(self._account)
        self._runs = CheckRuns(self._account)
        self._sessions = Sessions(self._account)
        self._errors = Errors(self._account)
        self._alerts = Alerts(self._account, self._channels, self._runs)

    def clear(self) -> None:
        """Three checks, one channel, nothing has happened."""
        self._account.clear()
        for part in (self._channels, self._runs, self._sessions, self._errors, self._alerts):
            part.clear()

    def routes(self) -> Sequence[Route]:
        """The calls of the API."""
        return (
            *self._sessions.routes(),
            *self._runs.routes(),
            *self._alerts.routes(),
            *self._channels.routes(),
            *self._errors.routes(),
        )

    def levers(self) -> Sequence[Route]:
        """What happens to checks and sessions, and how the next ones end."""
        post = ["POST"]
        return (
            Route("/alerts", self.let_alert, methods=post),
            Route("/sessions", self.add_sessions, methods=post),
            Route("/sessions/{id}", self.end_session, methods=post),
            Route("/results", self.add_results, methods=post),
            Route("/checks", self.add_check, methods=post),
            Route("/outcomes", self.script, methods=post),
        )

    async def admit(self, request: Request) -> None:
        """Key, account, limit; the old trigger knows its token in the address instead."""
        path = request.url.path
        if path.startswith(("/checks/", "/check-groups/")):
            self._count("trigger", path)
            return
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or key.strip() != self.settings.key:
            raise refusal(401, "Bad Token")
        account = request.headers.get("x-checkly-account", "")
        if not account:
            raise refusal(401, "The header X-Checkly-Account is missing")
        if account != self.settings.account:
            raise refusal(403, "The API key has no access to this account")
        self._count("api", "key")

    def refusal(self, status: int, message: str) -> Refusal:
        """`{"statusCode", "error", "message"}`."""
        return refusal(status, message)

    def invalid(self, error: ValidationError) -> Refusal:
        """400 that names what does not fit."""
        found = [
            ".".join(map(str, one["loc"])) + f": {one['msg']}"
            for one in error.errors(include_url=False)
        ]
        return refusal(400, "; ".join(found))

    def state(self) -> dict[str, object]:
        """The twin's own record: what happened, what was told of it, what was asked for."""
        return {
            "alerts": self._alerts.state(),
            "sessions": self._sessions.state(),
            "check_sessions": self._runs.state(),
            "deployment_runs": self._runs.deployment_runs,
            "analyses": self._errors.state(),
            "error_groups": [group.show() for group in self._account.groups.values()],
            "channels": [channel.show() for channel in self._channels.channels.values()],
            "notifications": [one.show() for one in self._channels.notifications],
        }

    async def let_alert(self, request: Request) -> Response:
        """Lever: let alerts happen; those that are not withheld are sent, and waited for."""
        asked = bodies.AddedAlerts.model_validate_json(await request.body())
        return JSONResponse([alert.show() for alert in await self._alerts.happen(asked)])

    async def add_sessions(self, request: Request) -> Response:
        """Lever: add test sessions."""
        asked = bodies.AddedSessions.model_validate_json(await request.body())
        now = self.clock.now()
        return JSONResponse([session.entry(now) for session in self._sessions.add(asked)])

    async def end_session(self, request: Request) -> Response:
        """Lever: end a test session now."""
        asked = bodies.EndedSession.model_validate_json(await request.body())
        return JSONResponse(self._sessions.end(request.path_params["id"], asked.status))

    async def add_results(self, request: Request) -> Response:
        """Lever: add results of a check."""
        asked = bodies.AddedResults.model_validate_json(await request.body())
        return JSONResponse([result.show() for result in self._runs.add_results(asked)])

    async def add_check(self, request: Request) -> Response:
        """Lever: add or replace a check."""
        asked = bodies.AddedCheck.model_validate_json(await request.body())
        check = Check(
            asked.id, asked.name, asked.type, tuple(asked.tags), asked.activated, asked.group
        )
        self._account.checks[check.check_id] = check
        return JSONResponse({"id": check.check_id}, 201)

    async def script(self, request: Request) -> Response:
        """Lever: how the next sessions, runs of checks and analyses end."""
        self._account.outcomes.follow(bodies.Script.model_validate_json(await request.body()))
        return JSONResponse({"scripted": True})

    def _count(self, limit: str, key: str) -> None:
        standing = self.limits[limit].take(key, self.clock.seconds())
        if not standing.allowed:
            body = {"statusCode": 429, "error": "Too Many Requests", "message": "Too many requests"}
            headers = (("retry-after", str(standing.retry_after_s)),)
            raise Refusal(429, body, headers if self.settings.retry_after else ())

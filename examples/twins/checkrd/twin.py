"""The Checkrd twin put together: admission, errors, levers."""

import math
import time
from collections.abc import Sequence
from uuid import uuid4

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from examples.twins.checkrd.account import Account, CheckrdSettings, refusal
from examples.twins.checkrd.agents import Agents
from examples.twins.checkrd.alerts import Alerts
from examples.twins.checkrd.history import History
from examples.twins.checkrd.idempotency import IdempotencyKeys
from examples.twins.checkrd.levers import Levers
from examples.twins.checkrd.observing import Observing
from examples.twins.clock import Clock
from examples.twins.front import answer_with
from examples.twins.ratelimit import Bucket, Limits, Standing, Window
from examples.twins.twin import Refusal

REFRESH = "/auth/refresh"
OPEN = frozenset({"/health", REFRESH})


class CheckrdTwin:
    """Checkrd's API for one organisation."""

    name = "checkrd"

    def __init__(self, settings: CheckrdSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.limits: Limits = {
            "api": Bucket(rate_per_s=20, burst=40),
            "auth": Bucket(rate_per_s=5, burst=10),
            "telemetry": Window(limit=None),
        }
        self._account = Account(settings, self.clock)
        self._keys = IdempotencyKeys(self._account)
        self._observing = Observing(self._account, self._keys, self.limits)

    def clear(self) -> None:
        """One agent with one rule, no keys, the first log-in."""
        self._keys.clear()
        self._account.clear()

    def routes(self) -> Sequence[Route]:
        """The calls of the API."""
        return (
            Route(REFRESH, self.refresh, methods=["POST"]),
            *Agents(self._account, self._keys).routes(),
            *Alerts(self._account, self._keys).routes(),
            *History(self._account).routes(),
            *self._observing.routes(),
        )

    def levers(self) -> Sequence[Route]:
        """Evaluations, history, agents, rules, requests, policies, log-ins, webhooks, record."""
        return Levers(self._account, self._observing).routes()

    async def admit(self, request: Request) -> None:
        """The limit of the caller's address, then who calls, then whether they may."""
        path = request.url.path
        limit = self.limits["auth" if path.startswith("/auth/") else "api"]
        host = request.client.host if request.client else "?"
        standing = limit.take(host, self.clock.seconds())
        answer_with(request, [*_limit_headers(standing), ("checkrd-request-id", f"req_{uuid4()}")])
        if not standing.allowed:
            raise _limited(standing)
        if path not in OPEN:
            self._authorise(request, path)

    async def refresh(self, request: Request) -> JSONResponse:
        """A new log-in for a refresh token."""
        try:
            body = await request.json()
        except ValueError:
            body = None
        given = body.get("refresh_token") if isinstance(body, dict) else None
        answer = self._account.sessions.renew(given)
        if answer is None:
            raise refusal(401, "The refresh token is not valid", "invalid_refresh_token")
        return JSONResponse(answer)

    def refusal(self, status: int, message: str) -> Refusal:
        """`{"error": {...}}`."""
        return refusal(status, message, "resource_not_found" if status == 404 else None)

    def invalid(self, error: ValidationError) -> Refusal:
        """400 that names the first member that does not fit."""
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        kinds = {"missing": "parameter_missing", "json_invalid": "invalid_json_body"}
        code = kinds.get(first["type"], "invalid_parameter")
        return refusal(400, f"{place}: {first['msg']}", code, place)

    def state(self) -> dict[str, object]:
        """Agents, rules, history, notifications, and what was sent and withheld."""
        account = self._account
        return {
            "agents": [agent.show() for agent in account.agents.all()],
            "streams": sum(len(agent.streams) for agent in account.agents.all()),
            "rules": [rule.show() for rule in account.rules.all()],
            "history": [change.show() for change in account.rules.history],
            "record": [told.show() for told in account.webhook.record],
            "notifications": account.rules.notifications,
            "requests": account.requests,
            "audit": account.audit,
            "renewals": account.sessions.renewals,
        }

    def _authorise(self, request: Request, path: str) -> None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else ""
        key = request.headers.get("x-api-key", "")
        if token and self._account.sessions.knows(token):
            if request.method != "GET" and self.settings.role == "viewer":
                raise refusal(403, "Your role may not change this", "insufficient_role")
        elif self.settings.key in {token, key}:
            if not self._key_may(path):
                raise refusal(403, "This endpoint takes a user's session", "insufficient_role")
        else:
            raise refusal(401, "Invalid or expired credentials", "invalid_credentials")

    def _key_may(self, path: str) -> bool:
        is_control = path.endswith(("/control", "/control/state")) or path == "/v1/telemetry"
        return is_control or self.settings.key_scope == "all"


def _limit_headers(standing: Standing) -> list[tuple[str, str]]:
    # The reset is a Unix time here, of the caller's real time.
    reset = math.ceil(time.time() + standing.reset_s)
    return [
        ("ratelimit-limit", str(standing.limit)),
        ("ratelimit-remaining", str(standing.remaining)),
        ("ratelimit-reset", str(reset)),
    ]


def _limited(standing: Standing) -> Refusal:
    refused = refusal(429, "Too many requests from this address", "rate_limit_exceeded")
    refused.headers = (("retry-after", str(standing.retry_after_s)),)
    return refused

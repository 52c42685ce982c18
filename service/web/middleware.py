"""What every answer of the management API carries, and what is noted of every request."""

from __future__ import annotations

import re
import time
from http import HTTPStatus

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.ids import new_id
from service import log as logging_setup
from service.errors import Invalid, Rejected
from service.web.errors import internal_error, note_request, problem
from service.web.limits import Limiter, name_caller

log = structlog.get_logger(__name__)

API_VERSION = "2026-11-01"
API_PREFIX = "/api/"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Nothing may be framed, guessed at or kept, and an answer of the API may load nothing at all.
_ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


_OWN = frozenset({"Cache-Control", "Content-Security-Policy"})
"""What a page may say of itself: which of our own files it uses, and what may be kept."""


class Envelope:
    """Gives requests an id, counts them, and puts the common headers on every answer."""

    def __init__(self, app: ASGIApp, limiter: Limiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = Headers(scope=scope)
        given = asked.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id().hex
        scope["request_id"] = request_id
        common = {**_ALWAYS, "X-Request-Id": request_id}
        refusal: Response | None = None
        if scope["path"].startswith(API_PREFIX):
            client = scope.get("client") or ("", 0)
            allowance = self._limiter.take(name_caller(asked.get("authorization"), client[0]))
            common |= allowance.headers()
            common["Hookwright-Version"] = API_VERSION
            refusal = _refuse(scope, allowed=allowance.allowed, asked=asked)
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            refusal = refusal or _refuse_nul(scope)
        with logging_setup.bound(request_id=request_id):
            await self._serve(refusal or self._app, common, scope, receive, send)

    async def _serve(
        self, app: ASGIApp, common: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        status = 0
        began = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in common.items():
                    if name not in _OWN or name not in headers:
                        headers[name] = value
            await send(message)

        try:
            await app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001  # note_fault logs it
            # The outermost frame of a request: whatever it was, the caller learns only that it
            # failed, and finds it again by the request's id or the fault.
            fault = note_request(error, scope)
            if status == 0:
                await internal_error(scope, fault)(scope, receive, send_with_headers)
        # Probes and commands that follow ask every second; a line for each would bury the others.
        asked_well = scope["method"] in _READING and status < HTTPStatus.BAD_REQUEST
        quiet = asked_well or not scope["path"].startswith(API_PREFIX)
        note = log.debug if quiet else log.info
        note(
            "request_answered",
            method=scope["method"],
            path=scope["path"],
            status=int(status),
            milliseconds=round((time.perf_counter() - began) * 1000, 1),
        )


def _refuse(scope: Scope, *, allowed: bool, asked: Headers) -> Response | None:
    if not allowed:
        return problem(
            status=HTTPStatus.TOO_MANY_REQUESTS,
            code="rate_limited",
            detail="wait as long as Retry-After says",
            instance=scope["path"],
            request_id=scope["request_id"],
        )
    version = asked.get("hookwright-version", API_VERSION)
    if version != API_VERSION:
        return problem(
            status=Rejected.status,
            code="version_unknown",
            detail=f"this server speaks the version {API_VERSION}",
            instance=scope["path"],
            request_id=scope["request_id"],
        )
    return None


def _refuse_nul(scope: Scope) -> Response:
    # PostgreSQL has no text that holds it, and would call it our fault.
    return problem(
        status=Invalid.status,
        code=Invalid.code,
        detail="NUL is no part of any name or text",
        instance=scope["path"],
        request_id=scope["request_id"],
    )

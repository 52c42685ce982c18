"""Bounds for what the management API takes before the caller is known."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.web.errors import problem

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT_S = 30.0
UNDER_WAY = 200
"""Requests at a time. Behind them stand some forty threads; more would only wait, each with its
body."""


class BoundedBodies:
    """Takes a request once its body is there, not too large, not encoded, and not too late.

    Answers 408, 413, 415, and 503 when too many requests are under way.
    """

    def __init__(
        self, app: ASGIApp, *, timeout_s: float = BODY_TIMEOUT_S, under_way: int = UNDER_WAY
    ) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self._most = under_way
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request once its body is there, or refuse it."""
        headers = Headers(scope=scope)
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told) > MAX_BODY_BYTES:
            await _too_large(scope)(scope, receive, send)
            return
        if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            await _encoded(scope)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await _read(receive)
        except TimeoutError:
            await _too_slow(scope, self._timeout_s)(scope, receive, send)
            return
        if body is None:
            await _too_large(scope)(scope, receive, send)
            return
        if self._under_way >= self._most:
            await _busy(scope)(scope, receive, send)
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        self._under_way += 1
        try:
            await self._app(scope, replay, send)
        finally:
            self._under_way -= 1


async def _read(receive: Receive) -> bytes | None:
    """Give the whole body; None for one that is too large."""
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            # Nobody hears the answer; what was cut off must not be taken for the whole.
            return b""
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large(scope: Scope) -> Response:
    detail = f"a body may have {MAX_BODY_BYTES} bytes here"
    return _refuse(scope, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail)


def _encoded(scope: Scope) -> Response:
    detail = "the body may not be compressed or otherwise encoded"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    return _refuse(scope, status, "encoding_not_taken", detail, {"Accept-Encoding": "identity"})


def _too_slow(scope: Scope, seconds: float) -> Response:
    detail = f"the body did not arrive within {seconds:g} seconds"
    return _refuse(scope, HTTPStatus.REQUEST_TIMEOUT, "request_too_slow", detail)


def _busy(scope: Scope) -> Response:
    detail = "too many requests are under way"
    return _refuse(
        scope, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, {"Retry-After": "2"}
    )


def _refuse(
    scope: Scope, status: HTTPStatus, code: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    return problem(
        status=status,
        code=code,
        detail=detail,
        instance=scope["path"],
        request_id=scope["request_id"],
        headers={"Connection": "close", **(headers or {})},
    )

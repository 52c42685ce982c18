"""A bound for the bodies of the management API, which are read before the caller is known."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.web.errors import problem

MAX_BODY_BYTES = 64 * 1024


class BoundedBodies:
    """Answers 413 for a body above 64 KiB, whether its length was told before or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request once its body is there, or refuse it."""
        told = Headers(scope=scope).get("content-length", "")
        body = None if told.isdecimal() and int(told) > MAX_BODY_BYTES else await _read(receive)
        if body is None:
            await _too_large(scope)(scope, receive, send)
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replay, send)


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


def _too_large(scope: Scope) -> ASGIApp:
    return problem(
        status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        code="too_large",
        detail=f"a body may have {MAX_BODY_BYTES} bytes here",
        instance=scope["path"],
        request_id=scope["request_id"],
        headers={"Connection": "close"},
    )

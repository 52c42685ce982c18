"""What the door says: answers and problems (RFC 9457) as ASGI messages."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic_core import to_json

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON_TYPE: Header = (b"content-type", b"application/json")
PROBLEM_TYPE: Header = (b"content-type", b"application/problem+json")
CLOSE: Header = (b"connection", b"close")
ALLOW: Header = (b"allow", b"POST, OPTIONS")

REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")
_INSTANCE_CHARS = 200

_CODES = {
    HTTPStatus.BAD_REQUEST: "handshake_malformed",
    HTTPStatus.UNAUTHORIZED: "delivery_not_verified",
    HTTPStatus.NOT_FOUND: "address_unknown",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_TIMEOUT: "request_too_slow",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "encoding_not_taken",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_exceeded",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "headers_too_large",
    HTTPStatus.SERVICE_UNAVAILABLE: "not_storable_now",
}
"""One outward code for each status: it must not tell more than the status does."""

UNKNOWN = "There is no such receiving address."
UNPROVEN = "The delivery could not be verified."


class Reply(NamedTuple):
    """One whole answer, but for the headers that every answer has."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = (JSON_TYPE,)


Tell = Callable[[Reply, bytes], None]
"""Sends a whole answer to a request with this id."""


class Refusal(Exception):  # noqa: N818  # the end of a request, not an error of ours
    """The request is not taken. `reason` stays inside (log, counters, quarantine)."""

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        detail: str,
        *headers: Header,
        retry_after: float | None = None,
    ) -> None:
        """`retry_after`: seconds; sent as whole seconds, at least 1."""
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers
        if retry_after is not None:
            seconds = max(1, math.ceil(retry_after))
            self.headers = (*headers, (b"retry-after", b"%d" % seconds))

    def reply(self, path: str, request_id: bytes) -> Reply:
        """Give the problem that the sender reads."""
        body = self.problem(path, request_id)
        return Reply(self.status, body, (PROBLEM_TYPE, *self.headers))

    def problem(self, path: str, request_id: bytes) -> bytes:
        """Give the body that tells it."""
        problem = {
            "type": f"urn:hookwright:problem:{_CODES.get(self.status, 'failed')}",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "instance": path[:_INSTANCE_CHARS],
            "request_id": request_id.decode("ascii"),
        }
        return to_json(problem)


def choose_request_id(sent: bytes | None, own: bytes) -> bytes:
    """Give the sender's request id when it is short and harmless, else our own."""
    return sent if sent is not None and REQUEST_ID.fullmatch(sent) else own


def stored_body(delivery: bytes, status: bytes) -> bytes:
    """Give the body that names a stored delivery."""
    return b'{"id": "%b", "status": "%b"}' % (delivery, status)


def whole_headers(reply: Reply, request_id: bytes) -> list[Header]:
    """Give the headers that a whole answer has beside its own."""
    named = (b"x-request-id", request_id)
    if reply.status == HTTPStatus.NO_CONTENT:
        return [named]
    return [named, (b"content-length", b"%d" % len(reply.body))]


async def send_reply(send: Send, reply: Reply, request_id: bytes) -> None:
    """Send a whole answer."""
    headers = [*reply.headers, *whole_headers(reply, request_id)]
    await send({"type": "http.response.start", "status": int(reply.status), "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

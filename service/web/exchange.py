"""A request that came whole and is answered without a task of its own, and its answer as bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.door_answers import Header, Reply, Tell
from service.door_request import Pairs, Request

ADDRESS = re.compile(rb"/hooks/([A-Za-z0-9._-]{1,100})(?:/([A-Za-z0-9._~-]*))?")
"""The usual form of a receiving address: nothing in it is decoded."""
_EMPTY = b"%b%b%bx-request-id: %b\r\n\r\n"
_WHOLE = b"%b%b%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"


class Door(Protocol):
    """What can take requests that came whole (service/door.py)."""

    def take(self, request: Request, body: bytes, tell: Tell) -> bool:
        """Take one; False when nothing was done."""


class _Nobody:
    """Waits for nothing, so that it need not be woken."""

    def set(self) -> None:
        """Wake nobody."""


class Exchange:
    """One such request, in the place of uvicorn's own cycle of receiving and sending."""

    __slots__ = ("_answer", "disconnected", "keep_alive", "response_complete")

    message_event = _Nobody()

    def __init__(
        self, answer: Callable[[Exchange, Reply, bytes], None], *, keep_alive: bool
    ) -> None:
        """`answer` sends what is to be told, unless the sender is gone by then."""
        self._answer = answer
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    @property
    def response_started(self) -> bool:
        """Whether anything was sent: all of it is sent at once."""
        return self.response_complete

    def tell(self, reply: Reply, request_id: bytes) -> None:
        """Send the answer."""
        if not self.disconnected:
            self.response_complete = True
            self._answer(self, reply, request_id)


def whole_answer(
    reply: Reply, request_id: bytes, always: bytes, *, keep_alive: bool
) -> tuple[bytes, bool]:
    """Give an answer as it is sent, and whether the connection is kept after it.

    `always`: the lines that the server puts into every answer.
    """
    head = _lines(reply.headers)
    if b"connection: close" in head:
        keep_alive = False
    elif not keep_alive:
        head += b"connection: close\r\n"
    line, body = STATUS_LINE[reply.status], reply.body
    if reply.status == HTTPStatus.NO_CONTENT:
        return _EMPTY % (line, always, head, request_id), keep_alive
    return _WHOLE % (line, always, head, request_id, len(body), body), keep_alive


def lines_of(headers: Sequence[Header]) -> bytes:
    """Give headers as they are sent."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


_lines = lru_cache(maxsize=64)(lines_of)


def sender_of(application: Any, client: tuple[str, int] | None, headers: Pairs) -> str:
    """Give the address a request came from, as uvicorn's middleware would set it."""
    host = client[0] if client else ""
    if isinstance(application, ProxyHeadersMiddleware) and host in application.trusted_hosts:
        sent = [value for name, value in headers if name == "x-forwarded-for"]
        if sent:
            trusted = application.trusted_hosts
            return trusted.get_trusted_client_address(", ".join(sent))[0] or host
    return host

"""Reading one request at the door: its path, its headers as they are kept, and its bounded body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    MutableMapping,
    Sequence,
)
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from schemas.ids import new_id
from service.door_answers import CLOSE, Header, Refusal, choose_request_id
from service.redaction import STRUCK, is_sensitive_name

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Pairs = Sequence[tuple[str, str]]

PREFIX = "/hooks/"
WATCH_EVERY_S = 0.5
MAX_HEADERS = 200
MAX_HEADER_BYTES = 32 * 1024
"""Names and values together."""
MAX_KNOWN_NAMES = 1_000
MAX_KNOWN_NAME_BYTES = 64

_PLAIN = {"content-encoding": ("", "identity"), "transfer-encoding": ("", "chunked")}
"""What a body may come as: anything else would have to be unpacked before it can be proven."""


class SenderGone(Exception):  # noqa: N818  # the end of a request, not an error of ours
    """The sender hung up before the request was complete."""


class _Names(dict[bytes, str]):
    """Names of headers as text, each made once: their hashes are asked for again and again."""

    def __missing__(self, name: bytes) -> str:
        text = name.decode("latin-1")
        if len(name) <= MAX_KNOWN_NAME_BYTES:
            if len(self) >= MAX_KNOWN_NAMES:  # somebody invents them
                self.clear()
            self[name] = text
        return text


_NAMES = _Names()


class Request:
    """One request at the door, read as far as its headers.

    `id` is what its delivery will be called, and what the request is called unless the sender gave
    it a name. `items` are the headers as text, for vendors; `headers` as they came, for HTTP.
    """

    __slots__ = (
        "_find_sender",
        "_head_bytes",
        "headers",
        "id",
        "id_text",
        "items",
        "method",
        "name",
        "request_id",
        "token",
    )

    def __init__(
        self,
        method: str,
        name: str,
        token: str,
        headers: Sequence[Header],
        find_sender: Callable[[Pairs], str],
        head_bytes: int | None = None,
    ) -> None:
        """`name` and `token` are of the path; `find_sender` gives who sent headers such as these.

        It is asked only when somebody wants to know. `head_bytes`: how much the head was at most.
        """
        self.headers = dict(headers)
        self.items = [(_NAMES[key], value.decode("latin-1")) for key, value in headers]
        self._head_bytes = head_bytes
        self.method = method
        self.name = name
        self.token = token
        self._find_sender = find_sender
        self.id = new_id()
        self.id_text = str(self.id).encode()
        self.request_id = choose_request_id(self.headers.get(b"x-request-id"), self.id_text)

    @classmethod
    def of(cls, scope: Scope) -> Request:
        """Give the request of an ASGI scope."""
        name, _, token = scope["path"].partition(PREFIX)[2].partition("/")
        client = scope.get("client") or ("",)
        return cls(scope["method"], name, token, scope["headers"], lambda _: client[0])

    @property
    def remote(self) -> str:
        """The address it came from, as far as proxies are believed."""
        return self._find_sender(self.items)

    @property
    def path(self) -> str:
        """What was asked for, without the token."""
        return PREFIX + self.name

    def check_headers(self) -> None:
        """Refuse more headers than can be kept (431)."""
        size = self._head_bytes
        if size is None or size > MAX_HEADER_BYTES:
            size = sum([len(name) + len(value) for name, value in self.items])
        if len(self.items) > MAX_HEADERS or size > MAX_HEADER_BYTES:
            detail = f"There are more than {MAX_HEADERS} headers or {MAX_HEADER_BYTES} bytes."
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise Refusal(status, "headers_too_large", detail, CLOSE)

    def check_head(self, max_body: int) -> None:
        """Refuse what can be refused before the body is read (413, 415)."""
        if (b"content-encoding" in self.headers or b"transfer-encoding" in self.headers) and any(
            name in _PLAIN and value.strip().lower() not in _PLAIN[name]
            for name, value in self.items
        ):
            detail = "The body may not be compressed or otherwise encoded."
            accepted = (b"accept-encoding", b"identity")
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoding", detail, CLOSE, accepted)
        length = self.headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > max_body:
            raise too_large(max_body)


def kept_headers(items: Pairs, secrets: Collection[str]) -> Pairs:
    """Give headers as they may be stored: secrets struck out, signatures left for reverifying."""
    for name, value in items:
        if _holds_secret(name) or value in secrets:
            break
    else:
        return items
    return [
        (name, STRUCK if _holds_secret(name) or value in secrets else value)
        for name, value in items
    ]


def headers_as_json(items: Pairs, secrets: Collection[str]) -> bytes:
    """Give the JSON of the kept headers, without NUL, which PostgreSQL cannot hold."""
    dumped = to_json(kept_headers(items, secrets))
    return dumped.replace(b"\\u0000", b"\\ufffd") if b"\\u0000" in dumped else dumped


@lru_cache(maxsize=1024)
def _holds_secret(name: str) -> bool:
    return is_sensitive_name(name) and not name.endswith("-signature")


def too_large(limit: int) -> Refusal:
    """Give the refusal of a body above the source's limit."""
    detail = f"The body is larger than {limit} bytes."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail, CLOSE)


class BodyReader:
    """Reads bodies no larger than a limit and in no more than a time.

    What all of them weigh together is bounded where they arrive (door_gate.py).

    One timer watches over all requests: a timer for each would cost more than reading the body.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._began: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch."""
        every = min(WATCH_EVERY_S, self._timeout_s / 4)
        self._timer = asyncio.get_running_loop().call_later(every, self._watch)

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()

    async def read(self, receive: Receive, limit: int) -> bytes:
        """Give the whole body. Raises Refusal (408, 413) or SenderGone."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # for the type checker
        self._began[task] = time.monotonic()
        try:
            message = await receive()
            body: bytes = message.get("body", b"")
            if not message.get("more_body", False) and message["type"] == "http.request":
                if len(body) > limit:
                    raise too_large(limit)
                return body
            return await self._read_on(message, receive, limit)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            self._late.discard(task)
            task.uncancel()
            detail = f"The body did not arrive within {self._timeout_s:g} seconds."
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "slow_body", detail, CLOSE) from None
        finally:
            del self._began[task]

    def _watch(self) -> None:
        self.start()
        oldest = time.monotonic() - self._timeout_s
        for task, began in self._began.items():
            if began > oldest:  # they stand in the order in which they began
                break
            if task not in self._late:
                self._late.add(task)
                task.cancel()

    async def _read_on(
        self, message: MutableMapping[str, Any], receive: Receive, limit: int
    ) -> bytes:
        chunks = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise SenderGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)
            message = await receive()

"""The front of every twin: records each call, applies faults, hands the rest to the vendor's part.

Control calls (`/_twin/...`) pass by unrecorded.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.twins.faults import Fault, FaultBook, Mode
from examples.twins.record import SCOPE_KEY, Call, CallLog, read_body

HEADERS_KEY = "twin.headers"
Cut = Callable[[Scope], None]
GARBAGE = b'<!doctype html><p>{"ok": tru\xff\xfe'


@dataclass(slots=True)
class _Answer:
    """An answer held back until it is known what becomes of it."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    streams: bool = False

    async def collect(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        else:
            self.body += message.get("body", b"")

    def or_stream(self, scope: Scope, call: Call, send: Send) -> Send:
        """Collect, but hand a stream of events on as it comes: it has no end to wait for."""

        async def take(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.streams = _is_stream(message)
                if self.streams:
                    headers = [*message["headers"], *scope.get(HEADERS_KEY, [])]
                    call.status = message["status"]
                    call.answered = True
                    message = {**message, "headers": headers}
            await (send(message) if self.streams else self.collect(message))

        return take


class Front:
    """An ASGI application in front of a vendor's part and the control surface.

    Args:
        cut: ends the connection of a scope at once, without an answer.
    """

    def __init__(
        self, *, vendor: ASGIApp, control: ASGIApp, calls: CallLog, faults: FaultBook, cut: Cut
    ) -> None:
        self._vendor = vendor
        self._control = control
        self._calls = calls
        self._faults = faults
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call, whoever it is for."""
        if scope["path"] == "/_twin" or scope["path"].startswith("/_twin/"):
            await self._control(scope, receive, send)
            return
        raw_body = await _read(receive)
        headers = Headers(scope=scope)
        call = self._calls.open(
            method=scope["method"],
            path=scope["path"],
            query=QueryParams(scope["query_string"]),
            headers=headers,
            raw_body=raw_body,
        )
        scope[SCOPE_KEY] = call
        fault = self._faults.take(scope["method"], scope["path"], raw_body)
        answer = _Answer()
        if fault is None or fault.takes_effect:
            take = answer.or_stream(scope, call, send) if fault is None else answer.collect
            await self._vendor(scope, _replay(raw_body, receive), take)
            if answer.streams:
                return
            answer.headers += scope.get(HEADERS_KEY, [])
        if fault is None:
            await _give(call, answer, send)
            return
        call.fault = fault.mode
        await asyncio.sleep(fault.delay_s)
        await self._spoil(call, fault, answer, scope, receive, send)

    async def _spoil(
        self, call: Call, fault: Fault, answer: _Answer, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if fault.mode in {Mode.DROP_BEFORE, Mode.DROP_AFTER}:
            await self._disconnect(scope, receive)
        elif fault.mode is Mode.TRUNCATE:
            call.status = answer.status
            await send({"type": "http.response.start", **_head(answer)})
            half = answer.body[: len(answer.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            await self._disconnect(scope, receive)
        else:
            await _give(call, _spoilt(fault, answer), send)

    async def _disconnect(self, scope: Scope, receive: Receive) -> None:
        self._cut(scope)
        # The server answers 500 for us unless it has seen the connection go.
        while (await receive())["type"] != "http.disconnect":
            pass


def answer_with(request: Request, headers: Sequence[tuple[str, str]]) -> None:
    """Put headers on whatever this call will be answered with."""
    request.scope[HEADERS_KEY] = [(name.encode(), value.encode()) for name, value in headers]


def _spoilt(fault: Fault, answer: _Answer) -> _Answer:
    given = [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
    if fault.mode is Mode.STATUS:
        if isinstance(fault.body, str):
            body, kind = fault.body.encode(), b"text/plain; charset=utf-8"
        else:
            body = b"" if fault.body is None else json.dumps(fault.body).encode()
            kind = b"application/json"
        named = {name for name, _ in given}
        typed = [] if b"content-type" in named else [(b"content-type", kind)]
        return _Answer(fault.status, _sized(given + typed, body), body)
    if fault.mode is Mode.GARBAGE:
        return _Answer(answer.status, _sized(answer.headers + given, GARBAGE), GARBAGE)
    return _Answer(answer.status, answer.headers + given, answer.body)


def _sized(headers: list[tuple[bytes, bytes]], body: bytes) -> list[tuple[bytes, bytes]]:
    kept = [pair for pair in headers if pair[0] != b"content-length"]
    return [*kept, (b"content-length", str(len(body)).encode())]


def _head(answer: _Answer) -> dict[str, object]:
    return {"status": answer.status, "headers": answer.headers}


async def _give(call: Call, answer: _Answer, send: Send) -> None:
    call.status = answer.status
    call.answer = read_body(answer.body, "")
    await send({"type": "http.response.start", **_head(answer)})
    await send({"type": "http.response.body", "body": answer.body})
    call.answered = True


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    waiting = [body]

    async def give() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        # What follows the body is the end of the connection, which ends a stream.
        return await receive()

    return give


def _is_stream(start: Message) -> bool:
    return any(
        name == b"content-type" and kind.startswith(b"text/event-stream")
        for name, kind in start.get("headers", [])
    )

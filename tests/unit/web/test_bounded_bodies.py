"""What the management API takes before it knows who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.web.bodies import BoundedBodies

Messages = list[dict[str, Any]]


async def whole() -> dict[str, Any]:
    return {"type": "http.request", "body": b"{}", "more_body": False}


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def ask(
    app: BoundedBodies,
    receive: Callable[[], Awaitable[dict[str, Any]]] = whole,
    path: str = "/api/v1/runs",
    **headers: str,
) -> tuple[int, dict[bytes, bytes]]:
    sent: Messages = []

    async def send(message: Any) -> None:
        sent.append(message)

    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "headers": lines, "request_id": "r"}
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


async def take(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_415_for_a_compressed_body(encoding: str) -> None:
    status, headers = asyncio.run(ask(BoundedBodies(take), content_encoding=encoding))
    assert (status, headers[b"accept-encoding"]) == (415, b"identity")


def test_identity_is_no_encoding() -> None:
    assert asyncio.run(ask(BoundedBodies(take), content_encoding="identity"))[0] == 200


def test_408_for_a_body_that_does_not_come() -> None:
    status, headers = asyncio.run(ask(BoundedBodies(take, timeout_s=0.01), never))
    assert (status, headers[b"connection"]) == (408, b"close")


def test_503_when_too_many_are_under_way() -> None:
    async def scenario() -> None:
        may_end = asyncio.Event()

        async def take_long(scope: Any, receive: Any, send: Any) -> None:
            await may_end.wait()
            await take(scope, receive, send)

        app = BoundedBodies(take_long, under_way=2)
        first = [asyncio.create_task(ask(app)) for _ in range(2)]
        await asyncio.sleep(0)
        status, headers = await ask(app)
        assert (status, headers[b"retry-after"]) == (503, b"2")
        may_end.set()
        assert [(await one)[0] for one in first] == [200, 200]
        assert (await ask(app))[0] == 200

    asyncio.run(scenario())

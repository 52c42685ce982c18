"""One process's ASGI application: `/hooks/` goes to the door, everything else behind it.

Nothing here knows the management API, which takes longer to make than all the rest: deliveries are
taken while it is being made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any, Protocol

from service.door_answers import Tell
from service.door_gate import Gate
from service.door_request import Request
from service.door_turnstile import Turnstile
from service.errors import HookwrightError
from service.web import health
from service.web.connections import SHARED, Shared

HOOKS_PREFIX = "/hooks/"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Receiving(Protocol):
    """The receiving path, as the application needs it (service/door.py)."""

    gate: Gate
    turnstile: Turnstile

    def take(self, request: Request, body: bytes, tell: Tell) -> bool:
        """Take a request that came whole; False when nothing was done."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

    async def start(self) -> None:
        """Begin to take deliveries."""

    async def stop(self) -> None:
        """Finish what was taken, then take nothing more."""


class Application:
    """Door, probes, and what lies behind; the door waits for nothing of it."""

    def __init__(
        self, door: Receiving | None, probes: health.HealthFace, behind: Future[App]
    ) -> None:
        """`behind` may come later: requests to it wait."""
        self._door = door
        self._probes = probes
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
        elif self._door is not None and scope["path"].startswith(HOOKS_PREFIX):
            await self._door(scope, receive, send)
        elif scope["path"] in health.PATHS:
            await self._probes(scope, send)
        else:
            # Whoever waits may be cancelled; what he waits for is made for all.
            behind = await asyncio.shield(asyncio.wrap_future(self._behind))
            await behind(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        door = self._door
        scope["state"][SHARED] = Shared(door.gate, door.turnstile, door) if door else Shared(Gate())
        try:
            if door is not None:
                await door.start()
        except HookwrightError as error:
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if door is not None:
            await door.stop()
        self._probes.close()
        await send({"type": "lifespan.shutdown.complete"})

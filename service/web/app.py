"""The HTTP face: `/hooks/` goes to the door, everything else to the management API."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.door_description import describe_door
from service.door_gate import Gate
from service.door_turnstile import Turnstile
from service.errors import HookwrightError
from service.web import described, errors
from service.web.bodies import BoundedBodies
from service.web.connections import SHARED, Shared
from service.web.dashboard.app import Pages, is_page
from service.web.deps import Parts, Viewer
from service.web.limits import Limiter
from service.web.middleware import Envelope
from service.web.routes import (
    alerts,
    audit_events,
    bulk_jobs,
    configured,
    connecting,
    deliveries,
    effects,
    events,
    failures,
    health,
    reconciliations,
    rejections,
    runs,
    schemas,
    testing,
    workflows,
)

HOOKS_PREFIX = "/hooks/"
API_ROOT = "/api/v1"


class Receiving(Protocol):
    """The receiving path, as the application needs it (service/door.py)."""

    gate: Gate
    turnstile: Turnstile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

    async def start(self) -> None:
        """Begin to take deliveries."""

    async def stop(self) -> None:
        """Finish what was taken, then take nothing more."""


class Application:
    """One process's ASGI application. The door does not wait for anything of the API."""

    def __init__(self, door: Receiving | None, api: ASGIApp) -> None:
        self._door = door
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http":
            to_door = self._door is not None and scope["path"].startswith(HOOKS_PREFIX)
            serve = self._door if to_door and self._door is not None else self._api
            await serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        door = self._door
        scope["state"][SHARED] = Shared(door.gate, door.turnstile) if door else Shared(Gate())
        try:
            if self._door is not None:
                await self._door.start()
        except HookwrightError as error:
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._door is not None:
            await self._door.stop()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(
    parts: Parts,
    *,
    door: Receiving | None = None,
    limiter: Limiter | None = None,
    api: FastAPI | None = None,
) -> Application:
    """Build the application; without a door it serves the management API and the pages alone.

    `api` is one that was made with these parts; None makes one.
    """
    faces = Faces(api or create_api(parts), Pages(parts).application())
    return Application(door, Envelope(BoundedBodies(faces), limiter or Limiter()))


class Faces:
    """The management API for programs, and the pages for people."""

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        to_page = is_page(scope["path"], Headers(scope=scope).get("accept", ""))
        await (self._pages if to_page else self._api)(scope, receive, send)


class Api(FastAPI):
    """The management API; its description tells of the door as well."""

    def openapi(self) -> dict[str, Any]:
        """Give the OpenAPI document."""
        document = super().openapi()
        describe_door(document)
        return document


def create_api(parts: Parts) -> FastAPI:
    """Build the management API."""
    api = Api(
        title="Hookwright",
        version=version("hookwright"),
        summary="Deliveries, events, runs and alerts of one installation.",
        openapi_url=f"{API_ROOT}/openapi.json",
        # The ready-made pages load scripts from other people's servers.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.parts = parts
    errors.install(api)
    api.include_router(health.router)
    api.include_router(schemas.router)
    api.include_router(_versioned(), responses=_PROBLEMS)
    api.add_api_route("/", _welcome, include_in_schema=False)
    return api


def _versioned() -> APIRouter:
    router = APIRouter(prefix=API_ROOT, dependencies=[Viewer])
    for part in (
        audit_events,
        deliveries,
        events,
        effects,
        runs,
        alerts,
        bulk_jobs,
        failures,
        configured,
        connecting,
        reconciliations,
        rejections,
        testing,
        workflows,
    ):
        router.include_router(part.router)
    return router


_PROBLEMS = described.problems(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def _welcome() -> PlainTextResponse:
    return PlainTextResponse(
        "Hookwright is running.\n\n"
        f"  API      {API_ROOT}/openapi.json\n"
        "  health   /health\n"
        "  hooks    POST /hooks/{source}\n\n"
        "On the machine itself: hookwright run list, hookwright tail runs.\n"
    )

"""What lies behind the door: the management API for programs, and the pages for people."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.door_description import describe_door
from service.web import described, errors
from service.web.bodies import BoundedBodies
from service.web.dashboard.addresses import is_page
from service.web.dashboard.app import Pages
from service.web.deps import Parts, Viewer
from service.web.health import describe_health
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
    reconciliations,
    rejections,
    runs,
    schemas,
    stats,
    testing,
    workflows,
)

API_ROOT = "/api/v1"


def create_behind(
    parts: Parts, *, limiter: Limiter | None = None, api: FastAPI | None = None
) -> ASGIApp:
    """Build what lies behind the door: the management API and the pages.

    `api` is one that was made with these parts; None makes one.
    """
    faces = Faces(api or create_api(parts), Pages(parts).application())
    return Envelope(BoundedBodies(faces), limiter or Limiter())


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
        describe_health(document)
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
        stats,
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

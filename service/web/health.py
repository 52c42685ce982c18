"""`/health`: is this process alive, and can it do its work?

Answered beside the management API: it is asked while the API is still being made, and when all
else is busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Literal

from schemas.clock import Clock
from schemas.health import Health
from schemas.ids import new_id
from service.db import Database
from service.door_answers import JSON_TYPE, Header, Refusal, Reply, Send, send_reply
from service.errors import Unavailable
from service.queue import Queue
from service.queue_policy import ask_queue
from service.store import revision

LIVE = "/health/live"
READY = frozenset({"/health", "/health/ready"})
PATHS = READY | {LIVE}
_METHODS = frozenset({"GET", "HEAD"})
ALLOW_GET: Header = (b"allow", b"GET, HEAD")
_HEADERS: tuple[Header, ...] = (
    JSON_TYPE,
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is looked at."""

    database: Database
    queue: Queue
    clock: Clock


class HealthFace:
    """Answers probes. However many ask at a time, one thread looks and all are told the same."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._thread = ThreadPoolExecutor(1, "health")
        self._looking: asyncio.Future[dict[str, str]] | None = None

    async def __call__(self, scope: Mapping[str, Any], send: Send) -> None:
        """Answer one probe."""
        request_id = new_id().hex.encode()
        if scope["method"] not in _METHODS:
            refusal = Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED, "method", "Probes ask with GET.", ALLOW_GET
            )
            reply = refusal.reply(scope["path"], request_id)
        elif scope["path"] == LIVE:
            # Also when every thread waits for the database.
            reply = _reply(HTTPStatus.OK, "ok", {})
        else:
            found = await self._look()
            reply = _reply(*judge(found), found)
        await send_reply(send, reply, request_id)

    async def _look(self) -> dict[str, str]:
        if self._looking is None or self._looking.done():
            loop = asyncio.get_running_loop()
            self._looking = loop.run_in_executor(self._thread, look, self._parts)
        # Whoever asked first may go away; the others want the answer still.
        return await asyncio.shield(self._looking)

    def close(self) -> None:
        """Ask nothing more."""
        self._thread.shutdown(wait=False)


Status = Literal["ok", "degraded", "unavailable"]


def judge(found: dict[str, str]) -> tuple[HTTPStatus, Status]:
    """Say what the parts' states mean: 503 when deliveries cannot be stored."""
    if found["database"] != "ok" or found["migrations"] != "ok":
        return HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"
    # The queue is only a doorbell. Were it 503, Kubernetes would take every receiver out of service
    # while Redis restarts, and deliveries that can be stored would be lost.
    return HTTPStatus.OK, "ok" if found["queue"] == "ok" else "degraded"


def look(parts: Parts) -> dict[str, str]:
    """Give the state of each part, in words that reveal nothing of the installation."""
    found = {"database": "ok", "migrations": "ok", "queue": "ok"}
    try:
        if not revision.is_current(parts.database):
            found["migrations"] = "not current"
    except Unavailable:
        found |= {"database": "unavailable", "migrations": "unknown"}
    try:
        parts.queue.ping()
        facts = ask_queue(parts.queue, clock=parts.clock)
    except Unavailable:
        found["queue"] = "unavailable"
    else:
        if facts is not None and facts.evicts:
            found["queue"] = "may evict"
    return found


def describe_health(openapi: dict[str, Any]) -> None:
    """Add the probes to the API's OpenAPI document: they are no routes of the framework."""
    schema = Health.model_json_schema()
    openapi.setdefault("components", {}).setdefault("schemas", {})["Health"] = schema
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
    well = {"description": "It is well, or works without one part.", "content": content}
    ill = {"description": "Deliveries cannot be stored now.", "content": content}
    for path in sorted(PATHS):
        alive = path == LIVE
        openapi.setdefault("paths", {})[path] = {
            "get": {
                "operationId": path.strip("/").replace("/", "_"),
                "tags": ["health"],
                "summary": "Is this process alive?" if alive else "Can it do its work?",
                "responses": {"200": well} if alive else {"200": well, "503": ill},
            }
        }


def _reply(status: HTTPStatus, word: Status, parts: dict[str, str]) -> Reply:
    health = Health(status=word, version=version("hookwright"), parts=parts)
    return Reply(status, health.model_dump_json().encode(), _HEADERS)

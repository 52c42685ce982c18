"""`/health`: is this process alive, and can it do its work?"""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Response

from schemas.api import Health
from service.errors import Unavailable
from service.queue_policy import ask_queue
from service.store import revision
from service.web.deps import AnyParts, Parts

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> Health:
    """Answer as long as the process does, also when every thread waits for the database."""
    return Health(status="ok", version=version("hookwright"), parts={})


@router.get("/health/ready")
@router.get("/health")
def ready(parts: AnyParts, response: Response) -> Health:
    """Say whether database, tables and queue are there: 503 when deliveries cannot be stored."""
    found = look(parts)
    status: Literal["ok", "degraded", "unavailable"] = "ok"
    if found["database"] != "ok" or found["migrations"] != "ok":
        status = "unavailable"
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    elif found["queue"] != "ok":
        # The queue is only a doorbell. Were this 503, Kubernetes would take every receiver out of
        # service while Redis restarts, and deliveries that can be stored would be lost.
        status = "degraded"
    return Health(status=status, version=version("hookwright"), parts=found)


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

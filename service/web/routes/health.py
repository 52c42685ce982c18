"""`/health`: is this process alive, and can it do its work?"""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version

from fastapi import APIRouter, Response

from schemas.api import Health
from service.errors import Unavailable
from service.store import schema
from service.web.deps import AnyParts, Parts

router = APIRouter(tags=["health"])


@router.get("/health/live")
def live() -> Health:
    """Answer as long as the process does."""
    return Health(status="ok", version=version("hookwright"), parts={})


@router.get("/health/ready")
@router.get("/health")
def ready(parts: AnyParts, response: Response) -> Health:
    """Say whether database, tables and queue are there: 200, or 503 when one is not."""
    found = look(parts)
    good = all(state == "ok" for state in found.values())
    if not good:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    status = "ok" if good else "unavailable"
    return Health(status=status, version=version("hookwright"), parts=found)


def look(parts: Parts) -> dict[str, str]:
    """Give the state of each part, in words that reveal nothing of the installation."""
    found = {"database": "ok", "migrations": "ok", "queue": "ok"}
    try:
        if not schema.is_current(parts.database):
            found["migrations"] = "not current"
    except Unavailable:
        found |= {"database": "unavailable", "migrations": "unknown"}
    try:
        parts.queue.ping()
    except Unavailable:
        found["queue"] = "unavailable"
    return found

"""`/api/v1/events`: normalised facts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.api_events import EventDetail, EventOut, EventQuestion
from schemas.statistics import CountOut
from service.store import counting, details, listing
from service.web import shapes
from service.web.deps import AnyParts, Reading

router = APIRouter(prefix="/events", tags=["events"])


@router.get("")
def list_events(
    session: Reading, question: Annotated[EventQuestion, Query()]
) -> api.Page[EventOut]:
    """List events, newest first."""
    return shapes.page(listing.list_events(session, question), EventOut.model_validate)


@router.get("/count")
def count_events(
    session: Reading, parts: AnyParts, question: Annotated[EventQuestion, Query()]
) -> CountOut:
    """Count events: exactly up to 10,000; more may be an estimate, which says so.

    `limit` and `cursor` are not heeded.
    """
    return counting.count_events(session, question, parts.clock())


@router.get("/{event_id}")
def read_event(session: Reading, event_id: UUID) -> EventDetail:
    """Read an event with the vendor's own body and the runs it started."""
    return shapes.event_detail(details.read_event(session, event_id))

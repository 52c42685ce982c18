"""The JSON form of an event."""

from __future__ import annotations

from schemas.events import Event, Json
from schemas.tables import EventRow


def event_view(row: EventRow) -> dict[str, Json]:
    """Give the JSON form of an event, as expressions and the API see it."""
    return Event.model_validate(row, from_attributes=True).model_dump(mode="json")

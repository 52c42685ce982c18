"""The page of events: searched by their words, a page at a time; and how much there was lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from schemas.api_events import EventQuestion
from schemas.statistics import CountOut, RunNumbers, StatisticsQuestion
from schemas.tables import EventRow
from service.db import Session
from service.errors import Invalid
from service.statistics import read_statistics
from service.store.counting import count_events
from service.store.listing import list_events


@dataclass(frozen=True, slots=True)
class FoundEvents:
    """Events with the words that were searched for. `more` is the address of those after them."""

    search: str
    rows: Sequence[EventRow]
    count: CountOut
    more: str | None


@dataclass(frozen=True, slots=True)
class Lately:
    """How much there was in the last 24 hours."""

    deliveries: int
    unread: int
    events: int
    runs: Sequence[RunNumbers]


def find_events(session: Session, asked: Mapping[str, str], now: datetime) -> FoundEvents:
    """Give the events that an address asks for. Raises Invalid for what cannot be asked."""
    search = asked.get("search", "").strip()
    given: dict[str, Any] = {"search": search or None, "cursor": asked.get("cursor")}
    try:
        question = EventQuestion(**given)
    except ValidationError as error:
        raise Invalid("this is too long to be searched for") from error
    page = list_events(session, question)
    more = None
    if page.next_cursor is not None:
        more = f"/events?{urlencode({'search': search, 'cursor': page.next_cursor})}"
    return FoundEvents(search, page.rows, count_events(session, question, now), more)


def read_lately(session: Session, now: datetime) -> Lately:
    """Give how much there was in the last 24 hours."""
    found = read_statistics(session, StatisticsQuestion(), now)
    return Lately(
        sum(moment.deliveries for moment in found.moments),
        sum(moment.unread for moment in found.moments),
        sum(moment.events for moment in found.moments),
        found.runs,
    )

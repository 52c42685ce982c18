"""Events that Hookwright itself makes: of its runs, its alerts and its schedules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from schemas.events import EventDraft, Origin
from schemas.ids import new_id
from schemas.run_tables import RunRow
from schemas.storable import bounded, storable
from schemas.tables import EventRow
from service.unit_of_work import UnitOfWork

Announce: TypeAlias = Callable[[UnitOfWork, EventDraft, str], None]
"""Stores an event of ours and acts upon it, within the transaction. The text is its key: the same
whenever the same event is made again. `routing.announcer` gives one."""
VENDOR = "hookwright"
KEY_LENGTH = 400
SUBJECT_LENGTH = 300


def unheard(_work: UnitOfWork, _draft: EventDraft, _key: str) -> None:
    """Make no event: for callers that know of no workflows."""


def own_event(
    draft: EventDraft,
    *,
    key: str,
    now: datetime,
    origin: Origin = Origin.OWN,
    caused_by: RunRow | None = None,
) -> EventRow:
    """Give the row of an event of ours. `key` is the same whenever the same event is made again.

    `caused_by` is the run that makes it: its chain goes on with it.
    """
    return EventRow(
        dedupe_key=bounded(f"own:{key}", KEY_LENGTH),
        origin=origin,
        type=draft.type,
        vendor=VENDOR,
        vendor_type=draft.vendor_type,
        source=None,
        delivery_id=None,
        subject=None if draft.subject is None else storable(draft.subject)[:SUBJECT_LENGTH],
        time=draft.time or now,
        received_at=now,
        facts=storable(draft.facts, cut=True),
        payload=storable(draft.payload, cut=True),
        correlation_id=new_id() if caused_by is None else caused_by.correlation_id,
        caused_by=None if caused_by is None else caused_by.run_id,
        depth=0 if caused_by is None else caused_by.depth + 1,
    )

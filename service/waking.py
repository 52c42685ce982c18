"""Which waiting runs new events can concern: these are let go on, and look for themselves.

A run that waits is found by a value of the event that its condition demands, if it demands one
(service/workflows/correlating.py). So an event costs what there are different types and fields that
runs wait for, not what there are runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from schemas.events import Json
from schemas.jobs import AdvanceRun
from schemas.tables import EventRow
from service.store import awaited as store
from service.unit_of_work import UnitOfWork
from service.workflows.correlating import event_value
from service.workflows.matching import type_matches

MOST_RUNG = 100
"""Runs that are rung for at once; the scheduler rings for the rest."""


def wake_waiting(
    work: UnitOfWork, events: Sequence[tuple[EventRow, Mapping[str, Json]]], *, now: datetime
) -> None:
    """Let the runs look that new events can concern. `events` come with their JSON form."""
    keys = _keys(work, events) if events else set()
    if not keys:
        return
    found = store.waiting_runs(work.session, keys)
    if not found:
        return
    work.holds_others = True
    store.wake_in_order(work.session, found, now=now)
    for run_id in found[:MOST_RUNG]:
        work.ring(AdvanceRun(run_id))


def _keys(
    work: UnitOfWork, events: Sequence[tuple[EventRow, Mapping[str, Json]]]
) -> set[tuple[str, str, str]]:
    """Give what a run may wait for that one of these events has."""
    keys: set[tuple[str, str, str]] = set()
    for pattern in store.types_in_use(work.session):
        views = [view for event, view in events if type_matches(pattern, event.type)]
        if not views:
            continue
        for path in store.fields_in_use(work.session, pattern):
            values = {event_value(path, view) if path else "" for view in views}
            keys.update((pattern, path, value) for value in values if value is not None)
    return keys

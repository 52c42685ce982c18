"""How many rows of a list there are: counted as far as that is quick, and estimated beyond.

What is narrowed by nothing but what statistics tell apart is estimated from those. Of anything else
PostgreSQL says how many it expects, and for SQLite it is assumed that all of them came as fast as
the newest did. Before that is believed some rows have to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from schemas.api_deliveries import DeliveryQuestion
from schemas.api_events import EventQuestion
from schemas.api_runs import RunQuestion
from schemas.effect_lists import EffectQuestion
from schemas.ids import made_at
from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.statistics import CountOut, Per
from schemas.tables import DeliveryRow, EffectRow, EventRow
from service.store.keyset import Keyset, Wanted, count_up_to, newest_ids, planned_rows
from service.store.listed import (
    DELIVERIES,
    EFFECTS,
    EVENTS,
    RUNS,
    wanted_deliveries,
    wanted_effects,
    wanted_events,
    wanted_runs,
)
from service.store.searching import WINDOW, count_found, newest_found, planned_finds
from service.store.statistics import BEGUN, KINDS, Counted, Only, beginning_of, counted_between

COUNTED = 10_000
"""So many are counted."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATELY = timedelta(days=7)
"""Since then it is told by hours how many there were, before that by days."""
SAMPLE = 1_000
"""So many of the newest tell how fast they came."""
ENOUGH = 10
"""So many of the newest have to have what is searched for, before what they tell is believed."""
SURELY_MORE = 2 * COUNTED
"""What is estimated to be so many is not counted."""
PERHAPS_MORE = COUNTED // 2
"""Where PostgreSQL expects so many, statistics are asked before they are counted."""
DIGITS = 3
"""Digits of an estimate that are told: more of them would look like a count."""

Model = type[DeliveryRow] | type[EventRow] | type[RunRow] | type[EffectRow]
Question = DeliveryQuestion | EventQuestion | RunQuestion | EffectQuestion
Told = Callable[[Counted], bool]
"""Says of a statistic whether it counts."""
_WITHOUT_STATISTICS = frozenset({"received", "pending", "running", "waiting"})


def count_deliveries(session: Session, question: DeliveryQuestion, now: datetime) -> CountOut:
    """Count deliveries; a key is not looked for."""

    def told(one: Counted) -> bool:
        return (
            question.source in {None, one.source}
            and question.vendor in {None, one.vendor}
            and question.state in {None, one.state}
        )

    wanted = wanted_deliveries(session, question)
    is_told = question.state != DeliveryState.RECEIVED
    return _count(session, DELIVERIES, wanted, told if is_told else None, now)


def count_events(session: Session, question: EventQuestion, now: datetime) -> CountOut:
    """Count events."""
    wanted = wanted_events(session, question)
    if question.words is not None:
        return _count_searched(session, question, wanted, now)
    kinds = None if wanted.among is None else set(wanted.among)

    def told(one: Counted) -> bool:
        kind = (one.vendor, one.source, one.type)
        return kinds is None or kind in kinds

    return _count(session, EVENTS, wanted, told if question.subject is None else None, now)


def count_runs(session: Session, question: RunQuestion, now: datetime) -> CountOut:
    """Count runs, without their branches."""

    def told(one: Counted) -> bool:
        return question.workflow in {None, one.workflow} and one.state == (question.status or BEGUN)

    is_told = question.status not in _WITHOUT_STATISTICS
    is_told = is_told and question.event is None and question.waiting_for is None
    wanted = wanted_runs(session, question)
    return _count(session, RUNS, wanted, told if is_told else None, now)


def count_effects(session: Session, question: EffectQuestion, now: datetime) -> CountOut:
    """Count effects."""
    return _count(session, EFFECTS, wanted_effects(session, question), None, now)


def _count(
    session: Session, keyset: Keyset, wanted: Wanted, told: Told | None, now: datetime
) -> CountOut:
    planned = planned_rows(session, keyset, wanted)
    total = planned
    if told is not None and planned > PERHAPS_MORE:
        # What PostgreSQL expects of each condition may never be true of one row, or always.
        total = _total(session, keyset, wanted, told, now)
    is_sure = total > (COUNTED if planned > SURELY_MORE else SURELY_MORE)
    most = SAMPLE if is_sure else COUNTED + 1
    count = count_up_to(session, keyset, wanted, most)
    if count < most:
        return CountOut(count=count, estimated=False)
    if told is not None and planned <= PERHAPS_MORE:
        total = _total(session, keyset, wanted, told, now)
    if total <= COUNTED:
        # Statistics do not have what was stored in a way of its own, or before anybody counted.
        total = planned
    if total > COUNTED:
        return _estimate(total)
    newest = newest_ids(session, keyset, wanted, SAMPLE)
    return _by_pace(session, keyset, wanted, newest, now)


def _total(session: Session, keyset: Keyset, wanted: Wanted, told: Told, now: datetime) -> int:
    """Add up statistics: by the hour where days would say too much, and are not too long ago."""
    since = wanted.since or _oldest(session, keyset) or now
    until = min(wanted.until or now + HOUR, now + HOUR)
    begin, end = beginning_of("day", since), beginning_of("day", until) + DAY
    hours: list[tuple[datetime, datetime]] = []
    if begin > now - LATELY and wanted.since:
        hours.append((beginning_of("hour", since), min(until, begin + DAY)))
        begin += DAY
    if wanted.until and begin < end > now - LATELY:
        end -= DAY
        hours.append((end, until))
    only = Only(counted=keyset.table)
    spans: list[tuple[Per, datetime, datetime]] = [("day", begin, end)]
    spans += [("hour", *one) for one in hours]
    return sum(
        one.count
        for per, first, behind in spans
        if first < behind
        for one in counted_between(session, per, first, behind, by=KINDS, only=only)
        if told(one)
    )


def _count_searched(
    session: Session, question: EventQuestion, wanted: Wanted, now: datetime
) -> CountOut:
    planned = planned_finds(session, question, wanted)
    newest = newest_found(session, question, wanted)
    is_planned = planned > COUNTED or len(newest) < ENOUGH
    estimate = _estimate(planned) if is_planned else _by_pace(session, EVENTS, wanted, newest, now)
    if estimate.count > SURELY_MORE and len(newest) >= (ENOUGH if is_planned else WINDOW):
        return estimate
    count = count_found(session, question, wanted, COUNTED + 1)
    return CountOut(count=count, estimated=False) if count <= COUNTED else estimate


def _by_pace(
    session: Session, keyset: Keyset, wanted: Wanted, newest: Sequence[UUID], now: datetime
) -> CountOut:
    """Estimate how many there are by how fast the newest came."""
    begin = wanted.since or _oldest(session, keyset) or now
    latest, last = made_at(newest[0]), made_at(newest[-1])
    pace = len(newest) / max(timedelta(seconds=1), latest - last).total_seconds()
    return _estimate(round(pace * max(0.0, (latest - begin).total_seconds())))


def _oldest(session: Session, keyset: Keyset) -> datetime | None:
    model = _MODELS[keyset.table]
    first = session.exec(select(model.id).order_by(col(model.id)).limit(1)).first()
    return None if first is None else made_at(first)


def _estimate(count: int) -> CountOut:
    count = max(count, COUNTED + 1)
    return CountOut(count=round(count, DIGITS - len(str(count))), estimated=True)


_MODELS: dict[str, Model] = {
    "deliveries": DeliveryRow,
    "events": EventRow,
    "runs": RunRow,
    "effects": EffectRow,
}

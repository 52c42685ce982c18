"""How many rows of a list there are: counted as far as that is quick, and estimated beyond.

What is narrowed by nothing but what statistics tell apart is estimated from those. Of anything else
PostgreSQL says how many it expects; where it does not know, and on SQLite, as many of all rows are
taken to fit as of the newest. Before that is believed some rows have to be there. Nothing is told
that is more than there can be, and where there cannot be many, they are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Integer, literal_column
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from schemas.api_deliveries import DeliveryQuestion
from schemas.api_events import EventQuestion
from schemas.api_runs import RunQuestion
from schemas.effect_lists import EffectQuestion
from schemas.ids import first_id, made_at
from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.statistics import CountOut, Per
from schemas.tables import DeliveryRow, EffectRow, EventRow
from service.store.keyset import count_up_to, is_sqlite, newest_ids, planned_rows
from service.store.keyset_sql import SLACK, Keyset, Wanted
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
from service.store.searching import WINDOW, are_few, count_found, newest_found, planned_finds
from service.store.statistics import BEGUN, KINDS, Counted, Only, beginning_of, counted_between

COUNTED = 10_000
"""So many are always counted."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATELY = timedelta(days=7)
"""Since then it is told by hours how many there were, before that by days."""
SAMPLE = 1_000
"""So many of the newest tell how many of all rows fit."""
ENOUGH = 10
"""So many of the newest have to have what is searched for, before what they tell is believed."""
SURELY_MORE = 2 * COUNTED
"""What is estimated to be so many is not counted. Where there cannot be more, all are."""
PERHAPS_MORE = COUNTED // 2
"""Where PostgreSQL expects so many, statistics are asked before they are counted."""
DIGITS = 3
"""Digits of an estimate that are told: more of them would look like a count."""

Model = type[DeliveryRow] | type[EventRow] | type[RunRow] | type[EffectRow]
Told = Callable[[Counted], bool]
"""Says of a statistic whether it counts."""
_UNFINISHED = frozenset({"pending", "running", "waiting"})
"""States of runs that no statistics are kept of."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """Rows that are to be counted, and what statistics are kept of them.

    `told`: those that say how many there are; `bound`: those that say how many there can be at
    most. None: no statistics do.
    """

    keyset: Keyset
    wanted: Wanted
    told: Told | None = None
    bound: Told | None = None


def count_deliveries(session: Session, question: DeliveryQuestion, now: datetime) -> CountOut:
    """Count deliveries."""

    def told(one: Counted) -> bool:
        return (
            question.source in {None, one.source}
            and question.vendor in {None, one.vendor}
            and question.state in {None, one.state}
        )

    wanted = wanted_deliveries(session, question)
    if question.state == DeliveryState.RECEIVED:
        return _count(session, _Listed(DELIVERIES, wanted), now)
    # What was not read yet is in no statistics.
    bound = None if question.state is None else told
    return _count(session, _Listed(DELIVERIES, wanted, told, bound), now)


def count_events(session: Session, question: EventQuestion, now: datetime) -> CountOut:
    """Count events."""
    wanted = wanted_events(session, question)
    kinds = None if wanted.among is None else set(wanted.among)

    def of_kind(one: Counted) -> bool:
        return kinds is None or (one.vendor, one.source, one.type) in kinds

    told = of_kind if question.subject is None else None
    listed = _Listed(EVENTS, wanted, told, of_kind)
    if question.words is not None:
        return _count_searched(session, question, listed, now)
    return _count(session, listed, now)


def count_runs(session: Session, question: RunQuestion, now: datetime) -> CountOut:
    """Count runs, without their branches."""

    def begun(one: Counted) -> bool:
        return question.workflow in {None, one.workflow} and one.state == BEGUN

    def ended(one: Counted) -> bool:
        return question.workflow in {None, one.workflow} and one.state == question.status

    told: Told | None = begun if question.status is None else ended
    if question.status in _UNFINISHED or question.event or question.waiting_for:
        told = None
    return _count(session, _Listed(RUNS, wanted_runs(session, question), told, begun), now)


def count_effects(session: Session, question: EffectQuestion, now: datetime) -> CountOut:
    """Count effects."""
    return _count(session, _Listed(EFFECTS, wanted_effects(session, question)), now)


def _count(session: Session, listed: _Listed, now: datetime) -> CountOut:
    keyset, wanted, told = listed.keyset, listed.wanted, listed.told
    planned = planned_rows(session, keyset, wanted)
    total = planned
    if told is not None and planned > PERHAPS_MORE:
        # What PostgreSQL expects of each condition may never be true of one row, or always.
        total = _total(session, keyset, wanted, told, now)
    is_sure = total > (COUNTED if planned > SURELY_MORE else SURELY_MORE)
    enough = SAMPLE if is_sure else COUNTED + 1
    if is_sqlite(session) and _numbers(session, keyset, None, None) <= SURELY_MORE:
        enough = SURELY_MORE + 1
    count = count_up_to(session, keyset, wanted, enough)
    if count < enough:
        return CountOut(count=count, estimated=False)
    if told is not None and planned <= PERHAPS_MORE:
        total = _total(session, keyset, wanted, told, now)
    bound = total if told is not None and told is listed.bound else None
    most = _most(session, listed, now, count, bound)
    if most <= SURELY_MORE:
        count = count_up_to(session, keyset, wanted, SURELY_MORE + 1)
        if count <= SURELY_MORE:
            return CountOut(count=count, estimated=False)
        most = _most(session, listed, now, count, bound)
    if total <= COUNTED:
        # Statistics do not have what was stored in a way of its own, or before anybody counted.
        total = planned
    if total <= COUNTED:
        newest = newest_ids(session, keyset, wanted, SAMPLE)
        total = _by_newest(session, listed, newest, most, now)
    return _estimate(total, most)


def _count_searched(
    session: Session, question: EventQuestion, listed: _Listed, now: datetime
) -> CountOut:
    if are_few(session, listed.wanted):
        count = count_found(session, question, listed.wanted, COUNTED + 1)
        if count <= COUNTED:
            return CountOut(count=count, estimated=False)
    total = planned = planned_finds(session, question, listed.wanted)
    newest = newest_found(session, question, listed.wanted)
    few = COUNTED
    if len(newest) >= ENOUGH:
        most = _most(session, listed, now, len(newest))
        if planned <= COUNTED:
            total = _by_newest(session, listed, newest, most, now)
        is_sure = len(newest) >= (ENOUGH if planned > COUNTED else WINDOW)
        if is_sure and min(total, most) > SURELY_MORE:
            return _estimate(total, most)
        few = SURELY_MORE if most <= SURELY_MORE else COUNTED
    count = count_found(session, question, listed.wanted, few + 1)
    if count <= few:
        return CountOut(count=count, estimated=False)
    return _estimate(total, _most(session, listed, now, count))


def _most(
    session: Session, listed: _Listed, now: datetime, least: int, bound: int | None = None
) -> int:
    """Give how many rows there can be: as many as statistics say, or as the table has.

    Of the table PostgreSQL says how many it expects; SQLite numbers rows as they come. What says
    fewer than the `least` that were seen is not believed. `bound`: what statistics say, if known.
    """
    keyset, wanted = listed.keyset, listed.wanted
    said: list[int] = []
    if bound is not None:
        said.append(bound)
    elif listed.bound is not None:
        said.append(_total(session, keyset, wanted, listed.bound, now))
    if not is_sqlite(session):
        if max(said, default=0) < least:
            said.append(planned_rows(session, keyset, Wanted()))
    elif not said or (wanted.since is None and wanted.until is None):
        lowest = None if wanted.since is None else first_id(wanted.since - SLACK)
        highest = None if wanted.until is None else first_id(wanted.until + SLACK)
        said.append(_numbers(session, keyset, lowest, highest))
    return min((most for most in said if most >= least), default=least)


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


def _by_newest(
    session: Session, listed: _Listed, newest: Sequence[UUID], most: int, now: datetime
) -> int:
    """Estimate how many there are: as many of all rows as of those that came with the newest.

    On PostgreSQL rows have no numbers, and are counted. Where they are too many for that, it is
    asked as well how fast the newest came.
    """
    keyset, wanted, found = listed.keyset, listed.wanted, len(newest)
    if is_sqlite(session):
        lowest = None if wanted.since is None else first_id(wanted.since)
        rows = _numbers(session, keyset, lowest, newest[0])
        return found * rows // max(found, _numbers(session, keyset, newest[-1], newest[0]))
    latest, last = made_at(newest[0]), made_at(newest[-1])
    begin = wanted.since or _oldest(session, keyset) or now
    pace = found / max(timedelta(seconds=1), latest - last).total_seconds()
    among = None if listed.bound is None else wanted.among
    lately = Wanted(among, since=last, until=wanted.until)
    rows = max(found, count_up_to(session, keyset, lately, COUNTED + 1))
    share = found * most // rows
    if rows <= COUNTED:
        return share
    return min(share, round(pace * max(0.0, (latest - begin).total_seconds())))


def _numbers(session: Session, keyset: Keyset, lowest: UUID | None, highest: UUID | None) -> int:
    """Give how many numbers SQLite gave to rows with ids from one to another: each was a row."""
    model = _MODELS[keyset.table]
    ident = col(model.id)
    number = sa_select(literal_column("rowid", Integer)).select_from(model).limit(1)
    above = [] if lowest is None else [ident >= lowest]
    below = [] if highest is None else [ident <= highest]
    first = session.execute(number.where(*above).order_by(ident)).scalar()
    last = session.execute(number.where(*below).order_by(ident.desc())).scalar()
    return 0 if first is None or last is None else max(0, last - first + 1)


def _oldest(session: Session, keyset: Keyset) -> datetime | None:
    model = _MODELS[keyset.table]
    first = session.exec(select(model.id).order_by(col(model.id)).limit(1)).first()
    return None if first is None else made_at(first)


def _estimate(count: int, most: int) -> CountOut:
    count = max(min(count, most), COUNTED + 1)
    return CountOut(count=round(count, DIGITS - len(str(count))), estimated=True)


_MODELS: dict[str, Model] = {
    "deliveries": DeliveryRow,
    "events": EventRow,
    "runs": RunRow,
    "effects": EffectRow,
}

"""How much there was, by the hour and by the day: put together from what was counted as it came.

Nothing is counted here: rows count themselves, within the transactions that write them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from schemas.states import DeliveryState
from schemas.statistics import (
    MOST_DAYS,
    MOST_HOURS,
    DeliveryNumbers,
    EventNumbers,
    Moment,
    Per,
    RunNumbers,
    StatisticsOut,
    StatisticsQuestion,
)
from service.db import Session
from service.errors import Invalid
from service.runtime import Runtime
from service.store import statistics as store
from service.store.statistics import BEGUN, Counted, Only
from service.unit_of_work import reading, unit_of_work

_WIDTHS: dict[Per, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_USUAL: dict[Per, timedelta] = {"hour": timedelta(hours=23), "day": timedelta(days=29)}
"""How long before the hour or day that is under way the first one is that is shown."""
_KEPT: dict[Per, timedelta] = {"hour": MOST_HOURS, "day": MOST_DAYS}


def read_statistics(session: Session, question: StatisticsQuestion, now: datetime) -> StatisticsOut:
    """Give the numbers that a question asks for. Raises Invalid for too long a time."""
    since, until = _span(question, now)
    only = Only(vendor=question.vendor, source=question.source, workflow=question.workflow)
    # Added up by the database, for the kinds and for the moments: there are many of both together.
    kinds, moments = (
        list(store.counted_between(session, question.per, since, until, by=by, only=only))
        for by in (store.KINDS, store.MOMENTS)
    )
    return StatisticsOut(
        per=question.per,
        since=since,
        until=until,
        deliveries=_deliveries(kinds),
        events=_events(kinds),
        runs=_runs(kinds),
        moments=_moments(moments, question.per, since, until),
    )


def tidy_statistics(runtime: Runtime) -> bool:
    """Add up what was counted, some at a time, and forget what is too old; True: there is more."""
    with reading(runtime.database) as session:
        has_more = store.has_tallies(session)
        now = runtime.clock()
        old = {
            per: now - kept
            for per, kept in _KEPT.items()
            if store.has_older(session, per, now - kept)
        }
    if not has_more and not old:
        return False
    with unit_of_work(runtime.database, runtime.queue) as work:
        if has_more:
            store.add_up(work.session)
        for per, before in old.items():
            store.forget(work.session, per, before)
        return store.has_tallies(work.session, store.ADDED_AT_ONCE)


def _span(question: StatisticsQuestion, now: datetime) -> tuple[datetime, datetime]:
    width = _WIDTHS[question.per]
    last = store.beginning_of(question.per, question.until or now)
    end = last if last == question.until else last + width
    since = question.since or end - width - _USUAL[question.per]
    begin = store.beginning_of(question.per, since)
    if not begin < end or end - begin > _KEPT[question.per] + width:
        raise Invalid(
            f"since and until are {_KEPT[question.per].days} days apart at most, by the"
            f" {question.per}"
        )
    return begin, end


def _deliveries(found: Iterable[Counted]) -> list[DeliveryNumbers]:
    states: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in found:
        if one.counted == "deliveries":
            states[one.source, one.vendor][one.state] += one.count
    return [
        DeliveryNumbers(source=source, vendor=vendor, **counts)
        for (source, vendor), counts in sorted(states.items(), key=lambda item: -item[1].total())
    ]


def _events(found: Iterable[Counted]) -> list[EventNumbers]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in found:
        if one.counted == "events":
            counts[one.type, one.vendor, one.source] += one.count
    return [
        EventNumbers(type=type_, vendor=vendor, source=source or None, count=count)
        for (type_, vendor, source), count in counts.most_common()
    ]


def _runs(found: Iterable[Counted]) -> list[RunNumbers]:
    states: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        if one.counted == "runs":
            states[one.workflow][one.state] += one.count
    return [
        RunNumbers(workflow=workflow, **counts)
        for workflow, counts in sorted(states.items(), key=lambda item: -item[1].total())
    ]


def _moments(found: Iterable[Counted], per: Per, since: datetime, until: datetime) -> list[Moment]:
    moments: dict[datetime, Moment] = {}
    while since < until:
        moments[since] = Moment(begins=since)
        since += _WIDTHS[per]
    for one in found:
        moment = moments[one.begins]
        if one.counted == "events":
            moment.events += one.count
        elif one.counted == "deliveries":
            moment.deliveries += one.count
            moment.unread += one.count if one.state != DeliveryState.INGESTED else 0
        else:
            moment.runs_begun += one.count if one.state == BEGUN else 0
            moment.runs_failed += one.count if one.state == "failed" else 0
    return list(moments.values())

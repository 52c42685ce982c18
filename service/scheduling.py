"""Schedules: rows that say when a workflow is started next, kept in step with the documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from schemas.document import CronTrigger
from service.db import Session
from service.errors import Unavailable
from service.faults import note_fault
from service.runtime import Runtime
from service.starting import SCHEDULED, start_directly
from service.store import schedules as store
from service.unit_of_work import unit_of_work
from service.versions import Version
from service.workflows.schedules import Cron, ScheduleError, next_time, read_cron, read_timezone

log = structlog.get_logger(__name__)

FIRST_LOOK = timedelta(hours=1)
AFTER_FAULT = timedelta(minutes=1)
"""A schedule that could not be started by a fault of ours is tried again after this time."""


def keep_in_step(session: Session, versions: Sequence[Version], *, now: datetime) -> None:
    """Make the schedules those of the enabled workflows' current versions.

    A schedule that is new is due at its next time; one that was there before stays as it is.
    """
    wanted = [
        (version.name, trigger)
        for version in versions
        for trigger in version.document.triggers
        if isinstance(trigger, CronTrigger)
    ]
    there = store.known(session)
    if not wanted and not there:
        return
    ids = store.ids_of_workflows(session, {name for name, _ in wanted})
    due: dict[store.Key, datetime] = {}
    for name, trigger in wanted:
        try:
            cron, zone = read_cron(trigger.cron), read_timezone(trigger.timezone)
            moment = next_time(cron, zone, now)
        except ScheduleError as error:
            log.warning("schedule_not_usable", workflow=name, cron=trigger.cron, error=str(error))
            continue
        if name in ids:
            due[ids[name], trigger.cron, trigger.timezone] = moment
    store.remove(session, [id_ for key, id_ in there.items() if key not in due])
    store.add(session, {key: moment for key, moment in due.items() if key not in there})


def start_due(runtime: Runtime, ids: Sequence[UUID]) -> int:
    """Start the workflows of these schedules, if they are due; gives how many were.

    Raises Unavailable.
    """
    return sum(_start_alone(runtime, id_) for id_ in ids)


def _start_alone(runtime: Runtime, id_: UUID) -> bool:
    try:
        return _start(runtime, id_)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001  # note_fault logs it
        # The outermost frame of a schedule: a fault in one must not stop the others.
        note_fault(error, "schedule_not_started", schedule_id=str(id_))
    with unit_of_work(runtime.database, runtime.queue) as work:
        store.put_off(work.session, id_, until=runtime.clock() + AFTER_FAULT)
    return False


def _start(runtime: Runtime, id_: UUID) -> bool:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        found = store.lock_due(work.session, id_, now=now)
        if found is None:
            return False
        row, name = found
        cron, zone = read_cron(row.cron), read_timezone(row.timezone)
        # After a downtime it is started once, for the latest time that was missed.
        due_at = latest_time(cron, zone, first=row.due_at, now=now)
        row.due_at = next_time(cron, zone, now)
        row.fired_at = now
        versions = runtime.versions.current(work.session)
        version = next((item for item in versions if item.name == name), None)
        if version is None:
            return False
        moment = due_at.isoformat().replace("+00:00", "Z")
        start_directly(
            runtime,
            work,
            version,
            event_type=SCHEDULED,
            facts={
                "workflow": name,
                "cron": row.cron,
                "timezone": row.timezone,
                "due_at": moment,
            },
            key=f"schedule:{name}:{row.cron}:{row.timezone}:{moment}",
            reason=f"its schedule {row.cron} ({row.timezone}) was due at {moment}",
        )
        return True


def latest_time(cron: Cron, zone: ZoneInfo, *, first: datetime, now: datetime) -> datetime:
    """Give the latest time that is not after `now`; `first` is one of them."""
    latest = first
    for since in _looks_back(first, now):
        moment = next_time(cron, zone, since)
        if moment > now:
            continue
        while moment <= now:
            latest = moment
            moment = next_time(cron, zone, moment)
        break
    return latest


def _looks_back(first: datetime, now: datetime) -> Iterator[datetime]:
    """Give moments further and further back, so that few times are gone through."""
    span = FIRST_LOOK
    while now - span > first:
        yield now - span
        span *= 2
    yield first

"""Schedules start workflows at their times, each time once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from schemas.configured_tables import ScheduleRow, WorkflowRow
from schemas.run_tables import RunRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus
from service.db import Database
from service.scheduling import AFTER_FAULT, start_due
from service.store.marks import bump_mark
from tests.integration.engine.installation import START, Installation
from workers.scheduler import LEADER_LEASE, Scheduler

MINUTE = timedelta(minutes=1)
HOURLY = """
name: report
on: [{cron: "15 * * * *", timezone: Europe/Berlin}]
steps: [{id: told, uses: robot.once, with: {name: "${{ event.facts.due_at }}"}}]
"""


def tick(installation: Installation) -> int:
    return Scheduler(installation.runtime).ring_due()


def due(installation: Installation) -> list[datetime]:
    return sorted(row.due_at for row in installation.rows(ScheduleRow))


def moments(installation: Installation) -> list[str]:
    return [
        event.facts["due_at"]
        for event in sorted(installation.rows(EventRow), key=lambda event: event.id)
    ]


def switch(installation: Installation, *, enabled: bool) -> None:
    (row,) = installation.rows(WorkflowRow)
    row.enabled = enabled
    with installation.database.turn_to_write(), installation.database.session() as session:
        session.merge(row)
        bump_mark(session, "workflows")
        session.commit()


def test_a_schedule_starts_its_workflow_at_its_times(installation: Installation) -> None:
    installation.workflow(HOURLY)
    assert tick(installation) == 0
    assert due(installation) == [START + 15 * MINUTE]
    installation.now = START + 14 * MINUTE
    tick(installation)
    assert installation.rows(RunRow) == []
    for hour in range(3):
        installation.now = START + timedelta(hours=hour, minutes=15, seconds=1)
        tick(installation)
        tick(installation)
    assert moments(installation) == [f"2026-11-01T{hour}:15:00Z" for hour in (12, 13, 14)]
    runs = installation.rows(RunRow)
    assert len(runs) == 3
    (run,) = [run for run in runs if "T12" in run.reason]
    assert run.reason == "its schedule 15 * * * * (Europe/Berlin) was due at 2026-11-01T12:15:00Z"
    assert installation.advance(run.id).status == RunStatus.SUCCEEDED
    (event,) = installation.rows(EventRow, EventRow.id == run.event_id)
    assert (event.vendor, event.type, event.subject) == ("hookwright", "schedule.due", "report")
    assert event.facts == {
        "workflow": "report",
        "cron": "15 * * * *",
        "timezone": "Europe/Berlin",
        "due_at": "2026-11-01T12:15:00Z",
    }


@pytest.mark.parametrize(
    ("away", "latest"),
    [
        (timedelta(hours=2, minutes=20), "2026-11-01T14:15:00Z"),
        (timedelta(days=40), "2026-12-11T11:15:00Z"),
    ],
)
def test_after_a_downtime_it_starts_once_for_the_latest_missed_time(
    installation: Installation, away: timedelta, latest: str
) -> None:
    installation.workflow(HOURLY)
    tick(installation)
    installation.now = START + away
    tick(installation)
    tick(installation)
    assert moments(installation) == [latest]
    assert due(installation)[0] > installation.now


def test_a_schedule_that_is_due_every_minute_is_found_soon_after_a_year(
    installation: Installation,
) -> None:
    installation.workflow(HOURLY.replace("15 * * * *", "* * * * *"))
    tick(installation)
    installation.now = START + timedelta(days=365, seconds=30)
    tick(installation)
    assert moments(installation) == ["2027-11-01T12:00:00Z"]


def test_schedules_follow_the_current_document(installation: Installation) -> None:
    installation.workflow(HOURLY)
    installation.workflow(HOURLY.replace("report", "other").replace("15 *", "30 *"))
    scheduler = Scheduler(installation.runtime)
    scheduler.ring_due()
    assert due(installation) == [START + 15 * MINUTE, START + 30 * MINUTE]
    with installation.database.turn_to_write(), installation.database.session() as session:
        for row in installation.rows(WorkflowRow, WorkflowRow.name == "other"):
            session.merge(row).enabled = False
        bump_mark(session, "workflows")
        session.commit()
    scheduler.ring_due()
    assert due(installation) == [START + 15 * MINUTE]


def test_a_disabled_workflow_is_not_started_and_misses_nothing_when_it_is_enabled(
    installation: Installation,
) -> None:
    installation.workflow(HOURLY)
    tick(installation)
    switch(installation, enabled=False)
    installation.now = START + timedelta(hours=3)
    tick(installation)
    assert installation.rows(ScheduleRow) == installation.rows(RunRow) == []
    switch(installation, enabled=True)
    tick(installation)
    assert due(installation) == [START + timedelta(hours=3, minutes=15)]
    assert installation.rows(RunRow) == []


def test_many_schedulers_start_it_once(database: Database) -> None:
    installation = Installation(database)
    installation.workflow(HOURLY)
    tick(installation)
    installation.now += timedelta(minutes=16)
    (row,) = installation.rows(ScheduleRow)
    workers = [installation.another_worker() for _ in range(4)]
    threads = [threading.Thread(target=start_due, args=(worker, [row.id])) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(installation.rows(RunRow)) == len(installation.rows(EventRow)) == 1


def test_a_time_is_started_once_even_when_its_row_is_read_again(
    installation: Installation,
) -> None:
    installation.workflow(HOURLY)
    tick(installation)
    installation.now += timedelta(minutes=16)
    tick(installation)
    # As after a restore of an older copy of the row.
    (row,) = installation.rows(ScheduleRow)
    row.due_at = START + 15 * MINUTE
    with installation.database.turn_to_write(), installation.database.session() as session:
        session.merge(row)
        session.commit()
    tick(installation)
    assert len(installation.rows(RunRow)) == 1


def test_another_leader_goes_on(installation: Installation) -> None:
    installation.workflow(HOURLY)
    tick(installation)
    second = Scheduler(installation.another_worker())
    installation.now = START + 15 * MINUTE + LEADER_LEASE
    assert second.ring_due() == 1
    (run,) = installation.rows(RunRow)
    assert run.created_at.astimezone(UTC) == installation.now


def test_a_schedule_that_cannot_be_read_is_put_off_and_stops_no_other(
    installation: Installation,
) -> None:
    installation.workflow(HOURLY)
    tick(installation)
    (good,) = installation.rows(ScheduleRow)
    bad = ScheduleRow(
        workflow_id=good.workflow_id, cron="nonsense", timezone="UTC", due_at=good.due_at
    )
    bad_id = bad.id
    installation.store(bad)
    installation.now = good.due_at
    assert start_due(installation.runtime, [bad_id, good.id]) == 1
    assert len(installation.rows(RunRow)) == 1
    (row,) = installation.rows(ScheduleRow, ScheduleRow.id == bad_id)
    assert row.due_at == installation.now + AFTER_FAULT

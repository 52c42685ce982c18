"""Whatever waits, and whichever bell was lost: it is carried on within ten seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlmodel import col

from schemas.bulk import BulkKind, BulkState
from schemas.configured_tables import PollRow, ScheduleRow, SourceRow
from schemas.events import EventDraft
from schemas.ids import new_id
from schemas.reconciliation_tables import ReconciliationRow
from schemas.run_tables import RunRow
from schemas.tables import EventRow
from schemas.upkeep_tables import BulkJobRow
from service.doubts import cancel_run
from service.runs import advance_run
from tests.integration.engine.installation import START, Installation
from workers.actors import ACTORS
from workers.scheduler import TICK_S, Scheduler

BOUND = timedelta(seconds=10)
PERFORM = {actor.job: actor.perform for actor in ACTORS}

Carried = Callable[[], bool]
"""Says whether what was prepared has been carried on."""


def ended(installation: Installation, workflow: str) -> Carried:
    def has_ended() -> bool:
        runs = installation.rows(
            RunRow, RunRow.workflow == workflow, col(RunRow.parent_id).is_(None)
        )
        return bool(runs) and all(run.ended_at is not None for run in runs)

    return has_ended


def a_delivery(installation: Installation) -> Carried:
    installation.deliver({"type": "go"})
    return lambda: bool(installation.rows(EventRow))


def a_read_back(installation: Installation) -> Carried:
    vendor = installation.runtime.vendors["robot"]
    assert vendor.incoming is not None
    incoming = replace(
        vendor.incoming,
        read_back=lambda *_: [EventDraft(type="told", vendor_type="told")],
        needs_secret=False,
    )
    installation.runtime.vendors = {"robot": replace(vendor, incoming=incoming)}
    (source,) = installation.rows(SourceRow)
    source.connection = "robot"
    installation.store(source)
    installation.ingest(installation.deliver({"type": "lie"}))
    return lambda: bool(installation.rows(EventRow, EventRow.type == "told"))


def a_new_run(installation: Installation) -> Carried:
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: read, uses: robot.read}]}")
    installation.start()
    return ended(installation, "w")


def a_run_whose_worker_was_lost(installation: Installation) -> Carried:
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: read, uses: robot.read}]}")
    run_id = installation.start()
    lose_worker(installation, lambda: advance_run(installation.runtime, run_id))
    return lambda: installation.attempts(run_id)[0].ended_at is not None


def a_run_that_was_woken_when_its_worker_was_lost(installation: Installation) -> Carried:
    a_run_whose_worker_was_lost(installation)
    (run,) = installation.rows(RunRow)
    installation.now += timedelta(seconds=3)
    cancel_run(
        installation.database,
        installation.bell,
        run_id=run.id,
        who="a test",
        now=installation.now,
    )
    perform_rung(installation)
    return ended(installation, "w")


def a_run_that_slept(installation: Installation) -> Carried:
    installation.workflow("{name: w, on: [{event: go}], steps: [{sleep: 1h}]}")
    advance_run(installation.runtime, installation.start())
    installation.now += timedelta(hours=1)
    return ended(installation, "w")


def a_run_whose_event_came(installation: Installation) -> Carried:
    installation.workflow(
        "{name: w, on: [{event: go}], steps: [{id: come, wait_for: {event: come, timeout: 1h}}]}"
    )
    advance_run(installation.runtime, installation.start())
    installation.ingest(installation.deliver({"type": "come"}))
    return ended(installation, "w")


def a_branch(installation: Installation) -> Carried:
    installation.workflow(
        "{name: w, on: [{event: go}], steps: [{parallel: [[{id: read, uses: robot.read}]]}]}"
    )
    advance_run(installation.runtime, installation.start())
    branches = col(RunRow.parent_id).is_not(None)
    return lambda: all(row.ended_at is not None for row in installation.rows(RunRow, branches))


def a_run_whose_branches_have_ended(installation: Installation) -> Carried:
    a_branch(installation)
    (branch,) = installation.rows(RunRow, col(RunRow.parent_id).is_not(None))
    advance_run(installation.runtime, branch.id)
    return ended(installation, "w")


def a_called_run(installation: Installation) -> Carried:
    installation.workflow(
        "{name: called, on: [{manual: {}}], steps: [{id: read, uses: robot.read}]}"
    )
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: c, call: called}]}")
    advance_run(installation.runtime, installation.start())
    assert installation.rows(RunRow, RunRow.workflow == "called")
    return ended(installation, "called")


def a_caller_that_was_answered(installation: Installation) -> Carried:
    a_called_run(installation)
    (called,) = installation.rows(RunRow, RunRow.workflow == "called")
    advance_run(installation.runtime, called.id)
    return ended(installation, "w")


def a_run_before_a_gate(installation: Installation) -> Carried:
    installation.workflow(
        "{name: w, on: [{event: go}], concurrency: {key: event.type, when_busy: queue},"
        " steps: [{id: read, uses: robot.read}]}"
    )
    first, second = installation.start(), installation.start()
    lose_worker(installation, lambda: advance_run(installation.runtime, first))
    advance_run(installation.runtime, second)
    installation.now += timedelta(minutes=1)
    advance_run(installation.runtime, first)
    return ended(installation, "w")


def a_run_that_gathered(installation: Installation) -> Carried:
    installation.workflow(
        "{name: w, on: [{event: go}], coalesce: {key: event.type, within: 30s},"
        " steps: [{id: read, uses: robot.read}]}"
    )
    installation.ingest(installation.deliver({"type": "go"}))
    installation.now += timedelta(seconds=30)
    return ended(installation, "w")


def a_poll(installation: Installation) -> Carried:
    installation.store(
        PollRow(
            name="p",
            connection="robot",
            poll="x",
            every_seconds=60,
            due_at=installation.now,
            updated_at=installation.now,
        )
    )
    # The scripted vendor has no polls: that is what asking it comes to.
    return lambda: installation.rows(PollRow)[0].failures == 1


def a_comparison(installation: Installation) -> Carried:
    installation.store(
        ReconciliationRow(
            source_id=new_id(),
            source="removed",
            vendor="robot",
            by="person",
            since=START,
            until=START,
            state="pending",
            created_at=installation.now,
            due_at=installation.now,
        )
    )
    return lambda: installation.rows(ReconciliationRow)[0].ended_at is not None


def a_schedule(installation: Installation) -> Carried:
    installation.workflow(
        "{name: w, on: [{cron: '0 * * * *'}], steps: [{id: read, uses: robot.read}]}"
    )
    Scheduler(installation.runtime).ring_due()
    installation.now = installation.rows(ScheduleRow)[0].due_at
    return lambda: bool(installation.rows(RunRow, RunRow.workflow == "w"))


def work_in_bulk(installation: Installation) -> Carried:
    installation.store(
        BulkJobRow(
            kind=BulkKind.REPLAY_DELIVERIES,
            question={"filter": {"source": "robot"}, "until": START.isoformat()},
            per_second=10,
            state=BulkState.PENDING,
            by="a test",
            created_at=installation.now,
            due_at=installation.now,
        )
    )
    return lambda: installation.rows(BulkJobRow)[0].state != BulkState.PENDING


KINDS = [
    a_delivery,
    a_read_back,
    a_new_run,
    a_run_whose_worker_was_lost,
    a_run_that_was_woken_when_its_worker_was_lost,
    a_run_that_slept,
    a_run_whose_event_came,
    a_branch,
    a_run_whose_branches_have_ended,
    a_called_run,
    a_caller_that_was_answered,
    a_run_before_a_gate,
    a_run_that_gathered,
    a_poll,
    a_comparison,
    a_schedule,
    work_in_bulk,
]


def lose_worker(installation: Installation, act: Callable[[], object]) -> None:
    """Act, and lose the worker in the first call that it makes."""

    def lost() -> None:
        raise SystemExit

    answers, installation.script.answers = installation.script.answers, [lost]
    with pytest.raises(SystemExit):
        act()
    installation.script.answers = answers


def perform_rung(installation: Installation) -> None:
    while installation.bell.rung:
        job = installation.bell.rung.pop(0)
        PERFORM[type(job)](installation.runtime, job)


@pytest.mark.parametrize("prepare", KINDS, ids=lambda kind: kind.__name__)
def test_what_waits_is_carried_on_within_ten_seconds_of_a_lost_bell(
    installation: Installation, prepare: Callable[[Installation], Carried]
) -> None:
    is_carried_on = prepare(installation)
    assert not is_carried_on()
    began: datetime = installation.now
    scheduler = Scheduler(installation.runtime)
    installation.bell.rung.clear()
    while not is_carried_on():
        installation.now += timedelta(seconds=TICK_S)
        assert installation.now <= began + BOUND
        scheduler.ring_due()
        perform_rung(installation)


def test_a_sweep_that_fails_does_not_stop_the_others(installation: Installation) -> None:
    scheduler = Scheduler(installation.runtime)
    installation.deliver({"type": "go"})
    installation.store(
        PollRow(
            name="p",
            connection="robot",
            poll="x",
            every_seconds=60,
            due_at=installation.now,
            updated_at=installation.now,
        )
    )
    installation.now += BOUND

    def fail(*_: object) -> None:
        raise RecursionError

    scheduler = Scheduler(
        installation.runtime,
        sweeps=[
            replace(sweep, find=fail) if sweep.name == "deliveries" else sweep  # type: ignore[arg-type]
            for sweep in scheduler._sweeps
        ],
    )
    assert scheduler.ring_due() == 1
    assert scheduler.ring_due() == 0

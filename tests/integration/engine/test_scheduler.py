"""The sweeper rings for every kind of row whose time has come, and only the leader rings."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from schemas.configured_tables import PollRow
from schemas.ids import new_id
from schemas.jobs import AdvanceRun, IngestFew, Job, PerformPoll
from service.runs import LEASE, advance_run
from service.runtime import HOLD_BACK_S, SILENCE_S
from service.store import runs as runs_store
from service.store.sweeping import Due
from service.unit_of_work import unit_of_work
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made
from workers.scheduler import LEADER_LEASE, Scheduler
from workers.sweeps import RING_AGAIN, Sweep


def test_a_delivery_whose_bell_was_lost_is_rung_for_again_and_again(
    installation: Installation,
) -> None:
    delivery_id = installation.deliver({"type": "go"})
    scheduler = Scheduler(installation.runtime)
    scheduler.ring_due()
    assert installation.bell.rung == []
    for _ in range(2):
        installation.now += RING_AGAIN
        scheduler.ring_due()
        scheduler.ring_due()
    assert installation.bell.rung == [IngestFew((delivery_id,))] * 2


def test_runs_and_polls_are_rung_for_when_they_are_due(installation: Installation) -> None:
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: read, uses: robot.read}]}")
    run_id = installation.start()
    poll = PollRow(
        name="p",
        connection="robot",
        poll="x",
        every_seconds=60,
        due_at=installation.now + timedelta(seconds=30),
        updated_at=installation.now,
    )
    poll_id = poll.id
    installation.store(poll)
    installation.bell.rung.clear()
    installation.now += timedelta(seconds=30)
    Scheduler(installation.runtime).ring_due()
    assert installation.bell.rung == [AdvanceRun(run_id), PerformPoll(poll_id)]


def test_a_run_that_has_ended_is_not_rung_for(installation: Installation) -> None:
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: read, uses: robot.read}]}")
    installation.advance(installation.start())
    installation.bell.rung.clear()
    installation.now += timedelta(hours=1)
    Scheduler(installation.runtime).ring_due()
    assert installation.bell.rung == []


def test_one_leads_until_it_says_nothing_any_more(installation: Installation) -> None:
    first = Scheduler(installation.runtime)
    second = Scheduler(installation.another_worker())
    first.ring_due()
    delivery_id = installation.deliver({"type": "go"})
    installation.now += timedelta(seconds=4)
    assert second.ring_due() == 0
    installation.now += LEADER_LEASE + timedelta(seconds=1)
    assert second.ring_due() == 1
    assert first.ring_due() == 0
    assert installation.bell.rung == [IngestFew((delivery_id,))]


def test_a_beating_worker_keeps_a_run_however_long_its_call_lasts(
    installation: Installation,
) -> None:
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: only, uses: robot.once}]}")
    run_id = installation.start()
    scheduler = Scheduler(installation.runtime)

    def long_call() -> Done:
        for _ in range(5):
            installation.now += LEASE - timedelta(seconds=1)
            scheduler.beat()
            advance_run(installation.another_worker(), run_id)
        return Done(Made(value=1))

    installation.script.answers = [long_call]
    assert installation.advance(run_id).status == "succeeded"
    assert len(installation.script.calls) == 1


def test_a_run_that_no_thread_carries_on_is_not_kept(installation: Installation) -> None:
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: only, uses: robot.read}]}")
    run_id = installation.start()
    scheduler = Scheduler(installation.runtime)

    def lose_the_thread() -> Done:
        raise SystemExit

    answers = installation.script.answers
    installation.script.answers = [lose_the_thread]
    with pytest.raises(SystemExit):
        advance_run(installation.runtime, run_id)
    installation.script.answers = answers
    for _ in range(4):
        installation.now += LEASE / 2
        scheduler.beat()
    assert installation.advance(run_id).status == "succeeded"


def lost_run(installation: Installation) -> UUID:
    """Start a run, and lose its worker in its first call."""
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: only, uses: robot.read}]}")
    run_id = installation.start()

    def lose_the_thread() -> Done:
        raise SystemExit

    answers = installation.script.answers
    installation.script.answers = [lose_the_thread]
    with pytest.raises(SystemExit):
        advance_run(installation.runtime, run_id)
    installation.script.answers = answers
    installation.bell.rung.clear()
    return run_id


def test_nothing_is_taken_over_just_after_the_database_was_away(
    installation: Installation,
) -> None:
    run_id = lost_run(installation)
    heard = 100.0
    installation.runtime.monotonic = lambda: heard
    installation.runtime.database_answered()
    installation.now += LEASE + timedelta(seconds=1)
    scheduler = Scheduler(installation.runtime)
    scheduler.ring_due()
    advance_run(installation.runtime, run_id)
    assert installation.bell.rung == []
    assert len(installation.attempts(run_id)) == 1
    heard += HOLD_BACK_S
    installation.runtime.database_answered()
    heard += HOLD_BACK_S
    scheduler.ring_due()
    assert installation.bell.rung == []
    installation.runtime.database_answered()
    heard += SILENCE_S
    installation.runtime.database_answered()
    heard += SILENCE_S
    scheduler.ring_due()
    assert installation.bell.rung == [AdvanceRun(run_id)]


def test_a_database_that_answers_slowly_is_not_away(installation: Installation) -> None:
    heard = 0.0

    def put_off(*_: object) -> list[Job]:
        nonlocal heard
        heard += SILENCE_S - 1
        return []

    runtime = installation.runtime
    runtime.monotonic = lambda: heard
    row = new_id()
    slow = [
        Sweep(name, AdvanceRun, lambda *_: Due((row,), ()), put_off, most=1) for name in ("a", "b")
    ]
    scheduler = Scheduler(runtime, sweeps=slow)
    runtime.database_answered()
    while heard <= HOLD_BACK_S:
        scheduler.ring_due()
        runtime.database_answered()
    assert runtime.may_take_over()


def test_what_the_process_before_had_goes_on_at_once(installation: Installation) -> None:
    run_id = lost_run(installation)
    new_run = installation.start()
    delivery_id = installation.deliver({"type": "go"})
    installation.bell.rung.clear()
    with unit_of_work(installation.database, installation.bell) as work:
        runs_store.free_all(work.session, now=installation.now)
    Scheduler(installation.runtime, alone=True).ring_due()
    assert installation.bell.rung == [
        IngestFew((delivery_id,)),
        AdvanceRun(run_id),
        AdvanceRun(new_run),
    ]
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == "succeeded"

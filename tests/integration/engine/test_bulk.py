"""Work in bulk: each row once at the rate given, whoever goes on, and one row stops no other."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from schemas.bulk import (
    BulkPosition,
    DeliveryFilter,
    ReplayManyRequest,
    RetryManyRequest,
    RunFilter,
)
from schemas.evidence_tables import AuditEventRow
from schemas.jobs import PerformBulk
from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow
from schemas.upkeep_tables import BulkJobRow
from schemas.workflow import RunStatus
from service.bulk import ask_in_bulk, cancel_bulk, count, perform_bulk
from service.errors import Conflict, Invalid, NotFound, Permanent, Unavailable
from service.losses import MOST_LOSSES
from service.runtime import Runtime
from service.store.leased import LEASE
from service.tokens import Caller, Role
from tests.integration.engine.installation import Installation
from workers.scheduler import Scheduler

ANN = Caller("ann", Role.OPERATOR, None)
WORKFLOW = "{name: w, on: [{event: go}], steps: [{id: once, uses: robot.once}]}"
DEAD = DeliveryFilter(state=("dead",))

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what does not depend on the database."""


class Crash(BaseException):
    """What no frame of ours catches: the process is gone."""


def dead_deliveries(installation: Installation, count: int, **body: Any) -> list[UUID]:
    """Store deliveries that gave no events, though they would today; oldest first."""
    event = {"type": "go", "facts": {}}
    rows = [
        DeliveryRow(
            source_id=installation.source_id,
            source="robot",
            vendor="robot",
            delivery_key=f"{installation.now.isoformat()}-{number}",
            received_at=installation.now,
            headers=[],
            body=json.dumps(body or {"events": [event]}).encode(),
            state=DeliveryState.DEAD,
            error="it broke",
            failures=5,
        )
        for number in range(count)
    ]
    ids = [row.id for row in rows]
    installation.store(*rows)
    installation.now += timedelta(seconds=1)
    return ids


def ask(installation: Installation, wanted: DeliveryFilter = DEAD, **more: Any) -> UUID:
    key = more.pop("key", None)
    request = ReplayManyRequest(filter=wanted, **more)
    job = ask_in_bulk(
        installation.database,
        installation.bell,
        request,
        caller=ANN,
        key=key,
        now=installation.now,
    )
    return job.id


class Waiter:
    """Lets time pass by moving the test's clock, and remembers when each row was begun."""

    def __init__(self, installation: Installation, *, crash_after: int | None = None) -> None:
        self.installation = installation
        self.crash_after = crash_after
        self.waited = 0

    def __call__(self, seconds: float) -> None:
        self.installation.now += timedelta(seconds=seconds)
        self.waited += 1
        if self.waited == self.crash_after:
            raise Crash


def perform(installation: Installation, job_id: UUID, runtime: Runtime | None = None) -> None:
    perform_bulk(runtime or installation.runtime, job_id, wait=Waiter(installation))


def job(installation: Installation, job_id: UUID) -> BulkJobRow:
    (row,) = installation.rows(BulkJobRow, BulkJobRow.id == job_id)
    return row  # type: ignore[no-any-return]


def begun(installation: Installation) -> list[datetime]:
    return sorted(run.created_at for run in installation.rows(RunRow))


def test_every_dead_delivery_is_read_once_at_the_rate_and_marked(
    installation: Installation,
) -> None:
    installation.workflow(WORKFLOW)
    ids = dead_deliveries(installation, 8)
    job_id = ask(installation, per_second=4)
    assert installation.bell.rung == [PerformBulk(job_id)]
    later = dead_deliveries(installation, 1)
    perform(installation, job_id)

    row = job(installation, job_id)
    assert (row.state, row.total, row.done, row.skipped, row.failed) == ("succeeded", 8, 8, 0, 0)
    assert (row.due_at, row.lease_owner) == (None, None)
    states = {one.id: one.state for one in installation.rows(DeliveryRow)}
    assert all(states[one] == DeliveryState.INGESTED for one in ids)
    assert states[later[0]] == DeliveryState.DEAD
    runs = installation.rows(RunRow)
    assert {(run.replay, run.started_by, run.bulk_job_id) for run in runs} == {(0, "ann", job_id)}
    assert len(runs) == 8
    times = begun(installation)
    assert times[-1] - times[0] == timedelta(seconds=7 / 4)
    (event,) = installation.rows(AuditEventRow)
    assert (event.action, event.subject) == ("bulk.replay_deliveries", str(job_id))


def test_a_worker_that_is_lost_in_the_middle_leaves_none_out_and_none_twice(
    installation: Installation,
) -> None:
    installation.workflow(WORKFLOW)
    dead_deliveries(installation, 6)
    job_id = ask(installation, per_second=5)
    with pytest.raises(Crash):
        perform_bulk(installation.runtime, job_id, wait=Waiter(installation, crash_after=3))
    assert job(installation, job_id).done == 3
    other = installation.another_worker()
    perform(installation, job_id, other)
    assert job(installation, job_id).done == 3

    installation.now += LEASE
    installation.bell.rung.clear()
    installation.now += timedelta(seconds=1)
    Scheduler(installation.runtime).ring_due()
    assert PerformBulk(job_id) in installation.bell.rung
    perform(installation, job_id, other)
    assert (job(installation, job_id).state, job(installation, job_id).done) == ("succeeded", 6)
    assert len(installation.rows(RunRow)) == 6


@on_sqlite
def test_the_rate_holds_for_whoever_goes_on(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    dead_deliveries(installation, 6)
    job_id = ask(installation, per_second=0.5)
    for _ in range(20):
        # Longer than a second is not waited for: the worker is given back.
        perform(installation, job_id, installation.another_worker())
        installation.now += timedelta(seconds=0.5)
    times = begun(installation)
    assert len(times) == 6
    assert all(later - one >= timedelta(seconds=2) for one, later in pairwise(times))


@on_sqlite
def test_a_clock_that_is_set_back_does_not_let_it_wait(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    dead_deliveries(installation, 3)
    job_id = ask(installation, per_second=0.5)
    perform(installation, job_id)
    installation.now -= timedelta(hours=1)
    for _ in range(4):
        perform(installation, job_id)
        installation.now += timedelta(seconds=2)
    assert job(installation, job_id).done == 3


def test_two_workers_at_once_do_nothing_twice(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    dead_deliveries(installation, 12)
    job_id = ask(installation, per_second=100)
    threads = [
        threading.Thread(target=perform, args=(installation, job_id, installation.another_worker()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    perform(installation, job_id)
    assert job(installation, job_id).done == 12
    assert len(installation.rows(RunRow)) == 12


def test_what_fails_is_told_and_stops_no_other(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    good = dead_deliveries(installation, 2)
    (broken,) = dead_deliveries(installation, 1, **{"raise": "boom"})
    (malformed,) = dead_deliveries(installation, 1)
    good += dead_deliveries(installation, 2)
    job_id = ask(installation)
    with installation.database.turn_to_write(), installation.database.session() as session:
        session.get_one(DeliveryRow, good[3]).state = DeliveryState.INGESTED
        session.get_one(DeliveryRow, malformed).body = b"{"
        session.commit()
    perform(installation, job_id)
    row = job(installation, job_id)
    assert (row.state, row.total, row.done, row.skipped, row.failed) == ("failed", 6, 3, 1, 2)
    failures = {one.id: one for one in BulkPosition.model_validate(row.position).failures}
    assert set(failures) == {broken, malformed}
    assert str(failures[broken].fault).startswith("flt_")
    assert failures[malformed].fault is None
    states = {one.id: (one.state, one.fault) for one in installation.rows(DeliveryRow)}
    assert states[broken] == (DeliveryState.DEAD, failures[broken].fault)
    assert states[malformed] == (DeliveryState.MALFORMED, None)


@on_sqlite
def test_a_row_that_workers_are_lost_with_is_passed_over(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    poisoned = dead_deliveries(installation, 1)[0]
    dead_deliveries(installation, 1)
    job_id = ask(installation)

    for _ in range(MOST_LOSSES + 1):
        with installation.database.turn_to_write(), installation.database.session() as session:
            row = session.get_one(BulkJobRow, job_id)
            row.lease_owner, row.lease_until = "a worker that is lost", installation.now
            row.losses += 1
            session.commit()
        installation.now += timedelta(seconds=1)
    perform(installation, job_id)
    row = job(installation, job_id)
    assert (row.state, row.done, row.failed) == ("failed", 1, 1)
    (failure,) = BulkPosition.model_validate(row.position).failures
    assert failure.id == poisoned
    assert "lost" in failure.reason


@on_sqlite
def test_cancelling_ends_it_before_the_next_row(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    dead_deliveries(installation, 5)
    job_id = ask(installation, per_second=10)

    def wait(seconds: float) -> None:
        installation.now += timedelta(seconds=seconds)
        cancel(installation, job_id)

    perform_bulk(installation.runtime, job_id, wait=wait)
    assert (job(installation, job_id).state, job(installation, job_id).done) == ("cancelled", 1)
    cancel(installation, job_id)
    perform(installation, job_id)
    assert len(installation.rows(RunRow)) == 1
    actions = [event.action for event in installation.rows(AuditEventRow)]
    assert sorted(actions) == ["bulk.cancel", "bulk.replay_deliveries"]
    done = ask(installation, DeliveryFilter(state=("unconfirmed",)))
    perform(installation, done)
    with pytest.raises(Conflict, match="succeeded"):
        cancel(installation, done)
    with pytest.raises(NotFound):
        cancel(installation, UUID(int=1))


def cancel(installation: Installation, job_id: UUID) -> None:
    cancel_bulk(installation.database, installation.bell, job_id, caller=ANN, now=installation.now)


def test_the_same_key_gives_the_same_job(installation: Installation) -> None:
    dead_deliveries(installation, 1)
    first = ask(installation, key="k")
    installation.now += timedelta(minutes=1)
    assert ask(installation, key="k") == first
    with pytest.raises(Invalid, match="another question"):
        ask(installation, DeliveryFilter(state=("malformed",)), key="k")
    with pytest.raises(NotFound, match="no workflow 'x'"):
        ask(installation, only="x")
    assert len(installation.rows(BulkJobRow)) == 1
    installation.now += timedelta(hours=24)
    assert ask(installation, key="k") != first


@on_sqlite
def test_deliveries_that_were_read_are_started_anew_only_where_asked_for(
    installation: Installation,
) -> None:
    installation.workflow(WORKFLOW)
    installation.workflow(WORKFLOW.replace("name: w", "name: other"))
    old = installation.deliver({"type": "go"})
    installation.ingest(old)
    installation.now += timedelta(hours=1)
    new = installation.deliver({"type": "go", "subject": "new"})
    installation.ingest(new)
    wanted = DeliveryFilter(state=("ingested",), since=installation.now - timedelta(minutes=1))
    request = ReplayManyRequest(filter=wanted)
    installation.now += timedelta(minutes=1)
    assert count(installation.database, request, now=installation.now) == 1
    perform(installation, ask(installation, wanted, only="other", shadow=True))
    anew = [run for run in installation.rows(RunRow) if run.replay]
    assert [(run.workflow, run.replay, run.shadow) for run in anew] == [("other", 1, True)]
    (row,) = installation.rows(DeliveryRow, DeliveryRow.id == new)
    assert row.replays == 1


def test_failed_runs_go_on_in_bulk(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    answers = installation.script.answers
    installation.script.answers = [Permanent("no")]
    failed = [installation.start() for _ in range(3)]
    for run_id in failed:
        installation.advance(run_id)
    installation.script.answers = answers
    installation.now += timedelta(seconds=1)
    ended_well = installation.start()
    installation.advance(ended_well)
    installation.now += timedelta(seconds=1)
    request = RetryManyRequest(filter=RunFilter(status=("failed",), workflow="w"))
    asked = ask_in_bulk(
        installation.database,
        installation.bell,
        request,
        caller=ANN,
        key=None,
        now=installation.now,
    )
    perform(installation, asked.id)
    assert (job(installation, asked.id).total, job(installation, asked.id).done) == (3, 3)
    installation.carry_on()
    runs = installation.rows(RunRow)
    assert {run.status for run in runs} == {RunStatus.SUCCEEDED}
    assert sorted(run.retries for run in runs) == [0, 1, 1, 1]


@on_sqlite
def test_an_outage_is_waited_for(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    dead_deliveries(installation, 2)
    job_id = ask(installation)

    def away(_seconds: float) -> None:
        raise Unavailable("the database is not available")

    with pytest.raises(Unavailable):
        perform_bulk(installation.runtime, job_id, wait=away)
    installation.now += LEASE + timedelta(seconds=1)
    perform(installation, job_id)
    assert (job(installation, job_id).state, job(installation, job_id).done) == ("succeeded", 2)


@pytest.mark.parametrize(
    "wanted", [{}, {"state": []}, {"state": "received"}, {"state": "ingested"}]
)
def test_a_filter_never_means_everything(wanted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"state|since"):
        DeliveryFilter.model_validate(wanted)

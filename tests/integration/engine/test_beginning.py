"""New runs begin where their delivery was read: one at once, many together, each as if alone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import SQLModel

from schemas.events import EventDraft
from schemas.jobs import AdvanceRun, AdvanceRunInBulk
from schemas.run_tables import AttemptRow, RunRow, StepRow
from schemas.states import DeliveryState, EffectState
from schemas.tables import DeliveryRow, EffectRow, EventRow
from schemas.workflow import RunStatus
from service import ingest
from service.arriving import ingest_and_begin
from service.carrying_together import begin_runs
from service.errors import Unavailable
from service.ingest import in_portions, ingest_deliveries
from service.own_events import own_event
from service.store.deliveries import store_events
from service.unit_of_work import unit_of_work
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made
from tests.integration.engine.test_lost_commits import LosingCommits

EMITTING = """
name: emitting
on: [{event: go}]
steps:
  - {id: one, emit: {type: made.one, subject: "${{ event.subject }}", facts: {n: 1}}}
  - {id: skipped, if: "false", emit: {type: made.never}}
  - {id: two, emit: {type: made.two, facts: {of: "${{ steps.one.event_id }}"}}}
outputs: {first: "${{ steps.one.event_id }}"}
"""
SAME_WHEREVER = {
    RunRow: ("status", "error", "started_at", "ended_at", "due_at", "lease_owner", "rings"),
    StepRow: ("step", "position", "kind", "status", "attempts", "polls", "round", "reason"),
    AttemptRow: ("number", "status", "error", "started_at", "ended_at"),
    EventRow: ("type", "vendor", "subject", "origin", "depth", "time"),
}


def rung_for(installation: Installation) -> list[UUID]:
    return [job.run_id for job in installation.bell.rung if isinstance(job, AdvanceRun)]


def told(installation: Installation, model: type[SQLModel], *where: Any) -> list[tuple[Any, ...]]:
    """Give what rows say that have no ids of their own in it."""
    rows = [
        tuple(getattr(row, name) for name in SAME_WHEREVER[model])
        for row in installation.rows(model, *where)
    ]
    return sorted(rows, key=str)


def of_run(installation: Installation, run_id: UUID) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "run": told(installation, RunRow, RunRow.id == run_id),
        "steps": told(installation, StepRow, StepRow.run_id == run_id),
        "attempts": told(installation, AttemptRow, AttemptRow.run_id == run_id),
        "events": told(installation, EventRow, EventRow.caused_by == run_id),
    }


def test_runs_that_begin_together_become_what_each_becomes_alone(
    installation: Installation,
) -> None:
    installation.workflow(EMITTING)
    alone = installation.advance(installation.start(subject="a"))
    installation.bell.rung.clear()
    together = [installation.deliver({"type": "go", "subject": "a"}) for _ in range(3)]
    ingest_and_begin(installation.runtime, together)
    assert rung_for(installation) == []
    runs = installation.rows(RunRow, RunRow.id != alone.id)
    assert len(runs) == 3
    for run in runs:
        assert of_run(installation, run.id) == of_run(installation, alone.id)
        emitted = installation.rows(EventRow, EventRow.caused_by == run.id)
        first = next(event for event in emitted if event.type == "made.one")
        assert run.output == {"first": str(first.id)}
        (second,) = (event for event in emitted if event.type == "made.two")
        assert second.facts == {"of": str(first.id)}


@pytest.mark.parametrize("stops", [False, True])
def test_large_deliveries_are_read_one_after_the_other(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, *, stops: bool
) -> None:
    installation.workflow(EMITTING)
    ids = [installation.deliver({"type": "go", "subject": "x" * size}) for size in (90, 90, 1, 1)]
    ids.append(installation.deliver(body=b""))
    monkeypatch.setattr(ingest, "PORTION_BYTES", 100)
    large, other, *small = ids
    assert in_portions(installation.runtime, ids) == [[large], [other], small]
    if stops:
        installation.runtime.stopping.set()
    ingest_and_begin(installation.runtime, ids)
    runs = installation.rows(RunRow)
    assert len(runs) == (1 if stops else 4)
    assert {run.status for run in runs} == ({"pending"} if stops else {"succeeded"})
    waits = [] if not stops else [[other], small]
    assert in_portions(installation.runtime, ids) == waits


def test_runs_that_are_no_more_new_are_left_alone(installation: Installation) -> None:
    installation.workflow(EMITTING)
    ids = [installation.start() for _ in range(2)]
    begin_runs(installation.runtime, ids)
    before = [of_run(installation, run_id) for run_id in ids]
    installation.bell.rung.clear()
    begin_runs(installation.runtime, ids)
    assert [of_run(installation, run_id) for run_id in ids] == before
    assert rung_for(installation) == []


def test_what_comes_to_a_call_is_rung_for_and_calls_once(installation: Installation) -> None:
    installation.workflow("""
name: calling
on: [{event: go}]
steps:
  - {id: tell, emit: {type: made.one}}
  - {id: call, uses: robot.once}
""")
    ingest_and_begin(installation.runtime, [installation.deliver({"type": "go"}) for _ in range(2)])
    runs = installation.rows(RunRow)
    assert installation.script.calls == []
    assert {run.status for run in runs} == {RunStatus.RUNNING}
    assert sorted(rung_for(installation)) == sorted(run.id for run in runs)
    installation.carry_on_rung()
    assert {run.status for run in installation.rows(RunRow)} == {RunStatus.SUCCEEDED}
    assert len(installation.script.calls) == 2
    assert len(installation.rows(EventRow, EventRow.type == "made.one")) == 2


@pytest.mark.parametrize("gate", ["concurrency: {limit: 1}", "throttle: {limit: 1, per: 1m}"])
@pytest.mark.parametrize("count", [1, 2])
def test_nobody_passes_a_gate_by_beginning_so(
    installation: Installation, gate: str, count: int
) -> None:
    installation.workflow(f"""
name: gated
on: [{{event: go}}]
{gate}
steps: [{{id: tell, emit: {{type: made.one}}}}, {{id: rest, sleep: 1h}}]
""")
    ingest_and_begin(
        installation.runtime, [installation.deliver({"type": "go"}) for _ in range(count)]
    )
    assert len(rung_for(installation)) == count
    installation.carry_on_rung()
    assert len(installation.rows(EventRow, EventRow.type == "made.one")) == 1


def test_what_wakes_others_is_committed_before_anything_follows(
    installation: Installation,
) -> None:
    installation.workflow("""
name: waiting
on: [{event: wait}]
steps: [{id: until, wait_for: {event: made.one, timeout: 1h}}, {id: call, uses: robot.read}]
""")
    (waiting,) = installation.ingest(installation.deliver({"type": "wait"}))
    installation.advance(waiting, until=lambda run: run.status == RunStatus.WAITING)
    installation.workflow(EMITTING)
    installation.bell.rung.clear()
    ingest_and_begin(installation.runtime, [installation.deliver({"type": "go"}) for _ in range(2)])
    going = installation.rows(RunRow, RunRow.workflow == "emitting")
    assert {run.status for run in going} == {RunStatus.RUNNING}
    assert len(installation.rows(EventRow, EventRow.type == "made.two")) == 0
    installation.carry_on_rung()
    assert {run.status for run in installation.rows(RunRow)} == {RunStatus.SUCCEEDED}
    assert len(installation.rows(EventRow, EventRow.type == "made.two")) == 2


def test_one_run_calls_at_once_and_all_is_written_down_before(installation: Installation) -> None:
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: only, uses: robot.once}]}")
    seen: list[Any] = []

    def look() -> Done:
        seen.extend(row.state for row in installation.rows(DeliveryRow))
        seen.extend(row.state for row in installation.rows(EffectRow))
        seen.extend(row.lease_owner is not None for row in installation.rows(RunRow))
        return Done(Made(value=1))

    installation.script.answers = [look]
    ingest_and_begin(installation.runtime, [installation.deliver({"type": "go"})])
    assert seen == [DeliveryState.INGESTED, EffectState.INTENDED, True]
    (run,) = installation.rows(RunRow)
    assert (run.status, run.lease_owner, rung_for(installation)) == ("succeeded", None, [])


@pytest.mark.parametrize("taken_place", [True, False])
@pytest.mark.parametrize("number", [1, 2])
def test_a_commit_whose_answer_is_lost_costs_no_call(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, number: int, *, taken_place: bool
) -> None:
    monkeypatch.setattr(installation.runtime.stopping, "wait", lambda _seconds: False)
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: only, uses: robot.once}]}")
    delivery = installation.deliver({"type": "go"})
    losing = LosingCommits(installation.database, monkeypatch)
    losing.lost, losing.taken_place = {number}, taken_place
    with suppress(Unavailable):
        ingest_and_begin(installation.runtime, [delivery])
    # The sweeper rings for the delivery again when nothing is known of it.
    ingest_deliveries(installation.runtime, [delivery])
    installation.carry_on_rung()
    (run,) = installation.rows(RunRow)
    assert run.status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 1
    assert [row.state for row in installation.rows(EffectRow)] == [EffectState.MADE]


def test_an_event_that_was_emitted_before_is_the_one_that_counts(
    installation: Installation,
) -> None:
    installation.workflow(EMITTING)
    run_id, other = installation.start(), installation.start()
    known = own_event(
        EventDraft(type="made.one", vendor_type="made.one"),
        key=f"emit:{run_id}:one:0",
        now=installation.now,
    )
    with unit_of_work(installation.database, installation.bell) as work:
        store_events(work.session, [known])
    begin_runs(installation.runtime, [run_id, other])
    assert installation.run(run_id).output == {"first": str(known.id)}
    assert installation.run(other).status == RunStatus.SUCCEEDED


def test_all_are_rung_for_when_the_worker_stops(installation: Installation) -> None:
    installation.workflow(EMITTING)
    ids = [installation.start() for _ in range(2)]
    installation.bell.rung.clear()
    installation.runtime.stopping.set()
    begin_runs(installation.runtime, ids)
    assert installation.bell.rung == [AdvanceRunInBulk(run_id) for run_id in ids]
    assert {run.status for run in installation.rows(RunRow)} == {RunStatus.PENDING}


@pytest.mark.parametrize("count", [1, 3])
def test_runs_in_shadow_are_carried_on_or_rung_for(installation: Installation, count: int) -> None:
    installation.workflow(EMITTING.replace("name: emitting", "name: emitting\nmode: shadow"))
    deliveries = [installation.deliver({"type": "go"}) for _ in range(count)]
    ingest_and_begin(installation.runtime, deliveries)
    runs = installation.rows(RunRow)
    assert len(runs) == count
    waiting = {run.id for run in runs if run.status == RunStatus.PENDING}
    assert waiting <= set(rung_for(installation))

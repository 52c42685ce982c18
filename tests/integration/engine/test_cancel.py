"""A run ends wherever it is when somebody cancels it: with its branches and what it called."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from schemas.run_tables import RunRow, SpreadRow, WaitRow
from schemas.states import AlertState, EffectState
from schemas.tables import AlertRow
from schemas.workflow import RunStatus, StepStatus
from service import doubts
from service.errors import Conflict, TimedOut
from service.runs import LEASE, advance_run
from service.store import runs as runs_store
from service.unit_of_work import unit_of_work
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made

WAITS = {
    "approval": "{id: only, approval: {text: x}}",
    "event": "{id: only, wait_for: {event: never.comes, timeout: 24h}}",
    "sleep": "{id: only, sleep: 24h}",
    "poll": "{id: only, uses: robot.read, poll: {every: 1h, until: 'false', timeout: 24h}}",
}
UNDO = "on_cancel: [{id: undo, uses: robot.once, with: {name: undo}}]\n"
LOOP = """
name: loop
on: [{event: go}]
steps:
  - id: each
    for_each: range(10)
    as: number
    max_parallel: 3
    steps:
      - id: both
        parallel:
          - - {id: nap, sleep: 24h}
          - - {id: note, uses: robot.once, with: {name: "n ${{ number }}"}}
"""
CALLS = """
name: calls
on: [{event: go}]
steps:
  - {id: other, call: called}
"""
CALLED = """
name: called
on: [{manual: {}}]
steps:
  - {id: nap, sleep: 24h}
on_cancel: [{id: undo, uses: robot.once, with: {name: undo}}]
"""


def flow(step: str) -> str:
    return f"name: flow\non: [{{event: go}}]\nsteps:\n  - {step}\n"


def cancel(installation: Installation, run_id: UUID) -> None:
    runtime = installation.runtime
    doubts.cancel_run(
        runtime.database, runtime.queue, run_id=run_id, who="ann", now=installation.now
    )


def begun(installation: Installation, *texts: str) -> UUID:
    for text in texts:
        installation.workflow(text)
    run_id = installation.start()
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.WAITING
    return run_id


def branches(installation: Installation) -> list[RunRow]:
    return installation.rows(RunRow, RunRow.path.is_not(None))  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", sorted(WAITS))
def test_a_waiting_run_ends_at_once_and_undoes(installation: Installation, kind: str) -> None:
    run_id = begun(installation, flow(WAITS[kind]) + UNDO)
    cancel(installation, run_id)
    cancel(installation, run_id)
    installation.carry_on_rung()
    run = installation.run(run_id)
    assert (run.status, run.ended_at, run.error) == (RunStatus.CANCELLED, installation.now, None)
    step = installation.step(run_id, "only")
    assert (step.status, step.reason) == (StepStatus.CANCELLED, "the run was cancelled")
    assert installation.step(run_id, "undo").status == StepStatus.SUCCEEDED
    assert installation.rows(WaitRow) == []
    cancel(installation, run_id)
    assert installation.carry_on() == 0


def test_a_failed_undo_does_not_keep_the_run(installation: Installation) -> None:
    run_id = begun(installation, flow(WAITS["sleep"]) + UNDO)
    installation.script.answers = [TimedOut(perhaps_done=True)]
    cancel(installation, run_id)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.WAITING
    assert installation.step(run_id, "undo").status == StepStatus.IN_DOUBT
    runtime = installation.runtime
    doubts.settle_step(
        runtime.database,
        runtime.queue,
        runtime.actions,
        run_id=run_id,
        step="undo",
        took_effect=True,
        output=None,
        who="ann",
        now=installation.now,
    )
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.CANCELLED


def test_branches_of_branches_end_and_no_further_one_begins(installation: Installation) -> None:
    run_id = begun(installation, LOOP)
    assert len(branches(installation)) == 3 * 3
    cancel(installation, run_id)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    found = {row.path: row.status for row in branches(installation)}
    assert len(found) == 3 * 3
    assert found["each[0]"] == found["each[2]/both[0]"] == "cancelled"
    # What had succeeded stays so.
    assert found["each[1]/both[1]"] == "succeeded"
    (spread,) = installation.rows(SpreadRow, SpreadRow.run_id == run_id)
    assert (spread.begun, spread.cancelled, spread.succeeded) == (3, 3, 0)
    assert installation.step(run_id, "each").status == StepStatus.CANCELLED
    assert len(installation.script.calls) == 3


def test_branches_that_were_held_are_told_again(installation: Installation) -> None:
    """The worker that asked for the end may die before it has told the branches."""
    run_id = begun(installation, LOOP)
    with unit_of_work(installation.database, installation.bell) as work:
        run = work.session.get_one(RunRow, run_id)
        run.cancel_requested, run.due_at = True, installation.now
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    assert installation.now < installation.run(run_id).created_at + timedelta(minutes=1)


def test_a_branch_is_not_cancelled_by_itself(installation: Installation) -> None:
    run_id = begun(installation, LOOP)
    branch = branches(installation)[0]
    with pytest.raises(Conflict, match="branch") as caught:
        cancel(installation, branch.id)
    assert str(run_id) in (caught.value.hint or "")


def test_a_called_run_ends_with_its_caller(installation: Installation) -> None:
    run_id = begun(installation, CALLED, CALLS)
    (called,) = installation.rows(RunRow, RunRow.caller_id == run_id)
    cancel(installation, run_id)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    assert installation.run(called.id).status == RunStatus.CANCELLED
    assert installation.step(called.id, "undo").status == StepStatus.SUCCEEDED


def test_a_cancelled_called_run_fails_the_step_that_waits_for_it(
    installation: Installation,
) -> None:
    run_id = begun(installation, CALLED, CALLS)
    (called,) = installation.rows(RunRow, RunRow.caller_id == run_id)
    cancel(installation, called.id)
    installation.carry_on_rung()
    run = installation.run(run_id)
    assert run.status == RunStatus.FAILED
    assert (run.error or {})["code"] == "called_run_failed"


def test_doubts_in_branches_stay_open_as_alerts(installation: Installation) -> None:
    installation.script.answers = [TimedOut(perhaps_done=True)]
    text = flow("{id: each, for_each: range(2), steps: [{id: only, uses: robot.once}]}")
    run_id = begun(installation, text)
    assert len(installation.rows(AlertRow, AlertRow.state == AlertState.OPEN)) == 2
    cancel(installation, run_id)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    assert len(installation.rows(AlertRow, AlertRow.state == AlertState.OPEN)) == 2


def test_a_call_of_a_worker_that_died_may_have_taken_effect(installation: Installation) -> None:
    installation.workflow(flow("{id: only, uses: robot.once}"))
    run_id = installation.start()

    class Killed(BaseException):
        pass

    def die() -> Done:
        raise Killed

    installation.script.answers = [die, Done(Made(value=1))]
    with pytest.raises(Killed):
        advance_run(installation.runtime, run_id)
    cancel(installation, run_id)
    installation.now += LEASE + timedelta(seconds=1)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    step = installation.step(run_id, "only")
    assert step.status == StepStatus.IN_DOUBT
    assert "may have taken effect" in (step.reason or "")
    assert [row.state for row in installation.effects(run_id)] == [EffectState.IN_DOUBT]
    (alert,) = installation.rows(AlertRow)
    assert (alert.state, alert.run_id) == (AlertState.OPEN, run_id)
    assert alert.details["cancelled"] == "the run was cancelled"
    assert "hookwright run settle" in alert.details["to_do"]


def test_a_call_that_was_yet_to_be_looked_up_may_have_taken_effect(
    installation: Installation,
) -> None:
    installation.script.answers = [TimedOut(perhaps_done=True)]
    run_id = begun(installation, flow("{id: only, uses: robot.looked_up}"))
    assert installation.run(run_id).status == RunStatus.WAITING
    cancel(installation, run_id)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    assert [row.state for row in installation.effects(run_id)] == [EffectState.IN_DOUBT]


def test_a_run_that_failed_for_a_fault_of_ours_takes_its_branches_along(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begun(installation, LOOP)
    for _ in range(5):
        with unit_of_work(installation.database, installation.bell) as work:
            run = work.session.get_one(RunRow, run_id)
            run.due_at = installation.now
        with monkeypatch.context() as patched:
            patched.setattr("service.carrying.plan", _fault)
            with pytest.raises(RuntimeError):
                advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == RunStatus.FAILED
    installation.carry_on()
    assert {row.status for row in branches(installation)} == {"cancelled", "succeeded"}


def _fault(*_: object) -> None:
    message = "a fault of ours"
    raise RuntimeError(message)


def test_a_branch_that_failed_for_a_fault_of_ours_counts_as_failed(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = flow("{id: each, for_each: range(1), steps: [{id: only, sleep: 1h}]}")
    run_id = begun(installation, text)
    (branch,) = branches(installation)
    for _ in range(5):
        with monkeypatch.context() as patched:
            patched.setattr("service.carrying.plan", _fault)
            with pytest.raises(RuntimeError):
                advance_run(installation.runtime, branch.id)
    installation.carry_on_rung()
    run = installation.run(run_id)
    assert (run.status, (run.error or {})["code"]) == (RunStatus.FAILED, "bug")


def test_whoever_holds_a_called_run_is_not_waited_for(installation: Installation) -> None:
    run_id = begun(installation, CALLED, CALLS)
    (called,) = installation.rows(RunRow, RunRow.caller_id == run_id)
    with unit_of_work(installation.database, installation.bell) as work:
        runs_store.claim(work.session, called.id, owner="w", now=installation.now, ttl=LEASE)
    cancel(installation, run_id)
    installation.carry_on_rung()
    installation.now += LEASE + timedelta(seconds=1)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    assert installation.run(called.id).status == RunStatus.CANCELLED

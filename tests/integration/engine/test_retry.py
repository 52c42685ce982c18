"""A run that failed or was cancelled goes on from where it ended; what succeeded is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from schemas.configured_tables import ConnectionRow
from schemas.ids import new_id
from schemas.run_tables import RunRow, SpreadRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus, StepStatus
from service import approvals, doubts
from service.errors import Conflict, NotFound, Permanent, TimedOut
from service.retrying import retry_run
from service.runs import LEASE, advance_run
from service.tokens import Caller, Role
from service.vendors.base import Done, Options
from tests.integration.engine.installation import Installation, Made, scripted_vendor

STEPS = """
name: steps
on: [{event: go}]
steps:
  - {id: first, uses: robot.once, with: {name: first}}
  - {id: second, uses: robot.once, with: {name: second}}
  - {id: third, uses: robot.once, with: {name: third}}
on_failure: [{id: tell, uses: robot.once, with: {name: "${{ error.code }}"}}]
on_cancel: [{id: undo, uses: robot.once, with: {name: undo}}]
"""
LOOP = """
name: loop
on: [{event: go}]
steps:
  - id: each
    for_each: range(6)
    as: number
    max_parallel: 2
    collect: "${{ steps.note.value }}"
    steps:
      - {id: before, uses: robot.once, with: {name: "before ${{ number }}"}}
      - {id: note, uses: robot.once, with: {name: "note ${{ number }}"}}
  - {id: after, uses: robot.once, with: {name: "${{ steps.each.results.size() }} results"}}
"""
GOOD = Done(Made(value=1))
BAD = Permanent("no")
KEPT = {"id": 7}


def retry(installation: Installation, run_id: UUID) -> None:
    runtime = installation.runtime
    retry_run(
        runtime.database,
        runtime.queue,
        run_id=run_id,
        caller=Caller("ann", Role.OPERATOR, None),
        now=installation.now,
    )


def cancel(installation: Installation, run_id: UUID) -> None:
    runtime = installation.runtime
    doubts.cancel_run(
        runtime.database, runtime.queue, run_id=run_id, who="ann", now=installation.now
    )


def failed(installation: Installation, text: str, *answers: Any) -> UUID:
    """Give a run that ended failed because of these answers."""
    installation.workflow(text)
    installation.script.answers = [*answers]
    run_id = installation.start()
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.FAILED
    return run_id


def names(installation: Installation) -> list[str]:
    """The names that the vendor was called with, in order."""
    return [row.params["name"] for row in installation.every_effect()]


def test_the_failed_step_is_performed_anew_and_what_succeeded_is_kept(
    installation: Installation,
) -> None:
    run_id = failed(installation, STEPS, GOOD, BAD, GOOD)
    assert len(installation.script.calls) == 3
    retry(installation, run_id)
    run = installation.run(run_id)
    assert (run.status, run.error, run.ended_at, run.retries) == ("pending", None, None, 1)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 5
    assert [row.number for row in installation.attempts_of(run_id, "second")] == [1, 2]
    assert [row.number for row in installation.attempts_of(run_id, "first")] == [1]


class Placed(Options):
    """Options that say where something is kept."""

    place: str = "here"


def test_what_was_refused_is_made_and_found_again_where_it_is_wanted_by_then(
    installation: Installation,
) -> None:
    robot = scripted_vendor(installation.script)
    assert robot.outgoing is not None
    outgoing = replace(robot.outgoing, options=Placed)
    actions = tuple(
        replace(action, target=lambda params, options: f"{options.place}:{params.name}")
        for action in robot.actions
    )
    installation.vendors = {"robot": replace(robot, outgoing=outgoing, actions=actions)}
    installation.runtime = installation.another_worker()
    run_id = failed(
        installation, STEPS.partition("on_failure")[0], BAD, Done(Made(), reference=KEPT)
    )
    assert [row.target for row in installation.every_effect()] == ["here:first"]
    with installation.database.turn_to_write(), installation.database.session() as session:
        row = session.exec(select(ConnectionRow)).one()
        row.options, row.updated_at = {"place": "there"}, installation.now + LEASE
        session.commit()
    retry(installation, run_id)
    installation.carry_on()
    assert {row.target for row in installation.every_effect()} == {
        f"there:{name}" for name in ("first", "second", "third")
    }
    # The next run changes what this one has made, and makes no other.
    installation.start()
    installation.carry_on()
    assert [call.reference for call in installation.script.calls[-3:]] == [KEPT] * 3


def test_a_step_has_all_its_retries_again(installation: Installation) -> None:
    text = STEPS.replace("name: first}}", "name: first}, retry: {attempts: 2, first: 1s}}")
    run_id = failed(
        installation,
        text.replace("robot.once, with: {name: first", "robot.keyed, with: {name: first"),
        TimedOut("late"),
    )
    assert len(installation.attempts_of(run_id, "first")) == 2
    retry(installation, run_id)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.FAILED
    assert len(installation.attempts_of(run_id, "first")) == 4


def test_what_is_told_of_a_failure_is_told_again(installation: Installation) -> None:
    run_id = failed(installation, STEPS, GOOD, BAD, GOOD, BAD, GOOD)
    retry(installation, run_id)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.FAILED
    assert names(installation) == ["first", "second", "permanent", "permanent"]
    told = installation.rows(EventRow, EventRow.type == "run.failed")
    assert len(told) == 2


def test_a_cancelled_run_goes_on_with_the_step_that_was_closed(
    installation: Installation,
) -> None:
    installation.workflow(
        STEPS.replace(
            "{id: second, uses: robot.once, with: {name: second}}", "{id: second, sleep: 1h}"
        )
    )
    run_id = installation.start()
    installation.carry_on_rung()
    for _ in range(2):
        cancel(installation, run_id)
        installation.carry_on_rung()
        assert installation.run(run_id).status == RunStatus.CANCELLED
        retry(installation, run_id)
        installation.carry_on_rung()
        assert installation.run(run_id).status == RunStatus.WAITING
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert names(installation) == ["first", "undo", "undo", "third"]


def test_only_failed_branches_begin_again_and_the_rest_begins(
    installation: Installation,
) -> None:
    # The notes of the numbers 0 and 1 are reached at the same time; one of them fails.
    run_id = failed(installation, LOOP, GOOD, GOOD, BAD, GOOD)
    (spread,) = installation.rows(SpreadRow)
    assert (spread.failed, spread.total) == (1, 6)
    before = len(installation.script.calls)
    retry(installation, run_id)
    installation.carry_on()
    run = installation.run(run_id)
    assert (run.status, run.error) == (RunStatus.SUCCEEDED, None)
    (spread,) = installation.rows(SpreadRow)
    assert (spread.begun, spread.succeeded, spread.failed, spread.cancelled) == (6, 6, 0, 0)
    assert spread.first_error is None
    assert installation.step(run_id, "each").output["results"] == [1] * 6
    # Every item was noted once, and the step before the failed one is kept.
    assert sorted(names(installation)) == sorted(
        [*(f"{word} {n}" for word in ("before", "note") for n in range(6)), "6 results"]
    )
    assert len(installation.script.calls) > before


def test_items_begin_that_a_cancelled_run_had_not_come_to(installation: Installation) -> None:
    installation.workflow(LOOP)
    run_id = installation.start()

    def meanwhile() -> Done:
        cancel(installation, run_id)
        return GOOD

    installation.script.answers = [GOOD, GOOD, GOOD, meanwhile, GOOD]
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    retry(installation, run_id)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert len(set(names(installation))) == len(names(installation)) == 13


def test_tolerated_failures_stay(installation: Installation) -> None:
    text = STEPS.replace("with: {name: first}", "with: {name: first}, on_error: continue")
    run_id = failed(installation, text, BAD, BAD, GOOD)
    retry(installation, run_id)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "first").status == StepStatus.FAILED


def test_a_called_run_is_called_anew(installation: Installation) -> None:
    installation.workflow(
        """
name: called
on: [{manual: {}}]
steps: [{id: only, uses: robot.once}]
outputs: {got: "${{ steps.only.value }}"}
"""
    )
    run_id = failed(
        installation,
        """
name: calls
on: [{event: go}]
steps:
  - {id: other, call: called}
  - {id: after, uses: robot.once, with: {name: "got ${{ steps.other.got }}"}}
""",
        BAD,
        GOOD,
    )
    retry(installation, run_id)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    called = installation.rows(RunRow, RunRow.caller_id == run_id)
    assert sorted(row.status for row in called) == ["failed", "succeeded"]
    assert names(installation)[-1] == "got 1"


def test_on_failure_with_branches_is_performed_again(installation: Installation) -> None:
    text = STEPS.replace(
        'on_failure: [{id: tell, uses: robot.once, with: {name: "${{ error.code }}"}}]',
        "on_failure: [{id: both, parallel: [[{id: tell, uses: robot.once}], "
        "[{id: too, uses: robot.once}]]}]",
    )
    run_id = failed(installation, text, BAD, GOOD, GOOD, BAD, GOOD)
    retry(installation, run_id)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.FAILED
    assert sorted(row.step for row in installation.every_effect()) == [
        "first", "tell", "tell", "too", "too",
    ]  # fmt: skip


def test_a_rejected_step_asks_again(installation: Installation) -> None:
    installation.workflow(
        "name: asks\non: [{event: go}]\nsteps: [{id: ask, approval: {text: Go?}}]\n"
    )
    run_id = installation.start()
    installation.carry_on_rung()
    runtime = installation.runtime
    for approved in (False, True):
        approvals.decide(
            runtime.database,
            runtime.queue,
            run_id=run_id,
            step="ask",
            approved=approved,
            by="ann",
            note=None,
            now=installation.now,
        )
        installation.carry_on_rung()
        if not approved:
            assert installation.run(run_id).status == RunStatus.FAILED
            retry(installation, run_id)
            installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED


def test_a_doubt_is_settled_before(installation: Installation) -> None:
    installation.workflow(STEPS)
    installation.script.answers = [TimedOut(perhaps_done=True), GOOD]
    run_id = installation.start()
    installation.carry_on()
    cancel(installation, run_id)
    installation.carry_on_rung()
    with pytest.raises(Conflict, match="first took effect is unknown") as caught:
        retry(installation, run_id)
    assert f"hookwright run settle {run_id} first" in (caught.value.hint or "")
    runtime = installation.runtime
    doubts.settle_step(
        runtime.database,
        runtime.queue,
        runtime.actions,
        run_id=run_id,
        step="first",
        took_effect=True,
        output={"value": 3},
        who="ann",
        now=installation.now,
    )
    retry(installation, run_id)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "first").output["value"] == 3
    assert names(installation) == ["first", "undo", "second", "third"]


def test_a_call_whose_worker_died_is_not_made_twice(installation: Installation) -> None:
    installation.workflow(STEPS)
    run_id = installation.start()

    class Killed(BaseException):
        pass

    def die() -> Done:
        raise Killed

    installation.script.answers = [die, GOOD]
    with pytest.raises(Killed):
        advance_run(installation.runtime, run_id)
    cancel(installation, run_id)
    installation.now += LEASE + timedelta(seconds=1)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    assert installation.step(run_id, "first").status == StepStatus.IN_DOUBT
    with pytest.raises(Conflict, match="unknown"):
        retry(installation, run_id)


def test_only_what_failed_or_was_cancelled_goes_on(installation: Installation) -> None:
    installation.workflow(LOOP)
    run_id = installation.start()
    with pytest.raises(Conflict, match="not ended"):
        retry(installation, run_id)
    with pytest.raises(NotFound):
        retry(installation, new_id())
    installation.carry_on()
    with pytest.raises(Conflict, match="succeeded"):
        retry(installation, run_id)
    branch = installation.rows(RunRow, RunRow.root_id == run_id)[0]
    with pytest.raises(Conflict, match="branch") as caught:
        retry(installation, branch.id)
    assert str(run_id) in (caught.value.hint or "")


def test_a_retried_run_waits_its_turn_with_its_branches(installation: Installation) -> None:
    text = LOOP.replace("steps:\n  - id: each", "concurrency: {limit: 1}\nsteps:\n  - id: each", 1)
    run_id = failed(installation, text, GOOD, GOOD, BAD, GOOD)
    (second,) = installation.ingest(installation.deliver({"type": "go"}))

    def meanwhile() -> Done:
        retry(installation, run_id)
        advance_run(installation.runtime, run_id)
        return GOOD

    installation.script.answers = [meanwhile, GOOD]
    advance_run(installation.runtime, second)
    branch = installation.rows(RunRow, RunRow.root_id == second)[0]
    advance_run(installation.runtime, branch.id)
    calls = len(installation.script.calls)
    run = installation.run(run_id)
    assert (run.status, run.retries) == (RunStatus.WAITING, 1)
    failed_branch = installation.rows(
        RunRow, RunRow.root_id == run_id, RunRow.status == RunStatus.PENDING
    )
    assert [row.due_at for row in failed_branch] == [None]
    installation.carry_on()
    assert len(installation.script.calls) > calls
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert installation.run(second).status == RunStatus.SUCCEEDED

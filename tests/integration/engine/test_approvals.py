"""A step asks a person, the first decision counts, and nobody is asked in shadow mode."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.ids import new_id
from schemas.run_tables import RunRow, WaitRow
from schemas.workflow import RunStatus, StepStatus
from service import approvals, doubts
from service.errors import Conflict, NotFound
from service.runs import LEASE
from service.store import runs as runs_store
from service.unit_of_work import unit_of_work
from tests.integration.engine.installation import Installation

ASKS = """
name: asks
on: [{event: go}]
steps:
  - id: ask
    approval: {text: "Merge ${{ event.subject }}?", timeout: 4h}
  - {id: after, uses: robot.once, with: {name: "${{ steps.ask.by }}: ${{ steps.ask.note }}"}}
"""
GOES_ON = ASKS.replace("timeout: 4h", "timeout: 4h, on_reject: continue").replace(
    "steps.ask.note", "steps.ask.approved"
)
EACH_ASKS = """
name: each-asks
on: [{event: go}]
steps:
  - id: each
    for_each: "['a', 'b']"
    as: name
    steps:
      - {id: ask, approval: {text: "Stop ${{ name }}?"}}
"""


def decide(installation: Installation, run_id: UUID, *, approved: bool, **more: Any) -> None:
    runtime = installation.runtime
    values = {"step": "ask", "by": "ann", "note": None, "now": installation.now, **more}
    approvals.decide(runtime.database, runtime.queue, run_id=run_id, approved=approved, **values)


def asked(installation: Installation, text: str = ASKS) -> UUID:
    """Give a run that waits for a decision."""
    installation.workflow(text)
    run_id = installation.start(subject="#7")
    installation.carry_on_rung()
    return run_id


def test_an_approved_step_says_who_and_what_for(installation: Installation) -> None:
    run_id = asked(installation)
    (wait,) = installation.rows(WaitRow)
    assert (wait.kind, wait.due_at) == ("approval", installation.now + timedelta(hours=4))
    assert installation.step(run_id, "ask").output == {"text": "Merge #7?"}
    decide(installation, run_id, approved=True, note="all good")
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    output = installation.step(run_id, "ask").output
    assert (output["approved"], output["by"], output["note"]) == (True, "ann", "all good")
    assert (output["timed_out"], output["decided_at"]) == (False, "2026-11-01T12:00:00Z")
    assert output["text"] == "Merge #7?"
    (effect,) = installation.effects(run_id)
    assert effect.params == {"name": "ann: all good"}


def test_a_rejected_step_fails_its_run_or_lets_it_go_on(installation: Installation) -> None:
    run_id = asked(installation)
    decide(installation, run_id, approved=False, note="not on a Friday")
    installation.carry_on_rung()
    run = installation.run(run_id)
    assert run.status == RunStatus.FAILED
    assert run.error == {
        "step": "ask",
        "code": "rejected",
        "message": "rejected by ann: not on a Friday",
    }
    assert installation.script.calls == []


def test_on_reject_continue_goes_on_with_what_was_decided(installation: Installation) -> None:
    run_id = asked(installation, GOES_ON)
    decide(installation, run_id, approved=False)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    (effect,) = installation.effects(run_id)
    assert effect.params == {"name": "ann: false"}


@pytest.mark.parametrize("advanced", [False, True], ids=["at once", "later"])
def test_a_second_decision_is_told_who_decided(
    installation: Installation, *, advanced: bool
) -> None:
    run_id = asked(installation)
    decide(installation, run_id, approved=False, by="bob")
    if advanced:
        installation.carry_on_rung()
    with pytest.raises(Conflict, match="rejected by bob at 2026-11-01T12:00:00Z"):
        decide(installation, run_id, approved=True)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.FAILED


def test_what_does_not_wait_for_a_decision_is_a_conflict(installation: Installation) -> None:
    run_id = asked(installation)
    with pytest.raises(NotFound, match="step"):
        decide(installation, run_id, approved=True, step="after")
    with pytest.raises(NotFound, match="step"):
        decide(installation, run_id, approved=True, step="each[3].ask")
    with pytest.raises(NotFound, match="run"):
        decide(installation, new_id(), approved=True)
    decide(installation, run_id, approved=True)
    installation.carry_on_rung()
    with pytest.raises(Conflict, match="asks for no decision"):
        decide(installation, run_id, approved=True, step="after")


def test_nobody_decides_after_the_time_is_over(installation: Installation) -> None:
    run_id = asked(installation)
    installation.now += timedelta(hours=4)
    with pytest.raises(Conflict, match="time"):
        decide(installation, run_id, approved=True)
    installation.carry_on()
    assert (installation.run(run_id).error or {})["code"] == "approval_timeout"
    with pytest.raises(Conflict, match="nobody decided"):
        decide(installation, run_id, approved=True)


def test_nobody_decides_for_a_run_that_shall_end(installation: Installation) -> None:
    run_id = asked(installation)
    runtime = installation.runtime
    doubts.cancel_run(
        runtime.database, runtime.queue, run_id=run_id, who="ann", now=installation.now
    )
    with pytest.raises(Conflict, match="shall be cancelled"):
        decide(installation, run_id, approved=True)
    installation.carry_on_rung()
    with pytest.raises(Conflict, match="was cancelled"):
        decide(installation, run_id, approved=True)


def test_a_decision_reaches_a_run_that_is_being_carried_on(installation: Installation) -> None:
    run_id = asked(installation)
    with unit_of_work(installation.database, installation.bell) as work:
        runs_store.claim(work.session, run_id, owner="w", now=installation.now, ttl=LEASE)
    decide(installation, run_id, approved=True)
    installation.now += LEASE + timedelta(seconds=1)
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED


def test_a_step_in_a_branch_is_addressed_by_its_path_or_by_the_branch(
    installation: Installation,
) -> None:
    run_id = asked(installation, EACH_ASKS)
    (second,) = installation.rows(RunRow, RunRow.path == "each[1]")
    decide(installation, run_id, approved=True, step="each[0].ask")
    decide(installation, second.id, approved=True, step="ask")
    with pytest.raises(Conflict, match="approved by ann"):
        decide(installation, run_id, approved=True, step="each[1].ask")
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED


@pytest.mark.parametrize("text", [ASKS, EACH_ASKS], ids=["run", "branches"])
def test_in_shadow_mode_nobody_is_asked(installation: Installation, text: str) -> None:
    run_id = asked(installation, text + "mode: shadow\n")
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert installation.rows(WaitRow) == []
    for step in installation.steps("ask"):
        assert (step.status, step.output["approved"]) == (StepStatus.SUCCEEDED, True)
        assert (step.output["by"], step.output["note"]) == (None, "shadow: nobody was asked")


@pytest.mark.parametrize(
    ("tidying", "step"),
    [
        ('- {id: sure, approval: {text: "Undo it?"}}', "sure"),
        (
            "- {id: both, parallel: [[{id: sure, approval: {text: 'Undo it?'}}]]}",
            "both[0].sure",
        ),
    ],
    ids=["step", "branch"],
)
def test_what_tidying_up_asks_is_decided_though_the_run_was_cancelled(
    installation: Installation, tidying: str, step: str
) -> None:
    run_id = asked(installation, f"{ASKS}on_cancel:\n  {tidying}\n")
    runtime = installation.runtime
    doubts.cancel_run(
        runtime.database, runtime.queue, run_id=run_id, who="ann", now=installation.now
    )
    installation.carry_on_rung()
    with pytest.raises(Conflict, match="cancelled"):
        decide(installation, run_id, approved=True)
    decide(installation, run_id, approved=True, step=step, by="bob")
    installation.carry_on_rung()
    assert installation.run(run_id).status == RunStatus.CANCELLED
    (sure,) = installation.steps("sure")
    assert (sure.status, sure.output["by"]) == (StepStatus.SUCCEEDED, "bob")

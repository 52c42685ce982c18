"""`call`: a workflow that is a step of another, and how both ends learn of one another."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.configured_tables import WorkflowRow
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow, StepRow, WaitRow
from schemas.tables import EffectRow, EventRow
from schemas.workflow import RunStatus, StepStatus
from service import calling
from service.doubts import cancel_run
from service.errors import Refused
from service.runs import LEASE, advance_run
from service.starting import MOST_DEPTH
from service.store.marks import bump_mark
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made
from tests.integration.engine.workers import Killed, go_on_with_all

CALLER = """
name: caller
on: [{event: go}]
steps:
  - {id: sub, call: callee, with: {suite: "${{ event.subject }}"}}
  - {id: after, uses: robot.read, with: {name: "${{ steps.sub.word }}"}}
"""
CALLEE = """
name: callee
on:
  - manual: {inputs: {suite: {type: text, required: true}, times: {type: number, default: 2}}}
steps:
  - {id: work, uses: robot.once, with: {name: "${{ inputs.suite }}"}}
outputs: {word: "${{ inputs.suite }}", times: "${{ inputs.times }}"}
"""


@pytest.fixture
def called(installation: Installation) -> Installation:
    """An installation with a workflow that calls another."""
    installation.workflow(CALLEE)
    installation.workflow(CALLER)
    return installation


def callees(installation: Installation, workflow: str = "callee") -> list[RunRow]:
    rows: list[RunRow] = installation.rows(RunRow, RunRow.workflow == workflow)
    return sorted(rows, key=lambda run: run.id)


def begin(installation: Installation, **event: Any) -> tuple[UUID, UUID]:
    """Start a run and carry it on until it waits for the one it called."""
    run_id = installation.start(**{"subject": "smoke", **event})
    advance_run(installation.runtime, run_id)
    (callee,) = callees(installation)
    return run_id, callee.id


def cancel(installation: Installation, run_id: UUID) -> None:
    cancel_run(
        installation.database, installation.bell, run_id=run_id, who="ann", now=installation.now
    )


def test_a_called_run_gets_its_inputs_and_gives_its_outputs(called: Installation) -> None:
    run_id, callee_id = begin(called)
    (wait,) = called.rows(WaitRow)
    assert (wait.run_id, wait.kind, wait.step, wait.due_at) == (run_id, "call", "sub", None)
    assert called.advance(callee_id).status == RunStatus.SUCCEEDED
    assert called.advance(run_id).status == RunStatus.SUCCEEDED
    assert called.step(run_id, "sub").output == {
        "run_id": str(callee_id),
        "word": "smoke",
        "times": 2,
    }
    caller, callee = called.run(run_id), called.run(callee_id)
    (event,) = called.rows(EventRow, EventRow.type == "workflow.called")
    assert (event.origin, event.caused_by, event.depth) == ("own", run_id, 1)
    assert event.facts == {
        "workflow": "callee",
        "inputs": {"suite": "smoke", "times": 2},
        "run_id": str(run_id),
        "step": "sub",
    }
    assert (callee.event_id, callee.depth, callee.shadow) == (event.id, 1, False)
    assert callee.correlation_id == caller.correlation_id


def test_the_event_of_a_call_starts_and_wakes_nobody_else(called: Installation) -> None:
    called.workflow("name: nosy\non: [{event: '*'}]\nsteps: [{id: a, uses: robot.read}]\n")
    run_id = next(run.id for run in start_all(called) if run.workflow == "caller")
    advance_run(called.runtime, run_id)
    assert len(callees(called)) == 1
    assert len(callees(called, "nosy")) == 1


def start_all(installation: Installation) -> list[RunRow]:
    installation.ingest(installation.deliver({"type": "go", "subject": "smoke"}))
    rows: list[RunRow] = installation.rows(RunRow)
    return rows


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ("{}", "invalid_inputs", "needs the input `suite`"),
        ("{suite: 5}", "invalid_inputs", "must be a text"),
        ("{suite: a, sweet: b}", "invalid_inputs", "no input `sweet`"),
        ('{suite: a, times: "${{ [event.payload] }}"}', "invalid_inputs", "must be a number"),
    ],
)
def test_wrong_inputs_fail_the_step_and_start_nothing(
    called: Installation, given: str, code: str, told: str
) -> None:
    called.workflow(
        f"name: wrong\non: [{{event: wrong}}]\nsteps: [{{id: sub, call: callee, with: {given}}}]\n"
    )
    (run_id,) = called.ingest(called.deliver({"type": "wrong"}))
    run = called.advance(run_id)
    assert (run.status, run.error["code"]) == (RunStatus.FAILED, code)
    assert told in run.error["message"]
    assert callees(called) == []


@pytest.mark.parametrize("gone", [True, False])
def test_a_workflow_that_is_disabled_or_gone_cannot_be_called(
    called: Installation, *, gone: bool
) -> None:
    with called.database.turn_to_write(), called.database.session() as session:
        (row,) = called.rows(WorkflowRow, WorkflowRow.name == "callee")
        row = session.merge(row)
        if gone:
            session.delete(row)
        else:
            row.enabled = False
        bump_mark(session, "workflows")
        session.commit()
    run = called.advance(called.start(subject="s"))
    assert (run.status, run.error["code"]) == (RunStatus.FAILED, "unknown_workflow")


def test_a_run_that_was_called_goes_on_when_its_workflow_is_disabled(called: Installation) -> None:
    run_id, callee_id = begin(called)
    (row,) = called.rows(WorkflowRow, WorkflowRow.name == "callee")
    row.enabled = False
    called.store(row)
    called.advance(callee_id)
    assert called.advance(run_id).status == RunStatus.SUCCEEDED


def test_a_called_run_that_fails_fails_the_step_with_its_reason(called: Installation) -> None:
    called.script.answers = [Refused("no such suite", status=404)]
    run_id, callee_id = begin(called)
    assert called.advance(callee_id).status == RunStatus.FAILED
    run = called.advance(run_id)
    assert (run.status, run.error["code"]) == (RunStatus.FAILED, "called_run_failed")
    assert f"{callee_id} ended failed: no such suite" in run.error["message"]
    # Both have failed, and each is told of once.
    failures = called.rows(EventRow, EventRow.type == "run.failed")
    assert sorted(event.facts["workflow"] for event in failures) == ["callee", "caller"]


def test_a_called_run_that_is_cancelled_fails_the_step(called: Installation) -> None:
    run_id, callee_id = begin(called)
    cancel(called, callee_id)
    assert called.advance(callee_id).status == RunStatus.CANCELLED
    run = called.advance(run_id)
    assert (run.status, run.error["code"]) == (RunStatus.FAILED, "called_run_failed")
    assert "ended cancelled" in run.error["message"]


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ("concurrency: {when_busy: skip}", "skipped"),
        ("concurrency: {key: event.facts.nothing.at_all}", "skipped"),
    ],
)
def test_a_called_run_that_is_skipped_fails_the_step(
    installation: Installation, gate: str, told: str
) -> None:
    installation.workflow(CALLEE.replace("steps:", f"{gate}\nsteps:"))
    installation.workflow(CALLER)
    first = installation.start(subject="one")
    advance_run(installation.runtime, first)
    for run in callees(installation):
        installation.script.answers = [
            Done(Made(value=1)),
        ]
        begin_only(installation, run.id)
    second = installation.start(subject="two")
    go_on_with_all(installation)
    run = installation.run(second)
    assert (run.status, run.error and run.error["code"]) == (
        RunStatus.FAILED,
        "called_run_failed",
    )
    assert told in str(run.error)


def begin_only(installation: Installation, run_id: UUID) -> None:
    """Let a run begin and rest in its first step."""
    if installation.run(run_id).status != RunStatus.PENDING:
        return

    def die() -> Done:
        raise Killed

    answers, installation.script.answers = installation.script.answers, [die]
    with pytest.raises(Killed):
        advance_run(installation.another_worker(), run_id)
    installation.script.answers = answers


def test_who_cancels_the_caller_cancels_the_called_run_and_its_branches(
    installation: Installation,
) -> None:
    installation.workflow("""
name: callee
on: [{manual: {}}]
steps:
  - for_each: "[1, 2, 3]"
    max_parallel: 2
    steps: [{id: nap, sleep: 1h}]
""")
    installation.workflow(CALLER.replace(', with: {suite: "${{ event.subject }}"}', ""))
    run_id, callee_id = begin(installation)
    go_on_with_all(installation)
    assert installation.run(callee_id).status == RunStatus.WAITING
    cancel(installation, run_id)
    for _ in range(3):
        go_on_with_all(installation)
        installation.now += timedelta(seconds=10)
        installation.bell.rung.extend(
            AdvanceRun(run.id)
            for run in installation.rows(RunRow, RunRow.due_at <= installation.now)
        )
    runs = installation.rows(RunRow)
    assert {run.status for run in runs} == {RunStatus.CANCELLED}
    assert len(runs) == 2 + 2
    assert installation.now.hour == 12
    assert installation.rows(WaitRow) == []


def test_a_shadow_run_calls_a_shadow_run(called: Installation) -> None:
    called.workflow(
        CALLER.replace("name: caller", "name: shy\nmode: shadow").replace("go}", "shy}")
    )
    (run_id,) = called.ingest(called.deliver({"type": "shy", "subject": "s"}))
    advance_run(called.runtime, run_id)
    (callee,) = callees(called)
    assert callee.shadow is True
    called.advance(callee.id)
    assert called.advance(run_id).status == RunStatus.SUCCEEDED
    # Only the reading step of the caller has called anybody.
    assert len(called.script.calls) == 1
    assert {effect.state for effect in called.rows(EffectRow)} == {"shadowed"}


def test_a_workflow_that_calls_itself_comes_to_an_end(installation: Installation) -> None:
    installation.workflow("""
name: callee
on: [{event: go}, {manual: {}}]
steps: [{id: sub, call: callee}]
""")
    installation.start()
    go_on_with_all(installation)
    runs = callees(installation)
    assert {run.status for run in runs} == {RunStatus.FAILED}
    assert len(runs) == MOST_DEPTH + 1
    (deepest,) = [run for run in runs if run.error["code"] == "chain_too_long"]
    assert deepest.depth == MOST_DEPTH


def test_every_item_of_a_loop_calls_a_run_of_its_own(installation: Installation) -> None:
    installation.workflow(CALLEE)
    installation.workflow("""
name: caller
on: [{event: go}]
steps:
  - id: each
    for_each: '["a", "b", "c"]'
    as: suite
    max_parallel: 2
    collect: ${{ steps.sub.word }}
    steps: [{id: sub, call: callee, with: {suite: "${{ suite }}"}}]
""")
    run_id = installation.start()
    go_on_with_all(installation)
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "each").output["results"] == ["a", "b", "c"]
    runs = callees(installation)
    assert len(runs) == 3
    events = installation.rows(EventRow, EventRow.type == "workflow.called")
    assert {event.caused_by for event in events} == {run_id}


# --- crashes --------------------------------------------------------------------------------------


def test_a_run_is_called_once_though_its_callers_worker_is_killed(
    called: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = called.start(subject="smoke")

    def die(_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(calling, "Succeeded", die)
        with pytest.raises(Killed):
            advance_run(called.another_worker(), run_id)
    assert callees(called) == []
    called.now += LEASE + timedelta(seconds=1)
    advance_run(called.runtime, run_id)
    (callee,) = callees(called)
    called.advance(callee.id)
    assert called.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(called.rows(EventRow, EventRow.type == "workflow.called")) == 1


class ToldToStop(threading.Event):
    """A process that is told to stop when it has looked so many times whether it is."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def is_set(self) -> bool:
        self._looks -= 1
        return self._looks < 0


@pytest.mark.parametrize("looks", range(4))
def test_a_run_is_called_once_though_its_callers_worker_is_told_to_stop(
    called: Installation, looks: int
) -> None:
    run_id = called.start(subject="smoke")
    other = called.another_worker()
    other.stopping = ToldToStop(looks)
    advance_run(other, run_id)
    called.carry_on()
    assert called.run(run_id).status == RunStatus.SUCCEEDED
    assert len(callees(called)) == 1


def test_a_run_that_stands_in_line_is_called_once(installation: Installation) -> None:
    installation.workflow(CALLEE.replace("name: callee", "name: callee\nconcurrency: {limit: 1}"))
    installation.workflow(CALLER)
    started = [installation.start(subject=subject) for subject in ("smoke", "all")]
    installation.carry_on()
    ended = [installation.run(run_id).status for run_id in started]
    assert ended == [RunStatus.SUCCEEDED] * 2
    assert len(callees(installation)) == 2


def test_a_worker_killed_in_the_called_run_is_taken_over_and_answers_once(
    called: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, callee_id = begin(called)

    def die(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(calling, "call_answer", die)
        with pytest.raises(Killed):
            advance_run(called.another_worker(), callee_id)
    assert called.run(callee_id).status == RunStatus.RUNNING
    (step,) = called.rows(StepRow, StepRow.run_id == run_id)
    assert (step.status, step.answer) == (StepStatus.WAITING, None)
    called.now += LEASE + timedelta(seconds=1)
    assert called.advance(callee_id).status in {RunStatus.SUCCEEDED, RunStatus.WAITING}


def test_a_called_run_that_ends_again_does_not_answer_twice(called: Installation) -> None:
    run_id, callee_id = begin(called)
    called.advance(callee_id)
    answer = called.step(run_id, "sub").answer
    rung = len(called.bell.rung)
    advance_run(called.runtime, callee_id)
    assert (called.step(run_id, "sub").answer, len(called.bell.rung)) == (answer, rung)
    assert called.advance(run_id).status == RunStatus.SUCCEEDED

"""Shadow runs: nothing is changed, what would be is told, and real faults stay faults."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.run_tables import RunRow
from schemas.states import EffectState
from schemas.tables import AlertRow
from schemas.workflow import RunStatus, StepStatus
from service.runs import advance_run
from service.vendors.base import Done
from service.workflows.decisions import Failed, Succeeded
from service.workflows.document import parse_document
from service.workflows.simulated import Answer, SimulatedCall
from service.workflows.simulation import play
from tests.integration.engine.installation import START, Installation, Made


def document(*steps: str) -> str:
    lines = "".join(f"\n  - {step}" for step in steps)
    return f"name: shadowed\nmode: shadow\non: [{{event: go}}]\nsteps:{lines}\n"


MAKE = "{id: make, uses: robot.once, with: {name: made}}"
READ_MADE = '{id: look, uses: robot.read, with: {name: "${{ steps.make.value }}"}}'
READ_EVENT = '{id: look, uses: robot.read, with: {name: "${{ event.subject }}"}}'
WAIT_MADE = (
    "{id: come, wait_for: {event: made, if: event.facts.value == steps.make.value, timeout: 2h%s}}"
)


def played(installation: Installation, text: str, subject: str | None = None) -> RunRow:
    installation.workflow(text)
    return installation.advance(installation.start(subject=subject))


def test_a_step_that_needs_what_was_not_made_is_done_with_nulls(
    installation: Installation,
) -> None:
    run = played(installation, document(MAKE, READ_MADE))
    assert run.status == RunStatus.SUCCEEDED
    assert installation.script.calls == []
    assert installation.step(run.id, "look").output == {"value": None, "ready": None}


@pytest.mark.parametrize("before", [(), (MAKE,)])
def test_parameters_that_do_not_fit_by_themselves_fail_as_in_live_mode(
    installation: Installation, before: tuple[str, ...]
) -> None:
    run = played(installation, document(*before, READ_EVENT))
    assert run.status == RunStatus.FAILED
    assert (installation.step(run.id, "look").error or {})["code"] == "invalid_params"


def test_what_was_skipped_by_its_condition_is_no_excuse(installation: Installation) -> None:
    skipped = '{id: make, uses: robot.once, if: "false"}'
    run = played(installation, document(skipped, READ_MADE))
    assert (installation.step(run.id, "look").error or {})["code"] == "invalid_params"


def test_a_null_of_a_real_answer_is_no_excuse(installation: Installation) -> None:
    installation.script.answers = [Done(Made(value=None, ready=True))]
    read = "{id: make, uses: robot.read}"
    run = played(installation, document(read, READ_MADE))
    assert (installation.step(run.id, "look").error or {})["code"] == "invalid_params"


def test_reads_are_really_made(installation: Installation) -> None:
    installation.script.answers = [Done(Made(value=7, ready=True))]
    use = '{id: use, uses: robot.once, with: {name: "n${{ steps.look.value }}"}}'
    run = played(installation, document(READ_EVENT, use), subject="s")
    assert len(installation.script.calls) == 1
    [effect] = installation.effects(run.id)
    assert (effect.state, effect.params) == (EffectState.SHADOWED, {"name": "n7"})


def test_an_event_that_nothing_will_cause_is_not_waited_for(installation: Installation) -> None:
    run = played(installation, document(MAKE, WAIT_MADE % ""))
    assert (run.status, installation.now - START) == (RunStatus.SUCCEEDED, timedelta(0))
    step = installation.step(run.id, "come")
    assert (step.status, step.reason) == (
        StepStatus.SKIPPED,
        "shadow: what would cause the event was not done",
    )


def test_with_continue_its_time_is_over_at_once(installation: Installation) -> None:
    after = "{id: late, uses: robot.once, if: steps.come.timed_out, with: {name: late}}"
    run = played(installation, document(MAKE, WAIT_MADE % ", on_timeout: continue", after))
    assert installation.step(run.id, "come").output == {"event": None, "timed_out": True}
    assert [effect.step for effect in installation.effects(run.id)] == ["make", "late"]
    assert installation.now == START


def test_an_event_that_others_cause_is_waited_for(installation: Installation) -> None:
    fits = "event.subject == run.event.subject"
    wait = f"{{id: come, wait_for: {{event: made, if: {fits}, timeout: 2h}}}}"
    installation.workflow(document(MAKE, wait))
    run_id = installation.start(subject="s")
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == RunStatus.WAITING
    installation.ingest(installation.deliver({"type": "made", "subject": "s"}))
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert (installation.step(run_id, "come").output or {})["timed_out"] is False


def test_alerts_are_told_and_not_opened(installation: Installation) -> None:
    run = played(installation, document("{id: tell, uses: alert.open, with: {key: k, title: t}}"))
    assert run.status == RunStatus.SUCCEEDED
    assert installation.rows(AlertRow) == []
    [effect] = installation.effects(run.id)
    assert (effect.action, effect.state) == ("alert.open", EffectState.SHADOWED)
    assert (effect.params["key"], effect.connection) == ("k", "")


def answer(call: SimulatedCall) -> Answer:
    """Answer a played call as the scripted vendor does in a shadow run."""
    if not isinstance(call.params.get("name", ""), str):
        if not call.reads_unknown():
            return Answer(Failed("invalid_params", "no text", retryable=False))
        return Answer(Succeeded({"value": None, "ready": None}))
    made = call.action == "robot.read"
    return Answer(Succeeded({"value": 1 if made else None, "ready": made or None}))


@pytest.mark.parametrize(
    "steps",
    [
        (MAKE, READ_MADE),
        (MAKE, READ_EVENT),
        (MAKE, WAIT_MADE % ""),
        (MAKE, WAIT_MADE % ", on_timeout: continue"),
        (READ_EVENT,),
    ],
)
def test_a_run_goes_as_it_is_simulated(installation: Installation, steps: tuple[str, ...]) -> None:
    text = document(*steps)
    run = played(installation, text)
    event: dict[str, Any] = {"id": "e", "type": "go", "subject": None, "facts": {}}
    found = play(
        parse_document(text, filename="x.yaml", catalogue=None),
        event=event,
        script=answer,
        start=START,
        shadow=True,
    )
    assert found.status == run.status
    for step in found.steps:
        row = installation.step(run.id, step.path)
        assert (row.status, row.reason, row.output) == (step.status, step.reason, step.output)

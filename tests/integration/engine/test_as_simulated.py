"""The engine and the simulation make the same of a document: `workflow test` tells the truth."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.document import Document
from schemas.run_tables import RunRow, StepRow
from schemas.workflow import RunStatus
from service.doubts import cancel_run
from service.workflows.decisions import Succeeded
from service.workflows.document import parse_document
from service.workflows.simulated import Answer, Cancel, Later, Played
from service.workflows.simulation import play
from tests.integration.engine.installation import START, Installation

ANSWER = Answer(Succeeded({"value": 1, "ready": True}))
CHANGING = ("run_id", "event_id", "decided_at")
"""Outputs that differ from run to run."""
SUB = """
name: sub
on: [{manual: {inputs: {n: {type: number, default: 0}}}}]
steps:
  - {id: work, uses: robot.read, with: {name: "${{ string(10 / inputs.n) }}"}}
outputs: {n: "${{ inputs.n + 1 }}"}
"""
HEAD = "name: x\non: [{event: go}]\nsteps:\n"
TIDY = """  - {id: work, uses: robot.once}
  - {id: rest, sleep: 1h}
  - {id: never, uses: robot.once}
on_cancel:
  - id: each
    for_each: "[1, 2, 3]"
    max_parallel: 2
    collect: ${{ item }}
    steps:
      - {id: tidy, uses: robot.upsert, with: {name: "${{ string(item) }}"}}
  - {id: told, call: sub, with: {n: 5}}
  - {id: waits, wait_for: {event: nothing, timeout: 5m, on_timeout: continue}}
  - {id: last, uses: robot.read, with: {name: "${{ string(steps.told.n) }}"}}
"""
DOCUMENTS = {
    "plain": """  - {id: a, uses: robot.read}
  - {id: b, if: steps.a.value > 1, uses: robot.once}
  - {id: c, uses: robot.once, with: {name: "${{ string(steps.a.value) }}"}}
outputs: {value: "${{ steps.c.value }}"}
""",
    "poll given up": """  - id: a
    uses: robot.read
    poll: {every: 15s, until: output.value > 5, timeout: 1m}
on_failure:
  - id: both
    parallel:
      - [{id: told, uses: robot.once, with: {name: "${{ error.code }}"}}]
      - [{id: also, uses: robot.once, with: {name: "${{ error.step }} ${{ string(1 / 0) }}"}}]
  - {id: last, uses: robot.read}
""",
    "branches in branches": """  - id: each
    for_each: "[0, 1, 2]"
    max_parallel: 1
    on_error: continue
    collect: ${{ [item, steps.inner.results] }}
    steps:
      - id: inner
        for_each: "[1, 2]"
        as: by
        collect: ${{ by / item }}
        steps: [{id: note, uses: robot.read, with: {name: "${{ string(by / item) }}"}}]
  - id: both
    parallel:
      - [{id: left, uses: robot.once}, {sleep: 10m}]
      - [{id: right, uses: robot.once}]
  - {id: after, uses: robot.read, with: {name: "${{ string(steps.left.value) }}"}}
""",
    "a loop that breaks off": """  - id: each
    for_each: "[1, 0, 2]"
    max_parallel: 1
    steps: [{id: note, uses: robot.once, with: {name: "${{ string(1 / item) }}"}}]
""",
    "calls": """  - {id: good, call: sub, with: {n: 4}}
  - {id: bad, call: sub, with: {n: 0}, on_error: continue}
  - {id: none, call: nothing, on_error: continue}
outputs: {n: "${{ steps.good.n }}"}
""",
    "waiting": """  - id: both
    parallel:
      - - id: heard
          wait_for: {event: my.event, if: event.facts.n == 2, timeout: 1h}
      - - {sleep: 1m}
        - {id: first, emit: {type: my.event, facts: {n: 1}}}
        - {id: second, emit: {type: my.event, facts: {n: 2}}}
  - id: nobody
    approval: {text: ok?, timeout: 1h, on_timeout: approve}
  - id: yes
    approval: {text: ok?, timeout: 1h, on_reject: continue}
  - id: lost
    wait_for: {event: other.event, timeout: 1h}
""",
}


def told(status: str, output: Any) -> tuple[str, Any]:
    if isinstance(output, dict):
        # An awaited event is another one each time, but it stands for itself.
        output = {key: value for key, value in output.items() if key not in CHANGING}
        if isinstance(output.get("event"), dict):
            output["event"] = output["event"]["facts"]
    return status, output


def performed(installation: Installation, run: RunRow) -> dict[str, Any]:
    """The steps of a real run by their paths."""
    found = {}
    for row in installation.rows(RunRow):
        if run.id in {row.id, row.root_id}:
            prefix = f"{row.path}." if row.path else ""
            for step in installation.rows(StepRow, StepRow.run_id == row.id):
                found[prefix + step.step] = told(step.status, step.output)
    return found


def simulated(document: Document, *later: Later) -> tuple[Played, dict[str, Any]]:
    sub = parse_document(SUB, filename="sub", catalogue=None)
    played = play(
        document,
        event={"type": "go", "facts": {}},
        script=lambda _call: ANSWER,
        start=START,
        later=later,
        called=lambda name, _inputs: sub if name == "sub" else None,
    )
    calls = [path for path, _, _ in played.called]
    steps = {
        step.path: told(step.status.value, step.output)
        for step in played.steps
        if not any(step.path.startswith(f"{path}.") for path in calls)
    }
    return played, steps


def check(installation: Installation, run_id: Any, played: Played, steps: dict[str, Any]) -> None:
    run = installation.run(run_id)
    assert performed(installation, run) == steps
    assert (run.status, run.output) == (played.status, played.output)
    step_and_code = None if run.error is None else (run.error["step"], run.error["code"])
    assert step_and_code == (
        None if played.error is None else (played.error.step, played.error.code)
    )
    # Waking up takes the engine some milliseconds; nothing else may take longer or shorter.
    assert run.ended_at is not None
    late = (run.ended_at - START) - (played.ended_at - START)
    assert timedelta(0) <= late < timedelta(seconds=1)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_run_goes_as_it_was_simulated(installation: Installation, name: str) -> None:
    text = HEAD + DOCUMENTS[name]
    played, steps = simulated(parse_document(text, filename="x", catalogue=None))
    assert played.status.is_final
    installation.workflow(SUB)
    installation.workflow(text)
    run_id = installation.start()
    installation.carry_on()
    check(installation, run_id, played, steps)


def test_a_cancelled_run_tidies_up_as_it_was_simulated(installation: Installation) -> None:
    later = timedelta(minutes=10)
    document = parse_document(HEAD + TIDY, filename="x", catalogue=None)
    played, steps = simulated(document, Later(START + later, Cancel()))
    assert played.status is RunStatus.CANCELLED
    assert steps["each"][1]["results"] == [1, 2, 3]
    assert "never" not in steps
    installation.workflow(SUB)
    installation.workflow(HEAD + TIDY)
    run_id = installation.start()
    installation.carry_on_rung()
    installation.now = START + later
    cancel_run(
        installation.database, installation.bell, run_id=run_id, who="ann", now=installation.now
    )
    installation.carry_on()
    check(installation, run_id, played, steps)

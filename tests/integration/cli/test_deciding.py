"""A person settles a step in doubt, or cancels a run, at the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.ids import new_id
from schemas.run_tables import AttemptRow, RunRow, StepRow, WaitRow
from schemas.tables import EffectRow, EventRow
from service.cli.main import hookwright
from service.db import Database
from service.workflows.document import parse_document
from tests.integration.api.conftest import NOW, make_alert, make_event, make_run, make_workflow
from tests.integration.cli.conftest import END_S, Shell
from tests.servers import wait_until

WORKFLOW = """
name: doubtful
on: [{event: never.happens}]
steps:
  - id: heal
    uses: checksum.auto_heal
    with: {test_run_id: 6f2a1c9e-6f0b-4f5e-9a53-0d9c1f5b7a10}
"""

ASKS = """
name: asking
on: [{event: never.happens}]
steps: [{id: go, approval: {text: "Merge it?"}}]
"""


def make_doubt(shell: Shell) -> str:
    """Store a run that waits for a person on its step `heal`; gives its id."""
    name = f"doubtful-{new_id().hex[-12:]}"
    document = parse_document(
        WORKFLOW.replace("doubtful", name), filename="doubtful.yaml", catalogue=None
    )
    event: EventRow = make_event(name)
    workflow, version = make_workflow(name)
    version.document = document.model_dump(mode="json")
    run: RunRow = make_run(event, version, workflow=name)
    step = StepRow(
        run_id=run.id,
        step="heal",
        position=0,
        action="checksum.auto_heal",
        status="in_doubt",
        attempts=1,
        error={"code": "in_doubt", "message": "its answer never came"},
        started_at=NOW,
        attempted_at=NOW,
    )
    rows: list[Any] = [
        event,
        workflow,
        version,
        run,
        step,
        AttemptRow(step_id=step.id, run_id=run.id, number=1, status="in_doubt", started_at=NOW),
        WaitRow(run_id=run.id, step="heal", kind="person", since=NOW),
        EffectRow(
            key=name,
            run_id=run.id,
            step="heal",
            action="checksum.auto_heal",
            connection="checksum",
            state="in_doubt",
            intended_at=NOW,
        ),
        make_alert(f"in-doubt:{run.id}:heal", run_id=run.id),
    ]
    return save(shell, *rows)


def save(shell: Shell, *rows: Any) -> str:
    """Store rows; gives the id of the run among them."""
    (run_id,) = (str(row.id) for row in rows if isinstance(row, RunRow))
    database = Database(f"sqlite:///{shell.folder / '.hookwright/hookwright.db'}")
    with database.session() as session:
        for row in rows:
            session.add(row)
            session.flush()
        session.commit()
    database.dispose()
    return run_id


def ended(shell: Shell, run_id: str) -> dict[str, Any]:
    """Wait until the worker has brought the run to its end."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = json.loads(shell.run("run", "show", run_id, "--json"))
        return found if found["ended_at"] else None

    return wait_until(look, END_S, what="the run ends")


def test_the_timeline_names_the_command_and_the_command_lets_the_run_go_on(running: Shell) -> None:
    run_id = make_doubt(running)
    shown = running.run("run", "show", run_id)
    assert f"hookwright run settle {run_id} heal --took-effect" in shown
    output = '{"batch_id": "b1"}'
    said = running.run("run", "settle", run_id, "heal", "--took-effect", "--output", output)
    assert "heal took effect" in said
    run = ended(running, run_id)
    assert (run["status"], run["steps"][0]["output"]["batch_id"]) == ("succeeded", "b1")
    assert "--took-effect" not in running.run("run", "show", run_id)


def test_what_was_not_made_is_tried_again(running: Shell) -> None:
    run_id = make_doubt(running)
    told = json.loads(running.run("run", "settle", run_id, "heal", "--not-made", "--json"))
    assert (told["id"], told["steps"][0]["status"]) == (run_id, "pending")
    # There is no connection to try it with.
    run = ended(running, run_id)
    assert (run["status"], len(run["steps"][0]["attempts"])) == ("failed", 2)
    assert "there is no connection of checksum" in run["error"]["message"]


def test_a_second_decision_is_refused(running: Shell) -> None:
    run_id = make_doubt(running)
    running.run("run", "settle", run_id, "heal", "--took-effect")
    ended(running, run_id)
    said = running.run("run", "settle", run_id, "heal", "--not-made", code=1)
    assert "it succeeded" in said
    assert "it succeeded" in running.run("run", "cancel", run_id, code=1)


def test_a_run_that_waits_for_a_person_is_cancelled(running: Shell) -> None:
    run_id = make_doubt(running)
    assert "will end before its next step" in running.run("run", "cancel", run_id)
    assert ended(running, run_id)["status"] == "cancelled"
    assert json.loads(running.run("run", "cancel", run_id, "--json"))["status"] == "cancelled"
    # Whether its call took effect is as unknown as before.
    said = running.run("run", "settle", run_id, "heal", "--not-made")
    assert "the run stays as it ended: cancelled" in said
    assert "goes on" not in said


def make_question(shell: Shell) -> str:
    """Store a run that waits for a decision on its step `go`; gives its id."""
    name = f"asking-{new_id().hex[-12:]}"
    text = ASKS.replace("asking", name)
    document = parse_document(text, filename="asking.yaml", catalogue=None)
    event: EventRow = make_event(name)
    workflow, version = make_workflow(name)
    version.document = document.model_dump(mode="json")
    run: RunRow = make_run(event, version, workflow=name)
    step = StepRow(
        run_id=run.id,
        step="go",
        position=0,
        kind="approval",
        status="waiting",
        output={"text": "Merge it?"},
        started_at=NOW,
    )
    until = datetime.now(UTC) + timedelta(hours=1)
    wait = WaitRow(run_id=run.id, step="go", kind="approval", since=NOW, due_at=until)
    return save(shell, event, workflow, version, run, step, wait)


def test_what_waits_for_a_decision_is_listed_and_decided(running: Shell) -> None:
    run_id = make_question(running)
    listed = running.run("run", "list", "--waiting-for", "approval")
    assert "Merge it?" in next(line for line in listed.splitlines() if run_id in line)
    assert "hookwright run approve RUN STEP" in listed
    assert f"hookwright run approve {run_id} go" in running.run("run", "show", run_id)
    said = running.run("run", "approve", run_id, "go", "--reject", "--note", "not now")
    assert "go rejected" in said
    run = ended(running, run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "rejected")
    again = running.run("run", "approve", run_id, "go", code=1)
    assert "it was rejected by" in again
    assert run_id not in running.run("run", "list", "--waiting-for", "approval")
    shown = running.run("run", "show", run_id)
    assert "rejected by" in shown
    assert f"hookwright run retry {run_id}" in shown


def test_a_retried_run_asks_again(running: Shell) -> None:
    run_id = make_question(running)
    assert "has not ended" in running.run("run", "retry", run_id, code=1)
    running.run("run", "approve", run_id, "go", "--reject")
    ended(running, run_id)
    assert "the run goes on" in running.run("run", "retry", run_id)

    def waits() -> bool:
        found = json.loads(running.run("run", "show", run_id, "--json"))
        return bool(found["wait"]) and found["wait"]["kind"] == "approval"

    wait_until(waits, END_S, what="the run asks again")
    told = json.loads(running.run("run", "approve", run_id, "go", "--json"))
    assert (told["id"], told["retries"]) == (run_id, 1)
    assert ended(running, run_id)["status"] == "succeeded"


def test_what_is_not_there_is_said(running: Shell) -> None:
    run_id = make_doubt(running)
    said = running.run("run", "settle", run_id, "x", "--not-made", code=1)
    assert "no step `x`" in said
    assert f"`hookwright run show {run_id}` shows its steps" in said
    assert "there is no run" in running.run("run", "cancel", str(new_id()), code=1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--took-effect"),
        (["--took-effect", "--not-made"], "say one of"),
        (["--look-up", "--took-effect", "--output", "{}"], "say one of"),
        (["--took-effect", "--output", "{"], "--output"),
        (["--took-effect", "--output", "[1]"], "--output"),
        (["--not-made", "--output", "{}"], "--output"),
    ],
)
def test_a_wrong_use_is_told_before_anything_is_asked(arguments: list[str], named: str) -> None:
    done = CliRunner().invoke(hookwright, ["run", "settle", "0197c9bb", "heal", *arguments])
    assert done.exit_code == 2
    assert named in done.output


@pytest.mark.parametrize("command", ["approve", "settle", "cancel", "retry"])
def test_they_explain_themselves_with_an_example(command: str) -> None:
    said = CliRunner().invoke(hookwright, ["run", command, "--help"]).output
    assert f"hookwright run {command}" in said.partition("Example: ")[2]


def test_they_stand_beside_the_other_commands_of_runs() -> None:
    said = CliRunner().invoke(hookwright, ["run", "--help"]).output
    for command in ("list", "show", "approve", "settle", "cancel", "retry"):
        assert f"\n  {command} " in said


def test_what_is_in_doubt_is_listed_with_what_to_do(running: Shell) -> None:
    run_id = make_doubt(running)
    (found,) = (
        effect
        for effect in json.loads(running.run("effect", "list", "--state", "in_doubt", "--json"))
        if effect["run_id"] == run_id
    )
    listed = running.run("effect", "list", "--state", "in_doubt")
    assert "checksum.auto_heal" in listed
    shown = running.run("effect", "show", found["id"])
    assert f"hookwright run settle {run_id} 'heal' --took-effect" in shown
    refused = running.run("run", "settle", run_id, "heal", "--look-up", code=1)
    assert "checksum.auto_heal cannot be looked up" in refused

"""A person starts workflows at the terminal, and switches them off and on."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from service.cli.main import hookwright
from tests.integration.cli.conftest import Shell

NIGHTLY = """
name: nightly
on:
  - manual:
      inputs:
        suite: {type: text, default: smoke}
        times: {type: number, default: 1}
steps:
  - id: told
    uses: alert.open
    with: {key: "nightly:${{ inputs.suite }}", title: "${{ inputs.suite }} ${{ inputs.times }}"}
"""


@pytest.fixture(scope="module")
def nightly(running: Shell) -> Shell:
    (running.folder / "workflows" / "nightly.yaml").write_text(NIGHTLY)
    running.run("apply")
    return running


def test_a_workflow_is_started_and_followed_to_its_end(nightly: Shell) -> None:
    shown = nightly.run(
        "workflow", "start", "nightly", "--input", "suite=all", "--input", "times=3", "--follow"
    )
    assert "succeeded" in shown
    titles = [row["title"] for row in json.loads(nightly.run("alert", "list", "--json"))]
    assert "all 3" in titles


def test_a_workflow_is_started_anew_for_an_event(nightly: Shell) -> None:
    run = json.loads(nightly.run("workflow", "start", "nightly", "--json"))
    event_id = run["event"]["id"]
    told = json.loads(
        nightly.run("workflow", "start", "nightly", "--event", event_id, "--follow", "--json")
    )
    assert (told["event"]["id"], told["status"]) == (event_id, "succeeded")
    assert told["id"] != run["id"]


def test_a_workflow_that_is_switched_off_starts_nothing_also_when_it_is_applied_again(
    nightly: Shell,
) -> None:
    assert "starts no runs any more" in nightly.run("workflow", "disable", "nightly")
    nightly.run("apply")
    said = nightly.run("workflow", "start", "nightly", code=1)
    assert "disabled" in said
    assert "hookwright workflow enable nightly" in said
    told = json.loads(nightly.run("workflow", "enable", "nightly", "--json"))
    assert told["enabled"] is True
    assert "started; watch it: hookwright run show " in nightly.run("workflow", "start", "nightly")


def test_mistakes_are_said(nightly: Shell) -> None:
    said = nightly.run("workflow", "start", "nightly", "--input", "suit=all", code=1)
    assert "suite" in said
    assert "no workflow" in nightly.run("workflow", "start", "nobody", code=1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--input", "suite"], "name=value"),
        (["--input", "a=1", "--event", "0197c9bb"], "either --input or --event"),
    ],
)
def test_a_wrong_use_is_told_before_anything_is_asked(arguments: list[str], named: str) -> None:
    done = CliRunner().invoke(hookwright, ["workflow", "start", "nightly", *arguments])
    assert (done.exit_code, named in done.output) == (2, True)

"""`hookwright workflow test` as a user runs it."""

from __future__ import annotations

import json

import pytest

from tests.integration.cli.conftest import Shell

DOCUMENT = """
name: tell
on: [{event: test_run.failed, vendor: checksum}]
steps:
  - {id: tell, uses: slack.message, with: {key: k, text: "${{ event.facts.status }}"}}
"""
TESTS = """
defaults:
  event: {sample: checksum/test_run.completed+failed}
cases:
  - name: the channel is told
    actions: {tell: {returns: {}}}
    expect: {status: succeeded, effects: [{uses: slack.message, with: {text: failed}}]}
  - name: the channel is away
    actions: {tell: {fails: {code: refused, message: no such channel}}}
    expect: {status: WANTED, error: {step: tell, code: refused}}
"""


@pytest.fixture
def workflows(shell: Shell) -> Shell:
    folder = shell.folder / "flows" / "deeper"
    folder.mkdir(parents=True)
    (folder / "tell.yaml").write_text(DOCUMENT)
    (folder / "tell.test.yaml").write_text(TESTS.replace("WANTED", "failed"))
    return shell


def rewrite(shell: Shell, name: str, text: str) -> None:
    (shell.folder / "flows" / "deeper" / name).write_text(text)


@pytest.mark.parametrize(
    "paths", [[], ["flows"], ["flows/deeper/tell.yaml"], ["flows/deeper/tell.test.yaml"]]
)
def test_tests_are_found_by_file_folder_and_document(workflows: Shell, paths: list[str]) -> None:
    said = workflows.run("workflow", "test", *paths)
    assert "✓ the channel is told" in said
    assert "2 passed" in said


def test_a_failure_shows_what_differs_and_what_happened(workflows: Shell) -> None:
    rewrite(workflows, "tell.test.yaml", TESTS.replace("WANTED", "succeeded"))
    said = workflows.run("workflow", "test", "flows", code=1)
    assert "flows/deeper/tell.test.yaml:8" in said
    assert "- expected succeeded" in said
    assert "+ got      failed: tell: refused: no such channel" in said
    assert "what happened, in virtual time" in said
    assert "1 failed, 1 passed" in said
    assert "1 passed" in workflows.run("workflow", "test", "flows", "-k", "is TOLD")
    assert "no case has" in workflows.run("workflow", "test", "flows", "-k", "nothing", code=2)


def test_an_answer_that_is_missing_can_be_pasted(workflows: Shell) -> None:
    text = TESTS.replace("    actions: {tell: {returns: {}}}\n", "")
    rewrite(workflows, "tell.test.yaml", text.replace("WANTED", "failed"))
    said = workflows.run("workflow", "test", "flows", code=1)
    assert "`tell` calls slack.message, and no answer is given for it" in said
    assert "tell:\n          returns: " in said


def test_what_is_wrong_stops_its_file_alone(workflows: Shell) -> None:
    rewrite(workflows, "bad.test.yaml", TESTS.replace("cases", "case"))
    lost = TESTS.replace("defaults", "workflow: tel.yaml\ndefaults").replace("WANTED", "failed")
    rewrite(workflows, "lost.test.yaml", lost)
    said = workflows.run("workflow", "test", "flows", code=2)
    assert "bad.test.yaml:4:1" in said
    assert "did you mean `cases`?" in said
    assert "lost.test.yaml:2:11" in said
    assert "did you mean `tell.yaml`?" in said
    assert "2 files cannot be run, 2 passed" in said


def test_a_wrong_document_is_told_at_its_own_place(workflows: Shell) -> None:
    rewrite(workflows, "tell.yaml", DOCUMENT.replace("slack.message", "slack.mesage"))
    said = workflows.run("workflow", "test", "flows", code=2)
    assert "flows/deeper/tell.yaml:5:22" in said


def test_a_document_without_tests_and_a_folder_without_any(workflows: Shell) -> None:
    rewrite(workflows, "other.yaml", DOCUMENT)
    said = workflows.run("workflow", "test", "flows/deeper/other.yaml", code=1)
    assert "other.test.yaml" in said
    (workflows.folder / "empty").mkdir()
    assert "there is no *.test.yaml" in workflows.run("workflow", "test", "empty", code=2)


def test_programs_read_json(workflows: Shell) -> None:
    [report] = json.loads(workflows.run("workflow", "test", "flows", "--json"))
    assert report["passed"]
    assert report["workflow"].endswith("flows/deeper/tell.yaml")
    assert [case["name"] for case in report["cases"]] == [
        "the channel is told",
        "the channel is away",
    ]

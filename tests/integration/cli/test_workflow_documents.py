"""`workflow lint|graph|schema`, and what `init` writes for editors."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from service.published_schemas import published_schema
from tests.integration.cli.conftest import Shell

WRONG = """\
name: tell
on: [{event: test_run.failed}]
steps:
  - {id: tell, uses: slack.mesage, with: {text: "${{ event.facts.urll }}"}}
"""
CALLED = "name: called\non: [{manual: {inputs: {url: {type: text}}}}]\nsteps: [{sleep: 1s}]\n"
CALLER = """\
name: caller
on:
  - {event: "test_run.*", vendor: checksum}
  - cron: "0 7 * * *"
steps:
  - {id: audit, call: called, with: {url: a}}
"""
HEAD = "# yaml-language-server: $schema="


def test_lint_shows_the_line_and_points_at_the_place(shell: Shell) -> None:
    (shell.folder / "w.yaml").write_text(WRONG)
    said = shell.run("workflow", "lint", "w.yaml", code=1).splitlines()
    line = WRONG.splitlines()[3]
    assert said[:4] == [
        "w.yaml:4:22: there is no action `slack.mesage`",
        f"  4 | {line}",
        f"    | {' ' * line.index('slack')}^",
        "  hint: did you mean `slack.message`?",
    ]
    assert said[5].startswith("w.yaml:4:")
    assert said[7] == f"    | {' ' * line.index('event.facts')}^"
    assert said[-1] == "2 faults in 1 of 1"


def test_lint_as_json_gives_the_same(shell: Shell) -> None:
    (shell.folder / "w.yaml").write_text(WRONG)
    found = json.loads(shell.run("workflow", "lint", "w.yaml", "--json", code=1))
    assert [(item["file"], item["line"], item["column"]) for item in found] == [
        ("w.yaml", 4, 22),
        ("w.yaml", 4, WRONG.splitlines()[3].index("event.facts") + 1),
    ]
    assert all(item["message"] and item["hint"] for item in found)


def test_lint_without_files_checks_those_of_the_configuration(shell: Shell) -> None:
    shell.run("init")
    assert "nothing to say" in shell.run("workflow", "lint")
    (shell.folder / "workflows" / "caller.yaml").write_text(CALLER)
    said = shell.run("workflow", "lint", code=1)
    assert "there is no workflow `called`" in said
    (shell.folder / "workflows" / "called.yaml").write_text(CALLED)
    assert "nothing to say" in shell.run("workflow", "lint")


def test_lint_of_a_file_says_which_calls_it_did_not_check(shell: Shell) -> None:
    (shell.folder / "caller.yaml").write_text(CALLER)
    (shell.folder / "called.yaml").write_text(CALLED)
    said = shell.run("workflow", "lint", "caller.yaml")
    assert "calls to `called` were not checked" in said
    assert "not checked" not in shell.run("workflow", "lint", "caller.yaml", "called.yaml")
    assert shell.run("workflow", "lint", "caller.yaml", "--json").strip() == "[]"


def test_lint_finds_workflows_that_set_one_another_off(shell: Shell) -> None:
    (shell.folder / "a.yaml").write_text(
        "name: a\non: [{event: x.a}]\nsteps: [{emit: {type: x.b}}]"
    )
    (shell.folder / "b.yaml").write_text(
        "name: b\non: [{event: x.b}]\nsteps: [{emit: {type: x.a}}]"
    )
    said = shell.run("workflow", "lint", "a.yaml", "b.yaml", code=1)
    assert (
        "a.yaml:3:23: the workflow `a` would set itself off: its step `emit_1` makes `x.b`" in said
    )


def test_lint_reads_templates_beside_the_document(shell: Shell) -> None:
    text = WRONG.replace("mesage", "message").replace('"${{ event.facts.urll }}"', "{template: t}")
    (shell.folder / "w.yaml").write_text(text)
    (shell.folder / "t").write_text("Hello\n{{ event.facts.urll }}\n")
    said = shell.run("workflow", "lint", "w.yaml", code=1).splitlines()
    assert said[:2] == [
        "t:2:1: `event.facts.urll`: there is no `urll`",
        "  2 | {{ event.facts.urll }}",
    ]


def test_graph_shows_who_starts_whom(shell: Shell) -> None:
    (shell.folder / "caller.yaml").write_text(CALLER)
    (shell.folder / "called.yaml").write_text(CALLED)
    files = ("caller.yaml", "called.yaml")
    assert shell.run("workflow", "graph", *files).splitlines() == [
        "called",
        "  on by hand or a call",
        "caller",
        "  on test_run.* of vendor checksum",
        "  on cron 0 7 * * * (UTC)",
        "  step audit calls called",
    ]
    assert json.loads(shell.run("workflow", "graph", *files, "--json"))["links"] == [
        {"from": "caller", "to": "called", "step": "audit", "event": None}
    ]
    drawn = shell.run("workflow", "graph", *files, "--as", "mermaid")
    assert drawn.startswith("flowchart LR\n")
    assert '  w1 -- "calls" --> w0' in drawn


def test_graph_of_faulty_documents_tells_the_faults(shell: Shell) -> None:
    (shell.folder / "w.yaml").write_text(WRONG)
    assert "w.yaml:4:22" in shell.run("workflow", "graph", "w.yaml", code=1)


@pytest.mark.parametrize("name", ["workflow.json", "configuration.json", "workflow-test.json"])
def test_schema_is_printed_and_written(shell: Shell, name: str) -> None:
    printed = json.loads(shell.run("workflow", "schema", "--of", name))
    assert printed == published_schema(name)
    assert "wrote out.json" in shell.run("workflow", "schema", "--of", name, "--out", "out.json")
    assert json.loads((shell.folder / "out.json").read_text()) == printed
    assert "cannot be written" in shell.run("workflow", "schema", "--out", "no/x.json", code=1)


def test_every_file_of_init_names_a_schema_that_accepts_it(shell: Shell) -> None:
    shell.run("init")
    files = [shell.folder / "hookwright.yaml", *(shell.folder / "workflows").glob("*.yaml")]
    assert len(files) > 8
    for file in files:
        first = file.read_text().splitlines()[0]
        assert first.startswith(HEAD), file
        schema = json.loads((file.parent / first.removeprefix(HEAD)).read_text())
        assert list(_underlined(schema, file)) == [], file


def _underlined(schema: object, file: Path) -> list[str]:
    # Editors read times as texts, as YAML 1.2 has them.
    yaml = YAML(typ="safe", pure=True)
    yaml.constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: str(node.value))
    value = yaml.load(file.read_text())
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]

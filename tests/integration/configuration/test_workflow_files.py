"""Workflow documents of a configuration: checked with one another, their templates read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.configuration import Declared, read_configuration
from service.configuration_faults import FaultyConfigurationError

Write = Callable[..., Declared]
TEMPLATED = """\
name: tell
on: [{event: test_run.failed}]
steps:
  - {id: tell, uses: slack.message, with: {text: {template: %s}}}
"""
CALLED = """\
name: called
on: [{manual: {inputs: {url: {type: text, required: true}}}}]
steps: [{sleep: 1s}]
outputs: {report: "${{ run.url }}"}
"""
CALLER = """\
name: caller
on: [{event: test_run.failed}]
steps:
  - {id: audit, call: called, with: {url: a}}
  - {id: tell, uses: slack.message, with: {text: "${{ steps.audit.%s }}"}}
"""


@pytest.fixture
def read(tmp_path: Path) -> Write:
    """`read(name=text, …)` writes documents and templates and reads their configuration."""
    (tmp_path / "home" / "workflows" / "texts").mkdir(parents=True)
    (tmp_path / "home" / "hookwright.yaml").write_text("workflows: [workflows/*.yaml]\n")

    def write_and_read(files: dict[str, str]) -> Declared:
        for name, text in files.items():
            (tmp_path / "home" / "workflows" / name).write_text(text)
        return read_configuration(tmp_path / "home" / "hookwright.yaml", {})

    return write_and_read


def faults(read: Write, files: dict[str, str]) -> list[str]:
    with pytest.raises(FaultyConfigurationError) as caught:
        read(files)
    return [
        f"{Path(finding.file).name}:{finding.line}:{finding.column}: {finding.message}"
        for finding in caught.value.findings
    ]


def test_a_template_is_kept_in_the_document(read: Write) -> None:
    text = "Hello {{ event.subject }}\n"
    declared = read({"a.yaml": TEMPLATED % "texts/a.md.jinja", "texts/a.md.jinja": text})
    assert declared.workflows[0].document.templates == {"texts/a.md.jinja": text}


def test_a_fault_in_a_template_has_the_line_in_its_file(read: Write) -> None:
    text = "Hello\n{{ event.subjct }}\n"
    assert faults(read, {"a.yaml": TEMPLATED % "texts/a.jinja", "texts/a.jinja": text}) == [
        "a.jinja:2:1: `event.subjct`: there is no `subjct`"
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("../../outside.md", "lies outside of the configuration's folder"),
        ("texts/linked.md", "lies outside of the configuration's folder"),
        ("linked-folder/outside.md", "lies outside of the configuration's folder"),
        ("../../absent.md", "lies outside of the configuration's folder"),
        ("texts/circle.md", "cannot be read"),
        ("texts/pipe", "is no file"),
        ("texts/large.md", "has more than 64 Ki characters"),
        ("texts/absent.md", "there is no file"),
        ("/etc/hostname", "begins at the root of the machine"),
    ],
)
def test_only_files_of_the_configurations_folder_are_read(
    read: Write, tmp_path: Path, name: str, fault: str
) -> None:
    (tmp_path / "outside.md").write_text("secret")
    workflows = tmp_path / "home" / "workflows"
    (workflows / "texts" / "linked.md").symlink_to(tmp_path / "outside.md")
    (workflows / "linked-folder").symlink_to(tmp_path)
    (workflows / "texts" / "circle.md").symlink_to(workflows / "texts" / "circle.md")
    (workflows / "texts" / "large.md").write_text("x" * 300_000)
    os.mkfifo(workflows / "texts" / "pipe")
    [found] = faults(read, {"a.yaml": TEMPLATED % name})
    assert found.startswith("a.yaml:4:61: ")
    assert fault in found
    assert "secret" not in found


def test_a_template_beside_the_folder_of_workflows_is_in_the_configurations(
    read: Write, tmp_path: Path
) -> None:
    (tmp_path / "home" / "shared.md").write_text("hi")
    declared = read({"a.yaml": TEMPLATED % "../shared.md"})
    assert declared.workflows[0].document.templates == {"../shared.md": "hi"}


def test_calls_are_checked_across_files_whatever_their_order(read: Write) -> None:
    assert len(read({"a.yaml": CALLER % "report", "z.yaml": CALLED}).workflows) == 2
    assert faults(read, {"a.yaml": CALLER % "repord"}) == [
        "a.yaml:5:55: `steps.audit.repord`: there is no `repord`"
    ]


def test_a_called_document_with_faults_of_its_own_is_still_known(read: Write) -> None:
    broken = CALLED.replace("sleep: 1s", "sleep: 1")
    found = faults(read, {"a.yaml": CALLER % "report", "z.yaml": broken})
    assert [line.partition(":")[0] for line in found] == ["z.yaml"]


def test_workflows_that_set_one_another_off_are_refused(read: Write) -> None:
    one = "name: one\non: [{event: x.one}]\nsteps: [{emit: {type: x.two}}]\n"
    two = "name: two\non: [{event: x.two}]\nsteps: [{emit: {type: x.one}}]\n"
    [found] = faults(read, {"one.yaml": one, "two.yaml": two})
    assert found.startswith("one.yaml:3:23: the workflow `one` would set itself off: ")
    assert "two.yaml:2), whose step `emit_1` makes `x.one`" in found


def test_tests_beside_the_documents_are_none(read: Write) -> None:
    declared = read({"called.yaml": CALLED, "called.test.yaml": "tests: []\n"})
    assert [item.document.name for item in declared.workflows] == ["called"]

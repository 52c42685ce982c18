"""Documents as they are read, kept and read again; wrong ones as files in wrong/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.document import Document
from service.catalogue import build_catalogue
from service.workflows.catalogue import Catalogue
from service.workflows.document import (
    DocumentError,
    Finding,
    check_vars,
    merge_vars,
    parse_document,
)
from tests.unit.workflows.conftest import read_template

HERE = Path(__file__).parent
WRONG = sorted((HERE / "wrong").glob("*.yaml"))
DOCUMENTS = sorted((HERE / "documents").glob("*.yaml"))
MARK = "# expects "
GOOD = (HERE / "documents" / "heal-failed-run.yaml").read_text("utf-8")


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_wrong_document_is_refused_with_every_line_and_hint(
    path: Path, catalogue: Catalogue
) -> None:
    text = path.read_text("utf-8")
    expected = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]
    with pytest.raises(DocumentError) as caught:
        parse_document(text, filename="f", catalogue=catalogue, read_template=read_template)
    assert [str(finding).removeprefix("f:") for finding in caught.value.findings] == expected
    assert expected
    assert all(finding.hint for finding in caught.value.findings)


def test_there_are_wrong_documents_of_every_sort() -> None:
    expectations = [path.read_text("utf-8").partition(MARK)[2] for path in WRONG]
    assert len(WRONG) >= 150
    assert len(set(expectations)) >= 150


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_good_document_is_accepted_and_comes_back_from_its_row(
    path: Path, catalogue: Catalogue
) -> None:
    document = parse_document(
        path.read_text("utf-8"), filename="f", catalogue=catalogue, read_template=read_template
    )
    row = json.loads(json.dumps(document.model_dump(mode="json")))
    assert Document.model_validate(row) == document


def test_template_files_are_kept_in_the_document(catalogue: Catalogue) -> None:
    text = (HERE / "documents" / "every-construct.yaml").read_text("utf-8")
    document = parse_document(text, filename="f", catalogue=catalogue, read_template=read_template)
    written = (HERE / "documents" / "texts" / "comment.md.jinja").read_text("utf-8")
    assert document.templates["texts/comment.md.jinja"] == written
    assert set(document.templates) == {"inline", "texts/comment.md.jinja"}
    with pytest.raises(DocumentError, match="has no template `texts/comment"):
        parse_document(text, filename="f", catalogue=catalogue)


def test_the_shipped_form_is_accepted_and_comes_back_from_its_row_unchanged(
    heal_failed_run: Document,
) -> None:
    row = json.loads(json.dumps(heal_failed_run.model_dump(mode="json")))
    assert Document.model_validate(row) == heal_failed_run
    assert row["steps"][0]["with"]["test_run_id"] == "${{ event.subject }}"
    assert row["on"][0]["vendor"] == "checksum"
    assert heal_failed_run.step("tell_failure").uses == "slack.message"


def test_without_a_catalogue_only_what_depends_on_it_is_unchecked() -> None:
    text = GOOD.replace("steps.heal.batch_id", "steps.heal.batchid")
    assert parse_document(text, filename="f", catalogue=None).name == "heal-failed-run"
    with pytest.raises(DocumentError, match="there is no step `hael`"):
        parse_document(
            GOOD.replace("steps.heal.batch_id", "steps.hael.batch_id"),
            filename="f",
            catalogue=None,
        )


def test_the_error_names_file_and_place_and_has_a_stable_code(catalogue: Catalogue) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document("name: x\nsteps: []", filename="flows/x.yaml", catalogue=catalogue)
    assert caught.value.code == "workflow_invalid"
    started, empty = str(caught.value).splitlines()
    assert started.startswith("flows/x.yaml:1:1: `on` is missing (say what starts it, such as")
    assert empty == "flows/x.yaml:2:8: `steps` must not be empty (write at least one)"


def test_a_value_outside_of_a_closed_set_is_told_what_is_in_it() -> None:
    text = (
        "name: x\non: [{event: a.b}]\nsteps:\n"
        "  - {id: a, uses: alert.open, with: {key: k, title: t, severity: bad}}\n"
        "  - {id: b, uses: alert.open, with: {key: k, title: t, severity: warn}}\n"
    )
    with pytest.raises(DocumentError) as caught:
        parse_document(text, filename="f", catalogue=build_catalogue())
    bad, warn = caught.value.findings
    assert bad.message == "`severity`: should be 'info', 'warning' or 'critical', not 'bad'"
    assert bad.hint == "write one of these"
    assert warn.hint == "did you mean `warning`?"


def test_yaml_1_2_keeps_on_yes_and_dates_as_texts() -> None:
    text = (
        "on: [{event: a.b}]\nname: x\n"
        "vars: {a: yes, b: off, c: 2026-01-01, d: 0o17, e: .5, f: ~, g: 1e3, h: 010, i: !!str 5}\n"
        "steps: [{id: a, uses: b.c}]\n"
    )
    assert parse_document(text, filename="f", catalogue=None).vars == {
        "a": "yes",
        "b": "off",
        "c": "2026-01-01",
        "d": 15,
        "e": 0.5,
        "f": None,
        "g": 1000.0,
        "h": 10,
        "i": "5",
    }


def test_aliases_repeat_values() -> None:
    text = (
        "on: [{event: a.b}]\nname: x\nsteps:\n"
        "  - {id: a, uses: b.c, retry: &patient {attempts: 9}}\n"
        "  - {id: d, uses: b.c, retry: *patient}\n"
    )
    document = parse_document(text, filename="f", catalogue=None)
    assert document.step("d").retry == document.step("a").retry


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the document is empty"),
        ("# only a comment\n", "the document is empty"),
        ("x" * (256 * 1024 + 1), "at most 256 KiB"),
        ("[" * 5000, "nested more than 24 deep"),
        ("- " * 5000 + "a", "nested more than 24 deep"),
        ("%YAML 1.1\n---\nname: x", "only YAML 1.2 is read"),
        ("name: \x00", "this is no YAML"),
        ("name: .inf", "not finite"),
        ("vars: {n: 99999999999999999999}", "does not fit into 64 bits"),
        (f"vars: {{n: {'9' * 5000}}}", "does not fit into 64 bits"),
        ("? [a]\n: b", "a key must be a text"),
        ("5: b", "a key must be a text"),
        ("name: !secret x", "the tag !secret is not understood"),
        ("a: &a x\n" + "".join(f"b{n}: *a\n" for n in range(51)), "at most 50 aliases"),
        (
            "a: &a0 " + "[" * 16 + "]" * 16 + "\nb: &a1 " + "[" * 16 + "*a0" + "]" * 16 + "\n",
            "nested more than 24 deep",
        ),
        ("just a text", "a workflow document is a mapping"),
        ("null", "a workflow document is a mapping"),
    ],
)
def test_hostile_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        parse_document(text, filename="f", catalogue=None)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_documents_give_findings_and_never_another_error(
    data: st.DataObject, catalogue: Catalogue
) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    length = data.draw(st.integers(0, 12))
    put = data.draw(st.text(st.sampled_from("{}[]:,-&*!|>'\"%@`#?$ \n\tab\x85\u2028é"), max_size=6))
    text = GOOD[:start] + put + GOOD[start + length :]
    findings: tuple[Finding, ...] = ()
    try:
        parse_document(text, filename="f", catalogue=catalogue)
    except DocumentError as error:
        findings = error.findings
    assert all(1 <= finding.line <= len(text.splitlines()) + 1 for finding in findings)
    assert all(finding.column >= 1 for finding in findings)


def test_vars_of_the_installation_replace_declared_ones_only(heal_failed_run: Document) -> None:
    given_vars = {"selection": "@smoke", "selektion": "x"}
    merged = merge_vars(heal_failed_run, given_vars)
    assert merged["selection"] == "@smoke"
    assert merged["every"] == "15s"
    assert "selektion" not in merged
    with pytest.raises(DocumentError, match="did you mean `selection`"):
        check_vars(heal_failed_run, given_vars, filename="hookwright.yaml")
    check_vars(heal_failed_run, {"selection": "@smoke"}, filename="hookwright.yaml")

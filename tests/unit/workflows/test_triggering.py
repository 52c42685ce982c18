"""Workflows that would set themselves off are refused, with the whole way round in words."""

from __future__ import annotations

import pytest

from schemas.document import Document
from service.workflows.document import parse_document
from service.workflows.triggering import Member, circle_findings, circles, links_of

TELL = "steps: [{id: tell, uses: slack.message, with: {text: hi}}]"


def _member(name: str, on: str, *steps: str) -> Member:
    lines = "".join(f"  - {step}\n" for step in steps)
    text = f"name: {name}\non: [{on}]\nsteps:\n{lines or '  - {sleep: 1s}' + chr(10)}"
    return Member(parse_document(text, filename=name, catalogue=None), f"flows/{name}.yaml", text)


def _documents(*members: Member) -> list[Document]:
    return [member.document for member in members]


def test_one_that_emits_what_starts_it_is_refused_with_its_line() -> None:
    member = _member("again", "{event: deploy.*}", "{emit: {type: deploy.finished}}")
    [finding] = circle_findings([member])
    assert (finding.file, finding.line, finding.column) == ("flows/again.yaml", 4, 19)
    assert finding.message == (
        "the workflow `again` would set itself off: its step `emit_1` makes `deploy.finished` "
        "(flows/again.yaml:4), which starts `again` (flows/again.yaml:2)"
    )
    assert finding.hint is not None


def test_a_way_round_over_calls_and_events_is_told_whole() -> None:
    found = circle_findings(
        [
            _member("a", "{manual: {}}", "{emit: {type: deploy.finished}}"),
            _member("b", "{event: deploy.finished}", "{id: c, call: c}"),
            _member("c", "{manual: {}}", "{sleep: 1s}", "{id: back, call: a}"),
        ]
    )
    [finding] = found
    assert finding.message == (
        "the workflow `a` would set itself off: its step `emit_1` makes `deploy.finished` "
        "(flows/a.yaml:4), which starts `b` (flows/b.yaml:2), whose step `c` calls `c` "
        "(flows/b.yaml:4), whose step `back` calls `a` (flows/c.yaml:5)"
    )


@pytest.mark.parametrize(
    "step",
    [
        "{for_each: '[1]', steps: [{emit: {type: deploy.finished}}]}",
        "{parallel: [[{sleep: 1s}], [{emit: {type: deploy.finished}}]]}",
        "{emit: {type: deploy.finished}, if: 'false'}",
    ],
)
def test_neither_containers_nor_conditions_hide_it(step: str) -> None:
    assert circles(_documents(_member("a", "{event: '*', if: 'false'}", step)))


def test_it_is_found_in_on_failure_and_on_cancel() -> None:
    for section in ("on_failure", "on_cancel"):
        text = f"name: a\non: [{{event: x.y}}]\n{TELL}\n{section}: [{{emit: {{type: x.y}}}}]\n"
        document = parse_document(text, filename="a", catalogue=None)
        [finding] = circle_findings([Member(document, "a", text)])
        assert finding.line == 4


@pytest.mark.parametrize(
    ("action", "event"),
    [("alert.open", "alert.opened"), ("alert.resolve", "alert.resolved")],
)
def test_actions_of_our_own_make_events_too(action: str, event: str) -> None:
    step = f"{{id: a, uses: {action}, with: {{key: k, title: t}}}}"
    assert circles(_documents(_member("a", f"{{event: {event}}}", step)))
    assert circles(_documents(_member("a", "{event: alert.*}", step)))


@pytest.mark.parametrize(
    "trigger",
    [
        "{event: deploy.finished, vendor: checksum}",
        "{event: deploy.finished, source: door}",
        "{event: deploy.started}",
        "{cron: '0 7 * * *'}",
    ],
)
def test_what_no_event_of_ours_starts_is_no_circle(trigger: str) -> None:
    assert circles(_documents(_member("a", trigger, "{emit: {type: deploy.finished}}"))) == []


def test_own_events_by_their_vendor_are_one() -> None:
    trigger = "{event: deploy.finished, vendor: hookwright}"
    assert circles(_documents(_member("a", trigger, "{emit: {type: deploy.finished}}")))


def test_a_failure_that_starts_a_workflow_is_none_by_rule() -> None:
    assert circles(_documents(_member("a", "{event: run.failed}"))) == []


def test_a_chain_and_a_diamond_are_no_circle() -> None:
    members = [
        _member("a", "{manual: {}}", "{id: b, call: b}", "{id: c, call: c}"),
        _member("b", "{manual: {}}", "{id: d, call: d}"),
        _member("c", "{manual: {}}", "{id: d, call: d}"),
        _member("d", "{manual: {}}"),
    ]
    assert circle_findings(members) == []
    assert {(link.source, link.target) for link in links_of(_documents(*members))} == {
        ("a", "b"),
        ("a", "c"),
        ("b", "d"),
        ("c", "d"),
    }


def test_every_circle_is_told_once() -> None:
    members = [
        _member("a", "{manual: {}}", "{id: b, call: b}"),
        _member("b", "{manual: {}}", "{id: a, call: a}", "{id: c, call: c}"),
        _member("c", "{manual: {}}", "{id: c, call: c}"),
    ]
    assert [{link.source for link in circle} for circle in circles(_documents(*members))] == [
        {"a", "b"},
        {"c"},
    ]


def test_many_workflows_are_judged_soon() -> None:
    members = [
        _member(f"w{at}", f"{{event: x{at}.y}}", f"{{emit: {{type: x{at + 1}.y}}}}")
        for at in range(150)
    ]
    assert circle_findings(members) == []
    closed = [*members[:-1], _member("w149", "{event: x149.y}", "{emit: {type: x0.y}}")]
    assert len(circle_findings(closed)) == 1

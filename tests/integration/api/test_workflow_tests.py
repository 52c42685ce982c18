"""`POST /api/v1/workflows/test`: tests of a document that need not be applied."""

from __future__ import annotations

from typing import Any

import httpx

from service.tokens import Role
from tests.integration.api.conftest import Installation

DOCUMENT = """
name: tell
on: [{event: build.failed}]
steps:
  - {id: tell, uses: slack.message, with: {key: k, text: "${{ event.subject }}"}}
"""
TESTS = """
cases:
  - name: told
    event: {type: build.failed, subject: s1}
    actions: {tell: {returns: {}}}
    expect: {effects: [{uses: slack.message, with: {text: WANTED}}], took: 0s}
"""


def ask(face: Installation, document: str, tests: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {face.token_of(Role.OPERATOR)}"}
    body = {"document": document, "tests": tests}
    return face.client.post("/workflows/test", json=body, headers=headers)


def report(face: Installation, document: str, tests: str) -> Any:
    answer = ask(face, document, tests)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_tests_are_run_and_reported(face: Installation) -> None:
    found = report(face, DOCUMENT, TESTS.replace("WANTED", "s1"))
    assert (found["passed"], found["findings"]) == (True, [])
    [case] = found["cases"]
    assert (case["name"], case["passed"]) == ("told", True)
    found = report(face, DOCUMENT, TESTS.replace("WANTED", "s2"))
    [difference] = found["cases"][0]["differences"]
    assert (difference["expected"], difference["got"]) == ("s2", "s1")
    assert found["cases"][0]["timeline"][1]["name"] == "tell"


def test_what_is_wrong_is_told_with_its_place(face: Installation) -> None:
    found = report(face, DOCUMENT.replace("slack.message", "slack.mesage"), TESTS)
    assert (found["passed"], found["cases"]) == (False, [])
    assert (found["findings"][0]["file"], found["findings"][0]["line"]) == ("document", 5)
    found = report(face, DOCUMENT, TESTS.replace("expect:", "expects:"))
    assert found["findings"][0]["hint"] == "did you mean `expect`?"


def test_only_so_many_cases_are_run(face: Installation) -> None:
    cases = "\n".join(f"  - {{name: c{n}, expect: {{status: failed}}}}" for n in range(101))
    found = report(face, DOCUMENT, f"cases:\n{cases}")
    assert found["findings"][0]["message"] == "at most 100 cases are run here"
    assert found["findings"][0]["line"] == 102


def test_a_run_without_an_end_is_stopped(face: Installation) -> None:
    document = DOCUMENT.replace("slack.message", "checksum.heal_progress").replace(
        'with: {key: k, text: "${{ event.subject }}"}',
        "with: {batch_id: b}, poll: {every: 1s, until: 'false', timeout: 300d}",
    )
    tests = TESTS.replace(
        "{effects: [{uses: slack.message, with: {text: WANTED}}], took: 0s}", "{status: succeeded}"
    )
    found = report(face, document, tests)
    notes = [difference["note"] for difference in found["cases"][0]["differences"]]
    assert notes[0] == "it makes no end: it was stopped after many attempts"


def test_a_viewer_runs_no_tests(face: Installation) -> None:
    body = {"document": DOCUMENT, "tests": TESTS}
    assert face.client.post("/workflows/test", json=body).status_code == 403

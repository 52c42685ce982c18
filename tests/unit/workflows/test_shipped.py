"""The shipped workflows: their own tests, and what foreign texts can do in what they write."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from service.workflow_tests import FileReport, find_files, run_file
from service.workflows.yaml_tree import read_yaml

SHIPPED = Path(__file__).parents[3] / "examples" / "workflows"
FILES = find_files([SHIPPED])
NAMES = [file.name.removesuffix(".test.yaml") for file in FILES]
LEAST_CASES = 5
TEXT = "x <!channel> @everyone #1 <img src=x> [a](javascript:b) --> `c`\n\n@acme/team"
ADDRESS = "https://e.example/x\n\n@acme/team <img src=x> [a](javascript:b)|<!here>"
TEXTS = {
    *("name", "title", "error", "branch", "commit_sha", "run_id", "agent_name", "reason"),
    *("condition", "root_cause", "user_impact", "policy_result", "host", "path", "by", "note"),
}
ADDRESSES = {"url", "topup_url"}
FACTS: dict[str, Any] = {
    "test_run": {
        "suite": {"id": "suite_abc123", "name": TEXT},
        "failed_tests": [{"title": TEXT}],
        "branch": TEXT,
        "url": ADDRESS,
    },
    "visual_regression": {
        "suite": {"name": TEXT},
        "commit_sha": TEXT,
        "run_id": TEXT,
        "url": ADDRESS,
    },
    "credits": {"topup_url": ADDRESS},
    "check": {"name": TEXT, "url": ADDRESS},
    "agent_alert": {"agent_name": TEXT, "reason": TEXT, "condition": TEXT, "url": ADDRESS},
    "bug": {
        "title": TEXT,
        "tags": [TEXT],
        "run_id": TEXT,
        "url": ADDRESS,
        "severity": TEXT,
        "status": TEXT,
        "repository": TEXT,
    },
    "deployment_status": {"url": ADDRESS},
}
PICTURES = {"data": {"case_runs": [{"case_name": TEXT, "visual_regression_status": "fail"}]}}
FAMILIES = {
    "heal-failed-run": "test_run",
    "rerun-infrastructure-error": "test_run",
    "comment-visual-regression": "visual_regression",
    "alert-low-credits": "credits",
    "triage-failing-check": "check",
    "stop-misbehaving-agent": "agent_alert",
    "open-issue-for-bug": "bug",
    "audit-website-after-deploy": "deployment_status",
}
MARKDOWN = ("@everyone", "@acme", "<!", "<img", "<!--", "-->", "](javascript:")


def test_each_shipped_workflow_has_tests_and_no_text_is_left_over() -> None:
    documents = {
        path.stem for path in SHIPPED.glob("*.yaml") if not path.name.endswith(".test.yaml")
    }
    assert set(NAMES) == documents == set(FAMILIES)
    named = {
        match
        for name in documents
        for match in re.findall(r"template: (texts/\S+\.jinja)", _text(SHIPPED / f"{name}.yaml"))
    }
    assert named == {f"texts/{path.name}" for path in (SHIPPED / "texts").iterdir()}


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_its_own_tests_pass_and_tell_of_the_good_and_the_bad(file: Path) -> None:
    report = run_file(file)
    assert report.findings == ()
    assert [(case.name, case.differences, case.missing) for case in report.cases] == [
        (case.name, (), None) for case in report.cases
    ]
    assert len(report.cases) >= LEAST_CASES
    ends = {"not started" if case.played is None else case.played.status for case in report.cases}
    assert len(ends) > 1 or file.name.startswith("alert-")


@pytest.mark.parametrize("name", NAMES)
def test_what_others_wrote_mentions_nobody_and_opens_nothing(name: str, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path, dirs_exist_ok=True)
    file = tmp_path / f"{name}.test.yaml"
    file.write_text(json.dumps(_hostile(_plain(file), FAMILIES[name])), "utf-8")
    report = run_file(file)
    written = _written(report)
    assert written
    for action, text in written:
        if action.startswith("slack."):
            assert not set("<>") & set(text), text
        else:
            assert not [forbidden for forbidden in MARKDOWN if forbidden in text], text


def _written(report: FileReport) -> list[tuple[str, str]]:
    """Give what people read of all that the cases wrote; titles are plain text at GitHub."""
    assert report.findings == ()
    return [
        (call.action, str(call.params[key]))
        for case in report.cases
        for call, _answer in case.calls
        for key in ("text", "body", "description")
        if call.params.get(key) is not None
    ]


def _plain(file: Path) -> dict[str, Any]:
    found: Any = read_yaml(_text(file)).value
    assert isinstance(found, dict)
    return found


def _hostile(tests: dict[str, Any], family: str) -> dict[str, Any]:
    """Give the tests with hostile texts for what vendors and people say, and no expectations."""
    defaults = tests["defaults"]
    defaults["event"]["facts"] = {**defaults["event"].get("facts", {}), **FACTS[family]}
    if "selections" in defaults.get("vars", {}):
        defaults["vars"]["selections"] = {TEXT: "@login"}
    cases = [
        {**case, "vars": {}, "event": _without_facts(case), "expect": {"starts": True}}
        for case in tests["cases"]
        if case["expect"].get("starts") is not False
    ]
    if family == "visual_regression":
        defaults["event"]["payload"] = PICTURES
    changed: dict[str, Any] = _replaced({"defaults": defaults, "cases": cases})
    for case, plain in zip(changed["cases"], cases, strict=True):
        case["name"] = plain["name"]
    return changed


def _without_facts(case: dict[str, Any]) -> dict[str, Any]:
    given = case.get("event", {})
    return {key: value for key, value in given.items() if key not in {"facts", "payload"}}


def _replaced(value: Any) -> Any:
    if isinstance(value, list):
        return [_replaced(item) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        if key in TEXTS and isinstance(item, str):
            found[key] = TEXT
        elif key in ADDRESSES and isinstance(item, str):
            found[key] = ADDRESS
        elif key == "pr_urls":
            found[key] = [ADDRESS for _ in item]
        elif key == "fails" and isinstance(item, str):
            found[key] = {"code": item, "message": TEXT}
        else:
            found[key] = _replaced(item)
    return found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")

"""The timeline of a run tells what happened, in the order in which it happened."""

from __future__ import annotations

from typing import Any

import pytest

from service.cli import output
from service.cli.following import cloud_event
from service.cli.output import duration
from service.cli.timeline import render_run


def make_step(name: str, **more: Any) -> dict[str, Any]:
    return {
        "step": name,
        "kind": "uses",
        "action": "checksum.auto_heal",
        "status": "succeeded",
        "polls": 0,
        "round": 0,
        "answer": None,
        "output": None,
        "error": None,
        "reason": None,
        "started_at": "2026-11-21T12:00:00Z",
        "ended_at": "2026-11-21T12:00:02Z",
        "attempts": [],
        **more,
    }


def make_attempt(number: int, second: int, error: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "number": number,
        "status": "failed" if error else "succeeded",
        "started_at": f"2026-11-21T12:00:{second:02}Z",
        "ended_at": f"2026-11-21T12:00:{second:02}Z",
        "output": None,
        "error": error,
    }


def make_run(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "run-id",
        "workflow": "heal-failed-run",
        "version": 3,
        "status": "succeeded",
        "shadow": False,
        "reason": None,
        "error": None,
        "created_at": "2026-11-21T12:00:00Z",
        "ended_at": "2026-11-21T12:01:05Z",
        "event": {
            "type": "test_run.failed",
            "vendor": "vibeview",
            "subject": "sr9",
            "received_at": "2026-11-21T12:00:00Z",
            "facts": {
                "suite": {"name": "Login Flow"},
                "counts": {"failed": 1, "passed": 4},
                "repository": "acme/webapp",
                "pr_number": 42,
            },
        },
        "steps": list(steps),
        "wait": None,
        "effects": [],
        "retries": 0,
        "cancel_requested": False,
        "path": None,
        "item": None,
        "root_id": "run-id",
        "called_by": None,
        "calls": [],
        "events": [],
        "spreads": [],
        "branches": [],
        "output": None,
        **more,
    }


def make_wait(step: str, kind: str, words: str, **more: Any) -> dict[str, Any]:
    return {
        "run_id": "run-id",
        "path": None,
        "step": step,
        "kind": kind,
        "words": words,
        "question": None,
        "since": "2020-01-01T00:00:00Z",
        "due_at": None,
        **more,
    }


def lines(run: dict[str, Any]) -> list[str]:
    return render_run(run).plain.splitlines()


def line_with(run: dict[str, Any], words: str) -> str:
    found = [line for line in lines(run) if words in line]
    assert len(found) == 1, "\n".join(lines(run))
    return found[0]


def test_it_begins_with_the_event_and_ends_with_the_outcome() -> None:
    shown = lines(make_run(make_step("heal")))
    assert "heal-failed-run  version 3" in shown[0]
    assert any("◆ test_run.failed  vibeview  sr9" in line for line in shown)
    assert any("Login Flow · 1 failed, 4 passed · acme/webapp#42" in line for line in shown)
    assert shown[-1] == "╰─ ✓ succeeded after 1 min 5 s"


def test_a_step_tells_its_time_its_questions_and_its_links() -> None:
    output = {"pr_urls": ["https://github.com/acme/tests/pull/1"], "note": "no address"}
    run = make_run(make_step("healed", polls=3, output=output))
    assert "2.0 s · asked 3 times" in line_with(run, "healed")
    assert "↗ https://github.com/acme/tests/pull/1" in line_with(run, "https://")


def test_failed_attempts_are_told_with_the_waits_between_them() -> None:
    error = {"code": "rate_limited", "message": "slow down"}
    step = make_step("heal", attempts=[make_attempt(1, 0, error), make_attempt(2, 4)])
    run = make_run(step)
    assert "2 attempts" in line_with(run, "checksum.auto_heal")
    assert "attempt 1: slow down · waited 4.0 s" in line_with(run, "↻")


def test_a_failure_is_told_once_with_its_code() -> None:
    error = {"code": "refused", "message": "no such channel"}
    failed = make_step("tell", status="failed", error=error)
    effect = {
        "step": "tell",
        "state": "not_made",
        "connection": "slack",
        "target": "#qa",
        "error": "no such channel",
    }
    run = make_run(failed, status="failed", effects=[effect])
    assert "refused: no such channel" in line_with(run, "no such channel")
    assert "did not change slack #qa" in line_with(run, "#qa")


def test_in_shadow_mode_what_would_be_changed_is_told_with_its_parameters() -> None:
    effect = {
        "step": "tell",
        "action": "alert.open",
        "state": "shadowed",
        "connection": "",
        "target": None,
        "params": {"key": "k", "title": "it is\nlate", "details": None},
        "error": None,
    }
    run = make_run(make_step("tell"), shadow=True, effects=[effect])
    assert "would change alert.open" in line_with(run, "would change")
    assert "title: it is late" in line_with(run, "title")
    assert "shadow: effects are only recorded" in line_with(run, "only recorded")


def test_what_was_skipped_says_why_and_what_waits_says_until_when() -> None:
    skipped = make_step("pull", status="skipped", reason="its condition is false: " + "x" * 200)
    waiting = make_step("healed", status="waiting", ended_at=None)
    run = make_run(
        skipped,
        waiting,
        status="waiting",
        ended_at=None,
        wait=make_wait("healed", "poll", "asks again", due_at="2020-01-01T00:00:00Z"),
    )
    assert "its condition is false" in line_with(run, "○")
    assert len(line_with(run, "○")) < 120
    assert "asks again until 20" in line_with(run, "asks")
    assert lines(run)[-1] == "╰─ ◔ waiting"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_long_lines_are_folded_beside_the_rail_and_errors_are_never_cut(width: int) -> None:
    words = " ".join(f"word{number}" for number in range(60))
    error = {"code": "refused", "message": words}
    run = make_run(
        make_step("pull", status="skipped", reason="its condition is false: " + "x == y " * 9),
        make_step("tell", status="failed", error=error),
        status="failed",
        error=error,
    )
    shown = render_run(run, width=width).plain.splitlines()
    assert max(len(line) for line in shown) <= width
    assert {line[0] for line in shown} <= set("╭│◆○✗╰ ")
    end = next(at for at, line in enumerate(shown) if line.startswith("╰"))
    assert not any(line.startswith(" ") for line in shown[:end])
    for part in (shown[:end], shown[end:]):
        told = " ".join(" ".join(part).replace("│", " ").split())
        assert words in told
    assert words in render_run(run).plain.splitlines()[-2]


def test_what_waits_for_a_person_names_the_command_to_settle_it() -> None:
    run = make_run(
        make_step("heal", status="in_doubt", ended_at=None),
        status="waiting",
        ended_at=None,
        wait=make_wait("heal", "person", "waits for a person"),
    )
    assert "waits for a person since 20" in line_with(run, "waits")
    settle = line_with(run, "settle")
    assert "hookwright run settle run-id heal --took-effect (or --not-made)" in settle


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0111, "11 ms"),
        (59.94, "59.9 s"),
        (61, "1 min 1 s"),
        (7260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_time_spans_are_told_in_the_units_that_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_event_is_a_cloud_event_without_empty_attributes() -> None:
    event = {
        "id": "e1",
        "vendor": "vibeview",
        "source": None,
        "type": "credits.low",
        "vendor_type": "poll",
        "subject": None,
        "time": "2026-11-21T12:00:00Z",
        "correlation_id": "c1",
        "caused_by": None,
        "facts": {"tier": "warn"},
    }
    assert cloud_event(event, {"balance": 1}) == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/vibeview/poll",
        "type": "credits.low",
        "time": "2026-11-21T12:00:00Z",
        "datacontenttype": "application/json",
        "vendortype": "poll",
        "correlationid": "c1",
        "data": {"facts": {"tier": "warn"}, "payload": {"balance": 1}},
    }


def test_colours_hold_for_what_they_are_given_to_alone() -> None:
    run = make_run(make_step("heal"))
    shown = render_run(run)
    styles = {str(span.style) for span in shown.spans if span.end - span.start == len(shown.plain)}
    assert styles <= {""}
    outcome = shown.plain.index(" after 1 min")
    coloured = [span for span in shown.spans if span.start <= outcome < span.end and span.style]
    assert coloured == []


def test_what_waits_for_a_decision_tells_the_question_and_the_command() -> None:
    step = make_step("go", kind="approval", action=None, status="waiting", ended_at=None)
    wait = make_wait("go", "approval", "waits for a decision", question="Merge\nit?")
    run = make_run(step, status="waiting", ended_at=None, wait=wait)
    assert "waits for a decision since 20" in line_with(run, "waits for")
    assert "Merge it?" in line_with(run, "Merge")
    assert "hookwright run approve run-id go (or --reject)" in line_with(run, "run approve")
    decided = {"decided_at": "2026-11-21T12:00:00Z", "timed_out": False, "approved": False}
    step["answer"] = decided | {"by": "ann", "note": "no", "text": "Merge it?"}
    assert "it is decided" in line_with(run, "◔ it")
    assert "“Merge it?” rejected by ann: no" in line_with(run, "rejected")


def test_branches_are_counted_and_those_that_need_somebody_are_named() -> None:
    step = make_step("each", kind="for_each", action=None, status="waiting", ended_at=None)
    spread = {
        "step": "each",
        "total": 10_000,
        "begun": 3_204,
        "under_way": 4,
        "succeeded": 3_199,
        "failed": 1,
        "cancelled": 0,
    }
    branch: dict[str, Any] = {
        "id": "b7",
        "path": "each[7]",
        "step": "each",
        "status": "failed",
        "wait": None,
    }
    branch["error"] = {"step": "note", "code": "refused", "message": "no"}
    wait = make_wait("go", "approval", "waits for a decision", run_id="b9", path="each[9]")
    waiting = {"id": "b9", "path": "each[9]", "step": "each", "status": "waiting", "error": None}
    run = make_run(
        step,
        status="waiting",
        ended_at=None,
        wait=make_wait("each", "branches", "3,200 of 10,000 done, 4 under way"),
        spreads=[spread],
        branches=[branch, waiting | {"wait": wait}],
    )
    told = line_with(run, "10,000")
    assert "3,200 of 10,000 done: 3,199 succeeded, 1 failed, 4 under way, 6,796 not begun" in told
    assert "note: refused: no" in line_with(run, "each[7]")
    assert "hookwright run approve run-id 'each[9].go'" in line_with(run, "run approve")
    assert "and 3 more" in line_with(run, "GET /api/v1/runs/run-id/branches")


def test_a_retried_run_says_so_and_what_was_for_an_earlier_end_is_left_out() -> None:
    told = make_step("tell", status="pending", round=1, started_at=None, ended_at=None)
    run = make_run(make_step("heal"), told, retries=2, output={"url": "https://x.example"})
    assert "retried 2 times" in lines(run)[0]
    assert not any("tell" in line for line in lines(run))
    assert lines(run)[-1] == "   url: https://x.example"


def test_a_branch_and_a_called_run_say_what_they_belong_to() -> None:
    caller = {"id": "c1", "workflow": "nightly", "step": "audit"}
    run = make_run(path="each[3]", root_id="r1", item={"url": "/"}, called_by=caller)
    assert "branch each[3] of run r1" in line_with(run, "branch")
    assert 'for {"url": "/"}' in line_with(run, "for {")
    assert "called by nightly · audit  run c1" in line_with(run, "called by")


def test_the_events_of_a_run_stand_in_columns_by_when_they_were_received() -> None:
    further: list[dict[str, Any]] = [
        {
            "type": kind,
            "subject": subject,
            "time": "2020-05-05T05:05:00Z",
            "received_at": "2026-11-21T12:00:07Z",
        }
        for kind, subject in (("visual_regression.warned", "sr10"), ("test_run.failed", None))
    ]
    run = make_run(events=further)
    received = output.moment("2026-11-21T12:00:07Z")
    events = [line for line in lines(run) if line.startswith(("◆", "◇"))]
    assert [line.endswith(f" {received}") for line in events[1:]] == [True, True]
    at = events[1].index(received)
    assert events[0].index(output.moment(run["event"]["received_at"])) == at
    assert events[2].index(received) == at
    assert events[0].index("sr9") == events[1].index("sr10")


def test_events_about_nothing_leave_no_gap() -> None:
    run = make_run()
    run["event"] = {**run["event"], "subject": None}
    received = output.moment(run["event"]["received_at"])
    assert line_with(run, "◆") == f"◆ test_run.failed  vibeview  {received}"

"""The eight shipped workflows over real sockets, on one machine and on many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.house import REPOSITORY, Twins, send, signed, steps, suite_run
from tests.e2e.shipped_house import Run, ShippedHouse, one_house
from tests.twin_forks import start_twin

HEAL = "heal-failed-run"
COMMENT = "comment-visual-regression"
CREDITS = "alert-low-credits"
RERUN = "rerun-infrastructure-error"
ISSUE = "open-issue-for-bug"
TRIAGE = "triage-failing-check"
STOP = "stop-misbehaving-agent"
AUDIT = "audit-website-after-deploy"
RULE = "6f1d2c7a-5b0e-4f5e-9b1a-2f4f6f0f9c11"
BEGAN = datetime.now(UTC) - timedelta(minutes=5)
ALERTS = count()
"""Each alert is of a second of its own: two of one rule within one are one and the same."""
PACE_S = 0.15

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], running_twins: Twins
) -> Iterator[ShippedHouse]:
    """One house of each kind for all tests here."""
    with ExitStack() as stack:
        more = {
            name: stack.enter_context(start_twin(name, pace=PACE_S))
            for name in ("checkly", "checkview", "checkrd")
        }
        site = one_house(
            tmp_path_factory.mktemp("shipped"), environment, twins=running_twins, **more
        )
        stack.enter_context(site.house.running())
        yield site


@pytest.fixture
def site(running: ShippedHouse) -> ShippedHouse:
    running.begin()
    return running


def on_a_pull_request(site: ShippedHouse, **more: Any) -> dict[str, Any]:
    """Give a suite run of a pull request that no other test has, and a branch of its own."""
    number = 1000 + len(site.seen)
    branch = f"feature/{uuid4().hex[:8]}"
    site.twins.github.lever(
        "pulls", {"repo": REPOSITORY, "number": number, "head_sha": "ab" * 20, "branch": branch}
    )
    metadata = {"pr_number": number, "repo": REPOSITORY, "branch": branch}
    return suite_run(**more) | {"metadata": metadata, "run_id": f"sr{uuid4().hex[:9]}"}


# --- heal-failed-run ------------------------------------------------------------------------------


def test_a_heal_is_proven_by_running_the_healed_tests_again(site: ShippedHouse) -> None:
    site.twins.checksum.lever("outcomes", {"runs": ["failed", "passed"], "heals": ["pr"]})
    data = on_a_pull_request(site)
    send(site.house, signed("run.failed", data))
    run = site.succeeded(HEAL, data["run_id"])
    dispatch, proof = site.effects("checksum", "/execution/grep")
    assert dispatch["body"]["grep"] == "@login"
    (pull,) = steps(run)["healed"]["output"]["pr_urls"]
    assert proof["body"]["branch"] == f"checksum/heal-{pull.rpartition('/')[2]}"
    assert proof["body"]["grep"] != "@login"
    (message,) = site.messages()
    assert "Healed and proven: *Login Flow*" in message
    assert pull in message
    (comment,) = site.comments()
    assert "### Failing tests were healed, and pass" in comment
    assert pull in comment


def test_a_heal_whose_proof_fails_is_told_so_and_the_proof_is_not_healed(
    site: ShippedHouse,
) -> None:
    site.twins.checksum.lever("outcomes", {"runs": ["failed", "failed"], "heals": ["pr"]})
    data = on_a_pull_request(site)
    send(site.house, signed("run.failed", data))
    run = site.succeeded(HEAL, data["run_id"])
    (message,) = site.messages()
    assert "Healed, but not proven: *Login Flow*" in message
    proof = steps(run)["proof"]["output"]["test_run_id"]

    def told() -> list[Any]:
        events = site.get("/events", type="test_run.failed", limit=100)["data"]
        return [event for event in events if event["subject"] == proof]

    (event,) = site.wait(told, "the poll has found the failed proof")
    assert not [run for run in site.runs(HEAL) if run["event"]["id"] == event["id"]]
    assert site.effects("checksum", "/auto-heal") == []


def test_a_suspected_bug_is_told_and_becomes_an_issue(site: ShippedHouse) -> None:
    site.twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["bugs"]})
    data = on_a_pull_request(site)
    send(site.house, signed("run.failed", data))
    run = site.succeeded(HEAL, data["run_id"])
    test_run_id = steps(run)["healed"]["output"]["test_run_id"]
    site.succeeded(ISSUE, f"suspected:{test_run_id}")
    (issue,) = site.issues("Login Flow fails, and its tests are right")
    assert issue["state"] == "open"
    (comment,) = site.comments()
    assert "### The failure looks like a bug" in comment
    site.wait(lambda: len(site.messages()) == 2, "the channel is told of the bug and of its issue")
    # The run that failed is one we started: the poll finds it, and it is not healed once more.
    (polled,) = site.ended(HEAL, test_run_id)
    assert steps(polled)["heal"]["output"]["already_healing"] is True
    assert len(site.messages()) == 2


# --- comment-visual-regression --------------------------------------------------------------------


def test_30_warnings_of_one_run_are_one_run_and_one_comment(site: ShippedHouse) -> None:
    data = on_a_pull_request(site) | {"type": "test_run", "visual_regression_status": "warn"}
    del data["case_runs"]
    whole = data["run_id"]
    for number in range(30):
        case = {"run_id": f"{whole}-{number}", "case_name": f"Picture {number:02} @everyone"}
        warning = signed("visual.regression_warning", {**data, "suite_run_id": whole, **case})
        assert send(site.house, warning).status_code == 202

    run = site.succeeded(COMMENT, whole)
    assert run["reason"]
    (comment,) = site.comments()
    assert "### 🟡 Visual drift in Login Flow" in comment
    assert "@everyone" not in comment
    assert comment.count("- Picture") == 30
    assert len(site.runs(COMMENT)) == 1


# --- alert-low-credits ----------------------------------------------------------------------------


def test_a_low_credit_that_is_told_late_is_checked_before_it_is_believed(
    site: ShippedHouse,
) -> None:
    full = {"allowance_micro": 0, "prepaid_micro": 50_000_000, "low_balance": False}
    site.twins.vibeview.lever("balance", full)
    late = datetime.now(UTC) - timedelta(hours=2)
    send(site.house, signed("billing.credits_low", {"prepaid_micro": 1_000_000}, at=late))
    site.succeeded(CREDITS)
    assert site.messages() == []
    assert site.alert("credits:vibeview:default") is None
    site.twins.vibeview.lever("balance", {"low_balance": True})
    send(site.house, signed("billing.credits_low", {"prepaid_micro": 1_000_001}, at=late))
    site.ended(CREDITS, count=2)
    (message,) = site.messages()
    assert ":warning: Credit is low at vibeview: $1.00 left." in message


# --- rerun-infrastructure-error -------------------------------------------------------------------


def test_a_run_of_checksum_that_broke_off_is_started_again_without_a_word(
    site: ShippedHouse,
) -> None:
    branch = f"b-{uuid4().hex[:8]}"
    told: Any = site.twins.checksum.lever("runs", {"status": "process-error", "branch": branch})
    run = site.succeeded(RERUN, told["id"])
    assert steps(run)["checksum_end"]["output"]["succeeded"] is True
    assert len(site.effects("checksum", "/execution/grep")) == 1
    assert site.messages() == []


def test_a_flow_that_breaks_off_again_and_again_is_started_twice_and_told_once(
    site: ShippedHouse,
) -> None:
    site.checkview.lever("outcomes", {"runs": ["error", "error", "error", "error"]})
    site.checkview.lever("runs", {"statuses": ["error"], "test_flow_id": "def-456"})
    runs = site.ended(RERUN, count=3)
    assert [run["status"] for run in runs] == ["succeeded", "succeeded", "skipped"]
    (message,) = site.messages()
    assert "was started again, and broke off again" in message
    assert len(steps(runs[0])) > 0
    site.checkview.lever("outcomes", {"runs": []})


def test_a_suite_of_vibeview_that_broke_off_is_started_with_its_metadata(
    site: ShippedHouse,
) -> None:
    data = on_a_pull_request(site) | {"status": "error"}
    send(site.house, signed("run.failed", data))
    site.succeeded(RERUN)
    (started,) = site.effects("vibeview", "*suite*")
    assert started["body"]["metadata"]["pr_number"] == data["metadata"]["pr_number"]
    assert site.messages() == []


# --- open-issue-for-bug ---------------------------------------------------------------------------


def test_a_bug_is_one_issue_that_is_closed_when_it_is_fixed(site: ShippedHouse) -> None:
    bug = {"id": f"bug-{uuid4().hex[:8]}", "severity": "critical", "tags": ["@checkout"]}
    title = f"Prices are wrong @acme/team {bug['id']}"
    site.twins.checksum.lever("bugs", {**bug, "title": title, "status": "needs-triage"})
    site.succeeded(ISSUE)
    (issue,) = site.issues(str(bug["id"]))
    assert "@acme" not in issue["body"]
    (message,) = site.messages()
    assert ":beetle:" in message
    site.twins.checksum.lever("bugs", {**bug, "title": title, "status": "fixed"})
    site.ended(ISSUE, count=2)
    (closed,) = site.issues(str(bug["id"]))
    assert (closed["number"], closed["state"]) == (issue["number"], "closed")
    site.twins.checksum.lever("bugs", {**bug, "title": title, "status": "confirmed"})
    site.ended(ISSUE, count=3)
    (again,) = site.issues(str(bug["id"]))
    assert (again["number"], again["state"]) == (issue["number"], "open")
    assert len(site.messages()) == 1


# --- triage-failing-check -------------------------------------------------------------------------


def fails(site: ShippedHouse, classification: str | None, **more: Any) -> str:
    """Let a check of its own fail; gives its id."""
    check = f"check-{uuid4().hex[:8]}"
    site.checkly.lever("checks", {"id": check, "name": "Check out as guest"})
    analyses = [{"classification": classification, "rootCause": "a <cause> @here"}]
    site.checkly.lever("outcomes", {"analyses": analyses if classification else [], **more})
    alert = {"types": ["ALERT_FAILURE"], "checks": [check], "error": f"no button in {check}"}
    site.checkly.lever("alerts", alert)
    return check


def recovers(site: ShippedHouse, check: str) -> None:
    site.checkly.lever("alerts", {"types": ["ALERT_RECOVERY"], "checks": [check]})


def test_an_application_that_fails_is_paged_at_once_and_resolved_when_it_recovers(
    site: ShippedHouse,
) -> None:
    check = fails(site, "APPLICATION_ERROR")
    site.succeeded(TRIAGE, check)
    alert = site.alert(f"check:{check}")
    assert alert is not None
    assert (alert["state"], alert["severity"]) == ("open", "critical")
    (message,) = site.messages()
    assert message.startswith(":rotating_light: *Check out as guest* fails")
    assert "Cause, says Checkly: a &lt;cause&gt;" in message
    assert site.effects("checkly", "*trigger*") == []
    recovers(site, check)
    site.ended(TRIAGE, check, count=2)
    (message,) = site.messages()
    assert message.startswith(":white_check_mark: Resolved: *Check out as guest*")


def test_an_environment_that_failed_is_run_again_and_nobody_is_paged(site: ShippedHouse) -> None:
    check = fails(site, "NETWORK_ERROR", checks=["PASSED"])
    run = site.succeeded(TRIAGE, check)
    assert steps(run)["session"]["output"]["succeeded"] is True
    assert steps(run)["page"]["status"] == "skipped"
    (message,) = site.messages()
    assert "passed when it was run again" in message


def test_a_test_that_is_at_fault_is_healed(site: ShippedHouse) -> None:
    site.twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    check = fails(site, "TEST_ERROR")
    run = site.succeeded(TRIAGE, check)
    (dispatch,) = site.effects("checksum", "/execution/grep")
    assert dispatch["body"]["grep"] == "@checkout"
    (pull,) = steps(run)["healed"]["output"]["pr_urls"]
    assert steps(run)["page"]["status"] == "skipped"
    (message,) = site.messages()
    assert f"The test was healed; review and merge: {pull}" in message


def test_without_analyses_a_check_that_fails_again_is_paged(site: ShippedHouse) -> None:
    site.checkly.fault("status", path="*/root-cause-analyses/*", status=402, body={})
    check = fails(site, None, checks=["FAILED"])
    run = site.succeeded(TRIAGE, check)
    site.checkly.clear_faults()
    assert steps(run)["session"]["output"]["succeeded"] is False
    (message,) = site.messages()
    assert "Checkly gave no cause." in message
    assert "It failed again when it was run again." in message


# --- stop-misbehaving-agent -----------------------------------------------------------------------


def misbehaves(site: ShippedHouse) -> Run:
    """Let an agent's alert fire, and wait until a person is asked."""
    site.checkrd.reset()
    at = BEGAN + timedelta(seconds=next(ALERTS))
    site.checkrd.lever("evaluate", {"rule_id": RULE, "value": 0.31, "at": at.isoformat()})

    def asked() -> list[Run]:
        return [
            run for run in site.runs(STOP) if any("Stop the agent" in x for x in site.messages())
        ]

    run: Run = site.wait(asked, "a person is asked")[0]
    return run


def press(site: ShippedHouse, answer: str, run: Run) -> None:
    asked = {"action_id": f"hookwright_{answer}", "holding": run["id"], "username": "dana"}
    site.twins.slack.lever("press", {**asked, "receiver": f"{site.house.url}/hooks/slack"})


def agent(site: ShippedHouse) -> dict[str, Any]:
    found: Any = site.checkrd.state()["agents"]
    return dict(found[0])


def test_a_rejected_agent_is_left_running(site: ShippedHouse) -> None:
    asked = misbehaves(site)
    press(site, "reject", asked)
    run = site.succeeded(STOP)
    assert agent(site)["kill_switch_active"] is False
    assert steps(run)["stop"]["status"] == "skipped"
    assert any("is left running: rejected by dana" in text for text in site.messages())


def test_an_approved_agent_is_stopped_once_and_confirmed(site: ShippedHouse) -> None:
    asked = misbehaves(site)
    press(site, "approve", asked)
    run = site.succeeded(STOP)
    assert agent(site)["kill_switch_active"] is True
    audit: Any = site.checkrd.state()["audit"]
    assert f"[hookwright {run['correlation_id']}]" in audit[0]["metadata"]["reason"]
    assert len(site.effects("checkrd", "*/kill-switch")) == 1
    assert any("is stopped, approved by dana" in text for text in site.messages())


# --- audit-website-after-deploy -------------------------------------------------------------------


def deployed(site: ShippedHouse, **more: Any) -> str:
    sha = uuid4().hex + "00000000"
    site.twins.github.lever(
        "deployments",
        {
            "sha": sha,
            "environment": "production",
            "url": "https://example.com",
            "receiver": f"{site.house.url}/hooks/github",
            **more,
        },
    )
    return sha


def statuses(site: ShippedHouse, sha: str) -> list[tuple[str, str]]:
    found: Any = site.twins.github.state()["statuses"]
    return [
        (status["state"], status["description"])
        for status in found
        if status["sha"] == sha and status["context"].startswith("checkview/")
    ]


def test_a_deployed_website_is_tested_and_its_commit_says_how_it_went(site: ShippedHouse) -> None:
    site.checkview.lever("outcomes", {"runs": ["passed", "failed"]})
    sha = deployed(site)
    run = site.succeeded(AUDIT)
    assert steps(run)["runs"]["output"]["count"] == 2
    assert statuses(site, sha)[-1] == ("failure", "1 of 2 test flows passed")
    sha = deployed(site)
    site.ended(AUDIT, count=2)
    assert statuses(site, sha)[-1] == ("success", "2 of 2 test flows passed")


def test_a_deployment_that_is_not_meant_or_not_known_gets_no_status(site: ShippedHouse) -> None:
    preview = deployed(site, environment="preview")
    progress = deployed(site, state="in_progress")
    unknown = deployed(site, url="https://elsewhere.example")
    run = site.succeeded(AUDIT)
    assert steps(run)["pending"]["status"] == "skipped"
    assert [statuses(site, sha) for sha in (preview, progress, unknown)] == [[], [], []]


def test_a_newer_deployment_ends_the_audit_of_an_older_one(site: ShippedHouse) -> None:
    site.checkview.set(pace=2.0)
    older = deployed(site)
    site.wait(lambda: statuses(site, older), "the older one is under way")
    site.checkview.set(pace=0.15)
    newer = deployed(site)
    runs = site.ended(AUDIT, count=2)
    assert [run["status"] for run in runs] == ["cancelled", "succeeded"]
    assert [state for state, _ in statuses(site, older)] == ["pending", "error"]
    assert [state for state, _ in statuses(site, newer)] == ["pending", "success"]


def test_a_second_alert_of_an_agent_asks_no_second_question(site: ShippedHouse) -> None:
    asked = misbehaves(site)
    site.checkrd.lever("alerts", {"count": 1})
    rules: Any = site.checkrd.state()["rules"]
    (other,) = [rule["id"] for rule in rules if rule["id"] != RULE]
    site.checkrd.lever("evaluate", {"rule_id": other, "value": 1000})
    site.wait(
        lambda: [run["status"] for run in site.runs(STOP)][1:] == ["skipped"],
        "the second alert came and was passed over",
    )
    press(site, "reject", asked)
    (first, _) = site.ended(STOP, count=2)
    assert first["status"] == "succeeded"
    assert len([text for text in site.messages() if "Stop the agent" in text]) == 1

"""Three workflows that need no further vendors, over real sockets, on one machine and on many."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e.house import END_S, REPOSITORY, House, Twins, send, signed, suite_run
from tests.servers import wait_until

HEAL = "heal-failed-run"
COMMENT = "comment-visual-regression"
ALERT = "alert-low-credits"

# Deadlines are for a machine that is busy with other things; nothing here waits for them.
pytestmark = pytest.mark.timeout(300)


def comments(twins: Twins) -> list[dict[str, Any]]:
    found = twins.github.state()["comments"]
    assert isinstance(found, list)
    return found


def messages(twins: Twins) -> list[dict[str, Any]]:
    found = twins.slack.state()["messages"]
    assert isinstance(found, list)
    return found


def taken(answer: httpx.Response) -> httpx.Response | None:
    return None if answer.status_code == 503 else answer


def steps(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["step"]: step for step in run["steps"]}


@pytest.fixture(autouse=True)
def pull_request(twins: Twins) -> None:
    twins.github.lever(
        "pulls",
        {"repo": REPOSITORY, "number": 42, "head_sha": "ab" * 20, "branch": "feature/checkout"},
    )


def test_a_failed_run_of_another_vendor_is_mapped_to_a_self_healing_one_and_reported(
    house: House, twins: Twins
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    assert send(house, signed("run.failed", suite_run())).status_code == 202
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    (dispatch,) = twins.checksum.effects(method="POST", path="/execution/grep")
    assert dispatch["body"]["grep"] == "@login"
    assert dispatch["body"]["autoHeal"]["autoCreatePR"] is True
    assert twins.checksum.effects(method="POST", path="/auto-heal") == []
    healed = steps(run)["healed"]["output"]
    assert healed["all_terminal"] is True
    assert len(healed["pr_urls"]) == 1
    (comment,) = comments(twins)
    assert healed["pr_urls"][0] in comment["body"]
    (message,) = messages(twins)
    assert "Healed" in message["text"]


def test_a_failed_run_of_checksum_found_by_polling_is_healed_once_and_reported(
    make_house: Callable[..., House], twins: Twins
) -> None:
    house = make_house(polls=True)
    twins.checksum.lever("outcomes", {"heals": ["pr"]})
    twins.checksum.lever("runs", {"status": "failed", "branch": "main"})
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    (heal,) = twins.checksum.effects(method="POST", path="/auto-heal")
    assert heal["body"]["testRunId"] == run["event"]["subject"]
    assert steps(run)["healed"]["output"]["all_terminal"] is True
    (message,) = messages(twins)
    assert "Healed" in message["text"]


def test_a_heal_that_finds_only_bugs_is_reported_as_a_suspected_bug(
    house: House, twins: Twins
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["bugs"]})
    send(house, signed("run.failed", suite_run()))
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    (message,) = messages(twins)
    assert "Bug suspected" in message["text"]


def test_a_heal_that_cannot_be_begun_is_told_and_the_run_fails(house: House, twins: Twins) -> None:
    twins.checksum.fault("status", method="POST", path="*/execution/grep", status=403, body={})
    send(house, signed("run.failed", suite_run()))
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "failed"
    assert run["error"]["step"] == "dispatched"
    (message,) = messages(twins)
    assert "could not be healed" in message["text"]


def test_a_visual_regression_is_one_comment_kept_up_to_date_and_cleared(
    house: House, twins: Twins
) -> None:
    now = datetime.now(UTC)
    end = "visual.run_completed_with_regressions"
    send(house, signed(end, suite_run("passed", "warn"), at=now))
    house.ended_runs(COMMENT, 1)
    (comment,) = comments(twins)
    assert "Visual drift" in comment["body"]
    assert "@everyone" not in comment["body"]
    send(house, signed(end, suite_run("passed", "fail"), at=now + timedelta(seconds=1)))
    house.ended_runs(COMMENT, 2)
    (updated,) = comments(twins)
    assert updated["id"] == comment["id"]
    assert "Visual regression" in updated["body"]
    send(house, signed("run.passed", suite_run("passed", "ok"), at=now + timedelta(seconds=2)))
    house.ended_runs(COMMENT, 3)
    (cleared,) = comments(twins)
    assert cleared["id"] == comment["id"]
    assert "No visual drift now" in cleared["body"]
    # A warning that comes late tells of a time before the clean run: it changes nothing.
    send(house, signed(end, suite_run("passed", "warn"), at=now + timedelta(milliseconds=500)))
    house.ended_runs(COMMENT, 4)
    assert comments(twins) == [cleared]


def test_what_a_vendor_says_mentions_nobody_and_opens_nothing(house: House, twins: Twins) -> None:
    data = suite_run(
        "passed",
        "warn",
        commit_sha="@octocat",
        run_url="https://e/x\n\n@acme/team <img src=x> [a](javascript:b)",
        suite_name="--> @everyone <!-- hookwright:x -->",
    )
    send(house, signed("visual.run_completed_with_regressions", data))
    (run,) = house.ended_runs(COMMENT)
    assert run["status"] == "succeeded", run["error"]
    (comment,) = comments(twins)
    _marker, _, said = comment["body"].partition("\n")
    for forbidden in ("@octocat", "@acme", "@everyone", "<img", "<!--", "-->", "javascript:b)"):
        assert forbidden not in said


def test_a_clean_run_begins_no_comment(house: House, twins: Twins) -> None:
    send(house, signed("run.passed", suite_run("passed", "ok")))
    (run,) = house.ended_runs(COMMENT)
    assert run["status"] == "succeeded"
    assert comments(twins) == []


def test_a_pull_request_that_nobody_names_is_found_by_the_commit(
    house: House, twins: Twins
) -> None:
    data = suite_run("passed", "warn", commit_sha="ab" * 20, metadata={"repo": REPOSITORY})
    send(house, signed("visual.run_completed_with_regressions", data))
    (run,) = house.ended_runs(COMMENT)
    assert run["status"] == "succeeded", run["error"]
    assert len(comments(twins)) == 1


def test_low_credit_by_polling_alone_is_one_message_that_ends_resolved(
    make_house: Callable[..., House], twins: Twins
) -> None:
    house = make_house(polls=True)
    twins.vibeview.lever("balance", {"allowance_micro": 0, "prepaid_micro": 4_000_000})
    wait_until(lambda: messages(twins), END_S, what="a message")
    twins.vibeview.lever("balance", {"allowance_micro": 0, "prepaid_micro": 0})
    wait_until(lambda: "used up" in messages(twins)[0]["text"], END_S, what="it is used up")
    # Above the floor but below the floor times 1.2: still the same alert.
    twins.vibeview.lever("balance", {"allowance_micro": 0, "prepaid_micro": 5_500_000})
    twins.vibeview.lever("balance", {"allowance_micro": 0, "prepaid_micro": 50_000_000})
    wait_until(lambda: "Resolved" in messages(twins)[0]["text"], END_S, what="it is resolved")
    assert len(messages(twins)) == 1
    (alert,) = house.get("/alerts")["data"]
    assert alert["state"] == "resolved"


def test_low_credit_by_billing_webhooks_alone_is_one_message_that_ends_resolved(
    house: House, twins: Twins
) -> None:
    now = datetime.now(UTC)
    for number, (event, words) in enumerate(
        [
            ("billing.credits_low", "low"),
            ("billing.credits_depleted", "used up"),
            ("billing.topup_completed", "Resolved"),
        ]
    ):
        data = {"allowance_micro": 0, "prepaid_micro": 1_000_000 - number}
        send(house, signed(event, data, at=now + timedelta(seconds=number)))
        house.ended_runs(ALERT, number + 1)
        (message,) = messages(twins)
        assert words in message["text"]
    (alert,) = house.get("/alerts")["data"]
    assert (alert["state"], alert["severity"]) == ("resolved", "critical")


def test_the_same_delivery_sent_100_times_at_once_is_done_once(house: House, twins: Twins) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    webhook = signed("run.failed", suite_run("failed", "fail"))
    answers: list[httpx.Response] = []

    def deliver() -> None:
        # A vendor sends again what was answered 503.
        answers.append(wait_until(lambda: taken(send(house, webhook)), END_S))

    threads = [threading.Thread(target=deliver) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted({answer.status_code for answer in answers}) == [200, 202]
    assert [answer.status_code for answer in answers].count(202) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1
    (heal,) = house.ended_runs(HEAL)
    (comment,) = house.ended_runs(COMMENT)
    assert (heal["status"], comment["status"]) == ("succeeded", "succeeded")
    assert len(house.get("/deliveries")["data"]) == 1
    assert len(twins.checksum.effects(method="POST", path="/execution/grep")) == 1
    markers = [text["body"].splitlines()[0] for text in comments(twins)]
    assert len(markers) == len(set(markers)) == 2
    assert len(messages(twins)) == 1


def test_a_stopped_installation_ends_well_and_goes_on_where_it_was(
    house: House, twins: Twins
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    twins.checksum.set(pace=1.0)
    started = list(house.processes)
    send(house, signed("run.failed", suite_run()))
    twins.checksum.wait_for_calls(method="POST", path="/execution/grep", effects=True)
    assert set(house.stop().values()) == {0}
    twins.checksum.set(pace=0.15)
    for name in started:
        house.start(name)
    house.wait_ready()
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    assert len(twins.checksum.effects(method="POST", path="/execution/grep")) == 1
    assert len(messages(twins)) == 1


def test_a_worker_killed_in_the_middle_loses_nothing_and_repeats_nothing(
    house: House, twins: Twins
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    worker = "work" if "work" in house.processes else "up"
    twins.github.fault("slow", method="POST", path="*/comments", delay_s=3, times=1)
    send(house, signed("run.failed", suite_run()))
    twins.github.wait_for_calls(method="POST", path="*/comments", timeout_s=END_S)
    house.kill(worker)
    house.start(worker)
    house.wait_ready()
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    assert len(comments(twins)) == 1
    assert len(messages(twins)) == 1
    assert len(twins.checksum.effects(method="POST", path="/execution/grep")) == 1

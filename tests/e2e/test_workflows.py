"""Three workflows that need no further vendors, over real sockets, on one machine and on many."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.e2e.house import END_S, REPOSITORY, House, Twins, send, signed, steps, suite_run
from tests.servers import wait_until

HEAL = "heal-failed-run"
COMMENT = "comment-visual-regression"
ALERT = "alert-low-credits"

# Deadlines are for a machine that is busy with other things; nothing here waits for them.
pytestmark = pytest.mark.timeout(300)


def taken(answer: httpx.Response) -> httpx.Response | None:
    return None if answer.status_code == 503 else answer


@pytest.fixture
def number(house: House, twins: Twins) -> int:
    """A pull request that no other test here has."""
    number = 42 + len(house.past)
    pull = {"repo": REPOSITORY, "number": number, "head_sha": "ab" * 20}
    twins.github.lever("pulls", {**pull, "branch": "feature/checkout"})
    return number


def test_a_failed_run_of_another_vendor_is_mapped_to_a_self_healing_one_and_reported(
    house: House, twins: Twins, number: int
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    assert send(house, signed("run.failed", suite_run(pr_number=number))).status_code == 202
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    (dispatch,) = twins.checksum.effects(method="POST", path="/execution/grep")
    assert dispatch["body"]["grep"] == "@login"
    assert dispatch["body"]["autoHeal"]["autoCreatePR"] is True
    assert twins.checksum.effects(method="POST", path="/auto-heal") == []
    healed = steps(run)["healed"]["output"]
    assert healed["all_terminal"] is True
    assert len(healed["pr_urls"]) == 1
    (comment,) = twins.comments()
    assert healed["pr_urls"][0] in comment["body"]
    (message,) = twins.messages()
    assert "Healed" in message["text"]


def test_a_heal_that_finds_only_bugs_is_reported_as_a_suspected_bug(
    house: House, twins: Twins, number: int
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["bugs"]})
    send(house, signed("run.failed", suite_run(pr_number=number)))
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    (message,) = twins.messages()
    assert "Bug suspected" in message["text"]


def test_a_heal_that_cannot_be_begun_is_told_and_the_run_fails(
    house: House, twins: Twins, number: int
) -> None:
    twins.checksum.fault("status", method="POST", path="*/execution/grep", status=403, body={})
    send(house, signed("run.failed", suite_run(pr_number=number)))
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "failed"
    assert run["error"]["step"] == "dispatched"
    (message,) = twins.messages()
    assert "could not be healed" in message["text"]


def test_a_visual_regression_is_one_comment_kept_up_to_date_and_cleared(
    house: House, twins: Twins, number: int
) -> None:
    now = datetime.now(UTC)
    end = "visual.run_completed_with_regressions"
    send(house, signed(end, suite_run("passed", "warn", pr_number=number), at=now))
    house.ended_runs(COMMENT, 1)
    (comment,) = twins.comments()
    assert "Visual drift" in comment["body"]
    assert "@everyone" not in comment["body"]
    send(
        house,
        signed(end, suite_run("passed", "fail", pr_number=number), at=now + timedelta(seconds=1)),
    )
    house.ended_runs(COMMENT, 2)
    (updated,) = twins.comments()
    assert updated["id"] == comment["id"]
    assert "Visual regression" in updated["body"]
    send(
        house,
        signed(
            "run.passed", suite_run("passed", "ok", pr_number=number), at=now + timedelta(seconds=2)
        ),
    )
    house.ended_runs(COMMENT, 3)
    (cleared,) = twins.comments()
    assert cleared["id"] == comment["id"]
    assert "No visual drift now" in cleared["body"]
    # A warning that comes late tells of a time before the clean run: it changes nothing.
    send(
        house,
        signed(
            end, suite_run("passed", "warn", pr_number=number), at=now + timedelta(milliseconds=500)
        ),
    )
    house.ended_runs(COMMENT, 4)
    assert twins.comments() == [cleared]


def test_what_a_vendor_says_mentions_nobody_and_opens_nothing(
    house: House, twins: Twins, number: int
) -> None:
    data = suite_run(
        "passed",
        "warn",
        pr_number=number,
        commit_sha="@octocat",
        run_url="https://e/x\n\n@acme/team <img src=x> [a](javascript:b)",
        suite_name="--> @everyone <!-- hookwright:x -->",
    )
    send(house, signed("visual.run_completed_with_regressions", data))
    (run,) = house.ended_runs(COMMENT)
    assert run["status"] == "succeeded", run["error"]
    (comment,) = twins.comments()
    _marker, _, said = comment["body"].partition("\n")
    for forbidden in ("@octocat", "@acme", "@everyone", "<img", "<!--", "-->", "javascript:b)"):
        assert forbidden not in said


def test_a_clean_run_begins_no_comment(house: House, twins: Twins, number: int) -> None:
    send(house, signed("run.passed", suite_run("passed", "ok", pr_number=number)))
    (run,) = house.ended_runs(COMMENT)
    assert run["status"] == "succeeded"
    assert twins.comments() == []


def test_a_pull_request_that_nobody_names_is_found_by_the_commit(
    house: House, twins: Twins, number: int
) -> None:
    metadata = {"repo": REPOSITORY}
    data = suite_run("passed", "warn", pr_number=number, commit_sha="ab" * 20, metadata=metadata)
    send(house, signed("visual.run_completed_with_regressions", data))
    (run,) = house.ended_runs(COMMENT)
    assert run["status"] == "succeeded", run["error"]
    assert len(twins.comments()) == 1


def test_low_credit_by_billing_webhooks_alone_is_one_message_that_ends_resolved(
    house: House, twins: Twins
) -> None:
    now = datetime.now(UTC)
    for at, (event, words) in enumerate(
        [
            ("billing.credits_low", "low"),
            ("billing.credits_depleted", "used up"),
            ("billing.topup_completed", "Resolved"),
        ]
    ):
        data = {"allowance_micro": 0, "prepaid_micro": 1_000_000 - at}
        send(house, signed(event, data, at=now + timedelta(seconds=at)))
        house.ended_runs(ALERT, at + 1)
        (message,) = twins.messages()
        assert words in message["text"]
    (alert,) = house.get("/alerts")["data"]
    assert (alert["state"], alert["severity"]) == ("resolved", "critical")


def test_the_same_delivery_sent_100_times_at_once_is_done_once(
    house: House, twins: Twins, number: int
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    webhook = signed("run.failed", suite_run("failed", "fail", pr_number=number))
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
    assert len(house.deliveries()) == 1
    assert len(twins.checksum.effects(method="POST", path="/execution/grep")) == 1
    markers = [text["body"].splitlines()[0] for text in twins.comments()]
    assert len(markers) == len(set(markers)) == 2
    assert len(twins.messages()) == 1


def test_a_stopped_installation_ends_well_and_goes_on_where_it_was(
    house: House, twins: Twins, number: int
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    twins.checksum.set(pace=1.0)
    started = list(house.processes)
    send(house, signed("run.failed", suite_run(pr_number=number)))
    twins.checksum.wait_for_calls(method="POST", path="/execution/grep", effects=True)
    assert set(house.stop().values()) == {0}
    twins.checksum.set(pace=0.15)
    for name in started:
        house.start(name)
    house.wait_ready()
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    assert len(twins.checksum.effects(method="POST", path="/execution/grep")) == 1
    assert len(twins.messages()) == 1


def test_a_worker_killed_in_the_middle_loses_nothing_and_repeats_nothing(
    house: House, twins: Twins, number: int
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    worker = "work" if "work" in house.processes else "up"
    twins.github.fault("slow", method="POST", path="*/comments", delay_s=3, times=1)
    send(house, signed("run.failed", suite_run(pr_number=number)))
    twins.github.wait_for_calls(method="POST", path="*/comments", timeout_s=END_S)
    house.kill(worker)
    house.start(worker)
    house.wait_ready()
    (run,) = house.ended_runs(HEAL)
    assert run["status"] == "succeeded", run["error"]
    assert len(twins.comments()) == 1
    assert len(twins.messages()) == 1
    assert len(twins.checksum.effects(method="POST", path="/execution/grep")) == 1

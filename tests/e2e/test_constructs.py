"""Every construct of the language, over real sockets, on one machine and on many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from schemas.configured_tables import ScheduleRow
from service.db import Database
from tests.e2e.construct_house import ConstructHouse, new_subject
from tests.e2e.house import END_S, REPOSITORY, steps
from tests.servers import wait_until

VARIABLES = {
    "condition-and-vars": {"team": "@web"},
    # The newer one must come while the older one works, also on a machine that is busy.
    **{f"concurrency-{way}": {"work": "2s"} for way in ("replace", "skip")},
}

# Deadlines are for a machine that is busy with other things; nothing here waits for them.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def no_faults(site: ConstructHouse) -> Iterator[None]:
    yield
    site.github.clear_faults()
    site.slack.clear_faults()


def times(steps_of_run: list[dict[str, Any]], name: str) -> list[datetime]:
    return [datetime.fromisoformat(step[name]) for step in steps_of_run]


def test_an_event_starts_a_run_when_type_vendor_source_and_condition_fit(
    site: ConstructHouse,
) -> None:
    subject = new_subject("trigger")
    others = [
        site.tell("build.broken", subject, branch="dev"),
        site.tell("build.broken", subject, branch="main", source="elsewhere"),
        site.tell("building", subject, branch="main"),
    ]
    fits = site.tell("build.broken", subject, branch="main")
    site.succeeded(fits, "event-trigger")
    assert site.messages(subject) == ["generic.build.broken on main"]
    for other in others:
        site.handled(other)
        assert site.runs(other) == []


def test_a_schedule_starts_a_run_when_it_is_due_and_then_waits_for_its_next_time(
    site: ConstructHouse,
) -> None:
    expected = site.let_schedule_be_due()
    assert expected > datetime.now(UTC)
    wait_until(lambda: site.messages("good-morning"), END_S, what="it is told")
    database = Database(site.database_url)
    with database.session(read_only=True) as session:
        assert [row.due_at for row in session.exec(select(ScheduleRow))] == [expected]
    database.dispose()
    (run,) = site.get("/runs", workflow="cron")["data"]
    assert site.messages("good-morning") == ["schedule.due of cron"]
    event = site.detail(run["id"])["event"]
    assert (event["vendor"], event["type"]) == ("hookwright", "schedule.due")


def test_a_run_is_started_by_hand_with_inputs(site: ConstructHouse) -> None:
    who = new_subject("manual")
    started = site.post("/workflows/manual/runs", {"inputs": {"who": who, "times": 3}})
    wait_until(lambda: site.messages(who), END_S, what="it is told")
    assert site.messages(who) == ["smoke x 3"]
    run = wait_until(
        lambda: (found := site.detail(started["id"]))["status"] == "succeeded" and found,
        END_S,
        what="the run has ended",
    )
    assert run["event"]["type"] == "workflow.started"


def test_a_run_begins_and_a_step_is_taken_only_where_its_condition_holds(
    site: ConstructHouse,
) -> None:
    subjects = [new_subject("condition") for _ in range(3)]
    sent = [
        site.tell("measured", subject, score=score)
        for subject, score in zip(subjects, (80, 30, 5), strict=True)
    ]
    site.handled(sent[0])
    assert site.runs(sent[0]) == []
    low = site.succeeded(sent[1], "condition-and-vars")
    assert steps(low)["page"]["status"] == "skipped"
    assert site.messages(subjects[1]) == ["tell @web, page is skipped"]
    site.succeeded(sent[2], "condition-and-vars")
    assert site.messages(subjects[2]) == ["page @web", "tell @web, page is succeeded"]


def test_steps_go_one_after_the_other(site: ConstructHouse) -> None:
    subject = new_subject("sequence")
    run = site.succeeded(site.tell("sequence", subject), "sequence")
    begun, ended = times(run["steps"], "started_at"), times(run["steps"], "ended_at")
    assert all(end <= begin for end, begin in zip(ended[:-1], begun[1:], strict=True))
    comment = steps(run)["comment"]["output"]["comment_id"]
    assert site.comments(subject) == ["first"]
    assert site.messages(subject) == [f"second after {comment}", "third"]


def test_the_arms_of_a_parallel_go_at_once_and_are_read_after_it(site: ConstructHouse) -> None:
    subject = new_subject("parallel")
    # Neither arm could end if it waited for the other to begin.
    site.github.fault("slow", contains=subject, method="POST", delay_s=1, times=1)
    site.slack.fault("slow", contains=subject, path="*/chat.postMessage", delay_s=1, times=1)
    delivery = site.tell("release", subject)
    site.github.wait_for_calls(method="POST", path="*/comments", timeout_s=END_S)
    run = site.succeeded(delivery, "parallel")
    (told,) = [call for call in site.slack.calls() if f"{subject}: released" in str(call["body"])]
    (commented,) = [
        call for call in site.github.calls(method="POST") if subject in str(call["body"])
    ]
    apart = datetime.fromisoformat(str(told["at"])) - datetime.fromisoformat(str(commented["at"]))
    assert abs(apart) < timedelta(seconds=1)
    assert steps(run)["parallel_1"]["output"] == {
        "count": 2,
        "succeeded": 2,
        "failed": 0,
        "cancelled": 0,
    }
    assert site.comments(subject) == ["released"]
    first, reply, summary = site.messages(subject)
    assert (first, reply) == ("released", "notes")
    assert summary.startswith("2 of 2, comment ")
    assert "null" not in summary


def test_a_for_each_goes_through_a_list_some_at_once_and_gathers_in_order(
    site: ConstructHouse,
) -> None:
    subject = new_subject("each")
    services = [f"s{number}" for number in range(7)]
    site.slack.fault("slow", contains=f"{subject}: look", delay_s=0.3)
    run = site.succeeded(site.tell("deployed", subject, services=services), "for-each")
    *looks, summary = site.messages(subject)
    assert sorted(looks) == [f"look at {service}" for service in services]
    results = " ".join(f"{number}-{service}-true" for number, service in enumerate(services))
    assert summary == f"7 of 7: {results}"
    assert steps(run)["each"]["output"]["count"] == 7
    began = sorted(
        datetime.fromisoformat(str(call["at"]))
        for call in site.slack.calls(path="*/chat.postMessage")
        if f"{subject}: look" in str(call["body"])
    )
    # The third begins only after one of the first two was answered.
    assert all(
        later - earlier >= timedelta(seconds=0.28)
        for earlier, later in zip(began, began[2:], strict=False)
    )


def test_a_for_each_over_nothing_is_done_at_once(site: ConstructHouse) -> None:
    subject = new_subject("each-of-none")
    site.succeeded(site.tell("deployed", subject, services=[]), "for-each")
    assert site.messages(subject) == ["0 of 0:"]


def test_what_fails_for_a_moment_is_tried_again(site: ConstructHouse) -> None:
    subject = new_subject("retry")
    site.github.fault("status", contains=subject, method="POST", status=503, times=2)
    run = site.succeeded(site.tell("retried", subject), "retry")
    assert [attempt["status"] for attempt in steps(run)["comment"]["attempts"]] == [
        "failed",
        "failed",
        "succeeded",
    ]
    assert site.comments(subject) == ["tried"]


def test_an_answer_that_comes_too_late_is_looked_up_and_nothing_is_made_twice(
    site: ConstructHouse,
) -> None:
    subject = new_subject("timeout")
    site.slack.fault("slow", contains=subject, path="*/chat.postMessage", delay_s=5, times=1)
    run = site.succeeded(site.tell("timed", subject), "timeout")
    first, *more = steps(run)["message"]["attempts"]
    assert first["status"] == "failed"
    assert more[-1]["status"] == "succeeded"
    assert site.messages(subject) == ["told late"]


def test_a_question_is_asked_until_its_answer_fits(site: ConstructHouse) -> None:
    subject, commit = new_subject("poll"), uuid4().hex + "00000000"
    site.github.lever("commits", {"repo": REPOSITORY, "sha": commit})
    delivery = site.tell("committed", subject, commit=commit)
    site.run_that(
        delivery, "poll", lambda run: run["steps"] and run["steps"][0]["polls"] >= 2, "it has asked"
    )
    assert site.messages(subject) == []
    number = 1000 + len(site.github.state()["pulls"])  # type: ignore[arg-type]
    site.github.lever(
        "pulls", {"repo": REPOSITORY, "number": number, "head_sha": commit, "branch": subject}
    )
    site.succeeded(delivery, "poll")
    assert site.messages(subject) == [f"found {number}"]


def test_a_sleep_lasts_as_long_as_it_says_and_until_the_moment_it_names(
    site: ConstructHouse,
) -> None:
    subject = new_subject("sleep")
    until = datetime.now(UTC) + timedelta(seconds=2)
    run = site.succeeded(site.tell("slept", subject, until=until.isoformat()), "sleep")
    first, second, _tell = run["steps"]
    assert times([first], "ended_at")[0] - times([first], "started_at")[0] >= timedelta(seconds=0.5)
    assert times([second], "ended_at")[0] >= until
    assert site.messages(subject) == ["awake"]


def test_an_emitted_event_starts_who_listens(site: ConstructHouse) -> None:
    subject = new_subject("emit")
    run = site.succeeded(site.tell("looked", subject, score=7), "emit")
    event = site.get(f"/events/{steps(run)['said']['output']['event_id']}")
    assert (event["type"], event["vendor"]) == ("deployment.looked_at", "hookwright")
    wait_until(lambda: len(site.messages(subject)) == 2, END_S, what="it was heard")
    assert sorted(site.messages(subject)) == ["emitted", "heard 7"]
    listening = site.get("/runs", event=event["id"])["data"]
    assert [item["workflow"] for item in listening] == ["emitted"]


def test_a_step_that_fails_for_good_is_told_of_and_the_run_fails(site: ConstructHouse) -> None:
    subject = new_subject("failure")
    (run,) = site.ended(site.tell("doomed", subject), workflow="on-failure")
    assert (run["status"], run["error"]["step"]) == ("failed", "comment")
    assert site.messages(subject) == ["comment failed"]


def test_a_cancelled_run_is_cleaned_up_behind(site: ConstructHouse) -> None:
    subject = new_subject("cancel")
    delivery = site.tell("cancellable", subject)
    run = site.waiting(delivery, "on-cancel", "sleep")
    site.post(f"/runs/{run['id']}/cancel")
    (ended,) = site.ended(delivery, workflow="on-cancel")
    assert ended["status"] == "cancelled"
    assert site.messages(subject) == ["begun", "cleaned up"]


def test_a_called_workflow_gives_its_outputs(site: ConstructHouse) -> None:
    subject = new_subject("call")
    run = site.succeeded(site.tell("calling", subject), "calling")
    audit = steps(run)["audit"]["output"]
    assert audit["verdict"] == "good to 3"
    assert site.detail(audit["run_id"])["status"] == "succeeded"
    assert site.messages(subject) == ["audited to depth 3", "the audit says good to 3"]


def test_a_template_is_rendered_with_what_expressions_see(site: ConstructHouse) -> None:
    subject = new_subject("template")
    site.succeeded(site.tell("report", subject, services=["web", "api"]), "template")
    assert site.messages(subject) == ["2 services\n- web\n- api"]


def test_what_waits_for_another_event_takes_one_that_comes_later(site: ConstructHouse) -> None:
    subject, stranger = new_subject("wait"), new_subject("stranger")
    delivery = site.tell("pull.opened", subject, pause="1s", patience="1m")
    site.waiting(delivery, "wait-for", "event")
    site.tell("pull.merged", stranger, by="mallory")
    site.tell("pull.merged", subject, by="dana")
    site.tell("pull.merged", subject, by="late")
    site.succeeded(delivery, "wait-for")
    assert site.messages(subject) == ["merged by dana"]


def test_what_waits_for_another_event_takes_one_that_came_before_it_waited(
    site: ConstructHouse,
) -> None:
    subject = new_subject("waited")
    delivery = site.tell("pull.opened", subject, pause="1s", patience="1m")
    site.waiting(delivery, "wait-for", "sleep")
    early = site.tell("pull.merged", subject, by="dana")
    site.handled(early)
    run = site.succeeded(delivery, "wait-for")
    received = datetime.fromisoformat(steps(run)["merged"]["output"]["event"]["received_at"])
    assert received < times([steps(run)["merged"]], "started_at")[0]
    assert site.messages(subject) == ["merged by dana"]


def test_what_waits_for_another_event_goes_on_without_it_in_time(site: ConstructHouse) -> None:
    subject = new_subject("wait-in-vain")
    run = site.succeeded(
        site.tell("pull.opened", subject, pause="1ms", patience="500ms"), "wait-for"
    )
    assert steps(run)["merged"]["output"] == {"event": None, "timed_out": True}
    assert site.messages(subject) == []


def test_a_person_approves_over_the_api(site: ConstructHouse) -> None:
    subject = new_subject("approval")
    delivery = site.tell("risky", subject)
    run = site.waiting(delivery, "approval", "approval")
    assert steps(run)["allowed"]["output"]["text"] == f"May {subject} go on?"
    site.post(f"/runs/{run['id']}/steps/allowed/decision", {"decision": "approve", "note": "go"})
    site.succeeded(delivery, "approval")
    assert site.messages(subject) == ["approved true, go"]


def test_a_person_rejects_over_the_api(site: ConstructHouse) -> None:
    subject = new_subject("rejection")
    delivery = site.tell("risky", subject)
    run = site.waiting(delivery, "approval", "approval")
    site.post(f"/runs/{run['id']}/steps/allowed/decision", {"decision": "reject", "note": "no"})
    site.succeeded(delivery, "approval")
    assert site.messages(subject) == ["approved false, no"]


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_person_decides_by_a_press_in_slack(site: ConstructHouse, decision: str) -> None:
    subject = new_subject(decision)
    delivery = site.tell("riskier", subject)
    site.waiting(delivery, "approval-in-slack", "approval")
    site.press(f"hookwright_{decision}", subject)
    (run,) = site.ended(delivery, workflow="approval-in-slack")
    if decision == "approve":
        assert run["status"] == "succeeded"
        (said,) = site.messages(subject)
        assert said.startswith("approved true by ")
        assert "dana" in said
    else:
        assert (run["status"], run["error"]["code"]) == ("failed", "rejected")
        assert site.messages(subject) == []
    closed = "Approved" if decision == "approve" else "Rejected"
    wait_until(lambda: closed in site.question(subject), END_S, what="the question is closed")


def test_thirty_visual_warnings_of_one_run_become_one_run_that_sees_them_all(
    site: ConstructHouse,
) -> None:
    run_id, other = new_subject("warned"), new_subject("warned")
    cases = [f"case{number:02}" for number in range(30)]
    sent = [site.warn(run_id, case) for case in cases]
    apart = site.warn(other, "alone")
    run = site.succeeded(sent[0], "coalesce")
    site.succeeded(apart, "coalesce")
    for delivery in sent[1:]:
        site.handled(delivery)
        assert {item["id"] for item in site.runs(delivery)} <= {run["id"]}
    (comment,) = site.comments(run_id)
    assert comment == f"30 differences: {' '.join(cases)}"
    assert site.comments(other) == ["1 differences: alone"]


def test_events_in_quick_succession_become_one_run_once_it_is_quiet(site: ConstructHouse) -> None:
    subject = new_subject("saved")
    sent = [site.tell("document.saved", subject, version=f"v{number}") for number in range(5)]
    wait_until(lambda: site.messages(subject), END_S, what="it is told")
    for delivery in sent:
        site.handled(delivery)
    assert site.messages(subject) == ["5 times, last v4"]


def test_runs_of_one_key_queue_and_go_in_their_order(site: ConstructHouse) -> None:
    key, subjects = new_subject("key"), [new_subject(f"queue{number}") for number in range(3)]
    sent = []
    for subject in subjects:
        sent.append(site.tell("concurrency.queue", subject, environment=key))
        site.handled(sent[-1])
    runs = site.ended(*sent, workflow="concurrency-queue")
    assert [run["status"] for run in runs] == ["succeeded"] * 3
    for earlier, later in pairwise(runs):
        ended, begun = times(earlier["steps"], "ended_at"), times(later["steps"], "started_at")
        assert ended[-1] <= begun[0]
    assert [site.messages(subject) for subject in subjects] == [["begun", "ended"]] * 3


def test_a_run_is_skipped_while_another_of_its_key_is_under_way(site: ConstructHouse) -> None:
    key, first, second = new_subject("key"), new_subject("busy"), new_subject("skipped")
    delivery = site.tell("concurrency.skip", first, environment=key)
    site.waiting(delivery, "concurrency-skip", "sleep")
    late = site.tell("concurrency.skip", second, environment=key)
    elsewhere = site.tell("concurrency.skip", second, environment=f"{key}-other")
    (skipped,) = site.ended(late, workflow="concurrency-skip")
    assert skipped["status"] == "skipped"
    site.succeeded(delivery, "concurrency-skip")
    site.succeeded(elsewhere, "concurrency-skip")
    assert site.messages(first) == ["begun", "ended"]
    assert site.messages(second) == ["begun", "ended"]


def test_a_newer_run_takes_the_place_of_an_older_one(site: ConstructHouse) -> None:
    key, first, second = new_subject("key"), new_subject("older"), new_subject("newer")
    older = site.tell("concurrency.replace", first, environment=key)
    site.waiting(older, "concurrency-replace", "sleep")
    newer = site.tell("concurrency.replace", second, environment=key)
    site.succeeded(newer, "concurrency-replace")
    (replaced,) = site.ended(older, workflow="concurrency-replace")
    assert replaced["status"] == "cancelled"
    assert site.messages(first) == ["begun"]
    assert site.messages(second) == ["begun", "ended"]


def test_a_throttle_lets_what_is_over_wait(site: ConstructHouse) -> None:
    group, subjects = new_subject("group"), [new_subject("throttled") for _ in range(3)]
    sent = [site.tell("throttled.wait", subject, group=group) for subject in subjects]
    runs = site.ended(*sent, workflow="throttle")
    assert [run["status"] for run in runs] == ["succeeded"] * 3
    began = sorted(times(runs, "started_at"))
    assert began[2] - began[0] >= timedelta(seconds=2.9)
    assert [site.messages(subject) for subject in subjects] == [["told"]] * 3


def test_a_throttle_may_pass_over_what_is_over(site: ConstructHouse) -> None:
    group, subjects = new_subject("group"), [new_subject("throttled") for _ in range(3)]
    sent = [site.tell("throttled.skip", subject, group=group) for subject in subjects]
    runs = site.ended(*sent, workflow="throttle-skip")
    assert sorted(run["status"] for run in runs) == ["skipped", "succeeded", "succeeded"]
    assert sum(len(site.messages(subject)) for subject in subjects) == 2

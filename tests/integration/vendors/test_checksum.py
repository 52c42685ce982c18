"""Checksum's client, actions and polls against its twin."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from service.errors import Permanent, RateLimited, Refused, TimedOut, VendorBroken
from service.http import AddressGuard, VendorHttp
from service.vendors.checksum import VENDOR
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.options import ChecksumSourceOptions
from tests.integration.vendors.asking import ask_all
from tests.integration.vendors.conftest import Caller, Start
from tests.vendors.deliveries import make_delivery
from tests.vendors.listed.call import unlisted, unmade
from tests.vendors.listed.checksum import LISTED

REPO = "acme-co/my-tests"
FAST = {"per_minute": 6000, "repository": REPO}


@pytest.fixture
def checksum(twin: Start) -> TwinProcess:
    process = twin("checksum")
    process.set(pace=1.0, show_batch_id=True, dispatch_answer="name", sessions="one")
    return process


def caller_of(twin: TwinProcess, **options: Any) -> Caller:
    credentials = {"api_key": "checksum-key"}
    return Caller(VENDOR, twin.url, credentials, {**FAST, **options})


@pytest.fixture
def caller(checksum: TwinProcess) -> Caller:
    return caller_of(checksum)


def failed_run(twin: TwinProcess, **more: Any) -> str:
    added: Any = twin.lever("runs", {"status": "failed", **more})
    return str(added["id"])


# --- who, and how errors come out ---------------------------------------------------------------


@pytest.mark.parametrize("header", ["authorization", "ChecksumAppCode"])
def test_the_check_names_the_project_with_either_header(checksum: TwinProcess, header: str) -> None:
    caller = caller_of(checksum, key_header=header)
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    assert outgoing.check is not None
    assert outgoing.check(caller.context()) == "project My Project"


def test_a_wrong_key_is_refused_with_a_hint(checksum: TwinProcess) -> None:
    caller = Caller(VENDOR, checksum.url, {"api_key": "wrong-key-value"}, FAST)
    with pytest.raises(Refused, match="Invalid or missing API key") as caught:
        caller.do("checksum.run_suite")
    assert caught.value.status == 401
    assert caught.value.hint is not None
    assert "wrong-key-value" not in repr(caught.value) + repr(caller.credentials)


def test_options_and_credentials_are_typed() -> None:
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    for wrong in ({"key_header": "x"}, {"repository": "no-owner"}, {"unknown": 1}):
        with pytest.raises(ValidationError):
            outgoing.options.model_validate(wrong)
    for wrong in ({}, {"api_key": ""}, {"api_key": "k", "more": 1}):
        with pytest.raises(ValidationError):
            outgoing.credentials.model_validate(wrong)


def test_a_limit_is_rate_limited_and_holds_the_next_call(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.fault("status", path="*/execution/suite", status=429, headers={"retry-after": "9"})
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            caller.do("checksum.run_suite")
        assert timedelta(seconds=8) < (caught.value.retry_after or timedelta())
    assert len(checksum.calls(path="*/execution/suite")) == 1
    checksum.clear_faults()


# --- healing ------------------------------------------------------------------------------------


def test_a_failed_run_is_healed_and_watched_to_its_end(
    checksum: TwinProcess, caller: Caller
) -> None:
    run_id = failed_run(checksum)
    started = caller.outputs(
        "checksum.auto_heal", test_run_id=run_id, pr_number=42, metadata={"link": "x"}
    )
    assert started.failure_count == 2
    assert started.already_healing is False
    assert started.url.startswith("https://app.checksum.ai/")
    sent: Any = checksum.calls(path="*/auto-heal")[0]
    assert sent["body"]["testRunId"] == run_id
    assert sent["body"]["repoName"] == REPO
    assert sent["body"]["prNumber"] == 42
    assert sent["body"]["metadata"] == {"correlation_id": "run:step:0", "link": "x"}

    begun = caller.outputs("checksum.heal_progress", batch_id=started.batch_id)
    assert (begun.all_terminal, begun.bug_suspected) == (False, False)
    checksum.advance(10)
    ended = caller.outputs("checksum.heal_progress", batch_id=started.batch_id)
    assert (ended.all_terminal, ended.status, ended.failed) == (True, "completed", 0)
    assert (ended.total, ended.completed) == (1, 1)
    assert len(ended.pr_urls) == 1
    assert ended.test_run_id == run_id
    assert ended.bug_suspected is False


def test_sessions_that_share_a_pull_request_and_fail_at_different_times(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.lever("outcomes", {"heals": [{"sessions": ["failed", "pr", "pr"]}]})
    started = caller.outputs("checksum.auto_heal", test_run_id=failed_run(checksum))
    checksum.advance(2.5)
    half = caller.outputs("checksum.heal_progress", batch_id=started.batch_id)
    assert (half.status, half.all_terminal) == ("failed", False), "failed is no end"
    checksum.advance(10)
    ended = caller.outputs("checksum.heal_progress", batch_id=started.batch_id)
    assert ended.all_terminal
    assert ended.failed == 1
    assert len(ended.pr_urls) == len(set(ended.pr_urls)) > 0


def test_a_heal_that_ends_well_without_pull_request_suspects_a_bug(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.lever("outcomes", {"heals": ["bugs"]})
    started = caller.outputs("checksum.auto_heal", test_run_id=failed_run(checksum))
    checksum.advance(10)
    ended = caller.outputs("checksum.heal_progress", batch_id=started.batch_id)
    assert (ended.all_terminal, ended.pr_urls, ended.bug_suspected) == (True, (), True)


def test_a_heal_that_failed_does_not_suspect_a_bug(checksum: TwinProcess, caller: Caller) -> None:
    checksum.lever("outcomes", {"heals": ["failed"]})
    started = caller.outputs("checksum.auto_heal", test_run_id=failed_run(checksum))
    checksum.advance(10)
    ended = caller.outputs("checksum.heal_progress", batch_id=started.batch_id)
    assert (ended.all_terminal, ended.bug_suspected) == (True, False)


@pytest.mark.parametrize("shape", ["name", "run_id"])
def test_a_run_that_heals_by_itself_is_not_healed_again(
    checksum: TwinProcess, caller: Caller, shape: str
) -> None:
    checksum.set(dispatch_answer=shape)
    checksum.lever("outcomes", {"runs": ["failed"]})
    told = caller.outputs("checksum.run_grep", grep="@login", auto_heal={"pr_number": 42})
    checksum.advance(3)
    ended = caller.outputs("checksum.run_status", name=told.name, run_id=told.run_id)
    assert (ended.status, ended.terminal, ended.succeeded) == ("failed", True, False)
    assert ended.heal_batch_id is not None
    healing = caller.do("checksum.auto_heal", test_run_id=ended.test_run_id)
    assert healing.outputs.already_healing is True  # type: ignore[attr-defined]  # outputs of auto_heal
    assert healing.outputs.batch_id == ended.heal_batch_id  # type: ignore[attr-defined]  # likewise
    assert healing.changed is False
    assert checksum.calls(path="*/auto-heal") == []


@pytest.mark.parametrize("shape", ["name", "run_id"])
def test_a_run_that_heals_by_itself_is_found_behind_many_others(
    checksum: TwinProcess, caller: Caller, shape: str
) -> None:
    checksum.set(dispatch_answer=shape)
    checksum.lever("outcomes", {"runs": ["failed"]})
    told = caller.outputs("checksum.run_grep", grep="@login", auto_heal={"pr_number": 42})
    for _ in range(30):
        caller.do("checksum.run_grep", grep="@cart", auto_heal={"pr_number": 42})
    checksum.advance(3)
    run_id = caller.outputs("checksum.run_status", name=told.name, run_id=told.run_id).test_run_id
    before = len(checksum.calls(path="*/status*"))
    assert caller.outputs("checksum.auto_heal", test_run_id=run_id).already_healing is True
    assert checksum.calls(path="*/auto-heal") == []
    asked = len(checksum.calls(path="*/status*")) - before
    assert asked >= 31
    caller.do("checksum.auto_heal", effect="run:other:0", test_run_id=failed_run(checksum))
    again = len(checksum.calls(path="*/status*")) - before - asked
    assert again == 0, "of a run that has ended it is known which one it is"


def test_a_heal_that_must_ask_more_than_the_rate_allows_goes_on_where_it_was(
    checksum: TwinProcess,
) -> None:
    starter = caller_of(checksum)
    starter.do("checksum.run_grep", grep="@login", auto_heal={"pr_number": 42})
    checksum.lever("outcomes", {"runs": ["failed"]})
    for _ in range(30):
        starter.do("checksum.run_grep", grep="@cart", auto_heal={"pr_number": 42})
    hasty = caller_of(checksum, per_minute=10)
    hasty.earlier = starter.earlier
    run_id = failed_run(checksum)  # the others still run, and so name no run of theirs
    limited = 0
    outputs: Any = None
    for _ in range(10):
        try:
            outputs = hasty.outputs("checksum.auto_heal", test_run_id=run_id)
            break
        except RateLimited as fault:
            limited += 1
            hasty.time.sleep((fault.retry_after or timedelta()).total_seconds())
    assert outputs.already_healing is False
    assert limited == 3
    assert len(checksum.effects(path="*/auto-heal")) == 1


def test_runs_started_without_heal_or_by_somebody_else_are_healed(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.lever("outcomes", {"runs": ["failed", "failed"]})
    caller.do("checksum.run_suite")
    caller.do("checksum.run_suite", auto_heal={})
    other = failed_run(checksum)
    checksum.advance(3)
    assert caller.outputs("checksum.auto_heal", test_run_id=other).already_healing is False
    assert len(checksum.effects(path="*/auto-heal")) == 1


def test_a_heal_needs_the_repository_only_when_it_speaks_to_it(checksum: TwinProcess) -> None:
    caller = caller_of(checksum, repository=None)
    run_id = failed_run(checksum)
    with pytest.raises(Permanent, match="repository"):
        caller.do("checksum.auto_heal", test_run_id=run_id)
    with pytest.raises(Permanent, match="repository"):
        caller.do("checksum.run_suite", auto_heal={"auto_create_pr": False, "pr_number": 4})
    assert caller.outputs("checksum.auto_heal", test_run_id=run_id, auto_create_pr=False).batch_id
    assert caller.outputs("checksum.auto_heal", test_run_id=run_id, repo="a/b").batch_id


def test_only_run_uuids_can_be_healed(caller: Caller) -> None:
    with pytest.raises(ValidationError):
        caller.do("checksum.auto_heal", test_run_id="job-name-12345")


def test_what_cannot_be_healed_is_refused_in_the_vendors_words(
    checksum: TwinProcess, caller: Caller
) -> None:
    with pytest.raises(Refused, match="Test run not found"):
        caller.do("checksum.auto_heal", test_run_id=str(uuid4()))
    passed: Any = checksum.lever("runs", {"status": "passed"})
    with pytest.raises(Refused, match="no failed tests"):
        caller.do("checksum.auto_heal", test_run_id=passed["id"])


@pytest.mark.parametrize("mode", ["drop_after", "drop_before", "garbage", "truncate"])
def test_a_heal_whose_answer_is_lost_is_perhaps_done(
    checksum: TwinProcess, caller: Caller, mode: str
) -> None:
    run_id = failed_run(checksum)
    checksum.fault(mode, method="POST", path="*/auto-heal", times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("checksum.auto_heal", test_run_id=run_id)
    assert caught.value.perhaps_done is True
    assert len(checksum.calls(method="POST", path="*/auto-heal")) == 1


@pytest.mark.parametrize(("status", "done"), [(500, True), (503, False), (408, False)])
def test_a_heal_that_is_answered_with_a_failure(
    checksum: TwinProcess, caller: Caller, status: int, *, done: bool
) -> None:
    run_id = failed_run(checksum)
    checksum.fault("status", path="*/auto-heal", status=status, times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("checksum.auto_heal", test_run_id=run_id)
    assert caught.value.perhaps_done is done


def test_the_natural_key_of_a_heal_is_its_run(caller: Caller) -> None:
    action = caller.action("checksum.auto_heal")
    run_id = uuid4()
    params = action.params.model_validate({"test_run_id": str(run_id).upper()})
    assert action.key is not None
    assert action.key(params) == str(run_id)


# --- runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "params", "path", "body"),
    [
        ("checksum.run_suite", {}, "/public-api/v1/execution/suite", {}),
        (
            "checksum.run_collection",
            {"collection_id": "c1"},
            "/public-api/v1/execution/collection/c1",
            {},
        ),
        (
            "checksum.run_tests",
            {"test_ids": ["a", "b"]},
            "/public-api/v1/execution/tests",
            {"testIds": ["a", "b"]},
        ),
        (
            "checksum.run_grep",
            {"grep": "@x", "branch": "b", "env_overrides": {"A": "1"}},
            "/public-api/v2/execution/grep",
            {"grep": "@x", "branch": "b", "envOverrides": {"A": "1"}},
        ),
    ],
)
def test_every_way_to_start_a_run(
    checksum: TwinProcess,
    caller: Caller,
    action: str,
    params: dict[str, Any],
    path: str,
    body: dict[str, Any],
) -> None:
    heal = {"branch": "main", "pr_number": 42}
    done = caller.do(action, **params, auto_heal=heal)
    call: Any = checksum.calls(path=path)[0]
    block = {"autoCreatePR": True, "branch": "main", "repoName": REPO, "prNumber": 42}
    assert call["body"] == {**body, "autoHeal": block}
    assert done.reference is not None
    assert done.reference["auto_heal"] is True
    assert done.reference["name"] == done.outputs.model_dump()["name"]


# --- running tests of a run again ---------------------------------------------------------------


def a_test(number: int, title: str, status: str = "failed", *tags: str) -> dict[str, Any]:
    return {
        "checksumTestId": f"t{number}",
        "testTitle": title,
        "status": status,
        "tags": list(tags),
    }


def greps(twin: TwinProcess) -> list[Any]:
    calls: list[Any] = twin.calls(path="*/v2/execution/grep")
    return [call["body"] for call in calls]


def test_the_healed_tests_are_run_again_on_the_branch_of_the_heal(
    checksum: TwinProcess, caller: Caller
) -> None:
    tests = [
        a_test(1, "pays (by card)"),
        a_test(2, "logs in"),
        a_test(3, "logs in"),
        a_test(4, "opens the shop", "passed"),
        a_test(5, "prices a basket", "failed", "@bug"),
    ]
    run_id = failed_run(checksum, tests=tests, branch="main")
    done = caller.do("checksum.run_again", test_run_id=run_id, branch="checksum/heal-1")
    told = done.outputs.model_dump()
    grep = r"pays \(by card\)|logs in"
    assert greps(checksum) == [{"grep": grep, "branch": "checksum/heal-1"}]
    assert (told["started"], told["tests"], told["grep"]) == (True, 2, grep)
    assert done.reference == {
        "name": told["name"],
        "run_id": None,
        "auto_heal": False,
        "test_run_id": None,
    }
    checksum.advance(3)
    assert caller.outputs("checksum.run_status", name=told["name"]).succeeded


def test_the_branch_is_that_of_the_run_and_the_tests_may_be_all(
    checksum: TwinProcess, caller: Caller
) -> None:
    tests = [a_test(1, "a"), a_test(2, "b", "passed"), a_test(3, "c", "failed", "@bug")]
    run_id = failed_run(checksum, tests=tests, branch="feature/x")
    caller.do("checksum.run_again", test_run_id=run_id, status=None, without_tags=[])
    assert greps(checksum) == [{"grep": "a|b|c", "branch": "feature/x"}]


def test_a_run_that_names_no_such_test_is_started_by_the_grep_of_the_step(
    checksum: TwinProcess, caller: Caller
) -> None:
    run_id = failed_run(checksum, tests=[a_test(1, "a", "passed")], branch="main")
    nothing = caller.do("checksum.run_again", test_run_id=run_id)
    assert (nothing.changed, nothing.outputs.model_dump()["started"]) == (False, False)
    assert greps(checksum) == []
    told = caller.outputs(
        "checksum.run_again", test_run_id=run_id, grep="@smoke", env_overrides={"A": "1"}
    )
    assert (told.started, told.tests) == (True, 0)
    assert greps(checksum) == [{"grep": "@smoke", "branch": "main", "envOverrides": {"A": "1"}}]


def test_more_tests_than_can_be_selected_are_refused(checksum: TwinProcess, caller: Caller) -> None:
    run_id = failed_run(checksum, tests=[a_test(n, f"test {n}") for n in range(501)])
    with pytest.raises(Permanent, match="501 such tests"):
        caller.do("checksum.run_again", test_run_id=run_id)
    assert greps(checksum) == []


def test_a_run_that_is_gone_cannot_be_run_again(caller: Caller) -> None:
    with pytest.raises(Refused, match="not found"):
        caller.do("checksum.run_again", test_run_id=uuid4())


def test_a_run_again_whose_answer_is_lost_is_in_doubt(
    checksum: TwinProcess, caller: Caller
) -> None:
    run_id = failed_run(checksum, tests=[a_test(1, "a")])
    checksum.fault("drop_after", path="*/v2/execution/grep", times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("checksum.run_again", test_run_id=run_id)
    assert caught.value.perhaps_done is True


def test_a_run_is_followed_by_name_through_its_states(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.lever("outcomes", {"runs": ["process-error"]})
    name = caller.outputs("checksum.run_grep", grep="@x").name
    queued = caller.outputs("checksum.run_status", name=name)
    assert (queued.status, queued.terminal, queued.test_run_id) == ("queued", False, None)
    checksum.advance(3)
    ended = caller.outputs("checksum.run_status", name=name)
    assert (ended.status, ended.terminal, ended.succeeded) == ("process-error", True, False)
    assert ended.url is not None


def test_version_1_runs_are_asked_by_version_1(checksum: TwinProcess, caller: Caller) -> None:
    name = caller.outputs("checksum.run_suite").name
    checksum.advance(3)
    ended = caller.outputs("checksum.run_status", name=name, version=1)
    assert (ended.status, ended.succeeded, ended.passed) == ("passed", True, 5)
    assert ended.test_run_id is None
    with pytest.raises(Refused, match="Job not found"):
        caller.outputs("checksum.run_status", name=name)


def test_a_run_known_by_id_alone_is_followed_by_its_verdict(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.set(dispatch_answer="run_id")
    checksum.lever("outcomes", {"runs": ["failed"]})
    run_id = caller.outputs("checksum.run_grep", grep="@x").run_id
    assert caller.outputs("checksum.run_status", run_id=run_id).terminal is False
    checksum.advance(3)
    ended = caller.outputs("checksum.run_status", run_id=run_id)
    assert (ended.status, ended.terminal, ended.test_run_id) == ("failed", True, run_id)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (
            {"isTerminal": True, "verdict": "fail", "phase": "done", "executedCount": 0},
            "process-error",
        ),
        ({"isTerminal": True, "verdict": "fail", "phase": "done", "executedCount": 3}, "failed"),
        ({"isTerminal": True, "verdict": "pass", "phase": "done"}, "passed"),
        ({"isTerminal": False, "verdict": "pending", "phase": "warming up"}, "warming up"),
    ],
)
def test_verdicts_without_a_status(
    checksum: TwinProcess, caller: Caller, verdict: dict[str, Any], status: str
) -> None:
    checksum.fault("status", path="*/status/run/*", status=200, body=verdict, times=1)
    told = caller.outputs("checksum.run_status", run_id=str(uuid4()))
    assert (told.status, told.terminal) == (status, verdict["isTerminal"])


def test_an_unknown_status_is_no_end(checksum: TwinProcess, caller: Caller) -> None:
    checksum.fault("status", path="*/status/job", status=200, body={"status": "paused"}, times=1)
    told = caller.outputs("checksum.run_status", name="job")
    assert (told.status, told.terminal, told.succeeded) == ("paused", False, False)


def test_a_name_serves_when_the_run_id_is_not_known(checksum: TwinProcess, caller: Caller) -> None:
    name = caller.outputs("checksum.run_grep", grep="@x").name
    told = caller.outputs("checksum.run_status", name=name, run_id=str(uuid4()))
    assert told.status == "queued"


def test_a_dispatch_that_names_nothing_is_perhaps_done(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.fault("status", path="*/execution/suite", status=200, body={"ok": True}, times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("checksum.run_suite")
    assert caught.value.perhaps_done is True


def test_a_status_needs_name_or_run_id(caller: Caller) -> None:
    with pytest.raises(ValidationError, match="name or run_id"):
        caller.do("checksum.run_status")


# --- results, report, attachments, bugs, generation ---------------------------------------------


def test_results_report_and_attachments(checksum: TwinProcess, caller: Caller) -> None:
    run_id = failed_run(checksum, branch="feature/x")
    found = caller.outputs("checksum.results", test_run_id=run_id)
    assert (found.status, found.branch, found.passed, found.failed) == ("failed", "feature/x", 3, 2)
    assert {test.status for test in found.tests} == {"failed"}
    assert len(caller.outputs("checksum.results", test_run_id=run_id, status=None).tests) == 5
    assert caller.outputs("checksum.report", test_run_id=run_id).url.startswith("https://")
    client = ChecksumClient(caller.http, caller.options)
    attached = client.attachments(run_id, str(found.tests[0].id))
    assert {one.type for one in attached} == {"trace", "screenshot"}


@pytest.mark.parametrize(
    "body",
    [{"reportUrl": "https://x/r"}, "https://x/r", {"data": {"url": "https://x/r"}}],
)
def test_reports_come_in_several_shapes(
    checksum: TwinProcess, caller: Caller, body: object
) -> None:
    checksum.fault("status", path="*/report", status=200, body=body, times=1)
    assert caller.outputs("checksum.report", test_run_id=str(uuid4())).url == "https://x/r"


@pytest.mark.parametrize("body", [{"report": None}, "javascript:alert(1)", []])
def test_a_report_without_address_is_broken(
    checksum: TwinProcess, caller: Caller, body: object
) -> None:
    checksum.fault("status", path="*/report", status=200, body=body, times=1)
    with pytest.raises(VendorBroken):
        caller.outputs("checksum.report", test_run_id=str(uuid4()))


def test_bugs_are_paged_and_bounded(checksum: TwinProcess, caller: Caller) -> None:
    for number in range(53):
        severity = "critical" if number % 2 else "minor"
        checksum.lever("bugs", {"id": f"bug-{number}", "severity": severity})
    everything = caller.outputs("checksum.bugs")
    assert (everything.count, everything.more) == (53, False)
    assert len({bug.id for bug in everything.bugs}) == 53
    some = caller.outputs("checksum.bugs", severity="critical", limit=10)
    assert (some.count, some.more) == (10, True)


def test_tests_are_generated_for_a_pull_request(checksum: TwinProcess, caller: Caller) -> None:
    client = ChecksumClient(caller.http, caller.options)
    begun = client.auto_generate(pr_number=42, repo=REPO, branch="feature/x", metadata={"a": 1})
    assert begun.links.session is not None
    checksum.advance(10)
    assert client.generation(begun.batch_id).all_terminal


# --- polls --------------------------------------------------------------------------------------


def test_the_poll_of_runs_tells_each_end_once(checksum: TwinProcess, caller: Caller) -> None:
    empty = caller.ask("runs")
    assert list(empty.events) == []
    run_id = failed_run(checksum, branch="feature/x")
    first = caller.ask("runs", empty.position)
    event = first.events[0]
    assert (event.type, event.subject, event.key) == (
        "test_run.failed",
        run_id,
        f"run:{run_id}:failed",
    )
    facts = event.facts
    assert facts["counts"] == {"passed": 3, "failed": 2, "recovered": 0, "bug": 0}
    assert len(facts["failed_tests"]) == 2
    assert (facts["branch"], facts["repository"]) == ("feature/x", REPO)
    assert facts["url"] == f"https://app.checksum.ai/#/test-runs/{run_id}"
    assert list(caller.ask("runs", first.position).events) == []
    assert caller.ask("runs", empty.position).events[0].key == event.key, "same after a crash"


def test_a_run_is_told_once_though_the_latest_is_slow_to_show_its_end(
    checksum: TwinProcess, caller: Caller
) -> None:
    run_id = failed_run(checksum)
    body = {"id": run_id, "status": "running"}
    checksum.fault("status", path="*/latest", status=200, body=body, times=2)
    first = caller.ask("runs")
    assert [event.type for event in first.events] == ["test_run.failed"]
    assert list(caller.ask("runs", first.position).events) == []


def test_runs_that_overlap_are_all_told(checksum: TwinProcess, caller: Caller) -> None:
    checksum.lever("outcomes", {"runs": ["failed", "passed"]})
    caller.do("checksum.run_suite")
    begun = caller.ask("runs")
    caller.do("checksum.run_suite")
    both = caller.ask("runs", begun.position)
    assert [*begun.events, *both.events] == []
    checksum.advance(5)
    ended = caller.ask("runs", both.position)
    assert sorted(event.type for event in ended.events) == ["test_run.failed", "test_run.passed"]
    assert ended.position["watched"] == {}


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("passed", "test_run.passed"),
        ("healed", "test_run.healed"),
        ("process-error", "test_run.errored"),
        ("cancelled", "test_run.cancelled"),
    ],
)
def test_every_end_has_its_event(
    checksum: TwinProcess, caller: Caller, status: str, event: str
) -> None:
    checksum.lever("runs", {"status": status})
    assert [one.type for one in caller.ask("runs").events] == [event]


@pytest.mark.parametrize(
    ("strict", "event"), [(False, "test_run.passed"), (True, "test_run.failed")]
)
def test_a_passed_run_with_failures_follows_the_policy(
    checksum: TwinProcess, caller: Caller, event: str, *, strict: bool
) -> None:
    checksum.lever("runs", {"status": "passed", "passed": 45, "failed": 2, "bug": 1})
    assert caller.ask("runs", strict=strict).events[0].type == event


def test_failures_that_are_all_bugs_do_not_fail_a_passed_run(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.lever("runs", {"status": "passed", "passed": 45, "failed": 2, "bug": 2})
    assert caller.ask("runs", strict=True).events[0].type == "test_run.passed"


def test_a_run_that_heals_after_failing_is_told_again(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.lever("outcomes", {"runs": ["failed"]})
    caller.do("checksum.run_suite", auto_heal={})
    checksum.advance(2.5)
    failed = caller.ask("runs")
    checksum.advance(10)
    healed = caller.ask("runs", failed.position)
    assert [event.type for event in (*failed.events, *healed.events)] == [
        "test_run.failed",
        "test_run.healed",
    ]


def test_the_first_answer_can_be_a_silent_beginning(checksum: TwinProcess, caller: Caller) -> None:
    failed_run(checksum)
    first = caller.ask("runs", report_first=False)
    assert list(first.events) == []
    assert list(caller.ask("runs", first.position, report_first=False).events) == []
    failed_run(checksum)
    assert len(caller.ask("runs", first.position, report_first=False).events) == 1


def test_a_run_that_never_ends_is_told_once(checksum: TwinProcess, caller: Caller) -> None:
    checksum.set(pace=10_000_000)
    caller.do("checksum.run_suite")
    begun = caller.ask("runs")
    caller.now += timedelta(hours=7)
    late = caller.ask("runs", begun.position)
    assert [event.type for event in late.events] == ["checksum.run_unfinished"]
    assert list(caller.ask("runs", late.position).events) == []


def test_a_run_that_is_gone_does_not_stop_the_poll(checksum: TwinProcess, caller: Caller) -> None:
    position = {"watched": {str(uuid4()): caller.now.isoformat()}, "told": []}
    failed_run(checksum)
    answer = caller.ask("runs", position)
    assert len(answer.events) == 1
    assert answer.position["watched"] == {}


@pytest.mark.parametrize("position", [{}, {"watched": [1], "told": "x"}, {"watched": {"a": 3}}])
def test_an_odd_position_is_read_as_far_as_possible(
    checksum: TwinProcess, caller: Caller, position: dict[str, Any]
) -> None:
    run_id = failed_run(checksum)
    assert [event.subject for event in caller.ask("runs", position).events] == [run_id]


def test_the_poll_of_bugs_tells_new_ones_and_changes(checksum: TwinProcess, caller: Caller) -> None:
    checksum.lever("bugs", {"id": "bug-1"})
    first = caller.ask("bugs")
    assert list(first.events) == []
    assert len(caller.ask("bugs", report_existing=True).events) == 1
    checksum.lever("bugs", {"id": "bug-2", "severity": "critical"})
    second = caller.ask("bugs", first.position)
    assert [(event.type, event.subject) for event in second.events] == [("bug.found", "bug-2")]
    assert second.events[0].facts["severity"] == "critical"
    seen = set()
    position = second.position
    for status in ("confirmed", "fixed", "confirmed"):
        bug = {"id": "bug-1", "title": "t", "status": status, "severity": "major"}
        checksum.fault("status", path="*/bugs", status=200, body={"bugs": [bug]}, times=1)
        answer = caller.ask("bugs", position)
        position = answer.position
        assert [event.type for event in answer.events] == ["bug.changed"]
        seen.add(answer.events[0].key)
    assert len(seen) == 3, "a bug that returns to an earlier state is told again"


def test_a_heal_whose_answer_comes_too_late_is_begun_once_and_in_doubt(
    checksum: TwinProcess, caller: Caller
) -> None:
    run_id = failed_run(checksum)
    checksum.fault("slow", path="*/auto-heal", delay_s=3, times=1)
    hasty = VendorHttp(
        base_url=checksum.url,
        headers={"Authorization": "Bearer checksum-key"},
        guard=AddressGuard(allow_private=True),
        timeout_s=0.2,
    )
    with hasty, pytest.raises(TimedOut) as caught:
        ChecksumClient(hasty, caller.options).auto_heal(
            test_run_id=run_id, auto_create_pr=True, repo=REPO
        )
    assert caught.value.perhaps_done is True
    assert len(checksum.effects(path="*/auto-heal")) == 1


# --- limits, failures and credentials, each said in words -----------------------------------------


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "9"}, 9),
        ({"ratelimit-reset": "8"}, 8),
        ({"ratelimit": '"default";r=0;t=7'}, 7),
        ({}, 60),
    ],
)
def test_a_429_holds_for_as_long_as_it_says(
    checksum: TwinProcess, caller: Caller, headers: dict[str, str], wait: int
) -> None:
    checksum.fault("status", path="*/latest", status=429, headers=headers)
    with pytest.raises(RateLimited) as caught:
        caller.do("checksum.latest_run")
    assert caught.value.retry_after == timedelta(seconds=wait)
    assert len(checksum.calls(path="*/latest")) == 1


def test_a_429_whose_reset_is_a_time_of_day(checksum: TwinProcess, caller: Caller) -> None:
    headers = {"x-ratelimit-reset": str(int(datetime.now(UTC).timestamp()) + 40)}
    checksum.fault("status", path="*/latest", status=429, headers=headers, times=1)
    with pytest.raises(RateLimited) as caught:
        caller.do("checksum.latest_run")
    assert caught.value.retry_after is not None
    assert 30 < caught.value.retry_after.total_seconds() <= 40


def test_no_more_calls_than_the_option_says_within_any_minute(checksum: TwinProcess) -> None:
    caller = caller_of(checksum, per_minute=20)
    monotonic = caller.time.timing().monotonic
    sent: list[float] = []
    while len(sent) < 70:
        try:
            caller.do("checksum.latest_run")
        except RateLimited as fault:
            caller.time.sleep((fault.retry_after or timedelta()).total_seconds())
        else:
            sent.append(monotonic())
    assert all(later - earlier > 60 for earlier, later in zip(sent, sent[20:], strict=False))
    assert len(checksum.calls(path="*/latest")) == 70


def test_a_read_is_tried_again_after_a_5xx(checksum: TwinProcess, caller: Caller) -> None:
    run_id = failed_run(checksum)
    checksum.fault("status", path="*/latest", status=503, times=2)
    assert caller.outputs("checksum.latest_run").test_run_id == run_id
    assert len(checksum.calls(path="*/latest")) == 3


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "key_header: ChecksumAppCode"), (403, "one key belongs to one project"), (404, "id")],
)
def test_refusals_say_what_to_do(
    checksum: TwinProcess, caller: Caller, status: int, hint: str
) -> None:
    checksum.fault("status", path="*/results", status=status, body={"error": "no"}, times=1)
    with pytest.raises(Refused) as caught:
        caller.do("checksum.results", test_run_id=str(uuid4()))
    assert caught.value.status == status
    assert hint in (caught.value.hint or "")


# --- shards, selections, generations --------------------------------------------------------------


def test_a_run_in_shards_is_followed_by_its_id(checksum: TwinProcess, caller: Caller) -> None:
    told = caller.outputs("checksum.run_grep", grep="@x", shards=4)
    assert (told.sharded, told.name, told.run_id is not None) == (True, None, True)
    call: Any = checksum.calls(path="*/v2/execution/grep")[0]
    assert call["body"] == {"grep": "@x", "shards": 4}
    checksum.advance(5)
    assert caller.outputs("checksum.run_status", run_id=told.run_id).terminal
    for wrong in ({"shards": 41}, {"shards": 1}, {"shards": 2, "auto_heal": {}}):
        with pytest.raises(ValidationError):
            caller.do("checksum.run_grep", grep="@x", **wrong)


def test_a_selection_of_tests_can_be_run(checksum: TwinProcess, caller: Caller) -> None:
    change = {"changedFiles": ["src/a.ts", "src/b.ts"]}
    found = caller.outputs("checksum.affected_tests", change=change)
    assert (found.test_ids, found.count) == (("test-001", "test-002"), 2)
    assert caller.outputs("checksum.run_tests", test_ids=found.test_ids).name
    call: Any = checksum.calls(path="*/affected-tests")[0]
    assert call["body"] == change


@pytest.mark.parametrize(
    "body",
    [["a"], {"tests": [{"checksumTestId": "a"}]}, {"data": {"testIds": ["a", None, 2.5]}}],
)
def test_selections_come_in_several_shapes(
    checksum: TwinProcess, caller: Caller, body: object
) -> None:
    checksum.fault("status", path="*/affected-tests", status=200, body=body, times=1)
    assert caller.outputs("checksum.affected_tests", change={}).test_ids == ("a",)


def test_a_selection_without_tests_is_broken(checksum: TwinProcess, caller: Caller) -> None:
    checksum.fault("status", path="*/affected-tests", status=200, body={"ok": True}, times=1)
    with pytest.raises(VendorBroken, match="affected_tests_paths"):
        caller.do("checksum.affected_tests", change={})


def test_a_generation_is_begun_and_watched(checksum: TwinProcess, caller: Caller) -> None:
    begun = caller.outputs("checksum.generate_tests", pr_number=42, branch="feature/x")
    sent: Any = checksum.calls(path="*/auto-generate")[0]
    assert sent["body"]["repoName"] == REPO
    assert sent["body"]["metadata"] == {"correlation_id": "run:step:0"}
    assert begun.url is not None
    assert not caller.outputs("checksum.generation_progress", batch_id=begun.batch_id).all_terminal
    checksum.advance(10)
    ended = caller.outputs("checksum.generation_progress", batch_id=begun.batch_id)
    assert (ended.all_terminal, ended.completed, len(ended.pr_urls)) == (True, 1, 1)
    with pytest.raises(Permanent, match="repository"):
        caller_of(checksum, repository=None).do(
            "checksum.generate_tests", pr_number=42, branch="feature/x"
        )


def test_attachments_and_the_latest_run_by_action(checksum: TwinProcess, caller: Caller) -> None:
    nothing = caller.outputs("checksum.latest_run")
    assert (nothing.test_run_id, nothing.terminal) == (None, False)
    run_id = failed_run(checksum)
    assert caller.outputs("checksum.latest_run").test_run_id == run_id
    found = caller.outputs("checksum.attachments", test_run_id=run_id, test_id="test-004")
    assert {one.type for one in found.attachments} == {"trace", "screenshot"}


# --- long lists -----------------------------------------------------------------------------------


def test_more_than_a_thousand_bugs_come_once_each(checksum: TwinProcess, caller: Caller) -> None:
    checksum.lever("fill", {"bugs": 1234})
    client = ChecksumClient(caller.http, caller.options)
    found = [bug.id for bug in client.bugs()]
    assert len(found) == len(set(found)) == 1234
    assert len(list(client.bugs(severity="critical"))) == 617


def test_the_poll_of_bugs_reads_few_pages_a_time(checksum: TwinProcess, caller: Caller) -> None:
    checksum.lever("fill", {"bugs": 1234})
    first = caller.ask("bugs")
    assert (len(first.events), first.more, len(checksum.calls(path="*/bugs"))) == (0, True, 4)
    begun = ask_all(caller, "bugs", first.position)
    assert list(begun.events) == [], "those that are there are no news"
    checksum.lever("fill", {"bugs": 300})
    second = ask_all(caller, "bugs", begun.position)
    told = [event.subject for event in second.events]
    assert sorted(told) == sorted(f"bug-{number}" for number in range(1234, 1534))
    assert {event.type for event in second.events} == {"bug.found"}
    assert list(ask_all(caller, "bugs", second.position).events) == []


def test_the_poll_of_bugs_loses_and_repeats_nothing_when_a_page_fails(
    checksum: TwinProcess, caller: Caller
) -> None:
    position: Any = caller.ask("bugs").position
    checksum.lever("fill", {"bugs": 450})
    checksum.fault("status", path="*/bugs", status=400, skip=5, times=1)
    told: list[str] = []
    failures = 0
    while True:
        try:
            answer = caller.ask("bugs", position)
        except Refused:
            failures += 1
            continue
        told += [event.fact for event in answer.events]
        position = answer.position
        if not answer.more:
            break
    assert failures == 1
    assert sorted(told) == sorted(f"bug:bug-{number}:needs-triage" for number in range(450))


def test_facts_of_a_bug_tell_its_changes_apart(checksum: TwinProcess, caller: Caller) -> None:
    bug = {"id": "bug-1", "severity": "major"}
    checksum.lever("bugs", {**bug, "status": "needs-triage"})
    found = caller.ask("bugs", report_existing=True)
    facts = [event.fact for event in found.events]
    position: Any = found.position
    changes = [("confirmed", "major"), ("fixed", "major"), ("confirmed", "major")]
    for status, severity in [*changes, ("confirmed", "critical")]:
        checksum.lever("bugs", {"id": "bug-1", "status": status, "severity": severity})
        answer = caller.ask("bugs", position)
        facts += [event.fact for event in answer.events]
        position = answer.position
    assert facts[:3] == ["bug:bug-1:needs-triage", "bug:bug-1:confirmed", "bug:bug-1:fixed"]
    assert len(set(facts)) == 5


def test_a_change_has_the_same_fact_by_poll_and_by_webhook(
    checksum: TwinProcess, caller: Caller
) -> None:
    bug = {"id": "bug-1", "status": "needs-triage", "severity": "major"}
    checksum.lever("bugs", bug)
    position = caller.ask("bugs").position
    changed = {**bug, "status": "confirmed", "updatedAt": "2026-11-01T10:00:00Z"}
    checksum.lever("bugs", changed)
    (polled,) = caller.ask("bugs", position).events
    sent = by_webhook("bug.status_changed", changed)
    assert (polled.type, polled.fact) == (sent.type, sent.fact)
    assert polled.fact


def by_webhook(type_: str, data: dict[str, Any]) -> Any:
    """Give the event that a webhook with this data would be."""
    assert VENDOR.incoming is not None
    body = json.dumps({"id": "evt_1", "type": type_, "data": data}).encode()
    (draft,) = VENDOR.incoming.normalise(make_delivery([], body), ChecksumSourceOptions())
    return draft


# --- the poll of runs, in parts -------------------------------------------------------------------


def test_many_runs_are_watched_ten_at_a_time(checksum: TwinProcess, caller: Caller) -> None:
    checksum.set(pace=300)  # none ends before all have begun
    position: Any = caller.ask("runs").position
    for _ in range(23):
        caller.do("checksum.run_suite")
        position = ask_all(caller, "runs", position).position
    assert len(position["watched"]) == 23
    checksum.advance(600)
    before = len(checksum.calls(path="*/results"))
    first = caller.ask("runs", position)
    assert (len(first.events), first.more) == (10, True)
    assert len(checksum.calls(path="*/results")) - before == 10
    rest = ask_all(caller, "runs", first.position)
    facts = [event.fact for event in (*first.events, *rest.events)]
    assert len(set(facts)) == len(facts) == 23
    assert rest.position["watched"] == {}


def test_runs_we_started_are_told_though_another_overtook_them(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.set(dispatch_answer="run_id")
    old = caller.outputs("checksum.run_suite").run_id
    checksum.advance(5)
    failed_run(checksum)
    position: Any = caller.ask("runs").position
    ours = {caller.outputs("checksum.run_suite").run_id for _ in range(3)}
    other = failed_run(checksum)
    begun = ask_all(caller, "runs", position)
    assert [event.subject for event in begun.events] == [other]
    checksum.advance(5)
    ended = ask_all(caller, "runs", begun.position)
    assert {event.subject for event in ended.events} == ours
    assert old not in ours
    assert list(ask_all(caller, "runs", ended.position).events) == []


def test_a_run_has_the_same_fact_by_poll_and_by_webhook(
    checksum: TwinProcess, caller: Caller
) -> None:
    run_id = failed_run(checksum)
    (polled,) = caller.ask("runs").events
    sent = by_webhook("test_run.completed", {"testRunId": run_id, "status": "failed"})
    assert (
        (polled.type, polled.fact)
        == (sent.type, sent.fact)
        == (
            "test_run.failed",
            f"run:{run_id}:failed",
        )
    )


# --- the poll of heals ----------------------------------------------------------------------------


def begin_heal(twin: TwinProcess, caller: Caller) -> str:
    return str(caller.outputs("checksum.auto_heal", test_run_id=failed_run(twin)).batch_id)


def test_our_own_heals_are_told_from_beginning_to_end(
    checksum: TwinProcess, caller: Caller
) -> None:
    position = caller.ask("heal_batches").position
    batch = begin_heal(checksum, caller)
    begun = caller.ask("heal_batches", position)
    assert [(event.type, event.fact) for event in begun.events] == [
        ("heal.started", f"heal:{batch}:started")
    ]
    still = caller.ask("heal_batches", begun.position)
    assert list(still.events) == []
    checksum.advance(10)
    ended = caller.ask("heal_batches", still.position)
    (event,) = ended.events
    assert (event.type, event.subject, event.fact) == (
        "heal.completed",
        batch,
        f"heal:{batch}:completed",
    )
    facts = event.facts
    assert (facts["status"], facts["completed"], facts["failed"]) == ("completed", 1, 0)
    assert len(facts["pr_urls"]) == 1
    assert (facts["bug_suspected"], facts["repository"]) == (False, REPO)
    assert list(caller.ask("heal_batches", ended.position).events) == []
    again = caller.ask("heal_batches", still.position)
    assert [one.key for one in again.events] == [event.key], "same after a crash"
    sent = by_webhook("auto_heal.completed", {"batchId": batch, "status": "completed"})
    assert (sent.type, sent.fact) == (event.type, event.fact)


def test_a_heal_that_began_and_ended_between_two_questions_is_told_whole(
    checksum: TwinProcess, caller: Caller
) -> None:
    position = caller.ask("heal_batches").position
    checksum.lever("outcomes", {"heals": ["failed"]})
    begin_heal(checksum, caller)
    checksum.advance(10)
    told = [event.type for event in caller.ask("heal_batches", position).events]
    assert told == ["heal.started", "heal.failed"]


def test_a_heal_without_pull_request_suspects_a_bug(checksum: TwinProcess, caller: Caller) -> None:
    position = caller.ask("heal_batches").position
    checksum.lever("outcomes", {"heals": ["bugs"]})
    begin_heal(checksum, caller)
    checksum.advance(10)
    ended = caller.ask("heal_batches", position).events[-1]
    assert (ended.type, ended.facts["bug_suspected"]) == ("heal.completed", True)


def test_the_end_is_when_all_sessions_have_ended(checksum: TwinProcess, caller: Caller) -> None:
    position: Any = caller.ask("heal_batches").position
    checksum.lever("outcomes", {"heals": [{"sessions": ["failed", "pr", "pr"]}]})
    begin_heal(checksum, caller)
    checksum.advance(2.5)
    half = caller.ask("heal_batches", position)
    assert [(event.type, event.facts["status"]) for event in half.events] == [
        ("heal.started", "failed")
    ]
    checksum.advance(10)
    (ended,) = caller.ask("heal_batches", half.position).events
    assert (ended.type, ended.facts["failed"]) == ("heal.failed", 1)


@pytest.mark.parametrize("shape", ["name", "run_id"])
def test_a_heal_that_a_run_began_by_itself_is_found_through_the_run(
    checksum: TwinProcess, caller: Caller, shape: str
) -> None:
    checksum.set(dispatch_answer=shape)
    checksum.lever("outcomes", {"runs": ["failed", "passed"]})
    position: Any = caller.ask("heal_batches").position
    caller.do("checksum.run_grep", grep="@a", auto_heal={})
    caller.do("checksum.run_grep", grep="@b", auto_heal={})
    caller.do("checksum.run_grep", grep="@c")
    running = caller.ask("heal_batches", position)
    assert list(running.events) == []
    checksum.advance(30)
    told = caller.ask("heal_batches", running.position)
    names = [event.type for event in told.events]
    if shape == "name":
        assert names == ["heal.started", "heal.completed"]
        asked = len(checksum.calls(path="*/execution/status/*"))
        assert list(caller.ask("heal_batches", told.position).events) == []
        assert len(checksum.calls(path="*/execution/status/*")) == asked, "no run is asked again"


def test_a_run_that_names_no_heal_is_asked_for_half_an_hour(
    checksum: TwinProcess, caller: Caller
) -> None:
    checksum.set(show_batch_id=False)
    checksum.lever("outcomes", {"runs": ["failed"], "heals": ["failed"]})
    position: Any = caller.ask("heal_batches").position
    caller.do("checksum.run_grep", grep="@a", auto_heal={})
    checksum.advance(5)
    for minutes, expected in ((0, 1), (10, 1), (31, 1), (40, 0)):
        caller.now = caller.now.replace(hour=12, minute=0) + timedelta(minutes=minutes)
        before = len(checksum.calls(path="*/execution/status/*"))
        answer = caller.ask("heal_batches", position)
        position = answer.position
        assert list(answer.events) == []
        assert len(checksum.calls(path="*/execution/status/*")) - before == expected


def test_heals_that_had_ended_before_the_first_question_are_no_news(
    checksum: TwinProcess, caller: Caller
) -> None:
    begin_heal(checksum, caller)
    checksum.advance(10)
    running = begin_heal(checksum, caller)
    first = caller.ask("heal_batches")
    assert [event.fact for event in first.events] == [f"heal:{running}:started"]
    checksum.advance(10)
    assert len(caller.ask("heal_batches", first.position).events) == 1
    assert len(caller.ask("heal_batches", report_first=True).events) == 4


def test_many_heals_are_asked_for_ten_at_a_time(checksum: TwinProcess, caller: Caller) -> None:
    position: Any = caller.ask("heal_batches").position
    for _ in range(23):
        begin_heal(checksum, caller)
    checksum.advance(10)
    first = caller.ask("heal_batches", position)
    assert (len(first.events), first.more) == (20, True)
    rest = ask_all(caller, "heal_batches", first.position)
    facts = [event.fact for event in (*first.events, *rest.events)]
    assert len(set(facts)) == len(facts) == 46


def test_a_heal_that_is_gone_and_one_that_never_ends_stop_nothing(
    checksum: TwinProcess, caller: Caller
) -> None:
    position: Any = caller.ask("heal_batches").position
    caller.earlier["checksum.auto_heal"] = [{"batch_id": "gone"}, {"batch_id": None}, {}]
    checksum.set(pace=10_000_000)
    stuck = begin_heal(checksum, caller)
    first = caller.ask("heal_batches", position)
    assert [event.subject for event in first.events] == [stuck]
    caller.now += timedelta(hours=25)
    late = caller.ask("heal_batches", first.position)
    assert [event.type for event in late.events] == ["checksum.heal_unfinished"]
    assert list(caller.ask("heal_batches", late.position).events) == []


@pytest.mark.parametrize(
    "position", [{}, {"watched": [1], "done": "x"}, {"watched": {"a": 3}, "left": ["a", "b"]}]
)
def test_an_odd_position_of_heals_is_read_as_far_as_possible(
    checksum: TwinProcess, caller: Caller, position: dict[str, Any]
) -> None:
    batch = begin_heal(checksum, caller)
    told = ask_all(caller, "heal_batches", position)
    told = ask_all(caller, "heal_batches", told.position) if not told.events else told
    assert [event.subject for event in told.events] == [batch]


# --- what vendors.md lists ------------------------------------------------------------------------


def test_every_listed_call_is_made(checksum: TwinProcess, caller: Caller) -> None:
    client = ChecksumClient(caller.http, caller.options)
    client.me()
    client.run_suite()
    client.run_collection("c1")
    client.run_tests(["a"])
    client.run_grep_v1("@x")
    name = str(client.run_grep("@x").name)
    client.affected_tests({})
    client.status_of_job(name)
    client.status_of_job(name, version=1)
    run_id = failed_run(checksum)
    client.status_of_run(run_id)
    client.results(run_id)
    client.report(run_id)
    client.attachments(run_id, "test-001")
    assert client.latest() is not None
    list(client.bugs())
    generation = client.auto_generate(pr_number=1, repo=REPO, branch="b")
    client.generation(generation.batch_id)
    heal = client.auto_heal(test_run_id=run_id, auto_create_pr=True, repo=REPO)
    client.heal(heal.batch_id)
    calls = checksum.calls()
    assert (unmade(LISTED, calls), unlisted(LISTED, calls)) == ([], [])

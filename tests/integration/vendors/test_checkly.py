"""Checkly's client and actions against its twin."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from service.errors import HookwrightError, RateLimited, Refused, TimedOut, VendorBroken
from service.vendors.checkly import VENDOR
from service.vendors.checkly.alert_calls import ChannelOrder, WebhookConfig
from service.vendors.checkly.client import ChecklyClient, client_of
from service.vendors.checkly.session_calls import (
    EnvironmentVariable,
    SessionFilter,
    SessionMetadata,
    SessionOrder,
    Target,
)
from tests.integration.vendors.checkly_account import ACCOUNT, CREDENTIALS, install
from tests.integration.vendors.conftest import Caller, Start
from tests.vendors.listed.call import unlisted, unmade
from tests.vendors.listed.checkly import LISTED

PHASE_S = 1000
SESSION_ERROR = "expect(page) to have the heading 'Deploy to production'"


@pytest.fixture
def checkly(twin: Start) -> TwinProcess:
    """Runs move only when the test moves the clock; a long poll of 30 s lasts 0.3 s."""
    return install(twin("checkly"), pace=PHASE_S, long_poll_scale=0.01)


def caller_of(twin: TwinProcess, **options: Any) -> Caller:
    return Caller(VENDOR, twin.url, CREDENTIALS, {"per_minute": 6000, **options})


def client_over(caller: Caller) -> ChecklyClient:
    return client_of(caller.context())


@pytest.fixture
def caller(checkly: TwinProcess) -> Caller:
    return caller_of(checkly)


@pytest.fixture
def client(caller: Caller) -> ChecklyClient:
    return client_over(caller)


def ago(**of: float) -> datetime:
    return datetime.now(UTC) - timedelta(**of)


BY_ID = SessionOrder(name="Deploy to production", target=Target(check_id=("check-api",)))


# --- every call -----------------------------------------------------------------------------------


def use_sessions(client: ChecklyClient, twin: TwinProcess) -> None:
    twin.lever("outcomes", {"sessions": ["FAILED", "PASSED"]})
    started = client.sessions.trigger(BY_ID)
    assert started.session_id is not None
    scheduling = client.sessions.run(BY_ID)
    assert client.sessions.completion(started.session_id, max_wait_s=1) is None
    assert client.sessions.scheduled(scheduling.scheduling_id or "", max_wait_s=1) is None
    twin.advance(2 * PHASE_S)
    scheduled = client.sessions.scheduled(scheduling.scheduling_id or "")
    assert scheduled is not None
    assert (scheduled.status, scheduled.is_terminal) == ("SUCCEEDED", True)
    assert client.sessions.get(scheduled.session_id or "").status == "PASSED"
    ended = client.sessions.completion(started.session_id)
    assert ended is not None
    assert (ended.status, ended.is_terminal) == ("FAILED", True)
    (result,) = ended.results
    assert result.is_failing
    again = client.sessions.result(started.session_id, result.result_id or "")
    assert again.error_group_ids == result.error_group_ids == ended.error_group_ids
    client.sessions.cancel(started.session_id)
    assert len(client.sessions.page().rows) == 2


def use_checks(client: ChecklyClient, twin: TwinProcess) -> None:
    twin.lever("outcomes", {"checks": ["FAILED", "PASSED"]})
    failed, passed = client.checks.trigger(
        Target(match_tags=(("production", "shop"), ("checkout",))), refresh_cache=True
    )
    assert client.checks.completion(failed.session_id or "", max_wait_s=1) is None
    assert client.checks.session(failed.session_id or "").status == "STARTED"
    client.checks.cancel(passed.session_id or "")
    assert client.checks.session(passed.session_id or "").status == "CANCELLED"
    twin.advance(2 * PHASE_S)
    ended = client.checks.completion(failed.session_id or "")
    assert ended is not None
    assert (ended.status, ended.is_terminal) == ("FAILED", True)
    states = {one.check_id: one.status for one in client.checks.statuses()}
    assert states == {"check-api": "failed", "check-browser": "passed", "check-old": "passed"}
    state = client.checks.status("check-api")
    (result,) = client.checks.results("check-api")
    assert (state.status, state.last_check_run_id) == ("failed", result.id)
    assert client.checks.result("check-api", result.id or "").result_type == "FINAL"
    twin.lever("outcomes", {"checks": ["PASSED", "FAILED"]})
    assert client.checks.deployment_trigger("check-api", "tkn-of-check", sha="abc") is True
    assert client.checks.deployment_trigger("check-api", "tkn-of-group", group=True) is False


def use_alerts(client: ChecklyClient, twin: TwinProcess) -> None:
    twin.lever("alerts", {"count": 4})
    assert len(list(client.alerts.alerts(since=ago(hours=1)))) == 4
    assert len(list(client.alerts.alerts(check_id="check-api", since=ago(hours=1)))) == 2
    assert list(client.alerts.notifications(since=ago(hours=1), has_failures=True)) == []
    order = ChannelOrder(
        config=WebhookConfig(
            name="Mine", url="https://hooks.example/c", template="{}", webhook_secret="s3cret"
        )
    )
    made = client.alerts.create_channel(order)
    assert (made.type, made.send_degraded, made.config["method"]) == ("WEBHOOK", False, "POST")
    louder = order.model_copy(update={"send_degraded": True})
    changed = client.alerts.replace_channel(made.id or "", louder)
    assert changed.send_degraded is True
    assert client.alerts.channel(made.id or "").config["url"] == "https://hooks.example/c"
    assert len(list(client.alerts.channels())) == 2
    client.alerts.delete_channel(made.id or "")
    assert len(list(client.alerts.channels())) == 1


def use_errors(client: ChecklyClient, twin: TwinProcess) -> None:
    twin.lever("alerts", {"checks": ["check-api"]})
    twin.lever("sessions", {"status": "FAILED", "ago_s": 100})
    (group,) = client.errors.groups_of_check("check-api")
    of_session = next(
        one for one in client.errors.session_groups() if one.raw_error_message == SESSION_ERROR
    )
    assert client.errors.session_groups(of_session.project_id)[0].project_id == "project-webapp"
    assert client.errors.session_groups("another") == []
    assert client.errors.group(group.id or "").error_hash == group.error_hash
    assert client.errors.group(of_session.id or "", kind="test_session").id == of_session.id
    assert client.errors.archive(group.id or "", until_next_event=True).is_archived
    assert not client.errors.archive(group.id or "", until_next_event=False).is_archived
    away = client.errors.archive(of_session.id or "", kind="test_session", for_ever=True)
    assert away.is_archived
    first = client.errors.analyse(group.id or "", user_context="since the deploy")
    second = client.errors.analyse(of_session.id or "", kind="test_session")
    assert client.errors.analysis(first) is None
    twin.advance(PHASE_S)
    told = client.errors.analysis(second)
    assert told is not None
    assert told.classification == "APPLICATION_ERROR"


AREAS = (use_sessions, use_checks, use_alerts, use_errors)


def test_every_listed_call_is_made(checkly: TwinProcess, client: ChecklyClient) -> None:
    for use in AREAS:
        use(client, checkly)
    calls = checkly.calls()
    assert (unmade(LISTED, calls), unlisted(LISTED, calls)) == ([], [])


# --- lists ----------------------------------------------------------------------------------------


def test_a_thousand_sessions_are_read_through_cursors(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    added: Any = checkly.lever("sessions", {"count": 1000, "ago_s": 100, "duration_s": 5})
    found = [session.id for session in client.sessions.every()]
    assert found == [row["id"] for row in reversed(added)]
    calls = checkly.calls(path="/v1/test-sessions")
    assert len(calls) == 10
    assert {call["query"]["limit"] for call in calls} == {"100"}  # type: ignore[index]  # a mapping


def test_a_thousand_results_are_read_through_cursors(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    checkly.lever("results", {"check_id": "check-api", "count": 1000})
    found = [result.id for result in client.checks.results("check-api", fields=("resultType",))]
    assert len(set(found)) == len(found) == 1000


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_thousand_alerts_are_read_through_numbered_pages(
    checkly: TwinProcess, client: ChecklyClient, *, newest_first: bool
) -> None:
    checkly.set(newest_first=newest_first)
    added: Any = checkly.lever("alerts", {"count": 1000})
    found = [row.id for row in client.alerts.alerts(since=ago(hours=6))]
    assert sorted(map(str, found)) == sorted(row["id"] for row in added)
    assert client.alerts.alerts_page(since=ago(hours=6)).total == 1000


def test_without_a_range_the_length_of_a_page_tells_whether_there_is_more(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    rows = [{"id": number} for number in range(10)]
    checkly.fault("status", path="*/check-alerts", status=200, body=rows, times=1)
    page = client.alerts.alerts_page(limit=10)
    assert (page.next, page.total) == ("2", None)
    checkly.fault("status", path="*/check-alerts", status=200, body=rows[:9], times=1)
    assert client.alerts.alerts_page(limit=10).next is None


def test_a_cursor_that_comes_again_ends_the_list(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    body = {"length": 1, "entries": [{"id": "s1"}], "nextId": "same"}
    checkly.fault("status", path="*/test-sessions", status=200, body=body)
    assert [session.id for session in client.sessions.every()] == ["s1", "s1"]


def test_alerts_older_than_six_hours_come_when_the_beginning_is_named(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    checkly.lever("alerts", {"count": 1, "ago_s": 7 * 3600})
    assert list(client.alerts.alerts()) == []
    assert len(list(client.alerts.alerts(since=ago(hours=8)))) == 1
    assert list(client.alerts.alerts(since=ago(hours=8), until=ago(hours=7, minutes=1))) == []


@pytest.mark.parametrize("arrays", ["repeat", "brackets", "comma"])
@pytest.mark.parametrize("time_unit", ["s", "ms"])
def test_every_parameter_of_the_sessions_is_understood(
    checkly: TwinProcess, arrays: str, time_unit: str
) -> None:
    checkly.set(arrays=arrays, time_unit=time_unit)
    client = client_over(caller_of(checkly, arrays=arrays, time_unit=time_unit))
    for status, branch, owner, provider in (
        ("FAILED", "main", "Jo", "GITHUB"),
        ("PASSED", "main", None, "API"),
        ("FAILED", "topic", "Jo", "VERCEL"),
        ("CANCELLED", "topic", "Al", "GITHUB"),
        ("RUNNING", "other", "Al", "PW_REPORTER"),
    ):
        wanted = {"status": status, "branch": branch, "owner": owner, "provider": provider}
        checkly.lever("sessions", {**wanted, "ago_s": 100, "duration_s": 5})
    checkly.lever("sessions", {"status": "FAILED", "ago_s": 9000, "duration_s": 5})

    def found(**wanted: Any) -> int:
        return len(list(client.sessions.every(SessionFilter(**wanted))))

    assert found() == 6
    assert found(since=ago(hours=1)) == 5
    assert found(until=ago(hours=1)) == 1
    assert found(statuses=("FAILED", "RUNNING")) == 4
    assert found(branches=("topic", "other")) == 3
    assert found(users=("Jo", "Al")) == 4
    assert found(providers=("API", "VERCEL")) == 2
    assert found(no_users=True) == 1
    assert found(no_users=False) == 6
    assert found(text_search="production") == 6
    assert found(text_search="nowhere") == 0
    assert found(error_group_id="none") == 0
    with pytest.raises(ValidationError):
        SessionFilter(text_search="ab")


# --- long polls -----------------------------------------------------------------------------------


def test_a_long_poll_waits_as_long_as_it_is_told(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    started = client.sessions.trigger(BY_ID)
    assert client.sessions.completion(started.session_id or "", max_wait_s=30) is None
    call = checkly.calls(path="*/completion")[0]
    assert (call["query"], call["status"]) == ({"maxWaitSeconds": "30"}, 408)


def test_a_long_poll_outlasts_the_total_of_other_calls(
    checkly: TwinProcess, caller: Caller, client: ChecklyClient
) -> None:
    started = client.sessions.trigger(BY_ID)
    checkly.advance(3 * PHASE_S)
    caller.http._timeout_s = 0.2
    checkly.fault("slow", path="*/completion", delay_s=0.6, times=1)
    ended = client.sessions.completion(started.session_id or "")
    assert ended is not None
    assert ended.is_terminal


@pytest.mark.parametrize("wait_s", [0, 31])
def test_a_long_poll_lasts_one_to_thirty_seconds(client: ChecklyClient, wait_s: int) -> None:
    with pytest.raises(ValueError, match="30"):
        client.sessions.completion("s1", max_wait_s=wait_s)


def test_an_outage_is_not_taken_for_a_poll_that_ran_out(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    checkly.fault("status", path="*/completion", status=500)
    with pytest.raises(VendorBroken, match="500"):
        client.checks.completion("s1")


# --- what goes wrong ------------------------------------------------------------------------------


def check_words(caller: Caller) -> str:
    assert VENDOR.outgoing is not None
    assert VENDOR.outgoing.check is not None
    return VENDOR.outgoing.check(caller.context())


def test_the_check_names_the_account(caller: Caller) -> None:
    assert check_words(caller) == f"account {ACCOUNT} with 1 alert channel"


@pytest.mark.parametrize(
    ("wrong", "status", "hint"),
    [
        ({"api_key": "wrong-key-value"}, 401, "api_key"),
        ({"account_id": "another"}, 403, "account_id"),
    ],
)
def test_wrong_credentials_are_told_in_words(
    checkly: TwinProcess, wrong: dict[str, str], status: int, hint: str
) -> None:
    caller = Caller(VENDOR, checkly.url, {**CREDENTIALS, **wrong})
    with pytest.raises(Refused) as caught:
        check_words(caller)
    assert caught.value.status == status
    assert hint in (caught.value.hint or "")
    assert "wrong-key-value" not in repr(caught.value) + repr(caller.credentials)


def test_both_headers_are_sent(checkly: TwinProcess, caller: Caller) -> None:
    check_words(caller)
    headers: Any = checkly.calls()[0]["headers"]
    assert headers["x-checkly-account"] == ACCOUNT
    assert headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("credentials", [{"api_key": "k"}, {"account_id": "a"}, {"api_key": ""}])
def test_key_and_account_are_both_needed(credentials: dict[str, str]) -> None:
    assert VENDOR.outgoing is not None
    with pytest.raises(ValidationError):
        VENDOR.outgoing.credentials.model_validate(credentials)


@pytest.mark.parametrize(("status", "hint"), [(402, "plan"), (404, "account_id")])
def test_other_refusals_say_what_to_do(
    checkly: TwinProcess, client: ChecklyClient, status: int, hint: str
) -> None:
    body = {"statusCode": status, "error": "No", "message": "It is not to be"}
    checkly.fault("status", path="*/check-statuses", status=status, body=body)
    with pytest.raises(Refused, match="It is not to be") as caught:
        client.checks.statuses()
    assert hint in (caught.value.hint or "")


def soon() -> int:
    return int(time.time()) + 30


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({}, 60, 60),
        ({"Retry-After": "9"}, 9, 9),
        ({"X-RateLimit-Reset": "unix"}, 20, 31),
        ({"RateLimit-Reset": "25"}, 25, 25),
    ],
)
def test_a_429_is_waited_for_whatever_its_reset_means(
    checkly: TwinProcess,
    caller: Caller,
    client: ChecklyClient,
    headers: dict[str, str],
    least: int,
    most: int,
) -> None:
    told = {name: str(soon()) if text == "unix" else text for name, text in headers.items()}
    checkly.fault("status", path="*/check-statuses", status=429, headers=told)
    with pytest.raises(RateLimited) as caught:
        client.checks.statuses()
    wait = (caught.value.retry_after or timedelta()).total_seconds()
    assert least - 1 <= wait <= most
    before = len(checkly.calls())
    with pytest.raises(RateLimited):
        client.checks.status("check-api")
    assert len(checkly.calls()) == before, "the limit holds every call"


@pytest.mark.parametrize("retry_after", [True, False])
def test_the_vendors_own_limit_is_met_and_obeyed(
    checkly: TwinProcess, client: ChecklyClient, *, retry_after: bool
) -> None:
    checkly.set(retry_after=retry_after)
    checkly.limit("api", limit=2, window_s=60)
    for _ in range(2):
        client.checks.status("check-api")
    for _ in range(3):
        with pytest.raises(RateLimited):
            client.checks.status("check-api")
    assert len(checkly.calls()) == 3


def test_a_read_is_tried_again_after_an_outage(checkly: TwinProcess, client: ChecklyClient) -> None:
    checkly.fault("status", path="*/check-statuses", status=502, times=2)
    assert len(client.checks.statuses()) == 3
    assert len(checkly.calls()) == 3


@pytest.mark.parametrize("mode", ["drop_after", "garbage", "truncate"])
@pytest.mark.parametrize("action", ["checkly.trigger_checks", "checkly.trigger_test_session"])
def test_a_start_whose_answer_is_lost_is_in_doubt_and_not_repeated(
    checkly: TwinProcess, caller: Caller, action: str, mode: str
) -> None:
    checkly.fault(mode, method="POST", path="*/trigger")
    with pytest.raises(VendorBroken) as caught:
        caller.do(action, check_ids=["check-api"])
    assert caught.value.perhaps_done is True
    assert len(checkly.calls(method="POST")) == 1
    assert len(checkly.effects(method="POST")) == 1


def test_a_start_that_is_not_answered_in_time_is_in_doubt_and_not_repeated(
    checkly: TwinProcess, caller: Caller, client: ChecklyClient
) -> None:
    caller.http._timeout_s = 0.2
    checkly.fault("slow", method="POST", path="*/trigger", delay_s=1.0)
    with pytest.raises(TimedOut) as caught:
        client.sessions.trigger(BY_ID)
    assert caught.value.perhaps_done is True
    assert len(checkly.effects(method="POST")) == 1


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("*/test-sessions/trigger", lambda client: client.sessions.trigger(BY_ID)),
        ("*/test-sessions/run", lambda client: client.sessions.run(BY_ID)),
        ("*/check-sessions/trigger", lambda client: client.checks.trigger(Target())),
        ("*/root-cause-analyses/*", lambda client: client.errors.analyse("g1")),
    ],
)
def test_a_start_that_is_not_named_is_in_doubt(
    checkly: TwinProcess, client: ChecklyClient, path: str, call: Any
) -> None:
    checkly.fault("status", path=path, status=200, body={})
    with pytest.raises(VendorBroken) as caught:
        call(client)
    assert caught.value.perhaps_done is True


def test_what_may_be_done_twice_is_never_in_doubt(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    checkly.fault("drop_after")
    order = ChannelOrder(config={"name": "x", "url": "https://hooks.example"})
    for call in (
        lambda: client.sessions.cancel("s1"),
        lambda: client.checks.cancel("s1"),
        lambda: client.errors.archive("g1", for_ever=True),
        lambda: client.alerts.delete_channel("1"),
        lambda: client.alerts.replace_channel("1", order),
    ):
        with pytest.raises(VendorBroken) as caught:
            call()
        assert caught.value.perhaps_done is False


@pytest.mark.parametrize(
    "form", [lambda one: [one], lambda one: one, lambda one: {"sessions": [one]}]
)
def test_the_runs_of_checks_come_in_several_shapes(
    checkly: TwinProcess, client: ChecklyClient, form: Any
) -> None:
    body = form({"checkSessionId": "s1", "status": "STARTED"})
    checkly.fault("status", path="*/check-sessions/trigger", status=200, body=body)
    assert [session.session_id for session in client.checks.trigger(Target())] == ["s1"]


# --- the old trigger ------------------------------------------------------------------------------


def test_the_old_trigger_needs_no_key_and_shows_its_token_to_nobody(
    checkly: TwinProcess, client: ChecklyClient
) -> None:
    client.checks.deployment_trigger(
        "check-api", "tkn-0123456789", deployment=True, repository="a/b", environment="live"
    )
    (call,) = checkly.calls()
    headers: Any = call["headers"]
    assert "authorization" not in headers
    assert "x-checkly-account" not in headers
    assert call["query"] == {"deployment": "true", "repository": "a/b", "environment": "live"}
    for status in (404, 429, 500):
        checkly.fault("status", path="*/trigger/*", status=status, body={"message": "no"}, times=1)
        with pytest.raises(HookwrightError) as caught:
            client.checks.deployment_trigger("check-api", "tkn-0123456789")
        assert "tkn-0123456789" not in repr(caught.value) + str(caught.value)
        client = client_over(caller_of(checkly))  # the limit holds the client that met it


def test_a_failed_check_is_told_from_an_outage(checkly: TwinProcess, client: ChecklyClient) -> None:
    checkly.lever("outcomes", {"checks": ["TIMED_OUT"]})
    assert client.checks.deployment_trigger("check-api", "tkn-0123456789") is False
    assert len(checkly.calls()) == 1, "what runs a check is not tried again by itself"
    body = {"statusCode": 503, "message": "Service Unavailable"}
    checkly.fault("status", path="*/trigger/*", status=503, body=body)
    with pytest.raises(VendorBroken, match="Unavailable"):
        client.checks.deployment_trigger("check-api", "tkn-0123456789")


# --- actions --------------------------------------------------------------------------------------


def test_every_field_of_an_action_is_explained() -> None:
    for action in VENDOR.actions:
        for model in (action.params, action.outputs):
            for name, field in model.model_fields.items():
                assert field.description, f"{action.name}: {name}"


def test_a_failing_check_is_triaged(checkly: TwinProcess, caller: Caller) -> None:
    """What the workflow of contract §9.6 asks, from the alert to the rerun."""
    said = {"classification": "FLAKY_TEST", "rootCause": "The button moved"}
    checkly.lever("outcomes", {"analyses": [said]})
    (alert,) = list(checkly.lever("alerts", {"checks": ["check-browser"], "error": "no button"}))  # type: ignore[call-overload]  # a list
    result = caller.outputs(
        "checkly.check_result", check_id="check-browser", result_id=alert["checkResultId"]
    )
    assert (result.status, result.final, result.location) == ("failed", True, "eu-west-1")
    groups = caller.outputs("checkly.error_groups", check_id="check-browser")
    assert result.error_group_ids == (groups.newest_id,)
    assert groups.groups[0].message == "no button"
    begun = caller.do("checkly.analyse", error_group_id=groups.newest_id, user_context="deploy 7")
    analysis_id = begun.outputs.model_dump()["analysis_id"]
    waits = caller.outputs("checkly.analysis", analysis_id=analysis_id)
    assert (waits.ready, waits.classification, waits.points_at_test) == (False, None, False)
    checkly.advance(PHASE_S)
    told = caller.outputs("checkly.analysis", analysis_id=analysis_id)
    assert (told.ready, told.classification, told.points_at_test) == (True, "FLAKY_TEST", True)
    assert told.root_cause == "The button moved"
    assert caller.outputs("checkly.check_status", check_id="check-browser").failing is True
    rerun = caller.outputs("checkly.trigger_checks", check_ids=["check-browser"])
    waits = caller.outputs("checkly.check_session", session_id=rerun.session_id, wait_s=1)
    assert (waits.status, waits.terminal) == ("running", False)
    checkly.advance(2 * PHASE_S)
    ended = caller.outputs("checkly.check_session", session_id=rerun.session_id, wait_s=30)
    assert (ended.status, ended.terminal, ended.succeeded) == ("passed", True, True)
    done = caller.do("checkly.archive_error_group", error_group_id=groups.newest_id)
    assert done.changed
    assert caller.outputs("checkly.error_groups", check_id="check-browser").newest_id is None
    kept = caller.outputs("checkly.error_groups", check_id="check-browser", archived=True)
    assert kept.groups[0].archived is True


@pytest.mark.parametrize(
    ("classification", "points"),
    [("Test script error", True), ("APPLICATION_ERROR", False), (None, False)],
)
def test_the_words_that_point_at_the_test_can_be_chosen(
    checkly: TwinProcess, classification: str | None, *, points: bool
) -> None:
    body = {"id": "a1", "analysis": {"classification": classification}}
    checkly.fault("status", path="*/root-cause-analyses/a1", status=200, body=body)
    told = caller_of(checkly).outputs("checkly.analysis", analysis_id="a1")
    assert told.points_at_test is points
    other = caller_of(checkly, test_words=["application"])
    assert other.outputs("checkly.analysis", analysis_id="a1").points_at_test is (
        classification == "APPLICATION_ERROR"
    )


@pytest.mark.parametrize(
    ("classification", "points"),
    [
        ("NETWORK_ERROR", True),
        ("Environment", True),
        ("test environment", False),
        ("APPLICATION_ERROR", False),
        (None, False),
    ],
)
def test_the_words_that_point_at_the_environment_can_be_chosen(
    checkly: TwinProcess, classification: str | None, *, points: bool
) -> None:
    body = {"id": "a1", "analysis": {"classification": classification}}
    checkly.fault("status", path="*/root-cause-analyses/a1", status=200, body=body)
    told = caller_of(checkly).outputs("checkly.analysis", analysis_id="a1")
    assert told.points_at_environment is points
    other = caller_of(checkly, environment_words=["application"])
    assert other.outputs("checkly.analysis", analysis_id="a1").points_at_environment is (
        classification == "APPLICATION_ERROR"
    )


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("FAILED", "failed"),
        ("TIMED_OUT", "failed"),
        ("DEGRADED", "degraded"),
        ("PASSED", "passed"),
    ],
)
def test_the_ends_of_a_run_of_a_check(
    checkly: TwinProcess, caller: Caller, end: str, status: str
) -> None:
    checkly.lever("outcomes", {"checks": [end]})
    begun = caller.outputs("checkly.trigger_checks", match_tags=[["shop"]])
    checkly.advance(1.5 * PHASE_S)
    under_way = caller.outputs("checkly.check_session", session_id=begun.session_id)
    assert (under_way.status, under_way.terminal) == ("running", False)
    checkly.advance(PHASE_S)
    ended = caller.outputs("checkly.check_session", session_id=begun.session_id)
    assert (ended.status, ended.terminal, ended.succeeded) == (status, True, status == "passed")
    assert bool(ended.error_group_ids) is (status == "failed")


def test_a_run_of_a_check_is_stopped(checkly: TwinProcess, caller: Caller) -> None:
    begun = caller.outputs("checkly.trigger_checks", check_ids=["check-api"])
    for _ in range(2):
        caller.do("checkly.cancel_check_session", session_id=begun.session_id)
    told = caller.outputs("checkly.check_session", session_id=begun.session_id)
    assert (told.status, told.terminal) == ("cancelled", True)


def test_a_test_session_is_started_with_what_was_deployed_and_followed(
    checkly: TwinProcess, caller: Caller
) -> None:
    checkly.lever("outcomes", {"sessions": ["FAILED"]})
    done = caller.do(
        "checkly.trigger_test_session",
        name="After deploy",
        match_tags=[["production", "shop"], ["checkout"]],
        run_location="us-east-1",
        environment_variables={"URL": "https://staging.example"},
        retry_strategy={"type": "FIXED"},
        refresh_cache=True,
        allow_deactivated=False,
        environment="staging",
        repo_url="https://github.com/acme-co/webapp",
        commit_sha="abc123",
        branch="main",
    )
    sent: Any = checkly.calls(method="POST")[0]["body"]
    assert sent == {
        "name": "After deploy",
        "runLocation": "us-east-1",
        "target": {
            "matchTags": [["production", "shop"], ["checkout"]],
            "allowDeactivated": False,
        },
        "environmentVariables": [{"key": "URL", "value": "https://staging.example"}],
        "retryStrategy": {"type": "FIXED"},
        "refreshCache": True,
        "metadata": {
            "environment": "staging",
            "repoUrl": "https://github.com/acme-co/webapp",
            "commitId": "abc123",
            "branchName": "main",
        },
    }
    session_id = done.outputs.model_dump()["session_id"]
    assert done.reference == {"session_id": session_id}
    begun = caller.outputs("checkly.test_session", session_id=session_id, wait_s=1)
    assert (begun.status, begun.terminal) == ("running", False)
    checkly.advance(2 * PHASE_S)
    ended = caller.outputs("checkly.test_session", session_id=session_id, wait_s=30)
    assert (ended.status, ended.terminal, ended.succeeded) == ("failed", True, False)
    assert (ended.failing, len(ended.results)) == (1, 2)
    assert len(ended.error_group_ids) == 1
    assert ended.url is not None


def test_a_test_session_is_stopped(checkly: TwinProcess, caller: Caller) -> None:
    begun = caller.outputs("checkly.trigger_test_session", check_ids=["check-api"])
    caller.do("checkly.cancel_test_session", session_id=begun.session_id)
    told = caller.outputs("checkly.test_session", session_id=begun.session_id)
    assert (told.status, told.terminal, told.succeeded) == ("cancelled", True, False)


def test_nothing_that_fits_is_refused_in_the_vendors_words(caller: Caller) -> None:
    with pytest.raises(Refused, match="No matching checks") as caught:
        caller.do("checkly.trigger_test_session", match_tags=[["nothing"]])
    assert caught.value.status == 403
    assert "tags" in (caught.value.hint or "")
    with pytest.raises(Refused, match="No checks matched") as caught:
        caller.do("checkly.trigger_checks", check_ids=["check-old"])
    assert "tags" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("checkly.trigger_checks", {}),
        ("checkly.trigger_checks", {"check_ids": []}),
        ("checkly.trigger_test_session", {"name": "x"}),
        ("checkly.check_session", {"session_id": "s", "wait_s": 31}),
        ("checkly.test_session", {"session_id": ""}),
        ("checkly.analyse", {"error_group_id": "g", "kind": "other"}),
    ],
)
def test_parameters_are_checked_before_a_call(
    checkly: TwinProcess, caller: Caller, action: str, params: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        caller.do(action, **params)
    assert checkly.calls() == []


def test_a_group_that_is_gone_need_not_be_put_away(caller: Caller) -> None:
    done = caller.do("checkly.archive_error_group", error_group_id="gone", for_ever=True)
    assert (done.changed, done.outputs.model_dump()["archived"]) == (False, False)


def test_what_may_be_repeated_names_its_target(caller: Caller) -> None:
    action = caller.action("checkly.archive_error_group")
    params = action.params.model_validate({"error_group_id": "g1", "kind": "test_session"})
    assert action.target is not None
    assert action.target(params, caller.options) == "error-group:test_session:g1"


def test_a_scheduling_that_failed_says_why(checkly: TwinProcess, client: ChecklyClient) -> None:
    checkly.lever("outcomes", {"schedulings": ["FAILED"]})
    order = SessionOrder(
        target=Target(match_tags=(("shop",),)),
        environment_variables=(EnvironmentVariable(key="A", value="b", locked=True),),
        metadata=SessionMetadata(commit_owner="Jo"),
    )
    begun = client.sessions.run(order)
    checkly.advance(PHASE_S)
    told = client.sessions.scheduled(begun.scheduling_id or "")
    assert told is not None
    assert (told.status, told.error, told.session_id) == ("FAILED", "SCHEDULING_ERROR", None)


def test_a_position_and_a_payload_are_json(checkly: TwinProcess, caller: Caller) -> None:
    checkly.lever("alerts", {"count": 2})
    caller.now = datetime.now(UTC)
    answer = caller.ask("check_alerts")
    json.dumps([dict(answer.position), [event.payload for event in answer.events]])

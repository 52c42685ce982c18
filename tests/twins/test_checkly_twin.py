"""The Checkly twin: sessions, checks, alerts, channels, errors, both kinds of pages."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from examples.twins.checkly.handlebars import render
from examples.twins.launch import TwinError, TwinProcess
from tests.twin_forks import start_twin
from tests.twins.conftest import Receiver

ACCOUNT = "4e1a7c52-90b3-4d68-8f21-6ab5c0d9e374"
HEADERS = {"Authorization": "Bearer checkly-key", "X-Checkly-Account": ACCOUNT}
PHASE_S = 1000


@pytest.fixture(scope="module")
def checkly_process() -> Iterator[TwinProcess]:
    with start_twin("checkly") as twin:
        yield twin


@pytest.fixture
def checkly(checkly_process: TwinProcess, receiver: Receiver) -> TwinProcess:
    """Runs move only when the test moves the clock; a second of a long poll lasts 10 ms."""
    checkly_process.set(
        receiver=receiver.url,
        secret="checkly-webhook-secret",
        pace=PHASE_S,
        long_poll_scale=0.01,
        retry_pause_s=0.01,
        retry_after=False,
        arrays="repeat",
        time_unit="s",
        timestamp_unit="ms",
        newest_first=True,
        rows_name_result=False,
    )
    checkly_process.limit("api", limit=600, window_s=60)
    checkly_process.clear_faults()
    checkly_process.reset()
    return checkly_process


@pytest.fixture
def api(checkly: TwinProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=checkly.url, headers=HEADERS, trust_env=False) as client:
        yield client


def rows(value: object) -> list[Any]:
    assert isinstance(value, list)
    return value


# --- who may call ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer checkly-key"}, 401),
        ({"X-Checkly-Account": ACCOUNT}, 401),
        ({**HEADERS, "Authorization": "Bearer wrong"}, 401),
        ({**HEADERS, "X-Checkly-Account": "another"}, 403),
        (HEADERS, 200),
    ],
)
def test_key_and_account_are_both_needed(
    checkly: TwinProcess, headers: dict[str, str], status: int
) -> None:
    answer = httpx.get(f"{checkly.url}/v1/check-statuses", headers=headers, trust_env=False)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["statusCode"] == status
        assert answer.json()["message"]


def test_six_hundred_calls_a_minute_are_answered_and_no_more(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    checkly.limit("api", limit=5, window_s=60)
    statuses = [api.get("/v1/check-statuses").status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    assert "retry-after" not in api.get("/v1/check-statuses").headers
    checkly.set(retry_after=True)
    assert "retry-after" in api.get("/v1/check-statuses").headers
    checkly.advance(60)
    assert api.get("/v1/check-statuses").status_code == 200


# --- test sessions --------------------------------------------------------------------------------


def test_a_session_runs_and_ends_and_its_list_has_no_status(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    checkly.lever("outcomes", {"sessions": ["FAILED"]})
    body = {"name": "Deploy", "target": {"matchTags": [["production", "shop"], ["checkout"]]}}
    started = api.post("/v1/test-sessions/trigger", json=body).json()
    assert (started["status"], len(started["results"])) == ("RUNNING", 2)
    (entry,) = api.get("/v1/test-sessions").json()["entries"]
    assert "status" not in entry
    assert (entry["running"], entry["stoppedAt"]) == (["check-api", "check-browser"], None)
    checkly.advance(2 * PHASE_S)
    ended = api.get(f"/v1/test-sessions/{started['testSessionId']}").json()
    assert (ended["status"], ended["results"][0]["hasFailures"]) == ("FAILED", True)
    assert len(ended["errorGroupIds"]) == 1
    (entry,) = api.get("/v1/test-sessions").json()["entries"]
    assert (entry["running"], entry["failed"], entry["passed"]) == (
        [],
        ["check-api"],
        ["check-browser"],
    )


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ({"matchTags": [["production", "checkout"]]}, 1),
        ({"matchTags": [["shop"], ["checkout"]]}, 2),
        ({"matchTags": [["shop", "checkout"]]}, 0),
        ({"checkId": ["check-api"], "matchTags": [["checkout"]]}, 2),
        ({"checkId": ["check-old"]}, 0),
        ({"checkId": ["check-old"], "allowDeactivated": True}, 1),
    ],
)
def test_tags_are_and_within_a_list_and_or_between_lists(
    api: httpx.Client, target: dict[str, object], found: int
) -> None:
    answer = api.post("/v1/test-sessions/trigger", json={"target": target})
    if found:
        assert len(answer.json()["results"]) == found
    else:
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "ERR_NO_MATCHING_CHECKS")
    assert api.post("/v2/check-sessions/trigger", json={"target": target}).status_code == (
        201 if found else 404
    )


def test_a_long_poll_ends_with_the_session_or_runs_out(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    session_id = api.post("/v1/test-sessions/trigger", json={}).json()["testSessionId"]
    path = f"/v1/test-sessions/{session_id}/completion"
    late = api.get(path, params={"maxWaitSeconds": 5})
    assert (late.status_code, late.json()["statusCode"]) == (408, 408)
    for odd in ("0", "31", "x"):
        assert api.get(path, params={"maxWaitSeconds": odd}).status_code == 400
    checkly.advance(2 * PHASE_S)
    assert api.get(path, params={"maxWaitSeconds": 30}).json()["status"] == "PASSED"


def test_a_session_that_was_cancelled_stays_so(checkly: TwinProcess, api: httpx.Client) -> None:
    session_id = api.post("/v1/test-sessions/trigger", json={}).json()["testSessionId"]
    for _ in range(2):
        cancelled = api.post(f"/v1/test-sessions/{session_id}/cancel").json()
        assert cancelled["status"] == "CANCELLED"
    checkly.advance(3 * PHASE_S)
    assert api.get(f"/v1/test-sessions/{session_id}").json()["status"] == "CANCELLED"
    assert len(checkly.effects(path="*/cancel")) == 1


def test_a_scheduling_becomes_a_session_or_an_error(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    checkly.lever("outcomes", {"schedulings": ["SUCCEEDED", "FAILED"]})
    ids = [api.post("/v1/test-sessions/run", json={}).json()["schedulingId"] for _ in range(2)]
    path = "/v1/test-sessions/scheduling/{}/completion?maxWaitSeconds=1"
    assert api.get(path.format(ids[0])).status_code == 408
    checkly.advance(PHASE_S)
    good, bad = (api.get(path.format(one)).json() for one in ids)
    assert api.get(f"/v1/test-sessions/{good['testSessionId']}").status_code == 200
    assert (bad["status"], bad["error"]) == ("FAILED", "SCHEDULING_ERROR")


def test_a_cursor_goes_on_after_the_last_row_whatever_is_added(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    added = rows(checkly.lever("sessions", {"count": 5, "ago_s": 100}))
    first = api.get("/v1/test-sessions", params={"limit": 2}).json()
    checkly.lever("sessions", {"ago_s": 5})
    rest = api.get("/v1/test-sessions", params={"limit": 9, "nextId": first["nextId"]}).json()
    ids = [row["id"] for row in first["entries"] + rest["entries"]]
    assert ids == [row["id"] for row in reversed(added)]
    assert (first["length"], rest["nextId"]) == (2, None)
    assert api.get("/v1/test-sessions", params={"nextId": "b2Rk"}).status_code == 400


@pytest.mark.parametrize("query", ["limit=101", "limit=0", "odd=1", "from=soon", "textSearch=ab"])
def test_a_question_that_does_not_fit_is_refused(api: httpx.Client, query: str) -> None:
    assert api.get(f"/v1/test-sessions?{query}").status_code == 400


def test_several_values_are_understood_in_one_way_only(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    for status in ("FAILED", "PASSED", "CANCELLED"):
        checkly.lever("sessions", {"status": status, "ago_s": 100, "duration_s": 1})
    questions = {
        "repeat": "statuses=FAILED&statuses=PASSED",
        "brackets": "statuses[]=FAILED&statuses[]=PASSED",
        "comma": "statuses=FAILED,PASSED",
    }
    for style in questions:
        checkly.set(arrays=style)
        right = [
            name
            for name, question in questions.items()
            if (answer := api.get(f"/v1/test-sessions?{question}")).status_code == 200
            and answer.json()["length"] == 2
        ]
        assert right == [style]


# --- checks ---------------------------------------------------------------------------------------


def test_a_check_that_runs_goes_from_started_to_its_end(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    checkly.lever("outcomes", {"checks": ["FAILED"]})
    target = {"target": {"checkId": ["check-api"]}}
    (started,) = api.post("/v2/check-sessions/trigger", json=target).json()["sessions"]
    path = f"/v2/check-sessions/{started['checkSessionId']}"
    states = []
    for _ in range(3):
        states.append(api.get(path).json()["status"])
        checkly.advance(PHASE_S)
    assert states == ["STARTED", "PROGRESS_FAILED", "FAILED"]
    state = api.get("/v1/check-statuses/check-api").json()
    assert state["hasFailures"] is True
    (result,) = api.get("/v2/check-results/check-api").json()["entries"]
    assert result["id"] == state["lastCheckRunId"]
    assert result["errorGroupIds"] == api.get(path).json()["errorGroupIds"]
    one = api.get(f"/v1/check-results/check-api/{result['id']}").json()
    assert one["resultType"] == "FINAL"


def test_results_come_in_pages_with_the_fields_that_were_asked_for(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    checkly.lever("results", {"check_id": "check-api", "count": 30, "attempt": True})
    page = api.get("/v2/check-results/check-api", params={"fields": ["resultType"]}).json()
    assert page["length"] == 20
    assert page["entries"][0].keys() == {"id", "resultType"}


def test_the_old_trigger_answers_503_for_a_failure_and_needs_no_key(checkly: TwinProcess) -> None:
    checkly.lever("outcomes", {"checks": ["PASSED", "FAILED"]})
    url = f"{checkly.url}/checks/check-api/trigger/tkn"
    answers = [httpx.get(url, trust_env=False) for _ in range(11)]
    assert [answer.status_code for answer in answers[:2]] == [200, 503]
    assert [answer.json()["hasFailures"] for answer in answers[:2]] == [False, True]
    assert answers[10].status_code == 429
    assert checkly.state()["deployment_runs"] == 10


# --- alerts and channels --------------------------------------------------------------------------


def test_an_alert_is_rendered_signed_and_sent(checkly: TwinProcess, receiver: Receiver) -> None:
    (alert,) = rows(checkly.lever("alerts", {"checks": ["check-api"]}))
    body = json.loads(receiver.body())
    assert body["alert_type"] == "ALERT_FAILURE"
    assert body["check_result_id"] == alert["checkResultId"]
    assert body["tags"] == ["production", "shop"]
    digest = hmac.new(b"checkly-webhook-secret", receiver.body(), hashlib.sha256).hexdigest()
    assert receiver.headers()["x-checkly-signature"] == digest
    assert receiver.headers()["x-checkly-timestamp"].isdigit()


@pytest.mark.parametrize("unit", ["s", "ms", "iso"])
def test_the_time_of_sending_has_the_unit_of_the_settings(
    checkly: TwinProcess, receiver: Receiver, unit: str
) -> None:
    checkly.set(timestamp_unit=unit)
    checkly.lever("alerts", {})
    text = receiver.headers()["x-checkly-timestamp"]
    if unit == "iso":
        sent = datetime.fromisoformat(text)
    else:
        sent = datetime.fromtimestamp(int(text) / (1000 if unit == "ms" else 1), UTC)
    assert abs(datetime.now(UTC) - sent) < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("answers", "tries", "status"),
    [
        ([202], 1, "SUCCESS"),
        ([302], 1, "SUCCESS"),
        ([400, 503, 200], 3, "SUCCESS"),
        ([500] * 6, 6, "FAILURE"),
    ],
)
def test_a_webhook_is_tried_five_more_times_above_399(
    checkly: TwinProcess,
    receiver: Receiver,
    api: httpx.Client,
    answers: list[int],
    tries: int,
    status: str,
) -> None:
    receiver.answers[:] = answers
    checkly.lever("alerts", {})
    assert len(receiver.received) == tries
    (told,) = api.get("/v1/alert-notifications").json()
    assert told["status"] == status
    failures = api.get("/v1/alert-notifications", params={"hasFailures": "true"}).json()
    assert len(failures) == (status == "FAILURE")


def test_what_is_withheld_stands_in_the_record_and_is_told_to_nobody(
    checkly: TwinProcess, receiver: Receiver, api: httpx.Client
) -> None:
    happened = rows(checkly.lever("alerts", {"count": 40, "withheld": 3}))
    assert sum(row["withheld"] for row in happened) == 3
    assert len(receiver.received) == 37
    record = rows(checkly.state()["alerts"])
    assert [len(row["sent"]) for row in record] == [not row["withheld"] for row in record]
    listed = api.get("/v1/check-alerts", params={"limit": 100}).json()
    assert {row["id"] for row in listed} == {row["id"] for row in happened}
    with pytest.raises(TwinError, match="withheld"):
        checkly.lever("alerts", {"count": 1, "withheld": 2})


def test_alerts_come_in_numbered_pages_with_a_range(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    checkly.set(receiver=None)
    checkly.lever("alerts", {"count": 25})
    pages = [api.get("/v1/check-alerts", params={"page": number}) for number in (1, 2, 3, 4)]
    assert [page.headers["content-range"] for page in pages] == [
        "0-9/25",
        "10-19/25",
        "20-24/25",
        "*/25",
    ]
    times = [row["startedAt"] for page in pages for row in page.json()]
    assert times == sorted(times, reverse=True)
    checkly.set(newest_first=False)
    assert api.get("/v1/check-alerts").json()[0]["startedAt"] == min(times)
    of_one = api.get("/v1/check-alerts/check-api", params={"limit": 100}).json()
    assert {row["checkId"] for row in of_one} == {"check-api"}
    assert api.get("/v1/check-alerts/none").status_code == 404


def test_without_a_beginning_alerts_reach_back_six_hours(
    checkly: TwinProcess, api: httpx.Client
) -> None:
    checkly.lever("alerts", {"ago_s": 7 * 3600})
    assert api.get("/v1/check-alerts").json() == []
    since = int((datetime.now(UTC) - timedelta(hours=8)).timestamp())
    assert len(api.get("/v1/check-alerts", params={"from": since}).json()) == 1
    checkly.set(time_unit="ms")
    assert len(api.get("/v1/check-alerts", params={"from": since * 1000}).json()) == 1


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({}, {"ALERT_FAILURE", "ALERT_RECOVERY"}),
        ({"sendFailure": False}, {"ALERT_RECOVERY"}),
        ({"sendRecovery": False, "sendDegraded": True}, {"ALERT_FAILURE", "ALERT_DEGRADED"}),
        ({"sslExpiry": True}, {"ALERT_FAILURE", "ALERT_RECOVERY", "ALERT_SSL"}),
    ],
)
def test_a_channel_is_told_what_its_flags_let_through(
    checkly: TwinProcess,
    receiver: Receiver,
    api: httpx.Client,
    flags: dict[str, bool],
    told: set[str],
) -> None:
    assert api.delete("/v1/alert-channels/1").status_code == 204
    config = {"url": receiver.url, "template": "{{ALERT_TYPE}}", "webhookSecret": "own"}
    made = api.post("/v1/alert-channels", json={"type": "WEBHOOK", "config": config, **flags})
    assert made.json()["config"]["webhookSecret"] == "***"
    kinds = ["ALERT_FAILURE", "ALERT_RECOVERY", "ALERT_DEGRADED", "ALERT_SSL", "NO_ALERT"]
    checkly.lever("alerts", {"count": 5, "types": kinds})
    assert {body.decode() for _, body in receiver.received} == told
    digest = hmac.new(b"own", receiver.body(), hashlib.sha256).hexdigest()
    assert receiver.headers()["x-checkly-signature"] == digest


def test_channels_are_made_changed_and_taken_away(api: httpx.Client) -> None:
    wrong = {"type": "WEBHOOK", "config": {"template": "x"}}
    assert api.post("/v1/alert-channels", json=wrong).status_code == 400
    body = {"type": "EMAIL", "config": {"address": "qa@example.com"}}
    number = api.post("/v1/alert-channels", json=body).json()["id"]
    changed = api.put(f"/v1/alert-channels/{number}", json={**body, "sendFailure": False})
    assert changed.json()["sendFailure"] is False
    assert api.get("/v1/alert-channels").headers["content-range"] == "0-1/2"
    assert api.delete(f"/v1/alert-channels/{number}").status_code == 204
    assert api.get(f"/v1/alert-channels/{number}").status_code == 404


# --- errors ---------------------------------------------------------------------------------------


def test_errors_that_are_alike_share_a_group(checkly: TwinProcess, api: httpx.Client) -> None:
    for error in ("no button", "no button", "no heading"):
        checkly.lever("alerts", {"checks": ["check-api"], "error": error})
    groups = api.get("/v1/error-groups/checks/check-api").json()
    assert [group["rawErrorMessage"] for group in groups] == ["no button", "no heading"]
    path = f"/v1/error-groups/{groups[0]['id']}"
    assert api.patch(path, json={"archivedUntilNextEvent": True}).json()["archivedUntilNextEvent"]
    checkly.lever("alerts", {"checks": ["check-api"], "error": "no button"})
    assert api.get(path).json()["archivedUntilNextEvent"] is False
    assert api.get(f"/v1/test-session-error-groups/{groups[0]['id']}").status_code == 404


def test_an_analysis_is_202_until_it_is_ready(checkly: TwinProcess, api: httpx.Client) -> None:
    checkly.lever("outcomes", {"analyses": [{"classification": "FLAKY_TEST"}]})
    checkly.lever("alerts", {"checks": ["check-api"]})
    (group,) = api.get("/v1/error-groups/checks/check-api").json()
    path = f"/v1/root-cause-analyses/error-groups/{group['id']}"
    analysis_id = api.post(path, json={"userContext": "deploy 7"}).json()["id"]
    assert api.get(f"/v1/root-cause-analyses/{analysis_id}").status_code == 202
    checkly.advance(PHASE_S)
    ready = api.get(f"/v1/root-cause-analyses/{analysis_id}")
    assert (ready.status_code, ready.json()["analysis"]["classification"]) == (200, "FLAKY_TEST")
    assert rows(checkly.state()["analyses"])[0]["user_context"] == "deploy 7"


# --- templates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{A}} {{{A}}}", 'a &lt;b&gt; &amp; &quot;c&quot; &#x3D; a <b> & "c" ='),
        ("{{NONE}}|{{{NONE}}}", "|"),
        ("{{#each T}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", "x,y,z"),
        ("{{#each EMPTY}}{{this}}{{/each}}.", "."),
        ("{{#if A}}yes{{else}}no{{/if}} {{#if NONE}}yes{{else}}no{{/if}}", "yes no"),
        ('{{#eq K "one"}}1{{/eq}}{{#eq K "two"}}2{{/eq}}', "1"),
        ('{{#contains T "y"}}has{{/contains}}{{#contains T "q"}}not{{/contains}}', "has"),
        ("{{T}}", "x,y,z"),
    ],
)
def test_templates_are_filled_as_handlebars_does(template: str, text: str) -> None:
    variables: dict[str, object] = {
        "A": 'a <b> & "c" =',
        "K": "one",
        "T": ["x", "y", "z"],
        "EMPTY": [],
    }
    assert render(template, variables) == text


def test_an_identifier_of_a_template_is_another_each_time() -> None:
    first, second = (render("{{$UUID}} {{$RANDOM_NUMBER}}", {}) for _ in range(2))
    assert first != second

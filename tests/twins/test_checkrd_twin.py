"""The Checkrd twin: who may call, idempotency keys, alerts that fire, its own record."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from examples.twins.checkrd.account import AGENT_ID, RULE_ID
from examples.twins.launch import TwinProcess
from tests.twin_forks import start_twin
from tests.twins.conftest import Receiver

HOUR_S = 3600
SETTINGS: dict[str, object] = {
    "key": "ck_test_twin",
    "secret": "checkrd-webhook-secret",
    "jwt": "jwt_twin",
    "refresh_token": "refresh_twin",
    "rotate_refresh": False,
    "token_s": 900,
    "role": "admin",
    "key_scope": "control",
    "body": "notification",
    "own_ids": False,
    "announce_control": False,
    "heartbeat_s": 15,
    "write_s": 0,
    "hits_to_fire": 1,
    "plan": "team",
    "pace": 0,
}


@pytest.fixture(scope="module")
def process() -> Iterator[TwinProcess]:
    with start_twin("checkrd") as twin:
        yield twin


@pytest.fixture
def checkrd(process: TwinProcess, receiver: Receiver) -> TwinProcess:
    process.set(receiver=receiver.url, **SETTINGS)
    process.limit("api", rate_per_s=20, burst=40)
    process.limit("auth", rate_per_s=5, burst=10)
    process.limit("telemetry", limit=None)
    process.clear_faults()
    process.reset()
    return process


@pytest.fixture
def api(checkrd: TwinProcess) -> Iterator[httpx.Client]:
    with client_of(checkrd, {"Authorization": "Bearer jwt_twin"}) as client:
        yield client


def client_of(twin: TwinProcess, headers: dict[str, str]) -> httpx.Client:
    return httpx.Client(base_url=twin.url, headers=headers, trust_env=False)


def code_of(answer: httpx.Response) -> str:
    error: dict[str, str] = answer.json()["error"]
    assert {"type", "code", "message"} <= set(error)
    return error["code"]


# --- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic jwt_twin"},
        {"X-API-Key": "wrong"},
        {"X-API-Key": "jwt_twin"},
    ],
)
def test_missing_or_wrong_credentials_are_401(
    checkrd: TwinProcess, headers: dict[str, str]
) -> None:
    with client_of(checkrd, headers) as client:
        answer = client.get("/v1/agents")
    assert (answer.status_code, code_of(answer)) == (401, "invalid_credentials")


@pytest.mark.parametrize(
    "headers", [{"X-API-Key": "ck_test_twin"}, {"Authorization": "Bearer ck_test_twin"}]
)
def test_a_key_may_read_control_and_no_more(checkrd: TwinProcess, headers: dict[str, str]) -> None:
    with client_of(checkrd, headers) as client:
        state = client.get(f"/v1/agents/{AGENT_ID}/control/state")
        assert state.json() == {"kill_switch_active": False, "policy_envelope": None}
        stop = client.post(f"/v1/agents/{AGENT_ID}/kill-switch", json={"active": True})
        assert (stop.status_code, code_of(stop)) == (403, "insufficient_role")
        checkrd.set(key_scope="all")
        assert client.get("/v1/alerts").status_code == 200


def test_a_viewer_may_only_read(checkrd: TwinProcess, api: httpx.Client) -> None:
    checkrd.set(role="viewer")
    assert api.get("/v1/agents").status_code == 200
    assert code_of(api.post("/v1/agents", json={"name": "a"})) == "insufficient_role"


def test_health_takes_no_credentials(checkrd: TwinProcess) -> None:
    with client_of(checkrd, {}) as client:
        assert client.get("/health").json()["status"] == "ok"


def test_logins_end_and_are_renewed(checkrd: TwinProcess, api: httpx.Client) -> None:
    checkrd.lever("expire")
    assert api.get("/v1/agents").status_code == 401
    assert api.post("/auth/refresh", json={"refresh_token": "wrong"}).status_code == 401
    told = api.post("/auth/refresh", json={"refresh_token": "refresh_twin"}).json()
    assert told["expires_in"] == 900
    with client_of(checkrd, {"Authorization": f"Bearer {told['access_token']}"}) as fresh:
        assert fresh.get("/v1/agents").status_code == 200
        checkrd.advance(901)
        assert fresh.get("/v1/agents").status_code == 401


def test_a_refresh_token_can_count_once(checkrd: TwinProcess, api: httpx.Client) -> None:
    checkrd.set(rotate_refresh=True)
    first = api.post("/auth/refresh", json={"refresh_token": "refresh_twin"}).json()
    assert api.post("/auth/refresh", json={"refresh_token": "refresh_twin"}).status_code == 401
    again = api.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert again.status_code == 200


# --- limits -------------------------------------------------------------------------------------


def test_every_answer_says_where_the_limit_stands(api: httpx.Client) -> None:
    for path in ("/health", "/v1/agents", "/v1/nowhere"):
        headers = api.get(path).headers
        assert headers["ratelimit-limit"] == "40"
        assert 0 <= int(headers["ratelimit-remaining"]) < 40
        assert abs(int(headers["ratelimit-reset"]) - time.time()) < 5, "a Unix time"
        assert headers["checkrd-request-id"].startswith("req_")


def test_what_is_over_the_limit_is_429(checkrd: TwinProcess, api: httpx.Client) -> None:
    checkrd.limit("api", rate_per_s=0.01, burst=2)
    answers = [api.get("/health") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 100
    assert int(answers[2].headers["ratelimit-reset"]) > time.time() + 90
    assert code_of(answers[2]) == "rate_limit_exceeded"


# --- idempotency --------------------------------------------------------------------------------


def test_a_key_gives_the_first_answer_again(checkrd: TwinProcess, api: httpx.Client) -> None:
    headers = {"Idempotency-Key": '"k1"'}
    first, second = (api.post("/v1/agents", json={"name": "a"}, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert (first.status_code, second.status_code) == (201, 201)
    assert len(checkrd.effects(method="POST")) == 1
    other = api.post("/v1/agents", json={"name": "b"}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422
    checkrd.advance(24 * HOUR_S + 1)
    third = api.post("/v1/agents", json={"name": "a"}, headers=headers)
    assert third.json()["id"] != first.json()["id"]


def test_a_refused_call_leaves_its_key_free(api: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    refused = api.post("/v1/agents", json={}, headers=headers)
    assert (refused.status_code, code_of(refused)) == (400, "parameter_missing")
    assert api.post("/v1/agents", json={"name": "a"}, headers=headers).status_code == 201


def test_a_key_is_in_use_while_the_first_call_runs(checkrd: TwinProcess, api: httpx.Client) -> None:
    checkrd.set(write_s=1.5)
    headers = {"Idempotency-Key": "k1"}
    statuses: list[int] = []

    def first() -> None:
        answer = api.post("/v1/agents", json={"name": "a"}, headers=headers)
        statuses.append(answer.status_code)

    thread = threading.Thread(target=first)
    thread.start()
    checkrd.wait_for_calls(1, method="POST", path="/v1/agents")
    with client_of(checkrd, dict(api.headers)) as other:
        busy = other.post("/v1/agents", json={"name": "a"}, headers=headers)
    assert (busy.status_code, code_of(busy)) == (409, "idempotency_key_in_use")
    thread.join()
    assert statuses == [201]


# --- agents -------------------------------------------------------------------------------------


def test_an_agent_is_stopped_and_let_go(checkrd: TwinProcess, api: httpx.Client) -> None:
    path = f"/v1/agents/{AGENT_ID}/kill-switch"
    stopped = api.post(path, json={"active": True, "reason": "drill"}).json()
    assert (stopped["kill_switch_active"], stopped["status"]) == (True, "stopped")
    api.post(path, json={"active": True})
    assert len(checkrd.effects(path="*/kill-switch")) == 1, "a desired state"
    assert api.post(path, json={}).status_code == 400
    entries = api.get(f"/v1/audit-log/agent/{AGENT_ID}").json()["data"]
    assert entries[-1]["metadata"] == {"active": True, "reason": "drill"}


def test_a_control_stream_tells_at_once(checkrd: TwinProcess, api: httpx.Client) -> None:
    checkrd.set(heartbeat_s=0.05)
    with (
        client_of(checkrd, {"X-API-Key": "ck_test_twin"}) as listener,
        listener.stream("GET", f"/v1/agents/{AGENT_ID}/control") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "ratelimit-limit" in answer.headers
        lines = answer.iter_lines()
        assert [next(lines), json.loads(next(lines).removeprefix("data: "))] == [
            "event: init",
            {"kill_switch_active": False, "active_policy_hash": None},
        ]
        assert checkrd.state()["streams"] == 1
        api.post(f"/v1/agents/{AGENT_ID}/kill-switch", json={"active": True})
        seen = []
        while "event: kill_switch" not in seen:
            seen.append(next(lines))
        assert next(lines) == 'data: {"active": true}'
        while next(lines) != ": heartbeat":
            pass
    deadline = time.monotonic() + 10
    while checkrd.state()["streams"] and time.monotonic() < deadline:
        pass
    assert checkrd.state()["streams"] == 0
    assert checkrd.calls(path="*/control")[0]["status"] == 200


def test_a_policy_is_in_the_control_state(checkrd: TwinProcess, api: httpx.Client) -> None:
    checkrd.lever("policies", {"yaml": "default: allow\n"})
    state = api.get(f"/v1/agents/{AGENT_ID}/control/state").json()
    assert set(state["policy_envelope"]) == {"payloadType", "payload", "signatures"}


def test_control_messages_can_be_sent_as_webhooks(
    checkrd: TwinProcess, api: httpx.Client, receiver: Receiver
) -> None:
    checkrd.set(announce_control=True)
    api.post(f"/v1/agents/{AGENT_ID}/kill-switch", json={"active": True})
    envelope = receiver.json()
    assert envelope["schema_version"] == 1
    assert envelope["data"] == {"type": "kill_switch", "agent_id": AGENT_ID, "active": True}
    checkrd.lever("policies")
    data: Any = receiver.json()["data"]
    assert (data["type"], data["version"]) == ("policy_updated", 1)


# --- rules --------------------------------------------------------------------------------------


def evaluate(twin: TwinProcess, value: float | None, **more: object) -> Any:
    told: Any = twin.lever("evaluate", {"value": value, **more})
    return told["changed"]


def test_a_rule_fires_and_comes_to_rest(
    checkrd: TwinProcess, api: httpx.Client, receiver: Receiver
) -> None:
    fired = evaluate(checkrd, 0.5)
    assert (fired["previous_state"], fired["new_state"]) == ("ok", "firing")
    assert evaluate(checkrd, 0.6) is None
    assert evaluate(checkrd, 0.1)["new_state"] == "resolved"
    assert evaluate(checkrd, 0.1)["new_state"] == "ok"
    assert evaluate(checkrd, None)["new_state"] == "no_data"
    told = [json.loads(body) for _, body in receiver.received]
    assert [body["type"] for body in told] == ["alert.firing", "alert.resolved"]
    assert told[0]["id"] == fired["id"]
    assert set(told[0]["data"]) == {
        "alert_rule_id",
        "agent_id",
        "agent_name",
        "condition_type",
        "previous_state",
        "new_state",
        "observed_value",
        "threshold",
        "reason",
        "evaluated_at",
    }
    rows = api.get(f"/v1/alerts/{RULE_ID}/notifications").json()["data"]
    assert [(row["alert_state"], row["status"]) for row in rows] == [
        ("resolved", "sent"),
        ("firing", "sent"),
    ]
    (rule,) = api.get("/v1/alerts").json()["data"]
    assert (rule["alert_state"], rule["notification_count"]) == ("no_data", 2)


def test_a_rule_can_be_pending_first(checkrd: TwinProcess, receiver: Receiver) -> None:
    checkrd.set(hits_to_fire=2)
    assert evaluate(checkrd, 0.5)["new_state"] == "pending"
    assert receiver.received == []
    assert evaluate(checkrd, 0.5)["new_state"] == "firing"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/v1/alerts/{RULE_ID}/mute", {"duration_minutes": 60}),
        (f"/v1/alerts/{RULE_ID}/mute", {"until": "2099-01-01T00:00:00Z", "duration_minutes": 1}),
        (f"/v1/alerts/{RULE_ID}/toggle", {"is_enabled": False}),
    ],
)
def test_a_quiet_rule_tells_nobody_and_has_its_history(
    checkrd: TwinProcess, api: httpx.Client, receiver: Receiver, path: str, body: object
) -> None:
    assert api.post(path, json=body).status_code == 200
    assert evaluate(checkrd, 0.5)["quiet"] is True
    assert receiver.received == []
    assert len(api.get("/v1/alert-history").json()["data"]) == 1
    api.post(f"/v1/alerts/{RULE_ID}/unmute")
    api.post(f"/v1/alerts/{RULE_ID}/toggle", json={"is_enabled": True})
    assert evaluate(checkrd, 0.1)["quiet"] is False


def test_a_rule_in_its_cooldown_does_not_fire_again(
    checkrd: TwinProcess, receiver: Receiver
) -> None:
    for value in (0.5, 0.1, 0.5, 0.1):
        evaluate(checkrd, value)
    checkrd.advance(61 * 60)
    evaluate(checkrd, 0.5)
    types = [json.loads(body)["type"] for _, body in receiver.received]
    assert types == [
        "alert.firing",
        "alert.resolved",
        "alert.resolved",
        "alert.firing",
    ]


def test_what_does_not_fit_is_400(api: httpx.Client) -> None:
    rule = {
        "agent_id": AGENT_ID,
        "condition_type": "error_rate",
        "threshold": 0.2,
        "channel": "webhook",
        "channel_target": "https://example.com",
    }
    for wrong in ({"threshold": 0}, {"condition_type": "x"}, {"channel": "sms"}):
        answer = api.post("/v1/alerts", json=rule | wrong)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(wrong)))
    assert api.post("/v1/alerts", json=rule | {"agent_id": "x"}).status_code == 404
    assert code_of(api.post(f"/v1/alerts/{RULE_ID}/mute", json={})) == "parameter_missing"
    broken = api.post("/v1/alerts", content=b"{")
    assert (broken.status_code, code_of(broken)) == (400, "invalid_json_body")
    for path in ("/v1/alerts/none/history", "/v1/agents/none", "/v1/nowhere"):
        assert api.get(path).status_code == 404


# --- the history and the record -----------------------------------------------------------------


def test_the_history_is_narrowed_and_paged(checkrd: TwinProcess, api: httpx.Client) -> None:
    until = datetime(2026, 11, 1, 12, tzinfo=UTC)
    checkrd.lever("history", {"count": 60, "until": until.isoformat(), "send": False})
    everything = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}

    def ask(**params: str) -> Any:
        return api.get("/v1/alert-history", params=everything | params).json()

    first = ask()
    assert (len(first["data"]), first["has_more"]) == (25, True)
    assert first["data"][0]["evaluated_at"] == "2026-11-01T12:00:00Z"
    second = ask(cursor=first["next_cursor"])
    third = ask(cursor=second["next_cursor"])
    assert (len(third["data"]), third["has_more"], third["next_cursor"]) == (10, False, None)
    ids = {row["id"] for page in (first, second, third) for row in page["data"]}
    assert len(ids) == 60
    assert len(ask(limit="100", new_state="resolved")["data"]) == 30
    assert ask(agent_id="other")["data"] == []
    assert ask(alert_rule_id=f"other,{RULE_ID}", limit="1")["has_more"] is True
    for wrong in ({"limit": "101"}, {"cursor": "none"}, {"from": "soon"}, {"period": "2h"}):
        params = wrong if "period" in wrong else everything | wrong
        assert api.get("/v1/alert-history", params=params).status_code == 400
    assert (
        api.get("/v1/alert-history", params={"alert_rule_id": ",".join("r" * 51)}).status_code
        == 400
    )
    (hour, noon) = api.get("/v1/alert-history/timeseries", params=everything).json()["data"]
    assert (hour["total"], noon["total"]) == (59, 1)


def test_what_was_withheld_is_in_history_and_record(
    checkrd: TwinProcess, api: httpx.Client, receiver: Receiver
) -> None:
    told: Any = checkrd.lever("history", {"count": 100, "withhold_every": 20})
    assert (len(told["created"]), len(told["sent"]), len(told["withheld"])) == (100, 95, 5)
    arrived = {json.loads(body)["id"] for _, body in receiver.received}
    assert arrived == set(told["sent"])
    listed = {row["id"] for row in api.get("/v1/alert-history?limit=100").json()["data"]}
    assert listed == set(told["created"])
    record: Any = httpx.get(f"{checkrd.url}/_twin/record", trust_env=False).json()
    assert {row["id"] for row in record if row["withheld"]} == listed - arrived
    assert all(row["attempts"][0]["status"] == 202 for row in record if not row["withheld"])


def test_one_evaluation_can_be_withheld(checkrd: TwinProcess, receiver: Receiver) -> None:
    assert evaluate(checkrd, 0.5, withheld=True)["withheld"] is True
    assert receiver.received == []


# --- webhooks -----------------------------------------------------------------------------------


def test_a_webhook_is_signed_and_tried_again(
    checkrd: TwinProcess, api: httpx.Client, receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    evaluate(checkrd, 0.5)
    assert len(receiver.received) == 3
    tags = dict(tag.split("=") for tag in receiver.headers()["checkrd-signature"].split(","))
    content = f"{tags['t']}.".encode() + receiver.body()
    wanted = hmac.new(b"checkrd-webhook-secret", content, hashlib.sha256).hexdigest()
    assert tags["v1"] == wanted
    assert abs(int(tags["t"]) - time.time()) < 60
    (row,) = api.get(f"/v1/alerts/{RULE_ID}/notifications").json()["data"]
    assert (row["status"], row["attempt"]) == ("sent", 3)


def test_a_webhook_that_is_refused_has_failed(
    checkrd: TwinProcess, api: httpx.Client, receiver: Receiver
) -> None:
    receiver.answers = [401]
    evaluate(checkrd, 0.5)
    (row,) = api.get(f"/v1/alerts/{RULE_ID}/notifications").json()["data"]
    assert (row["status"], row["delivered_at"]) == ("failed", None)


@pytest.mark.parametrize("own_ids", [True, False])
@pytest.mark.parametrize("body", ["notification", "entry"])
def test_the_form_of_a_webhook_can_be_chosen(
    checkrd: TwinProcess, receiver: Receiver, body: str, *, own_ids: bool
) -> None:
    checkrd.set(body=body, own_ids=own_ids)
    changed = evaluate(checkrd, 0.5)
    told = receiver.json()
    assert ("type" in told) == (body == "notification")
    assert (told["id"] == changed["id"]) is not own_ids
    assert told["id"] == changed["webhook_id"]


def test_any_body_can_be_sent(checkrd: TwinProcess, receiver: Receiver) -> None:
    sent: Any = checkrd.lever("send", {"body": {"id": "x"}, "secret": "other", "timestamp": 5})
    assert [one["status"] for one in sent] == [202]
    assert receiver.headers()["checkrd-signature"].startswith("t=5,v1=")


# --- what agents did ----------------------------------------------------------------------------


def test_telemetry_of_an_agent_with_a_key_must_be_signed(
    checkrd: TwinProcess, api: httpx.Client
) -> None:
    headers = {"X-Checkrd-Signer-Agent": AGENT_ID}
    body = {"events": [{"policy_result": "denied", "status_code": 403}], "sdk_version": "1"}
    assert api.post("/v1/telemetry", json=body, headers=headers).json() == {"accepted": 1}
    too_many = {"events": [{}] * 1001, "sdk_version": "1"}
    assert api.post("/v1/telemetry", json=too_many, headers=headers).status_code == 400
    api.put(f"/v1/agents/{AGENT_ID}", json={"public_key": "AAAA"})
    unsigned = api.post("/v1/telemetry", json=body, headers=headers)
    assert (unsigned.status_code, code_of(unsigned)) == (401, "invalid_signature")
    checkrd.limit("telemetry", limit=0)
    assert api.post("/v1/telemetry", json=body, headers=headers).status_code == 429


def test_the_dashboard_counts_and_filters(checkrd: TwinProcess, api: httpx.Client) -> None:
    checkrd.lever("requests", {"count": 2})
    denied = {"policy_result": "denied", "status_code": 403, "url_host": "mail.example.com"}
    checkrd.lever("requests", {"count": 3, "overrides": denied})
    assert api.get("/v1/dashboard/stats").json() == {"total": 5, "denied": 3, "allowed": 2}
    for params, count in (
        ({"policy_result": "denied"}, 3),
        ({"status_class": "2xx"}, 2),
        ({"status_code": "403"}, 3),
        ({"host": "mail.example.com", "method": "GET"}, 3),
        ({"to": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}, 0),
    ):
        assert len(api.get("/v1/dashboard/events", params=params).json()["data"]) == count, params
    hosts = api.get("/v1/dashboard/hosts").json()["data"]
    assert {row["host"]: row["total"] for row in hosts} == {
        "mail.example.com": 3,
        "api.example.com": 2,
    }


def test_a_reset_forgets_what_happened(checkrd: TwinProcess, api: httpx.Client) -> None:
    evaluate(checkrd, 0.5)
    api.post("/v1/agents", json={"name": "a"}, headers={"Idempotency-Key": "k"})
    checkrd.lever("expire")
    checkrd.reset()
    state = checkrd.state()
    assert (state["history"], state["record"], state["audit"]) == ([], [], [])
    assert api.post("/v1/agents", json={"name": "b"}, headers={"Idempotency-Key": "k"}).is_success

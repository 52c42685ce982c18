"""Checkrd's client and actions against its twin."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from structlog.testing import capture_logs

from examples.twins.checkrd.account import AGENT_ID, RULE_ID
from examples.twins.launch import TwinProcess
from service.errors import Permanent, RateLimited, Refused, TimedOut, Transient, VendorBroken
from service.http_connect import connect
from service.vendors.checkrd import VENDOR
from service.vendors.checkrd.client import CheckrdClient
from service.vendors.checkrd.message_signature import TelemetrySigner
from tests.integration.vendors.checkrd_account import (
    KEY,
    LOGIN,
    RENEWED,
    caller_of,
    client_of,
    install,
)
from tests.integration.vendors.conftest import Caller, SkippedTime, Start
from tests.vendors.listed.call import unlisted, unmade
from tests.vendors.listed.checkrd import LISTED


@pytest.fixture
def checkrd(twin: Start) -> TwinProcess:
    return install(twin("checkrd"))


@pytest.fixture
def caller(checkrd: TwinProcess) -> Caller:
    return caller_of(checkrd)


@pytest.fixture
def client(caller: Caller) -> CheckrdClient:
    return client_of(caller)


def header(call: Any, name: str) -> str | None:
    found: str | None = call["headers"].get(name)
    return found


# --- every listed call --------------------------------------------------------------------------


def signer() -> tuple[TelemetrySigner, str]:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    return TelemetrySigner(AGENT_ID, "key-1", key), public


def use_agents(client: CheckrdClient) -> None:
    made = client.create_agent(name="Support agent", description="answers customers")
    assert {agent.id for agent in client.list_agents()} == {AGENT_ID, made.id}
    assert client.agent(made.id).slug == "support-agent"
    assert (
        client.update_agent(made.id, active_policy_mode="dry_run").active_policy_mode == "dry_run"
    )
    assert client.set_kill_switch(made.id, active=True, reason="drill").kill_switch_active
    assert client.control_state(made.id).kill_switch_active
    with closing(client.control(made.id, for_s=5)) as stream:
        assert next(stream).kill_switch_active is True
    client.delete_agent(made.id)
    assert [agent.id for agent in client.list_agents()] == [AGENT_ID]


def use_alerts(client: CheckrdClient) -> None:
    made = client.create_alert(
        agent_id=AGENT_ID,
        condition_type="denied_rate",
        threshold=0.5,
        channel="email",
        channel_target="qa@example.com",
    )
    assert (made.window_minutes, made.cooldown_minutes, made.is_enabled) == (15, 60, True)
    listed = client.list_alerts(agent_id=AGENT_ID, condition_type="denied_rate", is_enabled=True)
    assert [rule.id for rule in listed] == [made.id]
    assert client.update_alert(made.id, threshold=0.6).threshold == 0.6
    assert client.mute_alert(made.id, duration_minutes=30).muted_until is not None
    assert client.unmute_alert(made.id).muted_until is None
    assert client.toggle_alert(made.id, is_enabled=False).is_enabled is False
    client.delete_alert(made.id)
    assert client.find_alert(made.id) is None


def use_history(client: CheckrdClient, twin: TwinProcess) -> None:
    twin.lever("history", {"count": 3})
    assert len(list(client.history_of_alert(RULE_ID))) == 3
    assert [one.status for one in client.notifications(RULE_ID)] == ["failed"] * 3
    entries = list(client.alert_history(period="24h", alert_rule_ids=[RULE_ID]))
    assert [entry.new_state for entry in entries] == ["firing", "resolved", "firing"]
    assert [one.new_state for one in client.alert_history(new_state="resolved")] == ["resolved"]
    assert sum(bucket.total for bucket in client.alert_timeseries(period="24h")) == 3


def use_dashboard(client: CheckrdClient, twin: TwinProcess) -> None:
    sign, public = signer()
    client.update_agent(AGENT_ID, public_key=public)
    events = [
        {"url_host": "mail.example.com", "method": "POST", "policy_result": "denied"},
        {"url_host": "shop.example.com", "method": "GET"},
    ]
    assert client.send_telemetry(events, signer=sign, now=datetime.now(UTC)) == 2
    denied = list(client.dashboard_events(agent_id=AGENT_ID, policy_result="denied"))
    assert [row.url_host for row in denied] == ["mail.example.com"]
    assert client.dashboard_stats(agent_id=AGENT_ID).model_dump()["total"] == 2
    assert len(client.dashboard_timeseries()) >= 1
    assert len(client.dashboard_agents()) == 1
    assert len(client.dashboard_hosts()) == 2
    assert client.dashboard_rule_hits()[0].model_dump()["hits"] == 2


def use_account(client: CheckrdClient) -> None:
    actions = [entry.action for entry in client.audit_log()]
    assert "agent.updated" in actions
    of_agent = list(client.audit_log_of("agent", AGENT_ID))
    assert {entry.resource_id for entry in of_agent} == {AGENT_ID}
    assert client.billing_status().plan_tier == "team"
    assert [key.prefix for key in client.api_keys()] == ["ck_test_"]
    assert client.health().status == "ok"


def test_every_listed_call_is_made(checkrd: TwinProcess, client: CheckrdClient) -> None:
    checkrd.set(key_scope="all")
    use_agents(client)
    use_alerts(client)
    use_history(client, checkrd)
    use_dashboard(client, checkrd)
    use_account(client)
    calls = checkrd.calls()
    assert (unmade(LISTED, calls), unlisted(LISTED, calls)) == ([], [])
    assert {header(call, "checkrd-version") for call in calls} == {"2026-04-06"}
    writes = [call for call in calls if call["method"] != "GET"]
    assert {bool(header(call, "idempotency-key")) for call in writes} <= {True}


def test_the_pinned_version_is_an_option(checkrd: TwinProcess) -> None:
    client = client_of(caller_of(checkrd, version="2026-04-15"))
    client.health()
    assert header(checkrd.calls()[0], "checkrd-version") == "2026-04-15"


# --- paging -------------------------------------------------------------------------------------


def test_agents_and_rules_are_paged(checkrd: TwinProcess, client: CheckrdClient) -> None:
    checkrd.lever("agents", {"count": 1203})
    checkrd.lever("alerts", {"count": 250})
    ids = [agent.id for agent in client.list_agents()]
    assert len(ids) == len(set(ids)) == 1204
    assert len(checkrd.calls(path="/v1/agents")) == 13
    assert len(list(client.list_alerts())) == 251


def test_the_alert_history_is_paged(checkrd: TwinProcess, client: CheckrdClient) -> None:
    made: Any = checkrd.lever("history", {"count": 1010, "spacing_s": 30, "send": False})
    ids = [entry.id for entry in client.alert_history(period="24h")]
    assert ids == list(reversed(made["created"]))
    assert len(checkrd.calls(path="/v1/alert-history")) == 11


def test_a_list_is_read_only_as_far_as_it_is_wanted(
    checkrd: TwinProcess, client: CheckrdClient
) -> None:
    checkrd.lever("requests", {"count": 500})
    assert len(list(islice(client.dashboard_events(), 150))) == 150
    assert len(checkrd.calls(path="/v1/dashboard/events")) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"data": [], "has_more": True, "next_cursor": None},
        {"data": [], "has_more": True, "next_cursor": "again"},
        {"rows": []},
        "text",
    ],
)
def test_a_list_that_does_not_end_is_an_error(
    checkrd: TwinProcess, client: CheckrdClient, body: Any
) -> None:
    checkrd.fault("status", path="/v1/agents", status=200, body=body)
    with pytest.raises(VendorBroken):
        list(client.list_agents())


@pytest.mark.parametrize(
    "body", [{"data": []}, [], {"data": [], "has_more": False, "next_cursor": "x"}]
)
def test_a_last_page_ends_the_list(checkrd: TwinProcess, client: CheckrdClient, body: Any) -> None:
    checkrd.fault("status", path="/v1/agents", status=200, body=body, times=1)
    assert list(client.list_agents()) == []
    assert len(checkrd.calls(path="/v1/agents")) == 1


# --- limits and failures ------------------------------------------------------------------------


def resets(now: datetime) -> Iterator[dict[str, str]]:
    yield {"retry-after": "9"}
    yield {"retry-after": (now + timedelta(seconds=9.5)).strftime("%a, %d %b %Y %H:%M:%S GMT")}
    yield {"ratelimit-reset": str(int(now.timestamp()) + 9)}
    yield {"ratelimit-reset": "9"}
    yield {"x-ratelimit-reset": str((int(now.timestamp()) + 9) * 1000)}
    yield {"ratelimit": '"default";r=0;t=9'}


@pytest.mark.parametrize("number", range(6))
def test_a_limit_with_each_kind_of_reset_holds_the_next_call(
    checkrd: TwinProcess, caller: Caller, number: int
) -> None:
    headers = list(resets(datetime.now(UTC)))[number]
    checkrd.fault("status", path="*/kill-switch", status=429, headers=headers)
    client = client_of(caller)
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            client.set_kill_switch(AGENT_ID, active=True)
        assert timedelta(seconds=6) < (caught.value.retry_after or timedelta())
        assert (caught.value.retry_after or timedelta()) <= timedelta(seconds=10)
    assert len(checkrd.calls(path="*/kill-switch")) == 1


def test_our_own_rate_stays_below_the_vendors(checkrd: TwinProcess) -> None:
    checkrd.limit("api", rate_per_s=20, burst=40)
    waited = SkippedTime()

    def sleep(seconds: float) -> None:
        waited.sleep(seconds)
        checkrd.advance(seconds)

    outgoing = VENDOR.outgoing
    assert outgoing is not None
    credentials = outgoing.credentials.model_validate(LOGIN)
    options = outgoing.options()
    with connect(
        VENDOR,
        base_url=checkrd.url,
        credentials=credentials,
        options=options,
        allow_private=True,
        timing=replace(waited.timing(), sleep=sleep),
    ) as http:
        for _ in range(100):
            CheckrdClient(http, options, credentials).health()
    assert {call["status"] for call in checkrd.calls()} == {200}
    assert waited.skipped >= 4


def test_the_last_calls_of_a_window_are_left_to_others(
    checkrd: TwinProcess, client: CheckrdClient
) -> None:
    reset = str(int(datetime.now(UTC).timestamp()) + 30)
    headers = {"ratelimit-remaining": "2", "ratelimit-reset": reset}
    checkrd.fault("status", path="/health", status=200, body={}, headers=headers, times=1)
    client.health()
    with pytest.raises(RateLimited):
        client.health()
    assert len(checkrd.calls(path="/health")) == 1


def test_a_read_is_made_again_after_a_failure(checkrd: TwinProcess, client: CheckrdClient) -> None:
    checkrd.fault("status", path="/v1/agents/*", status=502, times=2)
    assert client.agent(AGENT_ID).id == AGENT_ID
    assert [call["status"] for call in checkrd.calls()] == [502, 502, 200]


@pytest.mark.parametrize("mode", ["drop_after", "drop_before", "garbage", "truncate"])
def test_a_rule_whose_making_is_not_answered_is_perhaps_made(
    checkrd: TwinProcess, client: CheckrdClient, mode: str
) -> None:
    checkrd.fault(mode, method="POST", path="/v1/alerts", times=1)
    with pytest.raises(VendorBroken) as caught:
        make_rule(client)
    assert caught.value.perhaps_done is True
    assert len(checkrd.calls(method="POST", path="/v1/alerts")) == 1


def make_rule(client: CheckrdClient, **more: Any) -> Any:
    return client.create_alert(
        agent_id=AGENT_ID,
        condition_type="error_rate",
        threshold=0.1,
        channel="email",
        channel_target="qa@example.com",
        **more,
    )


def test_an_unsafe_call_that_times_out_is_not_made_again(
    checkrd: TwinProcess, caller: Caller
) -> None:
    checkrd.fault("slow", method="POST", path="/v1/agents", delay_s=1.5, times=1)
    with pytest.raises(TimedOut) as caught:
        caller.http.request("POST", "/v1/agents", json={"name": "a"}, timeout_s=0.3)
    assert caught.value.perhaps_done is True
    assert len(checkrd.effects(method="POST", path="/v1/agents")) == 1


@pytest.mark.parametrize("mode", ["drop_after", "garbage", "truncate"])
def test_a_call_under_our_key_is_made_again_and_done_once(
    checkrd: TwinProcess, client: CheckrdClient, mode: str
) -> None:
    checkrd.fault(mode, method="POST", path="/v1/alerts", times=1)
    with pytest.raises(VendorBroken) as caught:
        make_rule(client, idempotency_key="run:step:0")
    assert caught.value.perhaps_done is False
    rule = make_rule(client, idempotency_key="run:step:0")
    assert len(checkrd.effects(method="POST", path="/v1/alerts")) == 1
    assert len(list(client.list_alerts())) == 2
    assert client.find_alert(rule.id) is not None


def test_a_key_that_is_in_use_is_tried_again(checkrd: TwinProcess, caller: Caller) -> None:
    checkrd.set(write_s=1.0)
    with pytest.raises(TimedOut):
        caller.http.request(
            "POST",
            "/v1/agents",
            json={"name": "a"},
            headers={"Idempotency-Key": "k1"},
            timeout_s=0.3,
        )
    client = client_of(caller)
    with pytest.raises(Transient, match="still running") as caught:
        client.create_agent(name="a", idempotency_key="k1")
    assert (caught.value.code, caught.value.perhaps_done) == ("transient", False)
    assert caught.value.retry_after == timedelta(seconds=2)


def test_another_conflict_is_refused(checkrd: TwinProcess, client: CheckrdClient) -> None:
    error = {"type": "conflict_error", "code": "slug_taken", "message": "The slug is taken"}
    checkrd.fault("status", method="POST", status=409, body={"error": error})
    with pytest.raises(Refused, match="The slug is taken"):
        client.create_agent(name="a", idempotency_key="k1")


# --- who may ------------------------------------------------------------------------------------


def refused(caller: Caller, call: str, *args: Any, **more: Any) -> Refused:
    method = getattr(client_of(caller), call)
    with pytest.raises(Refused) as caught:
        list(method(*args, **more))  # an iterator calls when it is read
    return caught.value


def test_an_api_key_alone_cannot_stop_an_agent(checkrd: TwinProcess) -> None:
    caller = caller_of(checkrd, KEY)
    for call, args in (
        ("set_kill_switch", (AGENT_ID,)),
        ("create_agent", ()),
    ):
        more = {"active": True} if args else {"name": "a"}
        fault = refused(caller, call, *args, **more)
        assert fault.status == 403
        assert "jwt" in (fault.hint or "")
        assert "refresh_token" in (fault.hint or "")
    assert "credential jwt" in (refused(caller, "list_alerts").hint or "")
    assert client_of(caller).control_state(AGENT_ID).kill_switch_active is False


def test_a_role_that_may_not_is_said_in_words(checkrd: TwinProcess) -> None:
    checkrd.set(role="viewer")
    fault = refused(caller_of(checkrd), "set_kill_switch", AGENT_ID, active=True)
    assert fault.status == 403
    assert "Your role may not change this" in fault.message
    assert "insufficient_role" in (fault.hint or "")
    assert "credential jwt" in (fault.hint or "")


@pytest.mark.parametrize(
    ("credentials", "call", "words"),
    [
        ({"api_key": "ck_live_wrong_one"}, "control_state", ["api_key", "key_header"]),
        ({"api_key": "ck_live_wrong_one"}, "agent", ["api_key", "key_header", "jwt"]),
        ({"jwt": "wrong.token.value"}, "agent", ["jwt", "refresh_token"]),
        ({"jwt": "wrong.token.value", "refresh_token": "refresh_wrong"}, "agent",
         ["jwt", "refresh_token", "refresh_path"]),
        ({"jwt": "jwt_twin", "api_key": "ck_live_wrong_one"}, "control_state", ["api_key"]),
    ],
)  # fmt: skip
def test_wrong_credentials_are_said_in_words(
    checkrd: TwinProcess, credentials: dict[str, str], call: str, words: list[str]
) -> None:
    caller = caller_of(checkrd, credentials)
    fault = refused(caller, call, AGENT_ID)
    assert fault.status == 401
    for word in words:
        assert word in (fault.hint or ""), fault.hint
    told = repr(fault) + repr(fault.hint) + repr(caller.credentials) + repr(caller.http)
    for secret in credentials.values():
        assert secret == "jwt_twin" or secret not in told


def test_a_used_up_plan_is_said_in_words(checkrd: TwinProcess, client: CheckrdClient) -> None:
    error = {"type": "payment_required", "code": "plan_limit_exceeded", "message": "Upgrade"}
    checkrd.fault("status", status=402, body={"error": error})
    with pytest.raises(Refused, match="Upgrade") as caught:
        client.create_agent(name="a")
    assert "plan" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("header_option", "sent"), [("x-api-key", "x-api-key"), ("authorization", "authorization")]
)
def test_the_key_goes_under_either_header(
    checkrd: TwinProcess, header_option: str, sent: str
) -> None:
    client = client_of(caller_of(checkrd, KEY, key_header=header_option))
    assert client.control_state(AGENT_ID).kill_switch_active is False
    headers: Any = checkrd.calls()[0]["headers"]
    assert {"x-api-key", "authorization"} & set(headers) == {sent}


@pytest.mark.parametrize("header_option", ["x-api-key", "authorization"])
def test_with_both_credentials_each_call_takes_its_own(
    checkrd: TwinProcess, header_option: str
) -> None:
    caller = caller_of(checkrd, {**LOGIN, **KEY}, key_header=header_option)
    client = client_of(caller)
    client.agent(AGENT_ID)
    checkrd.lever("expire")
    assert client.control_state(AGENT_ID).kill_switch_active is False
    with closing(client.control(AGENT_ID, for_s=5)) as stream:
        assert next(stream).event == "init"
    assert refused(caller, "agent", AGENT_ID).status == 401


def test_credentials_and_options_are_typed() -> None:
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    for wrong in ({}, {"api_key": ""}, {"jwt": ""}, {"api_key": "k", "more": 1}):
        with pytest.raises(ValidationError):
            outgoing.credentials.model_validate(wrong)
    assert outgoing.credentials.model_validate({"refresh_token": "r"})
    for option in ({"key_header": "x"}, {"version": "latest"}, {"refresh_path": "auth"}):
        with pytest.raises(ValidationError):
            outgoing.options.model_validate(option)


def check_of(caller: Caller) -> str:
    assert VENDOR.outgoing is not None
    assert VENDOR.outgoing.check is not None
    return VENDOR.outgoing.check(caller.context())


def test_the_check_names_the_organisation(checkrd: TwinProcess) -> None:
    assert check_of(caller_of(checkrd)).endswith("plan team")
    assert check_of(caller_of(checkrd, KEY)).startswith("an API key for telemetry")
    with pytest.raises(Refused):
        check_of(caller_of(checkrd, {"api_key": "wrong-key"}))


# --- renewal ------------------------------------------------------------------------------------


def test_an_expired_login_is_renewed_once(checkrd: TwinProcess) -> None:
    client = client_of(caller_of(checkrd, RENEWED))
    client.agent(AGENT_ID)
    assert checkrd.calls(path="/auth/refresh") == []
    checkrd.lever("expire")
    assert client.set_kill_switch(AGENT_ID, active=True).kill_switch_active
    client.agent(AGENT_ID)
    assert [(call["path"], call["status"]) for call in checkrd.calls()][1:] == [
        (f"/v1/agents/{AGENT_ID}/kill-switch", 401),
        ("/auth/refresh", 200),
        (f"/v1/agents/{AGENT_ID}/kill-switch", 200),
        (f"/v1/agents/{AGENT_ID}", 200),
    ]
    refresh = checkrd.calls(path="/auth/refresh")[0]
    assert header(refresh, "authorization") is None
    assert header(refresh, "checkrd-version") == "2026-04-06"


def test_a_login_is_renewed_before_it_ends(checkrd: TwinProcess) -> None:
    given: Any = checkrd.lever("login", {"lasts_s": 30})
    credentials = {"jwt": given["access_token"], "refresh_token": "refresh_twin"}
    client_of(caller_of(checkrd, credentials)).agent(AGENT_ID)
    assert [(call["path"], call["status"]) for call in checkrd.calls()] == [
        ("/auth/refresh", 200),
        (f"/v1/agents/{AGENT_ID}", 200),
    ]


def test_a_refresh_token_alone_is_enough(checkrd: TwinProcess) -> None:
    client = client_of(caller_of(checkrd, {"refresh_token": "refresh_twin"}))
    client.agent(AGENT_ID)
    client.agent(AGENT_ID)
    assert len(checkrd.calls(path="/auth/refresh")) == 1


def test_a_refresh_token_that_counts_once_is_followed_by_the_next(checkrd: TwinProcess) -> None:
    checkrd.set(rotate_refresh=True)
    client = client_of(caller_of(checkrd, {"refresh_token": "refresh_twin"}))
    for _ in range(3):
        client.agent(AGENT_ID)
        checkrd.lever("expire")
    assert [call["status"] for call in checkrd.calls(path="/auth/refresh")] == [200, 200, 200]


@pytest.mark.parametrize("rotating", [True, False])
def test_the_log_says_once_that_only_this_process_knows_the_refresh_token(
    checkrd: TwinProcess, *, rotating: bool
) -> None:
    checkrd.set(rotate_refresh=rotating)
    client = client_of(caller_of(checkrd, {"refresh_token": "refresh_twin"}))
    with capture_logs() as logged:
        for _ in range(3):
            client.agent(AGENT_ID)
            checkrd.lever("expire")
    said = [line for line in logged if line["event"] == "checkrd_refresh_token_replaced"]
    assert len(said) == rotating
    assert len(checkrd.calls(path="/auth/refresh")) == 3
    assert "refresh_twin" not in str(said)


def test_a_login_that_cannot_be_renewed_leaves_nothing_in_doubt(checkrd: TwinProcess) -> None:
    client = client_of(caller_of(checkrd, RENEWED))
    checkrd.lever("expire")
    checkrd.fault("drop_after", path="/auth/refresh")
    with pytest.raises(Transient) as caught:
        make_rule(client)
    assert caught.value.perhaps_done is False
    checkrd.clear_faults()
    assert make_rule(client).id


def test_path_and_fields_of_the_renewal_are_options(checkrd: TwinProcess) -> None:
    answer = {"session": {"token": "jwt_twin", "ttl": "900"}}
    checkrd.fault("status", path="/v2/session/renew", status=200, body=answer, times=1)
    caller = caller_of(
        checkrd,
        {"refresh_token": "r-1"},
        refresh_path="/v2/session/renew",
        refresh_field="token",
        access_token_path="session.token",
        expires_in_path="session.ttl",
    )
    assert client_of(caller).agent(AGENT_ID).id == AGENT_ID
    assert checkrd.calls(path="/v2/session/renew")[0]["body"] == {"token": "r-1"}


def test_a_renewal_that_names_no_token_says_which_option_to_set(checkrd: TwinProcess) -> None:
    checkrd.fault("status", path="/auth/refresh", status=200, body={"jwt": "x"})
    with pytest.raises(VendorBroken) as caught:
        client_of(caller_of(checkrd, {"refresh_token": "r"})).agent(AGENT_ID)
    assert "access_token_path" in (caught.value.hint or "")


# --- control and telemetry ----------------------------------------------------------------------


def test_the_control_stream_tells_what_changes(checkrd: TwinProcess) -> None:
    checkrd.set(heartbeat_s=0.1)
    listener = client_of(caller_of(checkrd, KEY))
    with closing(listener.control(AGENT_ID, for_s=20, heartbeats=True)) as stream:
        first = next(stream)
        assert (first.event, first.kill_switch_active) == ("init", False)
        assert first.active_policy_hash is None
        client_of(caller_of(checkrd)).set_kill_switch(AGENT_ID, active=True)
        seen = next(event for event in stream if event.event != "heartbeat")
        assert (seen.event, seen.kill_switch_active) == ("kill_switch", True)
        assert next(stream).event == "heartbeat"
        policy: Any = checkrd.lever("policies", {"yaml": "default: deny\n"})
        told = next(event for event in stream if event.event != "heartbeat")
        assert (told.event, told.version) == ("policy_updated", "1")
        assert told.active_policy_hash == policy["hash"]
        assert told.policy_envelope["payloadType"]


def test_the_control_stream_ends_after_its_time(checkrd: TwinProcess) -> None:
    checkrd.set(heartbeat_s=0.1)
    events = list(client_of(caller_of(checkrd, KEY)).control(AGENT_ID, for_s=0.5))
    assert [event.event for event in events] == ["init"]


def test_a_refused_control_stream_is_said_in_words(checkrd: TwinProcess) -> None:
    with pytest.raises(Refused) as caught:
        next(client_of(caller_of(checkrd, {"api_key": "wrong-key"})).control(AGENT_ID))
    assert "api_key" in (caught.value.hint or "")


def test_telemetry_is_signed_and_a_wrong_key_is_refused(
    checkrd: TwinProcess, client: CheckrdClient
) -> None:
    sign, public = signer()
    stranger, _ = signer()
    client.update_agent(AGENT_ID, public_key=public)
    teller = client_of(caller_of(checkrd, KEY))
    now = datetime.now(UTC)
    assert teller.send_telemetry([{"method": "GET"}], signer=sign, now=now) == 1
    for signed_by, at in ((stranger, now), (sign, now - timedelta(seconds=400))):
        with pytest.raises(Refused):
            teller.send_telemetry([{"method": "GET"}], signer=signed_by, now=at)
    assert [call["status"] for call in checkrd.calls(path="/v1/telemetry")] == [202, 401, 401]
    for wrong in ([], [{}] * 1001):
        with pytest.raises(Permanent):
            teller.send_telemetry(wrong, signer=sign, now=now)


def test_telemetry_is_limited_by_the_plan(checkrd: TwinProcess) -> None:
    checkrd.limit("telemetry", limit=0)
    sign, _ = signer()
    with pytest.raises(RateLimited, match="plan"):
        client_of(caller_of(checkrd, KEY)).send_telemetry([{}], signer=sign, now=datetime.now(UTC))


# --- actions ------------------------------------------------------------------------------------


def audit_of(twin: TwinProcess) -> list[Any]:
    entries: Any = twin.state()["audit"]
    return [entry for entry in entries if entry["action"] == "agent.kill_switch"]


def test_an_agent_is_stopped_once_with_a_reason_that_leads_back(
    checkrd: TwinProcess, caller: Caller
) -> None:
    done = caller.do(
        "checkrd.kill_switch", agent_id=AGENT_ID, reason="approved in chat", correlation_id="c-7"
    )
    outputs: Any = done.outputs
    assert (outputs.kill_switch_active, outputs.changed, outputs.name) == (
        True,
        True,
        "sales-agent",
    )
    again = caller.do("checkrd.kill_switch", agent_id=AGENT_ID, reason="approved in chat")
    assert again.changed is False
    (entry,) = audit_of(checkrd)
    assert entry["metadata"]["reason"] == "approved in chat [hookwright c-7]"
    released = caller.outputs(
        "checkrd.kill_switch", effect="run:release:0", agent_id=AGENT_ID, active=False
    )
    assert released.kill_switch_active is False
    assert "[hookwright run:release:0]" in audit_of(checkrd)[-1]["metadata"]["reason"]


def test_a_kill_switch_whose_answer_is_lost_is_looked_up(
    checkrd: TwinProcess, caller: Caller
) -> None:
    assert caller.look_up("checkrd.kill_switch", agent_id=AGENT_ID) is None
    checkrd.fault("drop_after", path="*/kill-switch", times=1)
    with pytest.raises(VendorBroken):
        caller.do("checkrd.kill_switch", agent_id=AGENT_ID)
    found: Any = caller.look_up("checkrd.kill_switch", agent_id=AGENT_ID)
    assert found.outputs.kill_switch_active is True
    assert len(checkrd.effects(path="*/kill-switch")) == 1


def test_a_switch_that_was_turned_back_meanwhile_is_set_again(
    checkrd: TwinProcess, caller: Caller
) -> None:
    client = client_of(caller)
    for _ in range(2):
        done = caller.do("checkrd.kill_switch", agent_id=AGENT_ID)
        assert done.changed
        assert client.agent(AGENT_ID).kill_switch_active
        client.set_kill_switch(AGENT_ID, active=False)


def test_calls_for_one_agent_are_serialised(caller: Caller) -> None:
    action = caller.action("checkrd.kill_switch")
    assert action.target is not None
    on, off = (
        action.params.model_validate({"agent_id": AGENT_ID, "active": active})
        for active in (True, False)
    )
    assert action.target(on, None) == action.target(off, None)


def test_a_kill_switch_that_shows_no_effect_is_no_success(
    checkrd: TwinProcess, caller: Caller
) -> None:
    agent = client_of(caller).agent(AGENT_ID).model_dump(mode="json")
    checkrd.fault("status", path="*/kill-switch", status=200, body=agent)
    with pytest.raises(VendorBroken, match="unchanged"):
        caller.do("checkrd.kill_switch", agent_id=AGENT_ID)


def test_an_agent_that_does_not_say_whether_it_is_stopped_is_no_answer(
    checkrd: TwinProcess, caller: Caller
) -> None:
    checkrd.fault("status", path=f"/v1/agents/{AGENT_ID}", status=200, body={"id": AGENT_ID})
    with pytest.raises(VendorBroken, match="kill_switch_active"):
        caller.do("checkrd.agent", agent_id=AGENT_ID)


def test_the_state_of_an_agent_is_confirmed(checkrd: TwinProcess, caller: Caller) -> None:
    assert caller.outputs("checkrd.agent", agent_id=AGENT_ID).kill_switch_active is False
    caller.do("checkrd.kill_switch", agent_id=AGENT_ID)
    agent = caller.outputs("checkrd.agent", agent_id=AGENT_ID)
    assert (agent.kill_switch_active, agent.status) == (True, "stopped")
    by_key = caller_of(checkrd, KEY)
    state = by_key.outputs("checkrd.control_state", agent_id=AGENT_ID)
    assert (state.kill_switch_active, state.has_policy) == (True, False)


def test_an_unknown_agent_is_refused(caller: Caller) -> None:
    with pytest.raises(Refused, match="Agent not found"):
        caller.do("checkrd.kill_switch", agent_id="nobody")
    for climbing in ("..", "a/../b"):
        with pytest.raises(Permanent):
            caller.do("checkrd.agent", agent_id=climbing)


def test_a_rule_is_muted_and_told_to_speak_again(checkrd: TwinProcess, caller: Caller) -> None:
    muted = caller.outputs("checkrd.mute_alert", rule_id=RULE_ID, minutes=30)
    assert muted.muted_until is not None
    until = "2030-01-01T00:00:00+01:00"
    named = caller.outputs("checkrd.mute_alert", effect="b", rule_id=RULE_ID, until=until)
    assert named.muted_until == "2029-12-31T23:00:00Z"
    assert caller.outputs("checkrd.unmute_alert", effect="c", rule_id=RULE_ID).muted_until is None
    off = caller.outputs("checkrd.switch_alert", effect="d", rule_id=RULE_ID, enabled=False)
    assert off.enabled is False
    for wrong in ({}, {"minutes": 0}, {"until": "2030-01-01T00:00:00"}):
        with pytest.raises(ValidationError):
            caller.do("checkrd.mute_alert", rule_id=RULE_ID, **wrong)


def test_a_muting_that_is_repeated_is_done_once(checkrd: TwinProcess, caller: Caller) -> None:
    for _ in range(2):
        caller.do("checkrd.mute_alert", rule_id=RULE_ID, minutes=30)
    assert len(checkrd.effects(path="*/mute")) == 1


def test_where_a_rule_stands(checkrd: TwinProcess, caller: Caller) -> None:
    checkrd.lever("evaluate", {"value": 0.5})
    rule = caller.outputs("checkrd.alert", rule_id=RULE_ID, agent_id=AGENT_ID)
    assert (rule.found, rule.firing, rule.last_value, rule.threshold) == (True, True, 0.5, 0.2)
    assert caller.outputs("checkrd.alert", rule_id="none").found is False


def test_what_happened_lately(checkrd: TwinProcess, caller: Caller) -> None:
    caller.now = datetime.now(UTC) + timedelta(seconds=5)
    checkrd.lever("history", {"count": 5, "send": False})
    found = caller.outputs("checkrd.alert_history", rule_id=RULE_ID, state="firing", limit=2)
    assert (found.count, found.more) == (2, True)
    assert {change.state for change in found.changes} == {"firing"}
    denied = {"policy_result": "denied", "deny_reason": "not on the list"}
    checkrd.lever("requests", {"count": 3, "overrides": denied})
    checkrd.lever("requests", {"count": 4})
    requests = caller.outputs(
        "checkrd.recent_requests", agent_id=AGENT_ID, policy_result="denied", limit=10
    )
    assert (requests.count, requests.more) == (3, False)
    assert {one.deny_reason for one in requests.requests} == {"not on the list"}

"""VibeView's client, actions and polls against its twin."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from service.errors import RateLimited, Refused, VendorBroken
from service.vendors.vibeview import VENDOR
from service.vendors.vibeview.client import VibeViewClient
from tests.integration.vendors.conftest import Caller, Start

KEY = "tok_vibeview_twin_key"


@pytest.fixture
def vibeview(twin: Start) -> TwinProcess:
    process = twin("vibeview")
    process.set(key=KEY, pace=1.0, role="admin")
    return process


@pytest.fixture
def caller(vibeview: TwinProcess) -> Caller:
    return Caller(VENDOR, vibeview.url, {"api_token": KEY}, {"per_minute": 6000})


def set_credit(twin: TwinProcess, usd: float, **more: Any) -> None:
    twin.lever("balance", {"allowance_micro": 0, "prepaid_micro": int(usd * 1_000_000), **more})


# --- actions --------------------------------------------------------------------------------------


def test_the_balance_is_given_in_micro_credits_and_dollars(caller: Caller) -> None:
    balance = caller.outputs("vibeview.credit_balance")
    assert (balance.total_micro, balance.total_usd) == (5_750_000, 5.75)
    assert balance.plan_period_end == "2026-08-01T00:00:00+00:00"
    assert balance.low_balance is False


def test_a_suite_is_started_with_our_correlation_id_and_followed(
    vibeview: TwinProcess, caller: Caller
) -> None:
    vibeview.lever("outcomes", {"runs": [{"status": "passed", "visual_regression_status": "warn"}]})
    done = caller.do(
        "vibeview.run_suite",
        suite_id="suite_abc123",
        commit_sha="abc123",
        mode="replay",
        metadata={"pr_number": 42},
    )
    sent: Any = vibeview.calls(path="*/ci/run-suite")[0]
    assert sent["body"] == {
        "suite_id": "suite_abc123",
        "commit_sha": "abc123",
        "mode": "replay",
        "metadata": {"pr_number": 42, "correlation_id": "run:step:0"},
    }
    run_id = done.outputs.model_dump()["run_id"]
    assert done.reference == {"run_id": run_id}
    begun = caller.outputs("vibeview.run_status", run_id=run_id)
    assert (begun.status, begun.terminal, begun.queue_position) == ("pending", False, 1)
    vibeview.advance(5)
    ended = caller.outputs("vibeview.run_status", run_id=run_id)
    assert (ended.status, ended.succeeded, ended.visual) == ("passed", True, "warn")
    assert ended.suite_name == "Login Flow"
    assert len(ended.cases) == 3
    assert ended.url == f"https://vibeview.io/tests/runs/{run_id}"


def test_one_test_is_started(vibeview: TwinProcess, caller: Caller) -> None:
    run_id = caller.outputs("vibeview.run_test", test_id="test_abc123_1").run_id
    vibeview.advance(5)
    assert caller.outputs("vibeview.run_status", run_id=run_id).type == "test_run"


def test_several_suites_are_started_by_tag_and_rolled_up(
    vibeview: TwinProcess, caller: Caller
) -> None:
    runs = [{"status": "passed", "visual_regression_status": "fail"}, "failed"]
    vibeview.lever("outcomes", {"runs": runs})
    started = caller.outputs("vibeview.run_suites", tags=["smoke"], match="all")
    assert started.matched_suite_ids == ("suite_abc123", "suite_def456")
    begun = caller.outputs("vibeview.multi_suite_status", aggregate_id=started.aggregate_id)
    assert begun.terminal is False
    vibeview.advance(5)
    ended = caller.outputs("vibeview.multi_suite_status", aggregate_id=started.aggregate_id)
    assert (ended.status, ended.terminal, ended.succeeded) == ("failed", True, False)
    assert ended.visual == "fail"
    assert [suite.status for suite in ended.suite_runs] == ["passed", "failed"]


@pytest.mark.parametrize(
    "params",
    [
        {"suite_id": "s", "device_category": "phone", "device_id": "d"},
        {"suite_id": "s", "mode": "fast"},
        {"suite_id": ""},
        {"suite_id": "s", "unknown": 1},
    ],
)
def test_parameters_are_checked_before_a_call(caller: Caller, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        caller.do("vibeview.run_suite", **params)


@pytest.mark.parametrize("tags", [[], ["Bad Tag"], ["x"] * 21])
def test_tags_have_the_vendors_form(caller: Caller, tags: list[str]) -> None:
    with pytest.raises(ValidationError):
        caller.do("vibeview.run_suites", tags=tags)


def test_refusals_carry_the_vendors_words(vibeview: TwinProcess, caller: Caller) -> None:
    with pytest.raises(Refused, match="Suite not found"):
        caller.do("vibeview.run_suite", suite_id="suite_none")
    with pytest.raises(Refused, match="No suites matched"):
        caller.do("vibeview.run_suites", tags=["none"])
    vibeview.set(role="viewer")
    with pytest.raises(Refused, match="role developer") as caught:
        caller.do("vibeview.run_suite", suite_id="suite_abc123")
    assert caught.value.hint is not None


def test_a_wrong_token_is_refused_and_not_shown(vibeview: TwinProcess) -> None:
    caller = Caller(VENDOR, vibeview.url, {"api_token": "tok_wrongwrongwrong"})
    with pytest.raises(Refused, match="Invalid or expired token") as caught:
        caller.do("vibeview.credit_balance")
    assert "wrongwrong" not in repr(caught.value) + repr(caller.credentials)


def test_a_429_without_a_waiting_time_waits_a_minute(vibeview: TwinProcess, caller: Caller) -> None:
    vibeview.fault("status", path="*/ci/run-suite", status=429, body={"detail": "Rate limit"})
    with pytest.raises(RateLimited) as caught:
        caller.do("vibeview.run_suite", suite_id="suite_abc123")
    assert caught.value.retry_after == timedelta(seconds=60)


@pytest.mark.parametrize("mode", ["drop_after", "garbage", "truncate"])
def test_a_start_whose_answer_is_lost_is_perhaps_done(
    vibeview: TwinProcess, caller: Caller, mode: str
) -> None:
    vibeview.fault(mode, path="*/ci/run-suite", times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("vibeview.run_suite", suite_id="suite_abc123")
    assert caught.value.perhaps_done is True
    assert len(vibeview.effects(path="*/ci/run-suite")) == 1


def test_suites_catalog_and_check(vibeview: TwinProcess, caller: Caller) -> None:
    client = VibeViewClient(caller.http)
    assert [suite.name for suite in client.ci.list_suites(tags=("login",))] == ["Login Flow"]
    assert len(client.ci.list_suites()) == 2
    assert "run.failed" in {entry.type for entry in client.webhooks.catalog()}
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    assert outgoing.check is not None
    assert outgoing.check(caller.context()) == "organisation Acme"
    vibeview.fault("status", path="*/organizations/", status=404, times=1)
    assert outgoing.check(caller.context()) == "a token with 5.75 USD of credit"


@pytest.mark.parametrize(
    "body",
    [
        ["run.failed"],
        {"events": [{"event_type": "run.failed"}]},
        {"any": [{"event": "run.failed"}]},
    ],
)
def test_the_catalog_comes_in_several_shapes(
    vibeview: TwinProcess, caller: Caller, body: object
) -> None:
    vibeview.fault("status", path="*/catalog", status=200, body=body, times=1)
    assert [entry.type for entry in VibeViewClient(caller.http).webhooks.catalog()] == [
        "run.failed"
    ]


# --- credit ---------------------------------------------------------------------------------------


def test_credit_that_sinks_and_returns_is_told_tier_by_tier(
    vibeview: TwinProcess, caller: Caller
) -> None:
    told: list[tuple[str, Any]] = []
    keys: list[str] = []
    position = None
    for amount in (20.0, 4.0, 3.0, 0.5, 0.0, 4.5, 6.0, 6.5):
        set_credit(vibeview, amount, low_balance=False)
        answer = caller.ask("credit_balance", position, topup_url="https://pay.example.com")
        position = answer.position
        told += [(event.type, event.facts["tier"]) for event in answer.events]
        keys += [event.key for event in answer.events]
    assert told == [
        ("credits.low", "warn"),
        ("credits.low", "critical"),
        ("credits.depleted", "zero"),
        ("credits.restored", None),
    ]
    assert len(set(keys)) == 4
    assert keys[0].startswith("credits:warn:2026-08-01:")
    assert keys[3].startswith("credits:restored:2026-08-01:")


def test_the_facts_of_low_credit(vibeview: TwinProcess, caller: Caller) -> None:
    now = datetime.now(UTC)
    caller.now = now
    vibeview.lever("ledger", {"amount_micro": -600_000})
    vibeview.lever("ledger", {"amount_micro": 100_000, "entry_type": "prepaid_topup"})
    vibeview.lever("ledger", {"amount_micro": -900_000, "created_at": "2020-01-01T00:00:00"})
    set_credit(vibeview, 1.2, plan_period_end=None)
    event = caller.ask("credit_balance", topup_url="https://pay.example.com").events[0]
    assert event.facts == {
        "remaining_micro": 1_200_000,
        "allowance_micro": 0,
        "prepaid_micro": 1_200_000,
        "floor_micro": 5_000_000,
        "period_end": None,
        "topup_url": "https://pay.example.com",
        "tier": "warn",
        "account": "under-test",
    }
    assert event.subject == "under-test"
    assert event.key.startswith("credits:warn:none:")
    assert event.payload["burn"] == {
        "used_micro_24h": 600_000,
        "complete": True,
        "hours_left": 48.0,
    }


def test_the_same_question_after_a_crash_gives_the_same_event(
    vibeview: TwinProcess, caller: Caller
) -> None:
    position = caller.ask("credit_balance").position
    set_credit(vibeview, 2)
    caller.now += timedelta(minutes=5)
    first, again = (caller.ask("credit_balance", position) for _ in range(2))
    assert first.events[0].key == again.events[0].key
    assert first.position["told"] == again.position["told"]


def test_a_poll_that_is_added_again_gives_no_number_twice(
    vibeview: TwinProcess, caller: Caller
) -> None:
    set_credit(vibeview, 2)
    before = caller.ask("credit_balance").events[0].key
    caller.now += timedelta(hours=1)
    assert caller.ask("credit_balance").events[0].key != before


@pytest.mark.parametrize("kind", ["prepaid_topup", "subscription_refill", "gift"])
def test_a_top_up_after_the_alert_restores_from_the_floor_on(
    vibeview: TwinProcess, caller: Caller, kind: str
) -> None:
    vibeview.lever("ledger", {"amount_micro": 10, "entry_type": "prepaid_topup"})
    set_credit(vibeview, 2)
    alert = caller.ask("credit_balance")
    set_credit(vibeview, 5.5)
    waits = caller.ask("credit_balance", alert.position)
    assert list(waits.events) == [], "the top-up before the alert does not count"
    vibeview.lever("ledger", {"amount_micro": 3_500_000, "entry_type": kind})
    vibeview.lever("ledger", {"amount_micro": -1})
    back = caller.ask("credit_balance", waits.position)
    assert [event.type for event in back.events] == ["credits.restored"]


def test_a_ledger_that_was_empty_at_the_alert_shows_the_first_top_up(
    vibeview: TwinProcess, caller: Caller
) -> None:
    set_credit(vibeview, 2)
    alert = caller.ask("credit_balance")
    set_credit(vibeview, 5.5)
    vibeview.lever("ledger", {"amount_micro": 3_500_000, "entry_type": "prepaid_topup"})
    assert len(caller.ask("credit_balance", alert.position).events) == 1


@pytest.mark.parametrize(
    ("since", "restored"), [(timedelta(hours=-1), True), (timedelta(hours=1), False)]
)
def test_without_a_mark_the_time_of_the_top_up_decides(
    vibeview: TwinProcess, caller: Caller, since: timedelta, *, restored: bool
) -> None:
    position = {"tier": "warn", "told": 7, "since": (datetime.now(UTC) + since).isoformat()}
    set_credit(vibeview, 5.5)
    vibeview.lever("ledger", {"amount_micro": 3_500_000, "entry_type": "prepaid_topup"})
    assert bool(caller.ask("credit_balance", position).events) is restored


@pytest.mark.parametrize("status", [403, 500])
def test_a_ledger_that_cannot_be_read_stops_no_alert(
    vibeview: TwinProcess, caller: Caller, status: int
) -> None:
    vibeview.fault("status", path="*/credits/ledger", status=status)
    set_credit(vibeview, 2)
    alert = caller.ask("credit_balance")
    assert [event.type for event in alert.events] == ["credits.low"]
    assert alert.events[0].payload["burn"] is None
    set_credit(vibeview, 5.5)
    waits = caller.ask("credit_balance", alert.position)
    assert list(waits.events) == []
    set_credit(vibeview, 7)
    assert len(caller.ask("credit_balance", waits.position).events) == 1


@pytest.mark.parametrize("body", [{}, {"allowance_micro": 5}, {"detail": "x"}, [], "x"])
def test_a_balance_without_amounts_alarms_nobody(
    vibeview: TwinProcess, caller: Caller, body: object
) -> None:
    vibeview.fault("status", path="*/credits/balance", status=200, body=body, times=1)
    with pytest.raises(VendorBroken):
        caller.ask("credit_balance")


def test_the_limits_can_be_chosen(vibeview: TwinProcess, caller: Caller) -> None:
    set_credit(vibeview, 60)
    answer = caller.ask("credit_balance", floor_usd=100, critical_usd=70)
    assert answer.events[0].facts["tier"] == "critical"
    assert answer.events[0].facts["floor_micro"] == 100_000_000
    for wrong in ({"floor_usd": 0}, {"floor_usd": 5, "critical_usd": 6}, {"rearm": 0.5}):
        with pytest.raises(ValidationError):
            caller.ask("credit_balance", None, **wrong)


def test_the_vendors_flag_that_flaps_is_told_once_and_its_threshold_is_learnt(
    vibeview: TwinProcess, caller: Caller
) -> None:
    told: list[str] = []
    position: Any = None
    for turn in range(8):
        set_credit(vibeview, 19.9 if turn % 2 == 0 else 20.1, low_balance=turn % 2 == 0)
        answer = caller.ask("credit_balance", position)
        position = json.loads(json.dumps(answer.position))
        told += [event.type for event in answer.events]
    assert told == ["credits.low"]
    set_credit(vibeview, 24, low_balance=False)
    restored = caller.ask("credit_balance", position)
    assert [event.type for event in restored.events] == ["credits.restored"]
    assert restored.position["flagged_micro"] is None


def test_a_position_of_before_thresholds_were_learnt_is_read(
    vibeview: TwinProcess, caller: Caller
) -> None:
    position = {"tier": "warn", "told": 7, "since": None, "mark": ""}
    set_credit(vibeview, 19.9, low_balance=True)
    waits = caller.ask("credit_balance", position)
    assert (list(waits.events), waits.position["flagged_micro"]) == ([], 19_900_000)
    set_credit(vibeview, 20.1, low_balance=False)
    assert list(caller.ask("credit_balance", waits.position).events) == []


@pytest.mark.parametrize(
    "position",
    [{}, {"tier": "odd", "told": "x", "since": 1, "mark": 5, "flagged_micro": "many"}],
)
def test_an_odd_position_is_a_beginning(
    vibeview: TwinProcess, caller: Caller, position: dict[str, Any]
) -> None:
    set_credit(vibeview, 2)
    assert [event.type for event in caller.ask("credit_balance", position).events] == [
        "credits.low"
    ]


# --- ledger ---------------------------------------------------------------------------------------


def test_the_ledger_tells_new_refills_in_order(vibeview: TwinProcess, caller: Caller) -> None:
    vibeview.lever("ledger", {"amount_micro": 1, "entry_type": "prepaid_topup"})
    begun = caller.ask("ledger")
    assert list(begun.events) == []
    assert list(caller.ask("ledger", begun.position).events) == []
    for number in range(120):
        vibeview.lever("ledger", {"amount_micro": -number})
        if number in {1, 118}:
            topup = {"amount_micro": number, "entry_type": "prepaid_topup"}
            vibeview.lever("ledger", topup)
    answer = caller.ask("ledger", begun.position)
    assert [event.facts["amount_micro"] for event in answer.events] == [1, 118]
    assert answer.events[0].type == "vibeview.ledger_entry"
    assert answer.events[0].key == f"ledger:{answer.events[0].subject}"
    assert list(caller.ask("ledger", answer.position).events) == []
    assert len(caller.ask("ledger", begun.position, entry_types=[]).events) == 122


def test_a_ledger_that_begins_empty_tells_its_first_entry(
    vibeview: TwinProcess, caller: Caller
) -> None:
    begun = caller.ask("ledger")
    vibeview.lever("ledger", {"amount_micro": 5, "entry_type": "subscription_refill"})
    assert len(caller.ask("ledger", begun.position).events) == 1

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
from tests.integration.vendors.asking import ask_all
from tests.integration.vendors.conftest import Caller, Start

KEY = "tok_vibeview_twin_key"


@pytest.fixture
def vibeview(twin: Start) -> TwinProcess:
    process = twin("vibeview")
    process.set(key=KEY, pace=1.0, role="admin", receiver=None, thresholds_at="suite")
    process.limit("api", limit=100)
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


@pytest.mark.parametrize("count", [99, 100, 101, 500, 1050])
@pytest.mark.parametrize("before", [0, 1])
def test_a_long_ledger_is_told_in_chunks_oldest_first(
    vibeview: TwinProcess, caller: Caller, count: int, before: int
) -> None:
    vibeview.limit("api", limit=None)
    if before:
        vibeview.lever("ledger", {"amount_micro": 1})
    begun = caller.ask("ledger")
    vibeview.lever("ledger", {"amount_micro": -1, "count": count})
    told = ask_all(caller, "ledger", begun.position, entry_types=[])
    assert [event.subject for event in told.events] == [
        str(number) for number in range(before + 1, before + count + 1)
    ]
    assert all(event.fact == event.key == f"ledger:{event.subject}" for event in told.events)
    assert (told.times > 1) == (count > 400)
    assert len(vibeview.calls(path="*/ledger")) <= 2 + 2 * (count // 100 + 1) + told.times
    assert ask_all(caller, "ledger", told.position, entry_types=[]).events == []


def test_entries_that_come_while_a_long_ledger_is_told_are_neither_lost_nor_repeated(
    vibeview: TwinProcess, caller: Caller
) -> None:
    vibeview.limit("api", limit=None)
    position: Any = caller.ask("ledger").position
    vibeview.lever("ledger", {"amount_micro": -1, "count": 730})
    told: list[str | None] = []
    total = 730
    for extra in (1, 99, 100, 101, 250, 0, 3, *(0,) * 20):
        answer = caller.ask("ledger", position, entry_types=[])
        told += [event.subject for event in answer.events]
        position = answer.position
        if not answer.more:
            break
        if extra:
            vibeview.lever("ledger", {"amount_micro": -1, "count": extra})
            total += extra
    assert told == [str(number) for number in range(1, total + 1)]


def test_a_ledger_that_breaks_off_goes_on_where_it_was(
    vibeview: TwinProcess, caller: Caller
) -> None:
    vibeview.limit("api", limit=None)
    position: Any = caller.ask("ledger").position
    vibeview.lever("ledger", {"amount_micro": -1, "count": 620})
    first = caller.ask("ledger", position, entry_types=[])
    vibeview.fault("status", path="*/ledger", status=500, skip=2, times=3)
    with pytest.raises(VendorBroken):
        caller.ask("ledger", first.position, entry_types=[])
    rest = ask_all(caller, "ledger", first.position, entry_types=[])
    told = [event.subject for event in (*first.events, *rest.events)]
    assert told == [str(number) for number in range(1, 621)]


def test_a_position_of_before_there_were_chunks_is_read(
    vibeview: TwinProcess, caller: Caller
) -> None:
    vibeview.lever("ledger", {"amount_micro": 1, "entry_type": "prepaid_topup", "count": 3})
    assert len(caller.ask("ledger", {"mark": "1"}).events) == 2
    assert len(caller.ask("ledger", {"mark": "gone", "offset": "odd"}).events) == 3


# --- catalog --------------------------------------------------------------------------------------


def test_new_events_of_the_vendor_are_told_once(vibeview: TwinProcess, caller: Caller) -> None:
    begun = caller.ask("catalog")
    assert list(begun.events) == [], "everything the twin lists is known"
    assert begun.position["missing"] == []
    more = [*begun_catalog(caller), {"type": "device.offline"}, {"type": "billing.refunded"}]
    vibeview.fault("status", path="*/catalog", status=200, body=more)
    (told,) = (answer := caller.ask("catalog", begun.position)).events
    assert told.type == "vibeview.catalog_changed"
    assert told.facts == {
        "account": "under-test",
        "unknown": ["billing.refunded", "device.offline"],
        "missing": [],
    }
    assert caller.ask("catalog", begun.position).events[0].key == told.key
    assert list(caller.ask("catalog", answer.position).events) == []
    mapped = caller.ask("catalog", answer.position, known=["billing.refunded"])
    assert mapped.events[0].facts["unknown"] == ["device.offline"]
    vibeview.clear_faults()
    (gone,) = caller.ask("catalog", answer.position).events
    assert gone.facts["unknown"] == []
    assert gone.key != told.key


def begun_catalog(caller: Caller) -> list[dict[str, Any]]:
    entries = VibeViewClient(caller.http).webhooks.catalog()
    return [{"type": entry.type} for entry in entries]


def test_events_that_were_unknown_from_the_beginning_are_told(
    vibeview: TwinProcess, caller: Caller
) -> None:
    vibeview.fault("status", path="*/catalog", status=200, body=["device.offline"])
    (told,) = caller.ask("catalog").events
    assert told.facts["unknown"] == ["device.offline"]
    assert "run.failed" in told.facts["missing"]


# --- further actions ------------------------------------------------------------------------------


def test_a_run_is_cancelled_and_one_that_ended_is_no_failure(
    vibeview: TwinProcess, caller: Caller
) -> None:
    run_id = caller.outputs("vibeview.run_test", test_id="test_abc123_1").run_id
    done = caller.do("vibeview.cancel_run", run_id=run_id)
    assert done.outputs.model_dump() == {"requested": True, "status": "cancellation_requested"}
    assert caller.outputs("vibeview.run_status", run_id=run_id).status == "cancelled"
    again = caller.do("vibeview.cancel_run", run_id=run_id)
    assert again.outputs.model_dump() == {"requested": False, "status": "not_active"}
    assert again.changed is False
    with pytest.raises(Refused, match="not found"):
        caller.do("vibeview.cancel_run", run_id="tr_none")


def test_a_suite_run_is_cancelled_by_its_number(vibeview: TwinProcess, caller: Caller) -> None:
    run_id = caller.outputs("vibeview.run_suite", suite_id="suite_abc123").run_id
    record = caller.outputs("vibeview.suite_run_record", run_id=run_id)
    assert record.number is not None
    done = caller.outputs("vibeview.cancel_run", suite_run_number=record.number)
    assert done.requested is True
    assert caller.outputs("vibeview.suite_run_record", run_id=run_id).status == "cancelled"


def test_a_link_to_buy_credit(vibeview: TwinProcess, caller: Caller) -> None:
    assert caller.outputs("vibeview.topup_link", amount_usd=20).url.startswith("https://")
    assert vibeview.calls(path="*/topup")[0]["body"] == {"amount_usd": 20}
    with pytest.raises(Refused, match="out of bounds"):
        caller.do("vibeview.topup_link", amount_usd=4)
    vibeview.set(role="viewer")
    with pytest.raises(Refused) as caught:
        caller.do("vibeview.topup_link", bundle_key="bundle_10")
    assert "role admin" in (caught.value.hint or "")


def test_usage_of_the_month(vibeview: TwinProcess, caller: Caller) -> None:
    vibeview.lever("ledger", {"amount_micro": -1_500_000})
    usage = caller.outputs("vibeview.usage")
    assert (usage.plan, usage.ai_credit.current, usage.ai_cost_micro) == ("Starter", 1.5, 1_500_000)
    assert usage.own_key_tokens.limit is None


def test_thresholds_are_set_where_the_vendor_has_them(
    vibeview: TwinProcess, caller: Caller
) -> None:
    for place in ("suite", "settings"):
        vibeview.set(thresholds_at=place)
        done = caller.do(
            "vibeview.set_thresholds", suite_id="suite_abc123", warn_pct=5, fail_pct=20
        )
        assert done.outputs.model_dump() == {"warn_pct": 5, "fail_pct": 20}
    vibeview.set(thresholds_at="suite")
    suite = VibeViewClient(caller.http).suites.one("suite_abc123")
    assert (suite.visual_regression_warn_pct, suite.visual_regression_fail_pct) == (5, 20)
    caller.do("vibeview.set_thresholds", suite_id="suite_abc123", warn_pct=None, fail_pct=None)
    suite = VibeViewClient(caller.http).suites.one("suite_abc123")
    assert suite.visual_regression_warn_pct is None


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("set_thresholds", {"suite_id": "s", "warn_pct": 20, "fail_pct": 20}),
        ("set_thresholds", {"suite_id": "s", "warn_pct": 20}),
        ("set_thresholds", {"suite_id": "s", "warn_pct": -1, "fail_pct": 101}),
        ("cancel_run", {}),
        ("cancel_run", {"run_id": "r", "suite_run_number": 1}),
        ("topup_link", {}),
        ("topup_link", {"bundle_key": "b", "amount_usd": 5}),
        ("update_case", {"case_id": "c"}),
        ("subscribe", {"webhook_id": "1", "event_types": []}),
    ],
)
def test_parameters_that_contradict_are_refused_before_a_call(
    vibeview: TwinProcess, caller: Caller, name: str, params: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        caller.do(f"vibeview.{name}", **params)
    assert vibeview.calls() == []


def test_suites_and_cases(vibeview: TwinProcess, caller: Caller) -> None:
    (suite,) = caller.outputs("vibeview.list_suites", tags=["login"]).suites
    assert (suite.id, suite.case_count, suite.tags) == ("suite_abc123", 3, ("smoke", "login"))
    assert "cases:" in caller.outputs("vibeview.export_suite", suite_id=suite.id).yaml
    case_id = "test_abc123_1"
    changed = caller.outputs("vibeview.update_case", case_id=case_id, steps=["Open", "Tap", "Look"])
    assert (changed.case_id, changed.step_count) == (case_id, 3)
    vibeview.lever("outcomes", {"runs": ["passed", "failed", "passed"]})
    for _ in range(3):
        caller.do("vibeview.run_test", test_id=case_id)
    vibeview.advance(10)
    history = caller.outputs("vibeview.case_history", case_id=case_id)
    assert (history.statuses, history.flaky) == (("passed", "failed", "passed"), True)
    latest = caller.outputs("vibeview.case_history", case_id=case_id, runs=1)
    assert (latest.passed, latest.failed, latest.flaky) == (1, 0, False)


def test_free_devices(vibeview: TwinProcess, caller: Caller) -> None:
    assert caller.outputs("vibeview.free_devices").model_dump() == {"total": 3, "free": 3}
    phones = caller.outputs("vibeview.free_devices", device_category="phone")
    assert phones.model_dump() == {"total": 2, "free": 2}


def test_events_are_added_to_a_subscription(vibeview: TwinProcess, caller: Caller) -> None:
    before = VibeViewClient(caller.http).webhooks.subscriptions("1")
    wanted = ["visual.regression_warning", "run.failed"]
    done = caller.do("vibeview.subscribe", webhook_id="1", event_types=wanted)
    assert done.outputs.model_dump() == {
        "event_types": (*before, "visual.regression_warning"),
        "added": ("visual.regression_warning",),
    }
    again = caller.do("vibeview.subscribe", webhook_id="1", event_types=wanted)
    assert (again.changed, again.outputs.model_dump()["added"]) == (False, ())
    assert len(vibeview.calls(method="PUT")) == 1


def test_a_past_event_is_asked_for_again(vibeview: TwinProcess, caller: Caller) -> None:
    told: Any = vibeview.lever("happen", {"count": 1})
    vibeview.set(receiver=f"{vibeview.url}/nowhere")
    done = caller.outputs("vibeview.redeliver", webhook_id="1", delivery_id=told[0]["delivery_id"])
    assert (done.status, done.response_code) == ("failed", 401)
    with pytest.raises(Refused, match="Delivery not found"):
        caller.do("vibeview.redeliver", webhook_id="1", delivery_id="d-none")

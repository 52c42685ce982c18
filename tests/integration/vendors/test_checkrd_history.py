"""Checkrd's alert history, polled and compared: nothing lost, nothing told twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from examples.twins.checkrd.account import AGENT_ID, RULE_ID
from examples.twins.launch import TwinProcess
from service.errors import RateLimited, Refused, VendorBroken
from service.vendors.base import Recorded, RecordPage, Window
from service.vendors.checkrd import VENDOR
from tests.integration.vendors import asking
from tests.integration.vendors.asking import read_page
from tests.integration.vendors.checkrd_account import (
    SECRET,
    START,
    caller_of,
    install,
)
from tests.integration.vendors.conftest import Caller, Start
from tests.integration.vendors.inbox import Inbox, open_inbox


@pytest.fixture
def checkrd(twin: Start) -> TwinProcess:
    return install(twin("checkrd"))


@pytest.fixture
def caller(checkrd: TwinProcess) -> Caller:
    return caller_of(checkrd)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox(VENDOR, secret=SECRET) as found:
        yield found


# --- the poll -----------------------------------------------------------------------------------


def past(twin: TwinProcess, until: datetime, count: int, **more: Any) -> list[str]:
    told: Any = twin.lever(
        "history", {"count": count, "until": until.isoformat(), "send": False, **more}
    )
    return list(told["created"])


def ask_all(caller: Caller, position: Any, facts: list[str], **options: Any) -> dict[str, Any]:
    """Ask until there is no more, add the facts to those of before, and give the position."""
    asked = asking.ask_all(caller, "alert_history", position, **options)
    facts += asked.facts
    return dict(asked.position)


def test_the_first_question_notes_where_it_begins(checkrd: TwinProcess, caller: Caller) -> None:
    past(checkrd, START - timedelta(seconds=1), 5)
    answer = caller.ask("alert_history")
    assert (list(answer.events), answer.more) == ([], False)
    caller.now = START + timedelta(minutes=5)
    assert caller.ask("alert_history", answer.position).events == []


def test_a_poll_can_look_back(checkrd: TwinProcess, caller: Caller) -> None:
    past(checkrd, START - timedelta(minutes=1), 4, spacing_s=60)
    facts: list[str] = []
    ask_all(caller, None, facts, look_back="3m")
    assert len(facts) == 3


def test_an_overlap_never_keeps_the_poll_where_it_is(checkrd: TwinProcess, caller: Caller) -> None:
    past(checkrd, START - timedelta(minutes=1), 60, spacing_s=3600)
    facts: list[str] = []
    ask_all(caller, None, facts, look_back="3d", overlap="12h")
    assert len(facts) == len(set(facts)) == 60
    with pytest.raises(ValidationError):
        caller.ask("alert_history", None, overlap="13h")


def test_a_poll_loses_and_repeats_nothing(checkrd: TwinProcess, caller: Caller) -> None:
    position: Any = dict(caller.ask("alert_history").position)
    facts: list[str] = []
    made: list[str] = []
    for _round in range(6):
        caller.now += timedelta(minutes=3)
        made += past(checkrd, caller.now - timedelta(seconds=1), 40, spacing_s=4)
        position = ask_all(caller, position, facts)
    assert len(made) == len(facts) == len(set(facts)) == 240


def test_a_change_that_is_listed_late_is_told(checkrd: TwinProcess, caller: Caller) -> None:
    position: Any = dict(caller.ask("alert_history").position)
    caller.now += timedelta(minutes=20)
    past(checkrd, caller.now - timedelta(minutes=2), 2, spacing_s=10)
    facts: list[str] = []
    position = ask_all(caller, position, facts)
    past(checkrd, caller.now - timedelta(minutes=5), 1)
    caller.now += timedelta(minutes=1)
    ask_all(caller, position, facts)
    assert len(facts) == len(set(facts)) == 3


def test_a_long_history_is_read_in_parts_over_limits_and_restarts(
    checkrd: TwinProcess, caller: Caller
) -> None:
    past(checkrd, START, 1300, spacing_s=120)
    position: Any = None
    facts: list[str] = []
    for asked in range(60):
        if asked % 2:
            checkrd.fault("status", path="/v1/alert-history", status=429, skip=3, times=1)
        try:
            answer = caller.ask("alert_history", position, look_back="2d")
        except RateLimited:
            caller = caller_of(checkrd)  # a restart: only the position is kept
            continue
        finally:
            checkrd.clear_faults()
        facts += [event.fact for event in answer.events]
        position = dict(answer.position)
        assert len(answer.events) <= 500
        if not answer.more:
            break
    # Two days back, one every two minutes, up to but without this very moment.
    assert len(facts) == len(set(facts)) == 1299
    times = [call["query"] for call in checkrd.calls(path="/v1/alert-history")]
    assert {str(query["limit"]) for query in times} == {"100"}  # type: ignore[index]  # a mapping


def test_days_are_told_in_their_order(checkrd: TwinProcess, caller: Caller) -> None:
    past(checkrd, START - timedelta(minutes=1), 30, spacing_s=2 * 3600)
    asked = asking.ask_all(caller, "alert_history", look_back="3d")
    found = [event.time for event in asked.events]
    assert len(found) == 30
    assert found == sorted(found, key=lambda time: time or START)


def test_a_cursor_the_vendor_forgot_is_begun_anew(checkrd: TwinProcess, caller: Caller) -> None:
    past(checkrd, START - timedelta(seconds=1), 700, spacing_s=60)
    answer = caller.ask("alert_history", None, look_back="20h")
    assert answer.more
    position = {**answer.position, "cursor": "Zm9yZ290dGVu"}
    facts = [event.fact for event in answer.events]
    ask_all(caller, position, facts)
    assert len(set(facts)) == 700


def test_a_refusal_without_cursor_is_told(checkrd: TwinProcess, caller: Caller) -> None:
    position = caller.ask("alert_history").position
    caller.now += timedelta(minutes=1)
    checkrd.fault("status", path="/v1/alert-history", status=400)
    with pytest.raises(Refused):
        caller.ask("alert_history", position)
    assert len(checkrd.calls(path="/v1/alert-history")) == 1


def test_other_states_are_told_when_they_are_wanted(checkrd: TwinProcess, caller: Caller) -> None:
    checkrd.set(hits_to_fire=2)
    at = START - timedelta(minutes=10)
    for number, value in enumerate([0.5, 0.6, 0.1, 0.1, None]):
        when = (at + timedelta(minutes=number)).isoformat()
        checkrd.lever("evaluate", {"value": value, "at": when})
    usual = caller.ask("alert_history", None, look_back="1h")
    assert [event.type for event in usual.events] == ["agent_alert.fired", "agent_alert.resolved"]
    all_of_them = caller.ask("alert_history", None, look_back="1h", all_states=True)
    assert [event.vendor_type for event in all_of_them.events] == [
        "alert.pending",
        "alert.firing",
        "alert.resolved",
        "alert.ok",
        "alert.no_data",
    ]
    assert [event.type for event in all_of_them.events][3:] == [
        "checkrd.alert.ok",
        "checkrd.alert.no_data",
    ]


def test_a_poll_can_be_narrowed(checkrd: TwinProcess, caller: Caller) -> None:
    past(checkrd, START - timedelta(minutes=1), 2)
    for narrow, count in (
        ({"alert_rule_ids": [RULE_ID]}, 2),
        ({"alert_rule_ids": ["other"]}, 0),
        ({"agent_id": AGENT_ID}, 2),
        ({"agent_id": "other"}, 0),
    ):
        answer = caller.ask("alert_history", None, look_back="1h", **narrow)
        assert len(answer.events) == count
    with pytest.raises(ValidationError):
        caller.ask("alert_history", None, alert_rule_ids=["r"] * 51)


# --- the record ---------------------------------------------------------------------------------


def read(caller: Caller, window: Window, position: Any = None) -> RecordPage:
    (record,) = VENDOR.records
    return read_page(caller, record, window, position)


def read_all(caller: Caller, window: Window, **options: Any) -> list[Recorded]:
    (record,) = VENDOR.records
    return asking.read_all(caller, record, window, **options)


@pytest.mark.parametrize(
    "shape", [{}, {"own_ids": True}, {"body": "entry"}, {"body": "entry", "own_ids": True}]
)
def test_webhook_poll_and_record_tell_the_same_facts(
    checkrd: TwinProcess, caller: Caller, inbox: Inbox, shape: dict[str, Any]
) -> None:
    checkrd.set(receiver=inbox.url, **shape)
    checkrd.lever("history", {"count": 20, "until": START.isoformat(), "withhold_every": 5})
    sent = inbox.events()
    caller.now = START + timedelta(minutes=1)
    polled = caller.ask("alert_history", None, look_back="1h").events
    window = Window(START - timedelta(hours=1), START + timedelta(hours=1))
    recorded = read_all(caller, window)
    told = {(event.fact, event.type) for event in polled}
    assert len(told) == 20
    assert {(one.fact, one.type) for entry in recorded for one in entry.events} == told
    assert len(sent) == 16
    assert {(event.fact, event.type) for event in sent} < told
    for event in sent:
        (twin_of,) = [one for one in polled if one.fact == event.fact]
        skipped = {"alert_id"} if shape.get("own_ids") else set()
        for name in set(event.facts) - skipped:
            assert event.facts[name] == twin_of.facts[name]
    by_id = read_all(caller, window, identity="id")
    assert {one.fact for entry in by_id for one in entry.events}.isdisjoint(dict(told))
    webhook_ids = {event.facts["alert_id"] for event in sent}
    found = {entry.reference.removeprefix("alert-history:") for entry in by_id} & webhook_ids
    assert len(found) == (0 if shape.get("own_ids") else 16)
    keys = set(inbox.keys())
    by_key = [entry for entry in recorded if keys & set(entry.delivery_keys)]
    assert len(by_key) == (0 if shape.get("own_ids") else 16)


def test_the_record_finds_what_was_withheld(
    checkrd: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    checkrd.set(receiver=inbox.url)
    past_of: Any = checkrd.lever(
        "history",
        {"count": 120, "until": START.isoformat(), "spacing_s": 30, "withhold_every": 20},
    )
    facts = {event.fact for event in inbox.events()}
    assert len(facts) == 114
    window = Window(START - timedelta(hours=24), START + timedelta(seconds=1))
    entries = read_all(caller, window)
    assert len({entry.reference for entry in entries}) == len(entries) == 120
    missing = [
        event.facts["alert_id"]
        for entry in entries
        for event in entry.events
        if event.fact not in facts
    ]
    assert sorted(missing) == sorted(past_of["withheld"])
    record: Any = checkrd.state()["record"]
    assert sorted(one["id"] for one in record if one["withheld"]) == sorted(missing)


def test_a_window_has_its_beginning_and_not_its_end(checkrd: TwinProcess, caller: Caller) -> None:
    past(checkrd, START, 3, spacing_s=60)
    minute = timedelta(minutes=1)
    entries = read_all(caller, Window(START - 2 * minute, START))
    assert sorted(entry.time for entry in entries) == [START - 2 * minute, START - minute]
    both = [
        *read_all(caller, Window(START - 5 * minute, START - minute)),
        *read_all(caller, Window(START - minute, START + minute)),
    ]
    assert len({entry.reference for entry in both}) == len(both) == 3


def test_a_page_of_the_record_that_fails_is_read_again(
    checkrd: TwinProcess, caller: Caller
) -> None:
    past(checkrd, START, 150, spacing_s=60)
    window = Window(START - timedelta(hours=5), START + timedelta(hours=1))
    first = read(caller, window)
    assert len(first.entries) == 100
    checkrd.fault("status", path="/v1/alert-history", status=500, times=3)
    with pytest.raises(VendorBroken):
        read(caller, window, first.next)
    second = read(caller, window, first.next)
    assert second.next is None
    references = {entry.reference for entry in (*first.entries, *second.entries)}
    assert len(references) == 150

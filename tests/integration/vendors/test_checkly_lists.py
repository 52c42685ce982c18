"""Checkly's polls and records against its twin: nothing lost, nothing twice, one fact for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from schemas.events import CheckFacts
from schemas.events import TestRunFacts as RunFacts
from service.errors import Refused, VendorBroken
from service.vendors.base import Record, Recorded, Window
from service.vendors.checkly import VENDOR
from service.vendors.checkly.alert_calls import ChannelOrder, WebhookConfig
from service.vendors.checkly.alert_rows import AlertRowOptions
from service.vendors.checkly.client import client_of
from service.vendors.checkly.options import ChecklyOptions
from service.vendors.checkly.session_events import repository_of
from tests.integration.vendors import asking
from tests.integration.vendors.asking import Polling
from tests.integration.vendors.checkly_account import CREDENTIALS, SECRET, install
from tests.integration.vendors.conftest import Caller, Start
from tests.integration.vendors.inbox import Inbox, open_inbox

SOURCE = ChecklyOptions(max_lateness_s=60)
LONG_AGO = {"look_back": "2h"}


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox(VENDOR, secret=SECRET, options=SOURCE) as found:
        yield found


@pytest.fixture
def checkly(twin: Start, inbox: Inbox) -> TwinProcess:
    return install(twin("checkly"), receiver=inbox.url)


@pytest.fixture
def caller(checkly: TwinProcess) -> Caller:
    return Caller(VENDOR, checkly.url, CREDENTIALS)


@pytest.fixture
def sessions(caller: Caller) -> Polling:
    return Polling(caller, "test_sessions", details=False, **LONG_AGO)


@pytest.fixture
def alerts(caller: Caller) -> Polling:
    return Polling(caller, "check_alerts", **LONG_AGO)


def rows_of(value: Any) -> list[dict[str, Any]]:
    return list(value)


def alert_facts(rows: Any) -> set[str]:
    """What the twin knows to have happened, in the form of our facts."""
    return {
        f"alert:{row['checkId']}:{row['alertType']}:"
        f"{int(datetime.fromisoformat(row['startedAt']).timestamp())}"
        for row in rows_of(rows)
    }


# --- test sessions --------------------------------------------------------------------------------


def test_a_session_is_told_when_it_begins_and_when_it_ends(
    checkly: TwinProcess, sessions: Polling
) -> None:
    (row,) = rows_of(checkly.lever("sessions", {"status": "RUNNING", "ago_s": 600}))
    assert [event.type for event in sessions.sweep()] == ["test_run.started"]
    assert sessions.sweep() == []
    checkly.lever(f"sessions/{row['id']}", {"status": "FAILED"})
    (ended,) = sessions.sweep()
    assert (ended.type, ended.vendor_type) == ("test_run.failed", "test_session.failed")
    assert sessions.sweep() == []
    assert sessions.facts() == [f"session:{row['id']}:{end}" for end in ("running", "failed")]


@pytest.mark.parametrize(
    ("status", "type_"),
    [("PASSED", "passed"), ("FAILED", "failed"), ("CANCELLED", "cancelled")],
)
def test_every_end_is_told_under_its_name(
    checkly: TwinProcess, sessions: Polling, status: str, type_: str
) -> None:
    checkly.lever("sessions", {"status": status, "ago_s": 100, "duration_s": 42.5})
    (event,) = sessions.sweep()
    assert event.type == f"test_run.{type_}"
    facts = RunFacts.model_validate(event.facts)
    assert (facts.status, facts.duration_ms) == (type_, 42_500)


def test_a_session_that_outlasts_the_overlap_is_still_told(
    checkly: TwinProcess, sessions: Polling
) -> None:
    rows = rows_of(checkly.lever("sessions", {"status": "RUNNING", "ago_s": 3600}))
    checkly.lever("sessions", {"count": 3, "ago_s": 10, "duration_s": 1})
    assert len(sessions.sweep()) == 4
    assert sessions.sweep() == []
    checkly.lever(f"sessions/{rows[0]['id']}", {"status": "PASSED"})
    assert [event.subject for event in sessions.sweep()] == [rows[0]["id"]]


def test_a_session_that_never_ends_is_given_up(checkly: TwinProcess, caller: Caller) -> None:
    poll = Polling(caller, "test_sessions", details=False, look_back="2h", give_up="30m")
    checkly.lever("sessions", {"status": "RUNNING", "ago_s": 3600})
    checkly.lever("sessions", {"ago_s": 60, "duration_s": 1})
    assert len(poll.sweep()) == 2
    since = datetime.fromisoformat(poll.position["since"])
    assert datetime.now(UTC) - since < timedelta(minutes=10)


def test_the_facts_of_a_failed_session(checkly: TwinProcess, caller: Caller) -> None:
    checkly.lever("outcomes", {"sessions": ["FAILED"]})
    client = caller.outputs(
        "checkly.trigger_test_session",
        name="After deploy",
        match_tags=[["production"]],
        environment="staging",
        repo_url="https://github.com/acme-co/webapp.git",
        commit_sha="abc123",
        commit_message="Move the button",
        branch="topic",
    )
    checkly.advance(3000)
    poll = Polling(caller, "test_sessions", **LONG_AGO)
    poll.ahead = timedelta(seconds=3000)
    (event,) = poll.sweep()
    facts = RunFacts.model_validate(event.facts)
    assert facts.run_id == event.subject == client.session_id
    assert facts.url == client.url
    assert facts.suite.name == "After deploy"
    assert (facts.counts.passed, facts.counts.failed) == (1, 1)
    (failed,) = facts.failed_tests
    assert (failed.id, failed.title) == ("check-api", "Orders API")
    assert failed.url is not None
    assert (facts.repository, facts.branch) == ("acme-co/webapp", "topic")
    assert facts.commit_sha == "abc123"
    assert facts.duration_ms == 2_000_000
    assert facts.metadata["environment"] == "staging"
    assert facts.metadata["provider"] == "TRIGGER"
    assert len(facts.metadata["error_group_ids"]) == 1
    assert event.payload["failed"] == ["check-api"]
    groups = {row["id"] for row in rows_of(checkly.state()["error_groups"])}
    assert set(facts.metadata["error_group_ids"]) <= groups


def test_details_that_are_gone_cost_nothing_but_themselves(
    checkly: TwinProcess, caller: Caller
) -> None:
    checkly.lever("sessions", {"ago_s": 100, "duration_s": 1})
    checkly.fault("status", path="/v1/test-sessions/*", status=404)
    (event,) = Polling(caller, "test_sessions", **LONG_AGO).sweep()
    facts = RunFacts.model_validate(event.facts)
    assert (facts.url, [test.id for test in facts.failed_tests]) == (None, ["check-api"])


@pytest.mark.parametrize("newest_first", [True, False])
def test_many_sessions_are_told_once_however_they_are_ordered(
    checkly: TwinProcess, sessions: Polling, *, newest_first: bool
) -> None:
    checkly.set(newest_first=newest_first)
    rows = rows_of(
        checkly.lever("sessions", {"count": 250, "ago_s": 100, "duration_s": 1, "every_s": 2})
    )
    sessions.sweep()
    assert Counter(sessions.facts()) == Counter(f"session:{row['id']}:failed" for row in rows)
    pages = checkly.calls(path="/v1/test-sessions")
    assert len(pages) == 5
    assert sessions.sweep() == []


def test_a_poll_that_breaks_in_the_middle_loses_and_repeats_nothing(
    checkly: TwinProcess, sessions: Polling
) -> None:
    rows = rows_of(checkly.lever("sessions", {"count": 500, "ago_s": 100, "duration_s": 1}))
    for skip in (0, 1, 2, 0, 1):
        checkly.fault("status", path="/v1/test-sessions", status=500, skip=skip, times=3)
        with pytest.raises(VendorBroken):
            sessions.sweep()
        checkly.clear_faults()
    added = rows_of(checkly.lever("sessions", {"count": 20, "ago_s": 5, "duration_s": 1}))
    sessions.sweep()
    sessions.sweep()
    wanted = [f"session:{row['id']}:failed" for row in rows + added]
    assert Counter(sessions.facts()) == Counter(wanted)


def test_sessions_that_appear_while_pages_are_read_are_told(
    checkly: TwinProcess, sessions: Polling
) -> None:
    rows = rows_of(checkly.lever("sessions", {"count": 250, "ago_s": 100, "duration_s": 1}))
    assert sessions.ask().more
    rows += rows_of(checkly.lever("sessions", {"count": 60, "ago_s": 4, "duration_s": 1}))
    sessions.sweep()
    sessions.sweep()
    assert Counter(sessions.facts()) == Counter(f"session:{row['id']}:failed" for row in rows)


def test_a_cursor_that_is_not_known_any_more_begins_the_sweep_again(
    checkly: TwinProcess, sessions: Polling
) -> None:
    checkly.lever("sessions", {"count": 150, "ago_s": 100, "duration_s": 1})
    assert sessions.ask().more
    sessions.position["place"] = "bm90aGluZw=="
    sessions.sweep()
    assert len(sessions.facts()) == len(set(sessions.facts())) == 150
    assert sessions.position["begun_again"] is False


def test_a_vendor_that_refuses_every_cursor_is_told_as_a_fault(
    checkly: TwinProcess, sessions: Polling
) -> None:
    body = {"length": 1, "entries": [{"id": "s1", "stoppedAt": "2026-01-01"}], "nextId": "odd"}
    checkly.fault("status", path="/v1/test-sessions", status=200, body=body, times=1)
    # The twin refuses the cursor, is asked from the beginning, and gives the same once more.
    checkly.fault("status", path="/v1/test-sessions", status=200, body=body, skip=1, times=1)
    with pytest.raises(Refused, match="nextId"):
        sessions.sweep()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"tell": ["failed"]}, 2),
        ({"branches": ["topic", "x"]}, 2),
        ({"providers": ["API"]}, 1),
        ({"branches": ["topic"], "tell": ["passed"]}, 1),
    ],
)
def test_sessions_can_be_chosen(
    checkly: TwinProcess, caller: Caller, options: dict[str, Any], found: int
) -> None:
    for status, branch, provider in (
        ("FAILED", "main", "GITHUB"),
        ("FAILED", "topic", "API"),
        ("PASSED", "topic", "GITHUB"),
    ):
        wanted = {"status": status, "branch": branch, "provider": provider}
        checkly.lever("sessions", {**wanted, "ago_s": 100, "duration_s": 1})
    poll = Polling(caller, "test_sessions", details=False, **LONG_AGO, **options)
    assert len(poll.sweep()) == found
    assert poll.sweep() == []


@pytest.mark.parametrize(
    ("entry", "options", "type_"),
    [
        ({"stoppedAt": None, "failed": ["c"]}, {}, "started"),
        ({"stoppedAt": None, "failed": ["c"]}, {"open_is_running": False}, "failed"),
        ({"running": ["c"], "failed": ["d"]}, {}, "started"),
        ({"running": ["c"], "failed": ["d"]}, {"order": ["failed", "running"]}, "failed"),
        ({"failed": ["c"], "cancelled": ["d"], "passed": ["e"]}, {}, "failed"),
        ({"cancelled": ["d"], "passed": ["e"]}, {}, "cancelled"),
        ({"passed": ["e"]}, {}, "passed"),
        ({}, {}, "passed"),
    ],
)
def test_the_rule_of_the_derived_status(
    checkly: TwinProcess, caller: Caller, entry: dict[str, Any], options: dict[str, Any], type_: str
) -> None:
    whole = {"id": "s1", "created_at": "2026-01-01T00:00:00Z", "stoppedAt": "2026-01-01", **entry}
    body = {"length": 1, "entries": [whole], "nextId": None}
    checkly.fault("status", path="/v1/test-sessions", status=200, body=body)
    poll = Polling(caller, "test_sessions", details=False, **options)
    assert [event.type for event in poll.sweep()] == [f"test_run.{type_}"]


def test_a_time_ahead_of_ours_hides_nothing_that_comes_later(
    checkly: TwinProcess, sessions: Polling
) -> None:
    odd = {"id": "s1", "created_at": "2090-01-01T00:00:00Z", "stoppedAt": "2090-01-01"}
    body = {"length": 1, "entries": [odd], "nextId": None}
    checkly.fault("status", path="/v1/test-sessions", status=200, body=body, times=1)
    assert len(sessions.sweep()) == 1
    checkly.lever("sessions", {"ago_s": 5, "duration_s": 1})
    assert len(sessions.sweep()) == 1


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/acme-co/webapp", "acme-co/webapp"),
        ("https://github.com/acme-co/webapp.git", "acme-co/webapp"),
        ("git@gitlab.com:acme-co/webapp.git", "acme-co/webapp"),
        ("acme", None),
        ("", None),
        (None, None),
    ],
)
def test_the_repository_of_an_address(url: str | None, repository: str | None) -> None:
    assert repository_of(url) == repository


@pytest.mark.parametrize(
    "position",
    [{}, {"since": "soon", "place": 7, "told": "x"}, {"told": {"s1": "failed", "s2": [1]}}],
)
def test_an_odd_position_is_a_beginning(
    checkly: TwinProcess, sessions: Polling, position: dict[str, Any]
) -> None:
    checkly.lever("sessions", {"ago_s": 100, "duration_s": 1})
    position = {name: value for name, value in position.items() if name != "place"}
    sessions.position = position
    assert len(sessions.sweep()) == 1


# --- alerts ---------------------------------------------------------------------------------------


KINDS = [
    "ALERT_FAILURE",
    "ALERT_FAILURE_REMAIN",
    "ALERT_FAILURE_DEGRADED",
    "ALERT_RECOVERY",
    "ALERT_DEGRADED",
    "ALERT_DEGRADED_REMAIN",
    "ALERT_DEGRADED_FAILURE",
    "ALERT_DEGRADED_RECOVERY",
    "ALERT_SSL",
]


def test_webhook_poll_and_record_give_one_fact_and_one_type(
    checkly: TwinProcess, caller: Caller, inbox: Inbox, alerts: Polling
) -> None:
    rows = rows_of(checkly.lever("alerts", {"count": 18, "types": KINDS}))
    told = {event.fact: event for event in inbox.events()}
    polled = {event.fact: event for event in alerts.sweep()}
    recorded = {entry.events[0].fact: entry.events[0] for entry in read_all(caller, ALERTS)}
    assert set(told) == set(polled) == set(recorded) == alert_facts(rows)
    for fact, event in told.items():
        for other in (polled[fact], recorded[fact]):
            assert (other.type, other.vendor_type, other.subject, other.time) == (
                event.type,
                event.vendor_type,
                event.subject,
                event.time,
            )
            for name in ("status", "name", "kind", "location", "response_time_ms"):
                assert other.facts.get(name) == event.facts.get(name), name


@pytest.mark.parametrize("newest_first", [True, False])
def test_many_alerts_are_polled_once_over_restarts_of_the_position(
    checkly: TwinProcess, alerts: Polling, *, newest_first: bool
) -> None:
    checkly.set(newest_first=newest_first, receiver=None)
    rows = rows_of(checkly.lever("alerts", {"count": 550, "types": KINDS, "every_s": 6}))
    checkly.fault("status", path="/v1/check-alerts", status=500, skip=3, times=3)
    with pytest.raises(VendorBroken):
        alerts.sweep()
    alerts.sweep()
    rows += rows_of(checkly.lever("alerts", {"count": 30, "types": ["ALERT_FAILURE"]}))
    alerts.sweep()
    assert alerts.sweep() == []
    assert Counter(alerts.facts()) == Counter(alert_facts(rows))
    assert len(checkly.calls(path="/v1/check-alerts")) < 30


def test_an_alert_older_than_six_hours_is_polled_when_the_first_question_reaches_so_far(
    checkly: TwinProcess, caller: Caller
) -> None:
    checkly.lever("alerts", {"ago_s": 8 * 3600})
    assert Polling(caller, "check_alerts").sweep() == []
    assert len(Polling(caller, "check_alerts", look_back="9h").sweep()) == 1


def test_the_limit_of_the_vendor_is_kept_by_a_poll(checkly: TwinProcess, alerts: Polling) -> None:
    checkly.set(receiver=None)
    checkly.lever("alerts", {"count": 1000})
    checkly.limit("api", limit=600, window_s=60)
    for _ in range(5):
        alerts.sweep()
    assert not [call for call in checkly.calls() if call["status"] == 429]


def test_where_a_row_has_what_can_be_told(checkly: TwinProcess, caller: Caller) -> None:
    rows = [
        {
            "check": {"id": "c1", "title": "Shop"},
            "kind": "ALERT_FAILURE",
            "begin": "2026-01-01T00:00:00.500Z",
        }
    ]
    checkly.fault("status", path="/v1/check-alerts", status=200, body=rows)
    paths = {
        "check_id": ["check.id"],
        "check_name": ["check.title"],
        "alert_type": ["kind"],
        "started_at": ["begin"],
    }
    (event,) = Polling(caller, "check_alerts", paths=paths).sweep()
    assert event.fact == "alert:c1:ALERT_FAILURE:1767225600"
    assert CheckFacts.model_validate(event.facts).name == "Shop"
    with pytest.raises(ValidationError, match="unknown: nothing"):
        Polling(caller, "check_alerts", paths={"nothing": ["x"]}).ask()


def test_a_row_that_says_nothing_is_kept_once(checkly: TwinProcess, alerts: Polling) -> None:
    checkly.fault("status", path="/v1/check-alerts", status=200, body=[{"id": 1}, {"id": 2}])
    found = alerts.sweep()
    assert [(event.type, event.fact) for event in found] == [("checkly.unknown", "")] * 2
    assert len({event.key for event in found}) == 2
    assert alerts.sweep() == []


# --- records --------------------------------------------------------------------------------------

ALERTS, SESSIONS = VENDOR.records


def last_hours(hours: float = 2) -> Window:
    now = datetime.now(UTC)
    return Window(now - timedelta(hours=hours), now + timedelta(seconds=1))


def read_all(
    caller: Caller, record: Record, window: Window | None = None, **options: Any
) -> list[Recorded]:
    return asking.read_all(caller, record, window or last_hours(), **options)


def test_of_all_alerts_a_twentieth_is_withheld_and_read_from_the_record(
    checkly: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    rows = rows_of(checkly.lever("alerts", {"count": 120, "withheld": 6, "types": KINDS}))
    stored = inbox.facts()
    assert len(stored) == len(set(stored)) == 114
    known = set(stored)
    gaps = [
        entry
        for entry in read_all(caller, ALERTS)
        if not any(event.fact in known for event in entry.events)
    ]
    withheld = [row for row in rows if row["withheld"]]
    assert {entry.reference for entry in gaps} == {row["id"] for row in withheld}
    filled = stored + [event.fact for entry in gaps for event in entry.events]
    assert Counter(filled) == Counter(alert_facts(rows))


def test_an_alert_whose_body_broke_is_kept_and_read_from_the_record(
    checkly: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    checkly.lever("checks", {"id": "check-odd", "name": 'The "new" shop'})
    rows = rows_of(checkly.lever("alerts", {"checks": ["check-odd"], "count": 2}))
    assert len(inbox.stored) == 2
    assert inbox.facts() == []
    found = [event.fact for entry in read_all(caller, ALERTS) for event in entry.events]
    assert set(found) == alert_facts(rows)


@pytest.mark.parametrize("named", [True, False])
def test_an_alert_is_known_by_the_key_of_its_webhook_where_the_list_names_the_result(
    checkly: TwinProcess, caller: Caller, inbox: Inbox, *, named: bool
) -> None:
    checkly.set(rows_name_result=named)
    checkly.lever("alerts", {"count": 3})
    keys = {key for entry in read_all(caller, ALERTS) for key in entry.delivery_keys}
    assert keys == (set(inbox.stored) if named else set())


def test_the_window_bounds_what_is_read(checkly: TwinProcess, caller: Caller) -> None:
    checkly.set(receiver=None)
    checkly.lever("alerts", {"count": 3, "ago_s": 10 * 3600})
    checkly.lever("alerts", {"count": 2, "ago_s": 60})
    assert len(read_all(caller, ALERTS, last_hours(12))) == 5
    assert len(read_all(caller, ALERTS, last_hours(1))) == 2
    now = datetime.now(UTC)
    older = Window(now - timedelta(hours=12), now - timedelta(hours=1))
    assert len(read_all(caller, ALERTS, older)) == 3
    call: Any = checkly.calls(path="/v1/check-alerts")[-1]
    assert {"from", "to", "page", "limit"} == set(call["query"])


def test_sessions_are_recorded_as_they_stand_with_the_facts_of_the_poll(
    checkly: TwinProcess, caller: Caller, sessions: Polling
) -> None:
    checkly.lever("sessions", {"count": 120, "ago_s": 100, "duration_s": 1})
    rows = rows_of(checkly.lever("sessions", {"status": "RUNNING", "ago_s": 10}))
    polled = {event.fact: event.type for event in sessions.sweep()}
    entries = read_all(caller, SESSIONS)
    assert len(entries) == 121
    assert {entry.events[0].fact: entry.events[0].type for entry in entries} == polled
    assert len({entry.reference for entry in entries}) == 121
    checkly.lever(f"sessions/{rows[0]['id']}", {"status": "PASSED"})
    later = {entry.reference for entry in read_all(caller, SESSIONS)}
    assert later - set(polled) == {f"session:{rows[0]['id']}:passed"}


def test_the_records_take_options_of_their_own(caller: Caller) -> None:
    assert ALERTS.options is AlertRowOptions
    with pytest.raises(ValidationError):
        read_all(caller, SESSIONS, order=["odd"])


# --- the webhook, from the channel to the source --------------------------------------------------


def test_a_channel_made_with_the_handed_out_template_delivers_what_is_read(
    checkly: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    checkly.set(receiver=None)
    client_of(caller.context()).alerts.create_channel(
        ChannelOrder(
            config=WebhookConfig(
                name="Hookwright",
                url=inbox.url,
                template=VENDOR.guide.template or "",
                webhook_secret=SECRET,
            ),
            send_degraded=True,
            ssl_expiry=True,
        )
    )
    rows = rows_of(checkly.lever("alerts", {"count": 9, "types": KINDS}))
    assert set(inbox.facts()) == alert_facts(rows)
    tags = {tuple(event.facts.get("tags", ())) for event in inbox.events()}
    assert ("production", "shop") in tags


@pytest.mark.parametrize("unit", ["s", "ms", "iso"])
def test_deliveries_are_taken_whatever_unit_their_time_has(
    checkly: TwinProcess, inbox: Inbox, unit: str
) -> None:
    checkly.set(timestamp_unit=unit)
    checkly.lever("alerts", {"count": 2})
    assert (len(inbox.stored), inbox.refused) == (2, 0)


def test_a_delivery_is_stored_once_however_often_it_comes(
    checkly: TwinProcess, inbox: Inbox
) -> None:
    inbox.answer = 500
    checkly.lever("alerts", {"count": 1, "repeat": 3})
    sent: Any = rows_of(checkly.state()["alerts"])[0]["sent"]
    assert [one["tries"] for one in sent] == [6, 6, 6]
    assert len(inbox.stored) == 1


def test_a_wrong_secret_is_refused_and_stands_in_the_vendors_log(
    checkly: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    checkly.set(secret="another secret")
    checkly.lever("alerts", {"count": 1})
    assert (len(inbox.stored), inbox.refused) == (0, 6)
    calls = client_of(caller.context()).alerts
    since = datetime.now(UTC) - timedelta(hours=1)
    (failed,) = calls.notifications(since=since, has_failures=True, channel_id="1")
    assert failed.status == "FAILURE"
    assert list(calls.notifications(since=since, channel_id="2")) == []

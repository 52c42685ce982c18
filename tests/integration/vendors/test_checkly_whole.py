"""Checkly from webhook, poll and record to events: everything once, whichever way it came first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from service.db import Database
from service.vendors.checkly import VENDOR
from tests.integration.vendors.checkly_account import CREDENTIALS, SECRET, install
from tests.integration.vendors.conftest import Start
from tests.integration.vendors.inbox import open_inbox
from tests.integration.vendors.whole import Whole

KINDS = {
    "ALERT_FAILURE": "check.failed",
    "ALERT_DEGRADED": "check.degraded",
    "ALERT_FAILURE_REMAIN": "check.still_failing",
    "ALERT_RECOVERY": "check.recovered",
    "ALERT_SSL": "certificate.expiring",
}


@pytest.fixture
def whole(database: Database, twin: Start) -> Iterator[Whole]:
    process = install(twin("checkly"))
    with open_inbox(VENDOR, secret=SECRET) as inbox:
        yield Whole(database, process, inbox, CREDENTIALS)


def alert(whole: Whole, **asked: Any) -> Counter[tuple[str, str]]:
    """Let alerts happen; gives what must be stored of them in the end."""
    rows = whole.happen("alerts", types=list(KINDS), **asked)
    return Counter((KINDS[row["alertType"]], row["checkId"]) for row in rows)


def test_what_was_withheld_is_found_and_nothing_is_doubled(whole: Whole) -> None:
    happened = alert(whole, count=60, withheld=10)
    whole.arrive()
    assert whole.stored().total() == 50
    compared = whole.compare()
    assert compared.error is None
    assert (compared.checked, compared.missing, compared.filled) == (60, 10, 10)
    assert whole.stored() == happened
    whole.poll("check_alerts", look_back="2h")
    assert whole.stored() == happened
    again = whole.compare()
    assert (again.error, again.missing) == (None, 0)


def test_polling_first_leaves_nothing_for_webhooks_and_records_to_double(whole: Whole) -> None:
    happened = alert(whole, count=40)
    whole.poll("check_alerts", look_back="2h")
    assert whole.stored() == happened
    whole.arrive()
    compared = whole.compare()
    assert (compared.error, compared.missing) == (None, 0)
    assert whole.stored() == happened


def test_a_delivery_whose_body_broke_is_kept_marked_and_made_up_for(whole: Whole) -> None:
    whole.twin.lever("checks", {"id": "check-odd", "name": 'The "new" shop'})
    happened = alert(whole, count=3, checks=["check-odd"])
    whole.arrive()
    assert whole.events() == []
    assert {(row.state, bool(row.body)) for row in whole.deliveries()} == {("malformed", True)}
    assert whole.compare().filled == 3
    assert whole.stored() == happened
    assert {row.facts["name"] for row in whole.events()} == {'The "new" shop'}


def test_a_session_is_one_event_for_each_status_however_it_is_learnt(whole: Whole) -> None:
    told = whole.happen("sessions", status="RUNNING", count=2, ago_s=60)
    ids = [row["id"] for row in told]
    whole.poll("test_sessions", look_back="2h")
    whole.twin.lever(f"sessions/{ids[0]}", {"status": "FAILED"})
    assert whole.compare().error is None
    whole.poll("test_sessions")
    assert whole.compare().error is None
    started = [("test_run.started", id_) for id_ in ids]
    assert whole.stored() == Counter([*started, ("test_run.failed", ids[0])])

"""Checkrd from its webhook to the event: what was withheld is had after all, and once each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.states import ReconciliationState
from service.db import Database
from service.vendors.checkrd import VENDOR
from tests.integration.vendors.checkrd_account import LOGIN, SECRET, install
from tests.integration.vendors.conftest import Start
from tests.integration.vendors.inbox import open_inbox
from tests.integration.vendors.whole import Whole


@pytest.fixture
def whole(database: Database, twin: Start) -> Iterator[Whole]:
    process = install(twin("checkrd"))
    with open_inbox(VENDOR, secret=SECRET) as inbox:
        yield Whole(database, process, inbox, LOGIN, {"per_minute": 60_000})


def happen(whole: Whole, count: int, **more: Any) -> dict[str, list[str]]:
    return dict(whole.happen("history", count=count, spacing_s=30, **more))


def alerts(whole: Whole, origin: str | None = None) -> Counter[str]:
    """The entries of the history that were stored, and how often each."""
    return Counter(str(event.facts["alert_id"]) for event in whole.events(origin))


def test_a_late_delivery_gives_no_second_event(whole: Whole) -> None:
    told = happen(whole, 40)
    kept = whole.inbox.received
    late, whole.inbox.received = kept[::10], [one for one in kept if one not in kept[::10]]
    whole.arrive()
    row = whole.compare()
    assert (row.state, row.error) == (ReconciliationState.SUCCEEDED, None)
    assert (row.checked, row.missing, row.filled, row.unfilled) == (40, 4, 4, 0)
    assert alerts(whole) == Counter(told["created"])
    whole.inbox.received = late
    whole.arrive()
    assert len(whole.deliveries()) == len(whole.events()) == 40


@pytest.mark.parametrize("own_ids", [True, False])
def test_poll_record_and_webhook_tell_one_fact_once(whole: Whole, *, own_ids: bool) -> None:
    whole.twin.set(own_ids=own_ids)
    told = happen(whole, 60, withhold_every=5)
    whole.arrive()
    assert len(whole.events()) == 48
    whole.poll("alert_history", look_back="2h")
    assert len(whole.events()) == len(told["created"]) == 60
    row = whole.compare()
    assert (row.checked, row.missing, len(whole.events())) == (60, 0, 60)


def test_the_record_fills_what_was_withheld_and_nothing_else(whole: Whole) -> None:
    told = happen(whole, 60, withhold_every=20)
    whole.arrive()
    assert alerts(whole) == Counter(told["sent"])
    whole.compare()
    assert alerts(whole, "reconciled") == Counter(told["withheld"])
    assert alerts(whole) == Counter(told["created"])


def test_polling_alone_has_everything_over_many_pages(whole: Whole) -> None:
    told = happen(whole, 250, send=False)
    whole.poll("alert_history", look_back="12h")
    assert alerts(whole, "poll") == alerts(whole) == Counter(told["created"])

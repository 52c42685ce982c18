"""CheckView from its webhook to the event: truth read back, what was withheld found, once each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from service.db import Database
from service.read_back import MAY_BE_LATE, read_back_delivery
from service.vendors.checkview import VENDOR
from tests.integration.vendors.conftest import Start
from tests.integration.vendors.inbox import open_inbox
from tests.integration.vendors.whole import Whole

ENDS = {"passed": "test_run.passed", "failed": "test_run.failed", "error": "test_run.errored"}


@pytest.fixture
def whole(database: Database, twin: Start) -> Iterator[Whole]:
    process = twin("checkview")
    process.limit("api", limit=100_000, window_s=60)
    process.clear_faults()
    process.set(dialect="snake", lists="array", max_page=100, header="", key="cvpat_demo")
    with open_inbox(VENDOR) as inbox:
        yield Whole(database, process, inbox, {"api_token": "cvpat_demo"}, {"per_minute": 60_000})


def run_tests(whole: Whole, **asked: Any) -> Counter[tuple[str, str]]:
    """Let runs end; gives what must be stored of them in the end."""
    added = whole.happen("runs", statuses=list(ENDS), every_s=2, **asked)
    return Counter((ENDS[run["status"]], run["id"]) for run in added)


def test_what_was_withheld_is_found_and_nothing_is_doubled(whole: Whole) -> None:
    """The bodies lie besides: each says that its run failed."""
    happened = run_tests(whole, count=60, withheld=5, told="failed")
    assert len(whole.inbox.received) == 55
    whole.arrive()
    assert whole.stored().total() == 55
    assert whole.stored() < happened
    compared = whole.compare()
    assert compared.error is None
    assert (compared.checked, compared.missing, compared.filled) == (60, 5, 5)
    assert whole.stored() == happened
    assert whole.compare().missing == 0
    whole.poll("test_runs")
    assert whole.stored() == happened


def test_polling_first_leaves_nothing_for_webhooks_to_double(whole: Whole) -> None:
    happened = run_tests(whole, count=30)
    whole.poll("test_runs")
    assert whole.stored() == happened
    whole.arrive()
    assert whole.stored() == happened


def test_who_knows_the_path_token_cannot_make_a_run_up(whole: Whole) -> None:
    whole.happen("send", overrides={"test_run": {"id": "made-up"}})
    whole.arrive()
    assert whole.events() == []
    (delivery,) = whole.deliveries()
    assert delivery.state == "received", "its list may be a little behind"
    whole.base.now += MAY_BE_LATE
    read_back_delivery(whole.runtime, delivery.id)
    (delivery,) = whole.deliveries()
    assert (delivery.state, whole.events()) == ("unconfirmed", [])

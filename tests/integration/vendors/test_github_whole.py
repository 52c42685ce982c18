"""GitHub from its webhook to the event: what was withheld is had after all, and once each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from examples.twins.launch import TwinProcess
from schemas.states import ReconciliationState
from service.db import Database
from service.vendors.github import VENDOR
from tests.integration.vendors.conftest import Start
from tests.integration.vendors.github_app import REPO, TOKEN, credentials, install
from tests.integration.vendors.inbox import Inbox, open_inbox
from tests.integration.vendors.whole import Whole

SECRET = "github-webhook-secret"
TOKEN_CREDENTIALS = {"token": TOKEN}


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox(VENDOR, secret=SECRET) as found:
        yield found


@pytest.fixture
def github(twin: Start) -> TwinProcess:
    process = install(twin("github"))
    process.set(secret=SECRET)
    return process


@pytest.fixture
def whole(database: Database, github: TwinProcess, inbox: Inbox) -> Whole:
    return Whole(database, github, inbox, TOKEN_CREDENTIALS)


def happen(whole: Whole, **facts: Any) -> tuple[list[str], dict[str, list[str]]]:
    """Let deliveries happen; gives all of them, and which were sent and which withheld."""
    told: dict[str, list[str]] = whole.happen("happen", **facts)
    return sorted([*told["sent"], *told["withheld"]]), told


def facts_of(whole: Whole) -> list[str]:
    """The facts that were stored, one for each event."""
    return sorted(row.dedupe_key.rpartition("delivery:")[2] for row in whole.events())


def redeliveries(whole: Whole) -> int:
    state: Any = whole.twin.state()
    hooks = state["hooks"].values()
    return sum(one["redelivery"] for hook in hooks for one in hook)


def test_what_was_lost_is_sent_again_once(whole: Whole) -> None:
    everything, told = happen(whole, count=60, withheld=5, fate="lost")
    whole.arrive()
    assert facts_of(whole) == sorted(told["sent"])
    row = whole.compare()
    assert (row.state, row.error) == (ReconciliationState.SUCCEEDED, None)
    assert (row.checked, row.missing, row.filled, row.unfilled) == (60, 5, 5, 0)
    assert facts_of(whole) == everything
    assert redeliveries(whole) == 5
    again = whole.compare()
    assert (again.checked, again.missing, redeliveries(whole)) == (60, 0, 5)


@pytest.mark.parametrize("why", ["too old", "not allowed"])
def test_what_github_does_not_send_again_is_read_from_its_record(whole: Whole, why: str) -> None:
    age_s = 80 * 3600 if why == "too old" else 600
    everything, _ = happen(whole, count=40, withheld=10, age_s=age_s)
    whole.arrive()
    if why == "not allowed":
        body = {"message": "Resource not accessible by personal access token"}
        whole.twin.fault("status", path="*/attempts", status=403, body=body)
    row = whole.compare(since=timedelta(hours=100))
    assert (row.missing, row.filled, row.unfilled) == (10, 10, 0)
    assert facts_of(whole) == everything
    restored = whole.events("reconciled")
    assert len(restored) == 10
    assert {event.type for event in restored} == {"issues.opened"}
    assert redeliveries(whole) == 0


def test_poll_record_and_webhook_tell_one_fact_once(whole: Whole) -> None:
    everything, _ = happen(whole, count=60, withheld=12, fate="failed", age_s=300)
    whole.arrive()
    whole.poll("hook_deliveries", repository=REPO, hook_id=1, settle_s=0)
    assert facts_of(whole) == everything
    row = whole.compare()
    assert (row.unfilled, facts_of(whole)) == (0, everything)
    assert len(whole.deliveries()) == 60


@pytest.mark.parametrize("hook", ["organization", "integration"])
def test_the_webhook_of_an_organisation_or_an_app_is_learned_from_what_arrived(
    database: Database, github: TwinProcess, inbox: Inbox, hook: str
) -> None:
    given = credentials() if hook == "integration" else TOKEN_CREDENTIALS
    whole = Whole(database, github, inbox, given)
    everything, _ = happen(whole, count=30, withheld=3, hook=hook)
    whole.arrive()
    row = whole.compare()
    assert (row.checked, row.missing, row.filled) == (30, 3, 3)
    assert facts_of(whole) == everything


def test_a_source_that_received_nothing_says_what_has_to_be_configured(whole: Whole) -> None:
    row = whole.compare()
    assert "hook_id" in (row.error or "")

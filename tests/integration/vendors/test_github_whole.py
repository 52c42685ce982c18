"""GitHub from its webhook to the event: what was withheld is had after all, and once each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from examples.twins.launch import TwinProcess
from schemas.tables import (
    ConnectionRow,
    DeliveryRow,
    EventRow,
    PollRow,
    ReconciliationRow,
    ReconciliationState,
    SourceRow,
)
from service.connections import Connections
from service.db import Database
from service.ingest import ingest_deliveries
from service.polling import perform_poll
from service.reconcile import reconcile
from service.reconcile_request import ask_to_reconcile
from service.runtime import Runtime
from service.secretbox import SecretBox
from service.unit_of_work import unit_of_work
from service.vendors.base import Secret
from service.vendors.github import VENDOR
from service.vendors.github.options import GitHubOptions
from tests.integration.engine.installation import KEYS, Installation
from tests.integration.vendors.conftest import Start
from tests.integration.vendors.github_app import REPO, TOKEN, credentials, install
from tests.integration.vendors.github_inbox import Inbox, open_inbox

SECRET = "github-webhook-secret"
TOKEN_CREDENTIALS = {"token": TOKEN}


class Whole:
    """An installation with one GitHub source that is tied to the twin's account."""

    def __init__(
        self, database: Database, twin: TwinProcess, inbox: Inbox, given: dict[str, Any]
    ) -> None:
        self.base = Installation(database)
        self.base.now = datetime.now(UTC)
        self.twin = twin
        self.inbox = inbox
        self.runtime = Runtime(
            database=database,
            queue=self.base.bell,
            settings=self.base.settings,
            connections=Connections(KEYS, private_addresses=True),
            vendors={"github": VENDOR},
            clock=lambda: self.base.now,
        )
        box = SecretBox(KEYS)
        source = SourceRow(
            name="github",
            vendor="github",
            secrets=box.seal([]),
            connection="github",
            updated_at=self.base.now,
        )
        self.source_id = source.id
        connection = ConnectionRow(
            name="github",
            vendor="github",
            base_url=twin.url,
            credentials=box.seal(given),
            updated_at=self.base.now,
        )
        self.base.store(source, connection)

    def happen(self, **facts: Any) -> dict[str, list[str]]:
        told: Any = self.twin.lever("happen", facts)
        return dict(told)

    def arrive(self) -> None:
        """Verify and store what the twin sent, as the door does, and let it be worked off."""
        incoming = VENDOR.incoming
        assert incoming is not None
        options = GitHubOptions()
        verify = incoming.verifier(options, [Secret(SECRET)])
        rows = []
        for delivery in self.inbox.deliveries:
            verify(delivery, delivery.received_at)
            rows.append(
                DeliveryRow(
                    source_id=self.source_id,
                    source="github",
                    vendor="github",
                    delivery_key=incoming.delivery_key(delivery, options),
                    received_at=delivery.received_at,
                    headers=[list(pair) for pair in delivery.headers.items],
                    body=delivery.body,
                )
            )
        self.inbox.deliveries.clear()
        ids = [row.id for row in rows]
        self.base.store(*rows)
        ingest_deliveries(self.runtime, ids)

    def compare(self, since: timedelta = timedelta(hours=24)) -> ReconciliationRow:
        """Compare from end to end; what GitHub sends meanwhile arrives."""
        # GitHub tells whole seconds: what just happened lies before now.
        self.base.now = max(self.base.now, datetime.now(UTC) + timedelta(seconds=2))
        with unit_of_work(self.runtime.database, self.runtime.queue) as work:
            source = work.session.get(SourceRow, self.source_id)
            assert source is not None
            row = ask_to_reconcile(
                work,
                self.runtime.vendors,
                source,
                since=since,
                now=self.base.now,
                by="person",
            )
            id_ = row.id
        for _ in range(50):
            reconcile(self.runtime, id_)
            self.arrive()
            (found,) = self.base.rows(ReconciliationRow, ReconciliationRow.id == id_)
            if found.ended_at is not None:
                return found
            self.base.now = max(self.base.now, found.due_at)
        message = f"the comparison did not end: {found}"
        raise AssertionError(message)

    def poll(self) -> None:
        row = PollRow(
            name="failed",
            connection="github",
            poll="hook_deliveries",
            options={"repository": REPO, "hook_id": 1, "settle_s": 0},
            every_seconds=60,
            due_at=self.base.now,
            updated_at=self.base.now,
        )
        id_ = row.id
        self.base.store(row)
        for _ in range(5):
            perform_poll(self.runtime, id_)
            self.base.now += timedelta(minutes=2)
        (asked,) = self.base.rows(PollRow)
        assert asked.error is None

    def facts(self) -> list[str]:
        """The facts that were stored, one for each event."""
        return sorted(row.dedupe_key.rpartition("delivery:")[2] for row in self.events())

    def events(self) -> list[EventRow]:
        return self.base.rows(EventRow)

    def redeliveries(self) -> int:
        state: Any = self.twin.state()
        hooks = state["hooks"].values()
        return sum(one["redelivery"] for hook in hooks for one in hook)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox() as found:
        yield found


@pytest.fixture
def github(twin: Start, inbox: Inbox) -> TwinProcess:
    process = install(twin("github"))
    process.set(receiver=inbox.url, secret=SECRET)
    return process


@pytest.fixture
def whole(database: Database, github: TwinProcess, inbox: Inbox) -> Whole:
    return Whole(database, github, inbox, TOKEN_CREDENTIALS)


def test_of_1000_deliveries_5_percent_are_withheld_and_none_is_missing_or_doubled(
    whole: Whole,
) -> None:
    told = whole.happen(count=1000, withheld=50, fate="lost")
    whole.arrive()
    assert len(whole.facts()) == 950
    row = whole.compare()
    assert (row.state, row.error) == (ReconciliationState.SUCCEEDED, None)
    assert (row.checked, row.missing, row.filled, row.unfilled) == (1000, 50, 50, 0)
    assert whole.facts() == sorted([*told["sent"], *told["withheld"]])
    assert whole.redeliveries() == 50
    again = whole.compare()
    assert (again.checked, again.missing) == (1000, 0)
    assert whole.redeliveries() == 50


@pytest.mark.parametrize("why", ["too old", "not allowed"])
def test_what_github_does_not_send_again_is_read_from_its_record(whole: Whole, why: str) -> None:
    age_s = 80 * 3600 if why == "too old" else 600
    told = whole.happen(count=40, withheld=10, age_s=age_s)
    whole.arrive()
    if why == "not allowed":
        body = {"message": "Resource not accessible by personal access token"}
        whole.twin.fault("status", path="*/attempts", status=403, body=body)
    row = whole.compare(since=timedelta(hours=100))
    assert (row.missing, row.filled, row.unfilled) == (10, 10, 0)
    assert whole.facts() == sorted([*told["sent"], *told["withheld"]])
    restored = [event for event in whole.events() if event.origin == "reconciled"]
    assert len(restored) == 10
    assert {event.type for event in restored} == {"issues.opened"}
    assert whole.redeliveries() == 0


def test_poll_record_and_webhook_tell_one_fact_once(whole: Whole) -> None:
    told = whole.happen(count=60, withheld=12, fate="failed", age_s=300)
    whole.arrive()
    whole.poll()
    everything = sorted([*told["sent"], *told["withheld"]])
    assert whole.facts() == everything
    row = whole.compare()
    assert (row.unfilled, whole.facts()) == (0, everything)
    assert len(whole.base.rows(DeliveryRow)) == 60


@pytest.mark.parametrize("hook", ["organization", "integration"])
def test_the_webhook_of_an_organisation_or_an_app_is_learned_from_what_arrived(
    database: Database, github: TwinProcess, inbox: Inbox, hook: str
) -> None:
    given = credentials() if hook == "integration" else TOKEN_CREDENTIALS
    whole = Whole(database, github, inbox, given)
    told = whole.happen(count=30, withheld=3, hook=hook)
    whole.arrive()
    row = whole.compare()
    assert (row.checked, row.missing, row.filled) == (30, 3, 3)
    assert whole.facts() == sorted([*told["sent"], *told["withheld"]])


def test_a_source_that_received_nothing_says_what_has_to_be_configured(whole: Whole) -> None:
    row = whole.compare()
    assert "hook_id" in (row.error or "")

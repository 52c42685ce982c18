"""Checkrd from its webhook to the event: what was withheld is had after all, and once each."""

from __future__ import annotations

from collections import Counter
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
from service.vendors.checkrd import VENDOR
from service.vendors.checkrd.options import CheckrdOptions
from tests.integration.engine.installation import KEYS, Installation
from tests.integration.vendors.checkrd_account import LOGIN, SECRET, Inbox, install, open_inbox
from tests.integration.vendors.conftest import Start


class Whole:
    """An installation with one Checkrd source that is tied to the twin's account."""

    def __init__(self, database: Database, twin: TwinProcess, inbox: Inbox) -> None:
        self.base = Installation(database)
        self.base.now = datetime.now(UTC)
        self.twin = twin
        self.inbox = inbox
        self.runtime = Runtime(
            database=database,
            queue=self.base.bell,
            settings=self.base.settings,
            connections=Connections(KEYS, private_addresses=True),
            vendors={"checkrd": VENDOR},
            clock=lambda: self.base.now,
        )
        box = SecretBox(KEYS)
        source = SourceRow(
            name="checkrd",
            vendor="checkrd",
            secrets=box.seal([]),
            connection="checkrd",
            updated_at=self.base.now,
        )
        self.source_id = source.id
        connection = ConnectionRow(
            name="checkrd",
            vendor="checkrd",
            base_url=twin.url,
            credentials=box.seal(LOGIN),
            options={"per_minute": 60_000},
            updated_at=self.base.now,
        )
        self.base.store(source, connection)

    def happen(self, count: int, **more: Any) -> dict[str, list[str]]:
        told: Any = self.twin.lever("history", {"count": count, "spacing_s": 30, **more})
        return dict(told)

    def arrive(self) -> None:
        """Verify and store what the twin sent, as the door does, and let it be worked off."""
        incoming = VENDOR.incoming
        assert incoming is not None
        options = CheckrdOptions()
        verify = incoming.verifier(options, [Secret(SECRET)])
        rows = []
        for delivery in self.inbox.received:
            verify(delivery, delivery.received_at)
            rows.append(
                DeliveryRow(
                    source_id=self.source_id,
                    source="checkrd",
                    vendor="checkrd",
                    delivery_key=incoming.delivery_key(delivery, options),
                    received_at=delivery.received_at,
                    headers=[list(pair) for pair in delivery.headers.items],
                    body=delivery.body,
                )
            )
        self.inbox.received.clear()
        ids = [row.id for row in rows]
        self.base.store(*rows)
        ingest_deliveries(self.runtime, ids)

    def compare(self) -> ReconciliationRow:
        """Compare from end to end."""
        self.base.now = max(self.base.now, datetime.now(UTC) + timedelta(seconds=1))
        with unit_of_work(self.runtime.database, self.runtime.queue) as work:
            source = work.session.get(SourceRow, self.source_id)
            assert source is not None
            row = ask_to_reconcile(
                work,
                self.runtime.vendors,
                source,
                since=timedelta(hours=24),
                now=self.base.now,
                by="person",
            )
            id_ = row.id
        for _ in range(50):
            reconcile(self.runtime, id_)
            (found,) = self.base.rows(ReconciliationRow, ReconciliationRow.id == id_)
            if found.ended_at is not None:
                return found
            self.base.now = max(self.base.now, found.due_at)
        message = f"the comparison did not end: {found}"
        raise AssertionError(message)

    def poll(self, **options: Any) -> None:
        """Ask until there is no more."""
        row = PollRow(
            name="alerts",
            connection="checkrd",
            poll="alert_history",
            options=options,
            every_seconds=60,
            due_at=self.base.now,
            updated_at=self.base.now,
        )
        id_ = row.id
        self.base.store(row)
        for _ in range(8):
            perform_poll(self.runtime, id_)
            self.base.now += timedelta(minutes=2)
        (asked,) = self.base.rows(PollRow)
        assert asked.error is None

    def events(self) -> list[EventRow]:
        return self.base.rows(EventRow)

    def alerts(self) -> Counter[str]:
        """The entries of the history that were stored, and how often each."""
        return Counter(str(event.facts["alert_id"]) for event in self.events())


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox() as found:
        yield found


@pytest.fixture
def whole(database: Database, twin: Start, inbox: Inbox) -> Whole:
    process = install(twin("checkrd"))
    process.set(receiver=inbox.url)
    return Whole(database, process, inbox)


def test_of_1000_deliveries_5_percent_are_withheld_and_none_is_missing_or_doubled(
    whole: Whole,
) -> None:
    told = whole.happen(1000, withhold_every=20)
    whole.arrive()
    assert whole.alerts() == Counter(told["sent"])
    assert len(told["sent"]) == 950
    row = whole.compare()
    assert (row.state, row.error) == (ReconciliationState.SUCCEEDED, None)
    assert (row.checked, row.missing, row.filled, row.unfilled) == (1000, 50, 50, 0)
    assert whole.alerts() == Counter(told["created"])
    filled = [event for event in whole.events() if event.origin == "reconciled"]
    assert {event.facts["alert_id"] for event in filled} == set(told["withheld"])
    again = whole.compare()
    assert (again.checked, again.missing) == (1000, 0)
    assert len(whole.events()) == 1000


def test_a_late_delivery_gives_no_second_event(whole: Whole) -> None:
    whole.happen(40)
    late = whole.inbox.received[::10]
    whole.inbox.received = [one for one in whole.inbox.received if one not in late]
    whole.arrive()
    assert (whole.compare().missing, len(whole.events())) == (4, 40)
    whole.inbox.received = late
    whole.arrive()
    assert len(whole.base.rows(DeliveryRow)) == len(whole.events()) == 40


@pytest.mark.parametrize("own_ids", [True, False])
def test_poll_record_and_webhook_tell_one_fact_once(whole: Whole, *, own_ids: bool) -> None:
    whole.twin.set(own_ids=own_ids)
    told = whole.happen(60, withhold_every=5)
    whole.arrive()
    assert len(whole.events()) == 48
    whole.poll(look_back="2h")
    assert len(whole.events()) == len(told["created"]) == 60
    row = whole.compare()
    assert (row.checked, row.missing, len(whole.events())) == (60, 0, 60)


def test_polling_alone_has_everything(whole: Whole) -> None:
    told = whole.happen(700, send=False)
    whole.poll(look_back="12h")
    assert whole.alerts() == Counter(told["created"])
    assert {event.origin for event in whole.events()} == {"poll"}

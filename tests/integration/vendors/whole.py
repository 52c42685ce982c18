"""One vendor from end to end in the test's process, with a real database and the vendor's twin.

What the twin delivers is stored as the door stores it; ingesting, reading back, polling and
comparing are the product's own. The clock stands until a use case is waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from examples.twins.launch import TwinProcess
from schemas.configured_tables import ConnectionRow, PollRow, SourceRow
from schemas.jobs import ReadBackDelivery
from schemas.reconciliation_tables import ReconciliationRow
from schemas.tables import DeliveryRow, EventRow
from service.connections import Connections
from service.db import Database
from service.ingest import ingest_deliveries
from service.polling import perform_poll
from service.read_back import read_back_delivery
from service.reconcile import reconcile
from service.reconcile_request import ask_to_reconcile
from service.runtime import Runtime
from service.secretbox import SecretBox
from service.unit_of_work import unit_of_work
from tests.integration.engine.installation import KEYS, Installation
from tests.integration.vendors.inbox import Inbox

TURNS = 50
"""A comparison or a poll that needs more of them never ends."""


class Whole:
    """An installation with one source that is tied to the vendor's account, the twin."""

    def __init__(
        self,
        database: Database,
        twin: TwinProcess,
        inbox: Inbox,
        credentials: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.base = Installation(database)
        self.base.now = datetime.now(UTC)
        self.twin = twin
        self.inbox = inbox
        self.vendor = inbox.vendor.name
        self.polls: dict[str, UUID] = {}
        self.runtime = Runtime(
            database=database,
            queue=self.base.bell,
            settings=self.base.settings,
            connections=Connections(KEYS, private_addresses=True),
            vendors={self.vendor: inbox.vendor},
            clock=lambda: self.base.now,
        )
        box = SecretBox(KEYS)
        source = SourceRow(
            name=self.vendor,
            vendor=self.vendor,
            secrets=box.seal([]),
            connection=self.vendor,
            updated_at=self.base.now,
        )
        self.source_id = source.id
        connection = ConnectionRow(
            name=self.vendor,
            vendor=self.vendor,
            base_url=twin.url,
            credentials=box.seal(dict(credentials)),
            options=dict(options or {}),
            updated_at=self.base.now,
        )
        self.base.store(source, connection)
        twin.set(receiver=inbox.url)

    def happen(self, lever: str, **facts: Any) -> Any:
        """Let things happen at the vendor, which delivers them; gives what the twin says."""
        told = self.twin.lever(lever, facts)
        self.catch_up()
        return told

    def catch_up(self) -> None:
        """Move the clock past what has happened: some vendors tell whole seconds."""
        self.base.now = max(self.base.now, datetime.now(UTC) + timedelta(seconds=2))

    def arrive(self) -> None:
        """Store what the twin delivered, as the door does, and let it be worked off."""
        rows = [
            DeliveryRow(
                source_id=self.source_id,
                source=self.vendor,
                vendor=self.vendor,
                delivery_key=self.inbox.key(delivery),
                received_at=delivery.received_at,
                headers=[list(pair) for pair in delivery.headers.items],
                body=delivery.body,
            )
            for delivery in self.inbox.received
        ]
        self.inbox.received.clear()
        ids = [row.id for row in rows]
        self.base.store(*rows)
        rung = len(self.base.bell.rung)
        ingest_deliveries(self.runtime, ids)
        for job in self.base.bell.rung[rung:]:
            if isinstance(job, ReadBackDelivery):
                read_back_delivery(self.runtime, job.delivery_id)

    def compare(self, since: timedelta = timedelta(hours=24)) -> ReconciliationRow:
        """Compare with the vendor's record until the end; what it sends meanwhile arrives."""
        self.catch_up()
        with unit_of_work(self.runtime.database, self.runtime.queue) as work:
            source = work.session.get(SourceRow, self.source_id)
            assert source is not None
            row = ask_to_reconcile(
                work, self.runtime.vendors, source, since=since, now=self.base.now
            )
            id_ = row.id
        for _ in range(TURNS):
            reconcile(self.runtime, id_)
            self.arrive()
            found: ReconciliationRow
            (found,) = self.base.rows(ReconciliationRow, ReconciliationRow.id == id_)
            if found.ended_at is not None:
                return found
            self.base.now = max(self.base.now, found.due_at or self.base.now)
        message = f"the comparison with {self.vendor} did not end"
        raise AssertionError(message)

    def poll(self, name: str, **options: Any) -> None:
        """Ask until there is no more, and once again when that is due."""
        id_ = self.polls.get(name) or self._add_poll(name, options)
        rests = 0
        for _ in range(TURNS):
            perform_poll(self.runtime, id_)
            row: PollRow
            (row,) = self.base.rows(PollRow, PollRow.id == id_)
            assert row.error is None
            rests += row.due_at > self.base.now
            self.base.now = max(self.base.now, row.due_at)
            if rests > 1:
                return
        message = f"of {name} there was always more"
        raise AssertionError(message)

    def _add_poll(self, name: str, options: dict[str, Any]) -> UUID:
        row = PollRow(
            name=name,
            connection=self.vendor,
            poll=name,
            options=options,
            every_seconds=60,
            due_at=self.base.now,
            updated_at=self.base.now,
        )
        self.polls[name] = row.id
        self.base.store(row)
        return self.polls[name]

    def deliveries(self) -> list[DeliveryRow]:
        return self.base.rows(DeliveryRow)

    def events(self, origin: str | None = None) -> list[EventRow]:
        """Every event, or those that came in one way."""
        return self.base.rows(EventRow, *([EventRow.origin == origin] if origin else []))

    def stored(self) -> Counter[tuple[str, str]]:
        """Type and subject of the events, and how often each is stored."""
        return Counter((row.type, str(row.subject)) for row in self.events())

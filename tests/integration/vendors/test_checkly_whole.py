"""Checkly from webhook, poll and record to events: everything once, whichever way it came first."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from examples.twins.launch import TwinProcess
from schemas.tables import (
    ConnectionRow,
    DeliveryRow,
    EventRow,
    PollRow,
    ReconciliationRow,
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
from service.vendors.base import Delivery, Headers
from service.vendors.checkly import VENDOR
from service.vendors.checkly.options import ChecklyOptions
from tests.integration.engine.installation import KEYS, Installation
from tests.integration.vendors.conftest import Start

ACCOUNT = "4e1a7c52-90b3-4d68-8f21-6ab5c0d9e374"
KINDS = {
    "ALERT_FAILURE": "check.failed",
    "ALERT_DEGRADED": "check.degraded",
    "ALERT_FAILURE_REMAIN": "check.still_failing",
    "ALERT_RECOVERY": "check.recovered",
    "ALERT_SSL": "certificate.expiring",
}


class Whole:
    """An installation with one Checkly source that is tied to the twin's account."""

    def __init__(self, database: Database, twin: TwinProcess) -> None:
        self.base = Installation(database)
        self.base.now = datetime.now(UTC)
        self.twin = twin
        self.bodies: list[bytes] = []
        self.runtime = Runtime(
            database=database,
            queue=self.base.bell,
            settings=self.base.settings,
            connections=Connections(KEYS, private_addresses=True),
            vendors={"checkly": VENDOR},
            clock=lambda: self.base.now,
        )
        box = SecretBox(KEYS)
        source = SourceRow(
            name="checkly",
            vendor="checkly",
            secrets=box.seal([]),
            connection="checkly",
            updated_at=self.base.now,
        )
        connection = ConnectionRow(
            name="checkly",
            vendor="checkly",
            base_url=twin.url,
            credentials=box.seal({"api_key": "checkly-key", "account_id": ACCOUNT}),
            options={},
            updated_at=self.base.now,
        )
        self.source_id = source.id
        self.base.store(source, connection)
        self.polls: dict[str, Any] = {}

    def happen(self, **asked: Any) -> Counter[tuple[str, str]]:
        """Let alerts happen; gives what must be stored of them in the end."""
        rows: Any = self.twin.lever("alerts", {"types": list(KINDS), **asked})
        self.base.now = datetime.now(UTC) + timedelta(seconds=1)
        return Counter((KINDS[row["alertType"]], row["checkId"]) for row in rows)

    def arrive(self) -> None:
        """Store what the twin sent, as the door does, and let it be worked off."""
        assert VENDOR.incoming is not None
        ids = []
        for body in self.bodies:
            delivery = Delivery("checkly", Headers([]), body, self.base.now)
            row = DeliveryRow(
                source_id=self.source_id,
                source="checkly",
                vendor="checkly",
                delivery_key=VENDOR.incoming.delivery_key(delivery, ChecklyOptions()),
                received_at=self.base.now,
                headers=[],
                body=body,
            )
            ids.append(row.id)
            self.base.store(row)
        self.bodies.clear()
        ingest_deliveries(self.runtime, ids)

    def poll(self, name: str) -> None:
        """Ask until nothing more is to be read at once, then once again."""
        if name not in self.polls:
            row = PollRow(
                name=name,
                connection="checkly",
                poll=name,
                every_seconds=1,
                options={"look_back": "2h"},
                due_at=self.base.now,
                updated_at=self.base.now,
            )
            self.polls[name] = row.id
            self.base.store(row)
        for _ in range(15):
            perform_poll(self.runtime, self.polls[name])
            self.base.now += timedelta(seconds=2)
        (asked,) = self.base.rows(PollRow, PollRow.id == self.polls[name])
        assert asked.error is None

    def compare(self) -> ReconciliationRow:
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
            found: ReconciliationRow
            (found,) = self.base.rows(ReconciliationRow, ReconciliationRow.id == id_)
            if found.ended_at is not None:
                assert found.error is None
                return found
            self.base.now = max(self.base.now, found.due_at or self.base.now)
        message = "the comparison did not end"
        raise AssertionError(message)

    def stored(self) -> Counter[tuple[str, str]]:
        return Counter((row.type, str(row.subject)) for row in self.base.rows(EventRow))


@pytest.fixture
def whole(database: Database, twin: Start) -> Iterator[Whole]:
    process = twin("checkly")
    process.set(
        pace=1000,
        retry_pause_s=0.01,
        newest_first=True,
        rows_name_result=False,
        arrays="repeat",
        time_unit="s",
    )
    process.limit("api", limit=600, window_s=60)
    made = Whole(database, process)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        process.set(receiver=f"http://127.0.0.1:{server.server_port}/hooks/checkly")
        yield made
        process.set(receiver=None)
        server.shutdown()
        thread.join()


def test_what_was_withheld_is_found_and_nothing_is_doubled(whole: Whole) -> None:
    happened = whole.happen(count=200, withheld=10)
    whole.arrive()
    assert whole.stored().total() == 190
    compared = whole.compare()
    assert (compared.checked, compared.missing, compared.filled) == (200, 10, 10)
    assert whole.stored() == happened
    whole.poll("check_alerts")
    assert whole.stored() == happened
    assert whole.compare().missing == 0


def test_polling_first_leaves_nothing_for_webhooks_and_records_to_double(whole: Whole) -> None:
    happened = whole.happen(count=40)
    whole.poll("check_alerts")
    assert whole.stored() == happened
    whole.arrive()
    assert whole.compare().missing == 0
    assert whole.stored() == happened


def test_a_delivery_whose_body_broke_is_kept_marked_and_made_up_for(whole: Whole) -> None:
    whole.twin.lever("checks", {"id": "check-odd", "name": 'The "new" shop'})
    happened = whole.happen(count=3, checks=["check-odd"])
    whole.arrive()
    assert whole.stored().total() == 0
    deliveries = whole.base.rows(DeliveryRow)
    assert {(row.state, bool(row.body)) for row in deliveries} == {("malformed", True)}
    assert whole.compare().filled == 3
    assert whole.stored() == happened
    names = {row.facts["name"] for row in whole.base.rows(EventRow)}
    assert names == {'The "new" shop'}


def test_a_session_is_one_event_for_each_status_however_it_is_learnt(whole: Whole) -> None:
    told: Any = whole.twin.lever("sessions", {"status": "RUNNING", "count": 2, "ago_s": 60})
    whole.base.now = datetime.now(UTC) + timedelta(seconds=1)
    whole.poll("test_sessions")
    ids = [row["id"] for row in told]
    whole.twin.lever(f"sessions/{ids[0]}", {"status": "FAILED"})
    whole.compare()
    whole.poll("test_sessions")
    whole.compare()
    assert whole.stored() == Counter(
        [
            *(("test_run.started", id_) for id_ in ids),
            ("test_run.failed", ids[0]),
        ]
    )

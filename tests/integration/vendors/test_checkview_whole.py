"""CheckView from its webhook to the event: truth read back, what was withheld found, once each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from examples.twins.launch import TwinProcess
from schemas.jobs import ReadBackDelivery
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
from service.read_back import read_back_delivery
from service.reconcile import reconcile
from service.reconcile_request import ask_to_reconcile
from service.runtime import Runtime
from service.secretbox import SecretBox
from service.unit_of_work import unit_of_work
from service.vendors.base import Delivery, Headers
from service.vendors.checkview import VENDOR
from service.vendors.checkview.options import CheckViewOptions
from tests.integration.engine.installation import KEYS, Installation
from tests.integration.vendors.conftest import Start


class Whole:
    """An installation with one CheckView source that is tied to the twin's account."""

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
            vendors={"checkview": VENDOR},
            clock=lambda: self.base.now,
        )
        box = SecretBox(KEYS)
        self.source = SourceRow(
            name="checkview",
            vendor="checkview",
            secrets=box.seal([]),
            connection="checkview",
            updated_at=self.base.now,
        )
        self.source_id = self.source.id
        connection = ConnectionRow(
            name="checkview",
            vendor="checkview",
            base_url=twin.url,
            credentials=box.seal({"api_token": "cvpat_demo"}),
            options={"per_minute": 60_000},
            updated_at=self.base.now,
        )
        self.base.store(self.source, connection)

    def arrive(self) -> None:
        """Store what the twin sent, as the door does, and let it be worked off."""
        assert VENDOR.incoming is not None
        ids = []
        for body in self.bodies:
            delivery = Delivery("checkview", Headers([]), body, self.base.now)
            row = DeliveryRow(
                source_id=self.source_id,
                source="checkview",
                vendor="checkview",
                delivery_key=VENDOR.incoming.delivery_key(delivery, CheckViewOptions()),
                received_at=self.base.now,
                headers=[],
                body=body,
            )
            ids.append(row.id)
            self.base.store(row)
        self.bodies.clear()
        before = len(self.base.bell.rung)
        ingest_deliveries(self.runtime, ids)
        for job in self.base.bell.rung[before:]:
            if isinstance(job, ReadBackDelivery):
                read_back_delivery(self.runtime, job.delivery_id)

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
            (found,) = self.base.rows(ReconciliationRow, ReconciliationRow.id == id_)
            if found.ended_at is not None:
                return found
            self.base.now = max(self.base.now, found.due_at or self.base.now)
        message = f"the comparison did not end: {found}"
        raise AssertionError(message)

    def poll(self) -> None:
        row = PollRow(
            name="runs",
            connection="checkview",
            poll="test_runs",
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

    def facts(self) -> list[tuple[str, str]]:
        """What was stored: type and run of every event."""
        return sorted((row.type, row.subject) for row in self.base.rows(EventRow))


@pytest.fixture
def whole(database: Database, twin: Start) -> Iterator[Whole]:
    process = twin("checkview")
    process.limit("api", limit=100_000, window_s=60)
    process.clear_faults()
    process.set(dialect="snake", lists="array", max_page=100, header="")
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
        process.set(receiver=f"http://127.0.0.1:{server.server_port}/hooks/checkview/token")
        yield made
        process.set(receiver=None)
        server.shutdown()
        thread.join()


ENDS = {"passed": "test_run.passed", "failed": "test_run.failed", "error": "test_run.errored"}


def run_tests(whole: Whole, **asked: Any) -> list[tuple[str, str]]:
    """Let runs end; gives what must be stored of them in the end."""
    added = whole.twin.lever("runs", {"statuses": list(ENDS), "every_s": 2, **asked})
    assert isinstance(added, list)
    # The comparison goes up to our present, in which all of them have ended.
    whole.base.now = datetime.now(UTC) + timedelta(seconds=1)
    return sorted((ENDS[run["status"]], run["id"]) for run in added)


def test_what_was_withheld_is_found_and_nothing_is_doubled(whole: Whole) -> None:
    """The bodies lie besides: each says that its run failed."""
    happened = run_tests(whole, count=100, withheld=5, told="failed")
    assert len(whole.bodies) == 95
    whole.arrive()
    assert len(whole.facts()) == 95
    assert set(whole.facts()) < set(happened)
    compared = whole.compare()
    assert compared.error is None
    assert (compared.checked, compared.missing, compared.filled) == (100, 5, 5)
    assert whole.facts() == happened
    assert whole.compare().missing == 0
    whole.poll()
    assert whole.facts() == happened


def test_polling_first_leaves_nothing_for_webhooks_to_double(whole: Whole) -> None:
    happened = run_tests(whole, count=30)
    whole.poll()
    assert whole.facts() == happened
    whole.arrive()
    assert whole.facts() == happened


def test_who_knows_the_path_token_cannot_make_a_run_up(whole: Whole) -> None:
    whole.twin.lever("send", {"overrides": {"test_run": {"id": "made-up"}}})
    whole.arrive()
    assert whole.facts() == []
    (delivery,) = whole.base.rows(DeliveryRow)
    assert delivery.state == "unconfirmed"

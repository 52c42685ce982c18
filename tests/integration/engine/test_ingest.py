"""A stored delivery becomes events, and events start runs: once, whatever happens."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

from schemas.tables import DeliveryRow, DeliveryState, EventRow, RunRow
from schemas.workflow import RunStatus
from service.ingest import MOST_FAILURES, ingest_deliveries
from tests.integration.engine.installation import Installation

WORKFLOW = """
name: greet
on: [{event: "go*"}]
if: event.facts.count > 1
steps: [{id: read, uses: robot.read}]
"""


def test_one_delivery_gives_its_events_and_starts_the_workflows_they_match(
    installation: Installation,
) -> None:
    installation.workflow(WORKFLOW)
    delivery_id = installation.deliver(
        {"type": "go.far", "facts": {"count": 2}, "subject": "s1"},
        {"type": "go.near", "facts": {"count": 1}},
        {"type": "stop", "facts": {"count": 9}},
    )
    runs = installation.ingest(delivery_id)
    assert len(runs) == 1
    events = installation.rows(EventRow)
    assert sorted(event.type for event in events) == ["go.far", "go.near", "stop"]
    assert {event.delivery_id for event in events} == {delivery_id}
    run = installation.run(runs[0])
    assert run.status == RunStatus.PENDING
    started = {event.id: event.type for event in events}
    assert started[run.event_id] == "go.far"
    (delivery,) = installation.rows(DeliveryRow)
    assert (delivery.state, delivery.due_at) == (DeliveryState.INGESTED, None)


def test_ingesting_again_and_at_the_same_time_starts_nothing_twice(
    installation: Installation,
) -> None:
    installation.workflow(WORKFLOW)
    ids = [installation.deliver({"type": "go", "facts": {"count": n}}) for n in range(2, 22)]
    threads = [
        threading.Thread(target=ingest_deliveries, args=(installation.another_worker(), ids))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ingest_deliveries(installation.runtime, ids)
    assert len(installation.rows(EventRow)) == 20
    assert len(installation.rows(RunRow)) == 20


def test_a_condition_that_cannot_be_evaluated_is_shown_as_a_skipped_run(
    installation: Installation,
) -> None:
    installation.workflow(WORKFLOW)
    assert installation.ingest(installation.deliver({"type": "go", "facts": {}})) == []
    (run,) = installation.rows(RunRow)
    assert run.status == RunStatus.SKIPPED
    assert "count" in run.reason


def test_a_body_that_is_not_json_is_kept_and_marked(installation: Installation) -> None:
    installation.ingest(installation.deliver(body=b'{"events": ['))
    (delivery,) = installation.rows(DeliveryRow)
    assert delivery.state == DeliveryState.MALFORMED
    assert delivery.body == b'{"events": ['
    assert "robot" in delivery.error


def test_a_delivery_that_breaks_its_vendor_code_dies_without_stopping_the_others(
    installation: Installation,
) -> None:
    poisoned = installation.deliver(body=json.dumps({"raise": "boom"}).encode())
    good = installation.deliver({"type": "go", "facts": {}})
    for _ in range(MOST_FAILURES):
        installation.ingest(poisoned, good)
        installation.now += timedelta(minutes=5)
    states = {row.id: row.state for row in installation.rows(DeliveryRow)}
    assert states == {poisoned: DeliveryState.DEAD, good: DeliveryState.INGESTED}
    assert len(installation.rows(EventRow)) == 1


def test_text_that_no_database_column_can_hold_does_not_stop_an_event(
    installation: Installation,
) -> None:
    body = b'{"events": [{"type": "go", "subject": "a\\u0000b", "facts": {"x": "\\ud800"}}]}'
    installation.ingest(installation.deliver(body=body))
    (event,) = installation.rows(EventRow)
    assert event.subject == "a\ufffdb"
    assert event.facts == {"x": "\ufffd"}

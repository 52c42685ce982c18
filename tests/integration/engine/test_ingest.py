"""A stored delivery becomes events, and events start runs: once, whatever happens."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow, EventRow
from schemas.workflow import RunStatus
from service.db import Database
from service.errors import Unavailable
from service.ingest import MOST_FAILURES, ingest_deliveries
from service.store.deliveries import known_events
from service.store.reconciliations import gaps_by_reference, known_keys
from service.unit_of_work import reading, unit_of_work
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


MANY = 66_000
"""More than the parameters that one statement may have on PostgreSQL (65,535)."""


def test_a_delivery_of_thousands_of_events_gives_them_all(
    installation: Installation,
) -> None:
    """On PostgreSQL one statement of all their columns would have too many parameters."""
    installation.workflow(WORKFLOW)
    events = [{"type": "go", "facts": {"count": 2}} for _ in range(4_500)]
    started = installation.ingest(installation.deliver(*events))
    (delivery,) = installation.rows(DeliveryRow)
    assert delivery.state == DeliveryState.INGESTED
    assert len(installation.rows(EventRow)) == 4_500
    assert len(set(started)) == 4_500


def test_questions_after_more_keys_than_a_statement_holds_are_answered(
    installation: Installation,
) -> None:
    delivery_id = installation.deliver({"type": "go", "facts": {}})
    installation.ingest(delivery_id)
    (event,) = installation.rows(EventRow)
    (delivery,) = installation.rows(DeliveryRow)
    keys = [f"made-up:{number}" for number in range(MANY)]
    with reading(installation.database) as session:
        assert known_events(session, [*keys, event.dedupe_key]) == {event.dedupe_key}
        found = known_keys(session, installation.source_id, [*keys, delivery.delivery_key])
        assert found == {delivery.delivery_key}
        assert gaps_by_reference(session, installation.source_id, "record", keys) == {}


def refuse_events_of(database: Database, type_: str) -> None:
    """Let the database refuse events of this type, as it refuses what no column can hold."""
    with database.turn_to_write(), database.engine.begin() as connection:
        if database.is_sqlite:
            connection.execute(
                text(
                    "CREATE TRIGGER no_poison BEFORE INSERT ON events "
                    f"WHEN NEW.type = '{type_}' BEGIN SELECT RAISE(ABORT, 'no poison'); END"
                )
            )
        else:
            connection.execute(
                text(f"ALTER TABLE events ADD CONSTRAINT no_poison CHECK (type <> '{type_}')")
            )


def test_a_delivery_whose_events_cannot_be_stored_dies_without_stopping_the_others(
    installation: Installation,
) -> None:
    refuse_events_of(installation.database, "poison")
    installation.workflow(WORKFLOW)
    before = installation.deliver({"type": "go", "facts": {"count": 2}})
    poisoned = installation.deliver({"type": "poison", "facts": {}})
    after = installation.deliver({"type": "go", "facts": {"count": 2}})
    assert len(installation.ingest(before, poisoned, after)) == 2
    states = {row.id: row.state for row in installation.rows(DeliveryRow)}
    assert states == {
        before: DeliveryState.INGESTED,
        poisoned: DeliveryState.RECEIVED,
        after: DeliveryState.INGESTED,
    }
    for _ in range(MOST_FAILURES - 1):
        installation.now += timedelta(minutes=5)
        installation.ingest(poisoned)
    (row,) = installation.rows(DeliveryRow, DeliveryRow.id == poisoned)
    assert (row.state, row.failures, row.due_at) == (DeliveryState.DEAD, MOST_FAILURES, None)
    assert "no_poison" in row.error or "no poison" in row.error


@pytest.mark.parametrize("statement", ["SELECT nothing_of_that_name FROM events", "SELEKT 1"])
def test_a_statement_that_is_wrong_is_no_outage(database: Database, statement: str) -> None:
    with pytest.raises(DBAPIError), reading(database) as session:
        session.execute(text(statement))


def test_too_many_parameters_are_no_outage(database: Database, installation: Installation) -> None:
    # SQLite may have been built for as many as 250,000.
    sign, count = ("?", 300_000) if database.is_sqlite else ("%s", MANY)
    statement = f"SELECT 1 WHERE 1 IN ({', '.join([sign] * count)})"
    with pytest.raises(DBAPIError), unit_of_work(database, installation.bell) as work:
        work.session.connection().exec_driver_sql(statement, (1,) * count)


def test_a_database_that_is_not_there_is_an_outage(database: Database) -> None:
    away = Database(
        "sqlite:////nowhere/at/all.db"
        if database.is_sqlite
        else "postgresql://nobody:x@127.0.0.1:1/none"
    )
    with pytest.raises(Unavailable), reading(away) as session:
        session.execute(text("SELECT 1"))

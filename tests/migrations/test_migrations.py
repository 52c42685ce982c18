"""The tables as the migrations make them: the same as METADATA says, on both databases."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from schemas.api_events import EventQuestion
from schemas.configured_tables import WorkflowRow, WorkflowVersionRow
from schemas.ids import first_id, new_id
from schemas.partitioned import KEY_TABLES, PARTITIONED, is_compared, rest_of
from schemas.reading_tables import is_declared
from schemas.run_tables import AttemptRow, RunRow, StepRow, WaitRow
from schemas.statistics import StatisticsQuestion
from schemas.tables import METADATA, EventRow
from service.db import Database
from service.errors import Unavailable
from service.queue import UnheardQueue
from service.statistics import read_statistics
from service.store import revision, schema
from service.store.deliveries import event_id, store_events
from service.store.listing import list_events
from service.store.payloads import LARGE_BYTES, keep_output
from service.store.reverifying import find_stored
from service.unit_of_work import reading, unit_of_work

# SQLite's indexes over expressions are not compared.
pytestmark = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression")


@pytest.fixture(params=["empty_sqlite_url", "empty_postgres_url"])
def empty(request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(request.getfixturevalue(request.param))
    yield database
    database.dispose()


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        opts = {
            "compare_type": True,
            "compare_server_default": True,
            "include_object": compared_on_sqlite if database.is_sqlite else is_compared,
        }
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, METADATA))


def compared_on_sqlite(_item: object, name: str | None, *_: object) -> bool:
    return is_declared(name)


def tables(database: Database) -> set[str]:
    names = sa.inspect(database.engine).get_table_names()
    return {name for name in names if is_declared(name)} - {"alembic_version"}


def wanted_tables(database: Database) -> set[str]:
    """Give the tables there ought to be; before anything is stored."""
    beside = () if database.is_sqlite else (*KEY_TABLES.tables, *map(rest_of, PARTITIONED))
    return {*METADATA.tables, *beside}


REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006"]


def test_an_empty_database_is_not_current_and_becomes_so(empty: Database) -> None:
    assert not revision.is_current(empty)
    assert schema.upgrade(empty) == REVISIONS
    assert revision.newest() == REVISIONS[-1]
    assert revision.is_current(empty)


def test_migrating_again_changes_nothing(empty: Database) -> None:
    schema.upgrade(empty)
    assert schema.upgrade(empty) == []


def test_the_migrated_tables_are_those_of_the_code(empty: Database) -> None:
    schema.upgrade(empty)
    assert differences(empty) == []
    assert tables(empty) == wanted_tables(empty)


def test_a_table_that_the_migrations_do_not_know_is_seen(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE tokens DROP COLUMN prefix"))
    assert differences(empty) != []


def test_up_and_down_and_up_again(empty: Database) -> None:
    schema.upgrade(empty)
    schema.downgrade(empty, "base")
    assert tables(empty) == set()
    assert not revision.is_current(empty)
    schema.upgrade(empty)
    assert differences(empty) == []


def test_events_of_the_first_release_keep_how_they_came(empty: Database) -> None:
    schema.upgrade(empty, "0001")
    insert = sa.text(
        "INSERT INTO events (id, dedupe_key, type, vendor, vendor_type, delivery_id, time,"
        " received_at, facts, correlation_id) VALUES (:id, CAST(:key AS text), 't', 'v', 't',"
        " :delivery_id, '2026-01-01', '2026-01-01', '{}', :id)"
    )
    webhook, poll, delivery, late = (uuid4() for _ in range(4))
    shown = (lambda id_: id_.hex) if empty.is_sqlite else str
    with empty.engine.begin() as connection:
        connection.execute(
            insert, {"id": shown(webhook), "key": "a", "delivery_id": shown(delivery)}
        )
        connection.execute(insert, {"id": shown(poll), "key": "b", "delivery_id": None})
    schema.upgrade(empty)
    with empty.engine.begin() as connection:
        # The release before is still running and knows nothing of the new column.
        connection.execute(insert, {"id": shown(late), "key": "c", "delivery_id": shown(delivery)})
        rows = connection.execute(sa.text("SELECT id, origin FROM events"))
        origins = {UUID(str(id_)): origin for id_, origin in rows}
    assert origins == {webhook: "webhook", poll: "poll", late: "webhook"}


def test_what_was_stored_before_is_found_by_its_words_and_counted(empty: Database) -> None:
    schema.upgrade(empty, "0005")
    now = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
    shown = (lambda id_: id_.hex) if empty.is_sqlite else str
    event, delivery = first_id(now), new_id()
    stored = f"{now:%Y-%m-%d %H:%M:%S.%f}" if empty.is_sqlite else now
    values = {"id": shown(event), "delivery": shown(delivery), "now": stored}
    with empty.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO events (id, dedupe_key, type, vendor, vendor_type, source, time,"
                " received_at, facts, correlation_id) VALUES (:id, 'a', 'test_run.failed', 'v',"
                """ 't', 's', :now, :now, '{"title": "Checkout is broken"}', :id)"""
            ),
            values,
        )
        connection.execute(
            sa.text(
                "INSERT INTO deliveries (id, source_id, source, vendor, delivery_key, received_at,"
                " headers, body, state, failures) VALUES (:delivery, :delivery, 's', 'v', 'k',"
                " :now, '[]', '', 'ingested', 0)"
            ),
            values,
        )
    schema.upgrade(empty)
    with reading(empty) as session:
        found = list_events(session, EventQuestion(search="broken"))
        assert [row.id for row in found.rows] == [event]
        assert [row.id for row in list_events(session, EventQuestion(vendor="v")).rows] == [event]
        numbers = read_statistics(session, StatisticsQuestion(since=now, until=None), now)
        assert [(one.type, one.count) for one in numbers.events] == [("test_run.failed", 1)]
        assert [(one.source, one.ingested) for one in numbers.deliveries] == [("s", 1)]


def test_the_release_before_finds_its_runs_and_no_branches(empty: Database) -> None:
    """Going back keeps runs with what they gave, large values too, and takes branches away."""
    schema.upgrade(empty)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    large = {"text": "x" * 2 * LARGE_BYTES}
    event = EventRow(
        dedupe_key="a",
        type="t",
        vendor="v",
        vendor_type="t",
        time=now,
        received_at=now,
        payload=large,
        correlation_id=new_id(),
    )
    workflow = WorkflowRow(name="w", updated_at=now)
    version = WorkflowVersionRow(
        workflow_id=workflow.id, number=1, digest="d", document={}, source_text="", created_at=now
    )
    common: dict[str, Any] = {
        "workflow_version_id": version.id,
        "workflow": "w",
        "status": "succeeded",
        "correlation_id": event.correlation_id,
        "created_at": now,
    }
    run = RunRow(event_id=event.id, **common)
    branch = RunRow(parent_id=run.id, root_id=run.id, container="each", number=0, **common)
    with unit_of_work(empty, UnheardQueue()) as work:
        for row in (workflow, version):
            work.session.add(row)
            work.session.flush()
        store_events(work.session, [event])
        for link in (run, branch):
            work.session.add(link)
            work.session.flush()
            step = StepRow(run_id=link.id, step="s", position=0, status="succeeded")
            keep_output(work.session, step, large, now=now)
            work.session.add(step)
            work.session.add(WaitRow(run_id=link.id, step="s", kind="sleep", since=now))
            work.session.flush()
            work.session.add(
                AttemptRow(
                    step_id=step.id, run_id=link.id, number=1, status="succeeded", started_at=now
                )
            )
    schema.downgrade(empty, "0002")
    with empty.engine.connect() as connection:
        left = {
            name: connection.scalar(sa.text(f"SELECT count(*) FROM {name}"))  # noqa: S608  # ours
            for name in ("runs", "steps", "attempts", "waits")
        }
        texts = [
            connection.scalar(sa.text("SELECT payload FROM events")),
            connection.scalar(sa.text("SELECT output FROM steps")),
        ]
    assert left == {"runs": 1, "steps": 1, "attempts": 1, "waits": 1}
    assert [json.loads(text) if isinstance(text, str) else text for text in texts] == [large] * 2


def test_several_may_start_at_once_and_one_of_them_works(empty: Database) -> None:
    done: list[list[str]] = []
    others = [Database(empty.url.render_as_string(hide_password=False)) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda database=database: done.append(schema.upgrade(database)))
        for database in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for database in others:
        database.dispose()
    assert sorted(done) == [[], [], [], REVISIONS]
    assert differences(empty) == []


def test_a_table_in_use_stops_the_migration_and_leaves_nothing_half_done(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_TIMEOUT_MS", 200)
    database = Database(empty_postgres_url)
    schema.upgrade(database)
    with database.engine.begin() as holder:
        holder.execute(sa.text("LOCK TABLE deliveries IN ACCESS SHARE MODE"))
        with pytest.raises(Unavailable, match="tables could not be changed"):
            schema.downgrade(database, "base")
    assert revision.is_current(database)
    assert differences(database) == []
    database.dispose()


def test_stored_rows_become_the_first_partition_and_are_known_by_their_keys(
    empty_postgres_url: str,
) -> None:
    database = Database(empty_postgres_url)
    schema.upgrade(database, "0004")
    now = datetime.now(UTC)
    source_id, delivery, event = new_id(), new_id(), new_id()
    ahead = first_id(now + timedelta(days=400))
    deliveries = sa.text(
        "INSERT INTO deliveries (id, source_id, source, vendor, delivery_key, received_at, headers,"
        " body, state, failures)"
        " VALUES (:id, :source_id, 's', 'v', :key, :now, '[]', 'é', 'dead', 0)"
    )
    events = sa.text(
        "INSERT INTO events (id, dedupe_key, type, vendor, vendor_type, time, received_at, facts,"
        " correlation_id) VALUES (:id, 'é', 't', 'v', 't', :now, :now, '{}', :id)"
    )
    with database.engine.begin() as connection:
        for id_, key in ((delivery, "ké"), (ahead, "far")):
            values = {"id": id_, "source_id": source_id, "key": key, "now": now}
            connection.execute(deliveries, values)
        connection.execute(events, {"id": event, "now": now})
    assert "0005" in schema.upgrade(database)
    with unit_of_work(database, UnheardQueue()) as work:
        found = find_stored(work.session, [(source_id, "ké"), (source_id, "far")])
        assert {key: stored.id for (_, key), stored in found.items()} == {
            "ké": delivery,
            "far": ahead,
        }
        assert event_id(work.session, "é") == event
        places = work.session.execute(
            sa.text("SELECT id, tableoid::regclass::text FROM deliveries ORDER BY id")
        ).all()
        assert [name.rpartition("_")[0] for _, name in places] == [
            "deliveries_before",
            "deliveries",
        ]
        # What is put apart by its id stays: no time that is to come is closed by it.
        assert places[1] == (ahead, "deliveries_rest")
    schema.downgrade(database, "0004")
    with database.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM deliveries")) == 2
    database.dispose()

"""What the timers do twice a second does not grow with what waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event

from schemas.columns import Table
from schemas.configured_tables import PollRow, SourceRow, WorkflowVersionRow
from schemas.ids import new_id
from schemas.reconciliation_tables import ReconciliationRow
from schemas.run_tables import AwaitedRow, RunRow, StepRow, WaitRow
from schemas.states import ReconciliationState
from schemas.tables import EventRow
from schemas.workflow import RunStatus, StepStatus, WaitKind
from service.db import Database
from service.store.next_due import Ahead, look_ahead
from service.unit_of_work import reading
from service.versions import MARK
from tests.integration.engine.installation import Installation
from workers.scheduler import Scheduler

FEW, MANY = 10, 1000
KINDS = (WaitKind.SLEEP, WaitKind.EVENT, WaitKind.APPROVAL, WaitKind.QUEUE, WaitKind.BRANCHES)
WORKFLOW = """
name: rest
on: [{event: go}]
steps:
  - sleep: 1h
"""


def test_a_tick_of_the_timers_reads_as_little_with_many_waiting_runs_as_with_few(
    installation: Installation,
) -> None:
    installation.workflow(WORKFLOW)
    read = []
    for count in (FEW, MANY):
        let_wait(installation, count)
        scheduler = Scheduler(installation.runtime)
        scheduler.ring_due()
        # The second tick asks whether anything is due, and looks through all kinds as well.
        read.append(rows_read_by_a_tick(installation, scheduler))
    # Deeper indexes cost a little; whatever looks at each run costs thousands.
    assert read[1] < read[0] + MANY / 10


def test_a_tick_with_nothing_to_do_is_one_question(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    let_wait(installation, FEW)
    scheduler = Scheduler(installation.runtime)
    for _ in range(2):
        scheduler.ring_due()
    with kept_statements(installation.database) as statements:
        assert scheduler.ring_due() == 0
    asked = [text for text, _ in statements if text.lstrip().startswith("SELECT")]
    assert len(asked) == 1


DUE: dict[str, Callable[[datetime], list[Table]]] = {
    "poll": lambda due: [
        PollRow(name="p", connection="c", poll="p", every_seconds=60, due_at=due, updated_at=due)
    ],
    "comparison": lambda due: [
        ReconciliationRow(
            source_id=new_id(),
            source="s",
            vendor="v",
            by="ann",
            since=due,
            until=due,
            state=ReconciliationState.PENDING,
            created_at=due,
            due_at=due,
        )
    ],
    "scheduled comparison": lambda due: [
        SourceRow(name="s", vendor="v", secrets=b"", updated_at=due, reconcile_due_at=due)
    ],
}


@pytest.mark.parametrize("kind", DUE)
def test_what_is_due_is_seen_at_its_time(installation: Installation, kind: str) -> None:
    due = installation.now + timedelta(minutes=1)
    installation.store(*DUE[kind](due))
    assert ahead(installation).due_at == due


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING])
def test_a_run_that_is_due_is_seen_at_its_time(
    installation: Installation, status: RunStatus
) -> None:
    installation.workflow(WORKFLOW)
    let_wait(installation, 1, status)
    assert ahead(installation).due_at == installation.now + timedelta(hours=1)


def test_a_delivery_that_waits_and_a_changed_workflow_are_seen(installation: Installation) -> None:
    before = ahead(installation)
    assert before.is_quiet(installation.now, before.mark)
    installation.workflow(WORKFLOW)
    changed = ahead(installation)
    assert not changed.is_quiet(installation.now, before.mark)
    installation.deliver({"type": "go"})
    assert not ahead(installation).is_quiet(installation.now, changed.mark)


def ahead(installation: Installation) -> Ahead:
    with reading(installation.database) as session:
        return look_ahead(session, MARK)


def let_wait(installation: Installation, count: int, status: RunStatus = RunStatus.WAITING) -> None:
    """Store runs that wait for an hour, or for something else for ever."""
    (version,) = installation.rows(WorkflowVersionRow)
    now, later = installation.now, installation.now + timedelta(hours=1)
    events, runs, rest = [], [], []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        due_at = later if kind in {WaitKind.SLEEP, WaitKind.EVENT, WaitKind.APPROVAL} else None
        event_id, run_id = new_id(), new_id()
        events.append(
            EventRow(
                id=event_id,
                dedupe_key=str(event_id),
                type="go",
                vendor="robot",
                vendor_type="go",
                time=now,
                received_at=now,
                facts={},
                correlation_id=event_id,
            )
        )
        runs.append(
            RunRow(
                id=run_id,
                event_id=event_id,
                workflow_version_id=version.id,
                workflow="rest",
                status=status,
                correlation_id=event_id,
                created_at=now,
                due_at=due_at,
            )
        )
        rest += [
            StepRow(run_id=run_id, step="x", position=0, status=StepStatus.WAITING),
            WaitRow(run_id=run_id, step="x", kind=kind, since=now, due_at=due_at),
            AwaitedRow(run_id=run_id, step="x", type="go", field="event.subject", value="x"),
        ]
    for rows in (events, runs, rest):
        installation.store(*rows)


def rows_read_by_a_tick(installation: Installation, scheduler: Scheduler) -> int:
    """Give how much the database looks at: steps of SQLite's machine, or rows of PostgreSQL."""
    database = installation.database
    if database.engine.dialect.name == "sqlite":
        with counted_steps(database) as steps:
            assert scheduler.ring_due() == 0
        return len(steps)
    with kept_statements(database) as statements:
        assert scheduler.ring_due() == 0
    read = 0
    with database.engine.connect() as connection:
        for statement, parameters in statements:
            if not statement.startswith(("SELECT", "UPDATE", "DELETE")):
                continue
            explained = connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            found = explained if isinstance(explained, list) else json.loads(explained)
            read += rows_of(found[0]["Plan"])
        connection.rollback()
    return read


def rows_of(plan: dict[str, Any]) -> int:
    """Give how many rows a plan and those within it looked at."""
    dropped = sum(plan.get(name, 0) for name in plan if name.startswith("Rows Removed"))
    own = int((plan["Actual Rows"] + dropped) * plan["Actual Loops"])
    return own + sum(rows_of(part) for part in plan.get("Plans", ()))


@contextmanager
def counted_steps(database: Database) -> Iterator[list[None]]:
    steps: list[None] = []

    def listen(driver_connection: Any, _record: Any, _proxy: Any) -> None:
        # What the handler gives tells SQLite whether to break off; None is no.
        driver_connection.set_progress_handler(lambda: steps.append(None), 1)

    def forget(driver_connection: Any, _record: Any) -> None:
        driver_connection.set_progress_handler(None, 1)

    event.listen(database.engine, "checkout", listen)
    event.listen(database.engine, "checkin", forget)
    try:
        yield steps
    finally:
        event.remove(database.engine, "checkout", listen)
        event.remove(database.engine, "checkin", forget)


@contextmanager
def kept_statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    kept: list[tuple[str, Any]] = []

    def keep(
        _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> None:
        kept.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", keep)
    try:
        yield kept
    finally:
        event.remove(database.engine, "before_cursor_execute", keep)

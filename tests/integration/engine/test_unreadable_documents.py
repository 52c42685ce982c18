"""A stored document that this version cannot read: what was begun with it ends, and says so."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError
from sqlmodel import col, update

from schemas.configured_tables import WorkflowRow, WorkflowVersionRow
from schemas.run_tables import RunRow, TurnRow, WaitRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus
from service.runs import LEASE, MOST_FAILURES, advance_run
from tests.integration.engine.installation import Installation

WAITS = """
name: waits
on: [{event: go}]
concurrency: {key: event.subject}
steps:
  - {id: pause, sleep: 1h}
"""
EACH = """
name: each
on: [{event: go}]
steps:
  - id: each
    for_each: "['a', 'b']"
    as: name
    steps: [{id: pause, sleep: 1h}]
"""
CALLS = """
name: calls
on: [{event: go}]
steps: [{id: part, call: called}]
"""
CALLED = """
name: called
on: [{manual: {}}]
steps: [{id: pause, sleep: 1h}]
"""


def spoil(installation: Installation, workflow: str) -> None:
    """Let nobody read a workflow's document any more, as after going back to an older release."""
    with installation.database.turn_to_write(), installation.database.session() as session:
        [row] = [each for each in installation.rows(WorkflowRow) if each.name == workflow]
        session.execute(
            update(WorkflowVersionRow)
            .where(col(WorkflowVersionRow.workflow_id) == row.id)
            .values(document={"name": workflow, "steps": [{"dance": "a waltz"}]})
        )
        session.commit()
    installation.runtime = installation.another_worker()


def fail(installation: Installation, run_id: UUID) -> None:
    for _ in range(MOST_FAILURES):
        installation.now += LEASE + timedelta(hours=2)
        with pytest.raises(ValidationError):
            advance_run(installation.runtime, run_id)


def test_its_run_fails_and_others_of_its_key_may_go_on(installation: Installation) -> None:
    installation.workflow(WAITS)
    run_id = installation.start(subject="s")
    advance_run(installation.runtime, run_id)
    spoil(installation, "waits")
    fail(installation, run_id)
    run = installation.run(run_id)
    assert (run.status, (run.error or {})["code"], run.due_at) == (RunStatus.FAILED, "bug", None)
    assert "could not carry the run on" in (run.error or {})["message"]
    assert installation.rows(WaitRow) == []
    assert installation.rows(TurnRow, TurnRow.run_id == run_id) == []
    [told] = installation.rows(EventRow, EventRow.type == "run.failed")
    assert told.subject == str(run_id)
    advance_run(installation.runtime, run_id)


def test_its_branches_end_with_it(installation: Installation) -> None:
    installation.workflow(EACH)
    run_id = installation.start()
    advance_run(installation.runtime, run_id)
    branches = installation.rows(RunRow, col(RunRow.parent_id) == run_id)
    for branch in branches:
        advance_run(installation.runtime, branch.id)
    spoil(installation, "each")
    for branch in branches:
        fail(installation, branch.id)
    fail(installation, run_id)
    runs = installation.rows(RunRow)
    assert [run.status for run in runs] == [RunStatus.FAILED] * 3
    assert [run.due_at for run in runs] == [None] * 3


def test_who_called_it_hears_of_it(installation: Installation) -> None:
    installation.workflow(CALLED)
    installation.workflow(CALLS)
    run_id = installation.start()
    advance_run(installation.runtime, run_id)
    [called] = installation.rows(RunRow, RunRow.workflow == "called")
    spoil(installation, "called")
    fail(installation, called.id)
    assert installation.advance(run_id).status == RunStatus.FAILED
    assert (installation.step(run_id, "part").error or {})["code"] == "called_run_failed"

"""Branches: the arms of a `parallel` and the items of a `for_each`, each carried on by itself.

A branch that ends counts itself in its container's tally and lets the next one begin; the last one
lets what it is a branch of go on. So no one holds, or loads, more than a few of them at a time.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import structlog

from schemas.document import EachStep, Step
from schemas.events import Json
from schemas.ids import new_id
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow, SpreadRow, StepRow
from schemas.storable import bounded
from schemas.workflow import RunError, RunStatus, Tally
from service.starting import RING_AGAIN
from service.store import branches as store
from service.store import runs as runs_store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.workflows.decisions import Finish, Spread
from service.workflows.waiting import is_settled, may_begin

log = structlog.get_logger(__name__)

MOST_RESULT_BYTES = 1024 * 1024
"""What `collect` may give altogether."""
PATH_LENGTH = 400


def spread(work: UnitOfWork, run: LoadedRun, step: Step, decision: Spread, now: datetime) -> None:
    """Make the branches of a step that may begin at once, and keep the items of the rest."""
    items = decision.items
    row = SpreadRow(
        run_id=run.row.id, step=step.id, total=decision.tally.total, begun=decision.begin
    )
    work.session.add(row)
    run.spreads[step.id] = row
    if items is not None:
        store.store_items(work.session, run.row.id, step.id, items)
    for number in range(decision.begin):
        item = None if items is None else items[number]
        _begin(work, run.row, run.root, step, number, item, now)


def end(work: UnitOfWork, run: LoadedRun, step: Step, decision: Finish, now: datetime) -> None:
    """Count a branch that ends; then the next one begins, or what it belongs to goes on.

    `step` is its container.
    """
    parent = run.chain[1]
    row = store.lock_spread(work.session, parent.id, step.id)
    if decision.status is RunStatus.SUCCEEDED:
        row.succeeded += 1
    elif decision.status is RunStatus.FAILED:
        row.failed += 1
        if row.first_error is None and decision.error is not None:
            row.first_error = _located(run.row, decision.error)
    else:
        row.cancelled += 1
    cancelled = run.cancel_requested
    tally = _tally(row)
    if not cancelled and may_begin(step, tally):
        number = row.begun
        row.begun += 1
        item = None
        if isinstance(step, EachStep):
            item = store.item(work.session, parent.id, step.id, number)
        _begin(work, parent, run.root, step, number, item, now)
    elif is_settled(step, tally) or (cancelled and not tally.under_way):
        if isinstance(step, EachStep) and step.collect is not None and not cancelled:
            _collect(work, run, step)
        runs_store.wake(work.session, [parent.id], now=now)
        work.ring(AdvanceRun(parent.id))


def _begin(
    work: UnitOfWork,
    parent: RunRow,
    root: RunRow,
    step: Step,
    number: int,
    item: Json,
    now: datetime,
) -> None:
    path = f"{step.id}[{number}]"
    branch = RunRow(
        id=new_id(),
        workflow_version_id=parent.workflow_version_id,
        workflow=parent.workflow,
        replay=parent.replay,
        status=RunStatus.PENDING,
        shadow=parent.shadow,
        correlation_id=parent.correlation_id,
        created_at=now,
        due_at=now + RING_AGAIN,
        depth=parent.depth,
        parent_id=parent.id,
        root_id=root.id,
        frame_id=None if isinstance(step, EachStep) else parent.frame_id or parent.id,
        container=step.id,
        number=number,
        path=bounded(f"{parent.path}/{path}" if parent.path else path, PATH_LENGTH),
        item=item,
    )
    work.session.add(branch)
    work.ring(AdvanceRun(branch.id))


def _collect(work: UnitOfWork, run: LoadedRun, step: EachStep) -> None:
    """Put what the items gave where the step of `for_each` takes it from."""
    work.session.flush()  # this branch's own output is among them
    parent = run.chain[1]
    results: list[Any] = []
    size = 0
    for output in store.outputs(work.session, parent.id, step.id):
        size += len(json.dumps(output))
        if size > MOST_RESULT_BYTES:
            log.warning("results_cut", run_id=str(run.root.id), step=step.id, kept=len(results))
            break
        results.append(output)
    row: StepRow = runs_store.step_of(work.session, parent.id, step.id)
    row.answer = {"results": results, "complete": size <= MOST_RESULT_BYTES}


def _located(branch: RunRow, error: RunError) -> dict[str, Any]:
    """Say in which branch it happened."""
    return error.model_copy(update={"step": f"{branch.path}.{error.step}"}).model_dump(mode="json")


def _tally(row: SpreadRow) -> Tally:
    return Tally(
        total=row.total,
        begun=row.begun,
        succeeded=row.succeeded,
        failed=row.failed,
        cancelled=row.cancelled,
    )

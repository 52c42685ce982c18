"""Branches: the arms of a `parallel` and the items of a `for_each`, each carried on by itself.

A branch that ends counts itself in its container's tally and lets the next one begin; the last one
lets what it is a branch of go on. So no one holds, or loads, more than a few of them at a time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from schemas.document import EachStep, Step
from schemas.events import Json
from schemas.ids import new_id
from schemas.jobs import AdvanceRun, AdvanceRunInBulk
from schemas.run_tables import RunRow, SpreadRow, StepRow
from schemas.storable import bounded
from schemas.workflow import RunStatus
from service.starting import RING_AGAIN
from service.store import branches as store
from service.store import runs as runs_store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.workflows.branching import (
    AfterBranch,
    after_branch,
    collects,
    count_end,
    gather_results,
)
from service.workflows.decisions import Finish, Spread

log = structlog.get_logger(__name__)

PATH_LENGTH = 400
END_AGAIN = timedelta(seconds=5)
"""How soon the branches of a cancelled run are told again to end."""


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


def end(
    work: UnitOfWork,
    run: LoadedRun,
    step: Step,
    decision: Finish,
    now: datetime,
    *,
    tidying: bool = False,
) -> None:
    """Count a branch that ends; then the next one begins, or what it belongs to goes on.

    `step` is its container. `tidying`: that is part of `on_cancel`, which a cancel does not end.
    """
    parent = run.chain[1]
    row = store.lock_spread(work.session, parent.id, step.id)
    tally = count_end(row.tally, decision, run.row.path or "")
    row.succeeded, row.failed, row.cancelled = tally.succeeded, tally.failed, tally.cancelled
    if tally.first_error is not None:
        row.first_error = tally.first_error.model_dump(mode="json")
    cancelled = run.cancel_requested and not tidying
    match after_branch(step, tally, cancelled=cancelled):
        case AfterBranch.BEGIN_NEXT:
            _begin_next(work, parent, run.root, step, row, now)
        case AfterBranch.GO_ON:
            if collects(step, cancelled=cancelled):
                _collect(work, parent, run.root, step)
            runs_store.wake(work.session, [parent.id], now=now)
            work.ring(AdvanceRun(parent.id))
        case AfterBranch.NOTHING:
            pass


def resume(work: UnitOfWork, run: LoadedRun, step: Step, now: datetime) -> None:
    """Let the branches of a step go on whose run was retried, and as many more as may begin."""
    due_at = now + RING_AGAIN
    for branch_id in store.wake_resting(work.session, run.row.id, step.id, due_at=due_at):
        work.ring(AdvanceRunInBulk(branch_id))
    row = store.lock_spread(work.session, run.row.id, step.id)
    while after_branch(step, row.tally, cancelled=False) is AfterBranch.BEGIN_NEXT:
        _begin_next(work, run.row, run.root, step, row, now)


def collect_again(
    work: UnitOfWork, parent: RunRow, root: RunRow, step: Step, row: SpreadRow
) -> None:
    """Put the results where the step takes them from, if all branches have ended well.

    A run that was cancelled just then did not keep them.
    """
    is_over = after_branch(step, row.tally, cancelled=False) is AfterBranch.GO_ON
    if is_over and collects(step, cancelled=False):
        _collect(work, parent, root, step)


def end_soon(work: UnitOfWork, root_id: UUID, now: datetime) -> None:
    """Let the branches of a run that shall end be carried on now, to their end.

    Those that somebody holds locked at this moment are left out (`store.wake_free`): whoever waits
    for the branches asks again after END_AGAIN.
    """
    for branch_id in store.wake_free(work.session, root_id, now=now):
        work.ring(AdvanceRun(branch_id))


def _begin_next(
    work: UnitOfWork, parent: RunRow, root: RunRow, step: Step, row: SpreadRow, now: datetime
) -> None:
    number = row.begun
    row.begun += 1
    item = None
    if isinstance(step, EachStep):
        item = store.item(work.session, parent.id, step.id, number)
    _begin(work, parent, root, step, number, item, now)


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
    work.ring(AdvanceRunInBulk(branch.id))


def _collect(work: UnitOfWork, parent: RunRow, root: RunRow, step: Step) -> None:
    """Put what the items gave where the step of `for_each` takes it from."""
    work.session.flush()  # the output of the branch that ended last is among them
    answer = gather_results(store.outputs(work.session, parent.id, step.id))
    if not answer["complete"]:
        kept = len(answer["results"])
        log.warning("results_cut", run_id=str(root.id), step=step.id, kept=kept)
    row: StepRow = runs_store.step_of(work.session, parent.id, step.id)
    row.answer = answer

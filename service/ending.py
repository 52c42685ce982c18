"""The end of a run: recorded, told to who called it, and its places left to others."""

from __future__ import annotations

from datetime import datetime

import structlog
from pydantic import ValidationError

from schemas.jobs import AdvanceRun
from service import admission, awaiting, branches
from service.calling import answer_caller
from service.emitting import announce_failure
from service.resting import keep_doubts_open, release
from service.runtime import Runtime
from service.store import runs as store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.versions import Version
from service.workflows.decisions import Finish
from service.workflows.gates import gates_of

log = structlog.get_logger(__name__)


def finish(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    version: Version,
    decision: Finish,
    now: datetime,
) -> None:
    """End a run, or a branch, which counts for what it belongs to."""
    row = run.row
    _close(runtime, work, run, decision, now)
    if row.container is not None:
        step = version.document.step(row.container)
        tidying = version.document.is_tidying(step.id)
        branches.end(work, run, step, decision, now, tidying=tidying)
        return
    _tell_of_end(runtime, work, run, decision)
    if gates_of(version.document):
        admission.leave(work, row.id, now)


def give_up(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, decision: Finish, now: datetime
) -> None:
    """End a run that cannot be carried on, be it that its document cannot even be read."""
    try:
        version = runtime.versions.open(run.row.workflow, run.version)
    except ValidationError:
        admission.leave(work, run.row.id, now)
        _close(runtime, work, run, decision, now)
        if run.row.container is None:
            _tell_of_end(runtime, work, run, decision)
            return
        # Nobody can count this branch in: its run meets the same fault, and ends by it too.
        run.root.due_at = now
        work.ring(AdvanceRun(run.root.id))
        return
    finish(runtime, work, run, version, decision, now)


def _close(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, decision: Finish, now: datetime
) -> None:
    """Record that a run or branch has ended; what of it is in doubt stays so, with its alert."""
    row = run.row
    keep_doubts_open(runtime, work, run, now)
    awaiting.end(work, run)
    if run.wait is not None:
        store.clear_wait(work.session, row.id)
    row.status = decision.status
    row.error = None if decision.error is None else decision.error.model_dump(mode="json")
    row.output = decision.output
    row.ended_at = now
    release(run, due_at=None)


def _tell_of_end(runtime: Runtime, work: UnitOfWork, run: LoadedRun, decision: Finish) -> None:
    row = run.row
    answer_caller(runtime, work, row, decision)
    if row.error is not None:
        announce_failure(runtime, work, run, row.error)
    log.info("run_ended", run_id=str(row.id), workflow=row.workflow, status=decision.status)

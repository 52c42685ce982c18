"""New runs carried on together, many in one transaction, as far as they ask nothing of others.

What happens here alone (events that are emitted, steps that are skipped, the end) needs no lease:
the runs are locked until all of it is committed, and a worker that is lost leaves them as they
were. Whatever else a run comes to is left to `runs.advance_run`, which carries on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.document import Document, EmitStep
from schemas.jobs import AdvanceRunInBulk
from schemas.run_tables import AttemptRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus, StepState, StepStatus
from service.db import in_short, is_outage
from service.emitting import event_of_step, stored_as
from service.ending import finish
from service.errors import Unavailable
from service.routing import store_and_route
from service.run_records import new_step, store_state, view_of
from service.runtime import Runtime
from service.starting import RING_AGAIN
from service.store import new_runs as store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork, unit_of_work
from service.versions import Version
from service.workflows.decisions import Done, Failed, Finish, Perform, RunView, Skip
from service.workflows.gates import gates_of
from service.workflows.planner import plan
from service.workflows.transitions import after_attempt

log = structlog.get_logger(__name__)

TOGETHER = 100
TOGETHER_ON_SQLITE = 25
"""There nobody else writes meanwhile, and the door waits."""


@dataclass(slots=True)
class _Going:
    """A new run that is being carried on, how far it has come, and what it does now."""

    run: LoadedRun
    version: Version
    view: RunView
    states: dict[str, StepState] = field(default_factory=dict)
    attempts: list[tuple[Perform, datetime]] = field(default_factory=list)
    emits: tuple[Perform, EventRow] | None = None
    end: Finish | None = None

    def take(self, state: StepState) -> None:
        """Go on from a step's new state."""
        self.states[state.step_id] = state
        self.view = replace(self.view, steps=self.states)


def begin_runs(runtime: Runtime, run_ids: Sequence[UUID]) -> None:
    """Carry new runs on as far as they ask nothing of others, and ring for those that go on.

    Nothing happens to runs that are not new any more. Raises Unavailable when the database is away.
    """
    most = TOGETHER_ON_SQLITE if runtime.database.is_sqlite else TOGETHER
    for start in range(0, len(run_ids), most):
        part = run_ids[start : start + most]
        try:
            if not runtime.stopping.is_set():
                _begin(runtime, part)
                continue
        except Unavailable:
            raise
        except Exception as error:
            if is_outage(error):
                raise
            # One of them is to blame. Carried on alone, it fails alone.
            log.warning("runs_not_begun_together", runs=len(part), reason=in_short(error))
        runtime.queue.ring([AdvanceRunInBulk(run_id) for run_id in part])


def _begin(runtime: Runtime, run_ids: Sequence[UUID]) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        going = _take(runtime, work, run_ids)
        left = going
        while left and not work.holds_others:
            for one in left:
                _decide(runtime, one)
            left = [one for one in left if one.emits is not None]
            _emit(runtime, work, left)
        _record(runtime, work, going)


def _take(runtime: Runtime, work: UnitOfWork, run_ids: Sequence[UUID]) -> list[_Going]:
    """Lock the runs. Those that begin otherwise than alone and at once are rung for."""
    found = store.lock_new(work.session, run_ids)
    versions = store.versions_of(work.session, [row for row, _ in found])
    going = []
    for row, event in found:
        try:
            version = runtime.versions.open(row.workflow, versions[row.workflow_version_id])
        except ValidationError:
            version = None
        if version is None or row.shadow or not _begins_here(version.document):
            work.ring(AdvanceRunInBulk(row.id))
            continue
        row.started_at = runtime.clock()
        run = LoadedRun(row, (row,), event, versions[version.id], {}, {}, None, {}, {})
        going.append(_Going(run, version, view_of(runtime, work, run, version)))
    return going


def _begins_here(document: Document) -> bool:
    first = document.steps[0]
    return not gates_of(document) and (first.condition is not None or isinstance(first, EmitStep))


def _decide(runtime: Runtime, one: _Going) -> None:
    """Go on until an event is to be stored, until the end, or until others are needed."""
    while True:
        now = runtime.clock()
        decision = plan(one.version.document, one.view, now)
        match decision:
            case Skip() | Done() if decision.state.status is not StepStatus.CANCELLED:
                one.take(decision.state)
            case Perform(step=EmitStep() as step, params=params, state=state):
                event = event_of_step(one.run.row, step, params, state.round, now)
                if not isinstance(event, Failed):
                    one.emits = (decision, event)
                return
            case Finish(status=RunStatus.SUCCEEDED):
                one.end = decision
                return
            case _:
                return


def _emit(runtime: Runtime, work: UnitOfWork, emitting: Sequence[_Going]) -> None:
    """Store the events of these runs together, and go on from there."""
    events = [one.emits[1] for one in emitting if one.emits is not None]
    if not events:
        return
    new = {event.id for event in store_and_route(runtime, work, events)}
    now = runtime.clock()
    for one in emitting:
        if one.emits is None:
            continue
        decision, event = one.emits
        one.emits = None
        outcome = stored_as(work, event, event.id if event.id in new else None)
        document = one.version.document
        one.attempts.append((decision, now))
        one.take(
            after_attempt(
                document, one.view, decision.state, outcome, now=now, jitter=runtime.jitter()
            )
        )


def _record(runtime: Runtime, work: UnitOfWork, going: Sequence[_Going]) -> None:
    """Write down how far these runs have come, and ring for those that have not ended."""
    moved, steps, attempts = [], [], []
    for one in going:
        row, now = one.run.row, runtime.clock()
        for state in one.states.values():
            steps.append(new_step(one.run, one.version, state.step_id))
            store_state(work, one.run, one.version, state, now)
        attempts += [_attempt(one, decision, ended) for decision, ended in one.attempts]
        if one.end is not None:
            finish(runtime, work, one.run, one.version, one.end, now)
        else:
            row.due_at = now + RING_AGAIN
            work.ring(AdvanceRunInBulk(row.id))
        if one.end is not None or one.states:
            row.status = RunStatus.RUNNING if one.end is None else row.status
            moved.append(row)
    store.store_progress(work.session, moved, steps, attempts)


def _attempt(one: _Going, decision: Perform, ended: datetime) -> AttemptRow:
    state = one.states[decision.step.id]
    return AttemptRow(
        step_id=one.run.steps[decision.step.id].id,
        run_id=one.run.row.id,
        number=decision.attempt,
        status=state.status,
        started_at=state.attempted_at or ended,
        ended_at=ended,
        output=state.output,
    )

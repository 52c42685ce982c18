"""A run that failed or was cancelled goes on from the step at which it ended.

What succeeded is kept. The step that failed is performed anew with all its retries; of a `parallel`
or `for_each` only the branches that failed or were cancelled begin again, and what has not begun
begins. The steps of `on_failure` and `on_cancel` are performed once more should it end so again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog

from schemas.document import ApprovalStep, Document, Step
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow, SpreadRow, StepRow, TurnRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus, StepStatus
from service import audit, branches
from service.db import Database
from service.doubts import record_state, state_of, was
from service.errors import Conflict, NotFound
from service.event_form import event_view
from service.queue import Queue
from service.starting import RING_AGAIN, inputs_of, key_fault
from service.store import branches as branches_store
from service.store import doubts as store
from service.store import retries
from service.store.payloads import forget_output, payload_of
from service.store.runs import ACTIVE, CONTAINERS, version_of
from service.tokens import Caller
from service.unit_of_work import UnitOfWork, unit_of_work
from service.workflows.document import merge_vars
from service.workflows.expressions import ExpressionError
from service.workflows.gates import Gate, gate_name, gates_of
from service.workflows.scope import start_scope
from service.workflows.transitions import anew

log = structlog.get_logger(__name__)

_RETRIED = (RunStatus.FAILED.value, RunStatus.CANCELLED.value)


def retry_run(
    database: Database, queue: Queue, *, run_id: UUID, caller: Caller, now: datetime
) -> None:
    """Let a run that failed or was cancelled go on from where it ended, with its own version.

    Raises NotFound, and Conflict as `retry_in` does.
    """
    with unit_of_work(database, queue) as work:
        run = store.lock_run(work.session, run_id)
        if run is None:
            raise NotFound("there is no run with this id")
        retry_in(work, run, now)
        audit.record(
            work.session,
            caller,
            "run.retry",
            str(run_id),
            now=now,
            details={"workflow": run.workflow, "retries": run.retries},
        )
    log.info("run_retried", run_id=str(run_id), who=caller.label)


def retry_in(work: UnitOfWork, run: RunRow, now: datetime) -> None:
    """Do so in a transaction that has locked the run.

    A step that failed and was tolerated (`on_error: continue`) stays failed: what followed it has
    counted on that. Raises Conflict for a run that ended well, for a branch, and while a step is in
    doubt.
    """
    _check(work, run)
    document = Document.model_validate(version_of(work.session, run).document)
    _renew(work, document, run, run, document.steps, now)
    for step in (*document.on_failure, *document.on_cancel):
        _perform_again(work, run, step, now)
    run.retries += 1
    _begin_again(run)
    run.due_at = now + RING_AGAIN
    _place_before_gate(work, run, document)
    work.ring(AdvanceRun(run.id))


def _check(work: UnitOfWork, run: RunRow) -> None:
    if run.parent_id is not None:
        raise Conflict(
            f"this is the branch {run.path} of a run, and cannot be retried by itself",
            hint=f"retry the whole run: {run.run_id}",
        )
    if run.status in ACTIVE:
        raise Conflict("the run has not ended", hint="cancel it first, or wait for its end")
    # A retried run may have met a gate that lets nobody wait.
    was_skipped = run.status == RunStatus.SKIPPED and run.retries > 0
    if run.status not in _RETRIED and not was_skipped:
        raise Conflict(f"the run {was(run.status)}: only what failed or was cancelled goes on")
    doubtful = store.doubtful_steps(work.session, run.id)
    if doubtful:
        owner, step = doubtful[0]
        raise Conflict(
            f"whether step {step} took effect is unknown",
            hint=f"find out, then: hookwright run settle {owner} {step} "
            "--took-effect (or --not-made); then retry",
        )
    if retries.has_active_branches(work.session, run.id):
        raise Conflict("some of its branches are still being ended", hint="try again in a moment")


def _renew(
    work: UnitOfWork,
    document: Document,
    root: RunRow,
    row: RunRow,
    steps: Sequence[Step],
    now: datetime,
) -> None:
    """Let a run or branch go on at the step of this sequence at which it ended."""
    states = store.steps_of(work.session, row.id)
    for step in steps:
        state = states.get(step.id)
        if state is None or not _broke_off(step, state):
            continue
        spread = None
        if state.kind in CONTAINERS:
            spread = branches_store.find_spread(work.session, row.id, step.id)
        if spread is not None:
            _resume(work, document, root, row, step, state, spread, now)
            continue
        asked_outside = isinstance(step, ApprovalStep) and step.approval.ask is not None
        _record_anew(work, state, another_effect=asked_outside, now=now)


def _broke_off(step: Step, state: StepRow) -> bool:
    if state.status == StepStatus.FAILED:
        return step.on_error == "fail"
    # What still waits is of a run that was set aside.
    return state.status in {StepStatus.CANCELLED, StepStatus.WAITING}


def _resume(
    work: UnitOfWork,
    document: Document,
    root: RunRow,
    row: RunRow,
    step: Step,
    state: StepRow,
    spread: SpreadRow,
    now: datetime,
) -> None:
    """Let those branches of a step begin again that did not succeed."""
    wanted = [RunStatus.CANCELLED.value]
    if step.on_error == "fail":
        wanted.append(RunStatus.FAILED.value)
    for branch in retries.lock_branches(work.session, row.id, step.id, wanted):
        if branch.status == RunStatus.FAILED:
            spread.failed -= 1
        else:
            spread.cancelled -= 1
        sequence = document.sequence(step.id, branch.number or 0)
        _renew(work, document, root, branch, sequence, now)
        _begin_again(branch)
    if not spread.failed:
        spread.first_error = None
    state.status = StepStatus.WAITING
    state.error = state.reason = state.answer = state.ended_at = None
    forget_output(work.session, state)
    branches.collect_again(work, row, root, step, spread)


def _perform_again(work: UnitOfWork, run: RunRow, step: Step, now: datetime) -> None:
    """Let a step of `on_failure` or `on_cancel` make its effects once more."""
    state = store.steps_of(work.session, run.id).get(step.id)
    if state is None:
        return
    if state.kind in CONTAINERS:
        retries.forget_branches(work.session, run.id, step.id)
    _record_anew(work, state, another_effect=True, now=now)


def _record_anew(work: UnitOfWork, row: StepRow, *, another_effect: bool, now: datetime) -> None:
    record_state(row, anew(state_of(row), another_effect=another_effect), now)
    forget_output(work.session, row)


def _begin_again(row: RunRow) -> None:
    """Let a run or branch begin; branches rest until their run has passed its gates again."""
    row.status = RunStatus.PENDING
    row.error = row.reason = row.output = row.ended_at = row.due_at = None
    row.cancel_requested = False
    row.lease_owner = row.lease_until = None
    row.failures = 0


def _place_before_gate(work: UnitOfWork, run: RunRow, document: Document) -> None:
    """Let the run wait its turn like any other; events it gathers no more."""
    gate = next((gate for gate in gates_of(document) if gate is not Gate.GATHER), None)
    if gate is None or run.event_id is None:
        return
    event = work.session.get_one(EventRow, run.event_id)
    view = event_view(event) | {"payload": payload_of(work.session, event)}
    values = merge_vars(document, version_of(work.session, run).vars)
    scope = start_scope(view, values, inputs_of(document, event))
    try:
        name = gate_name(document, gate, scope)
    except ExpressionError as error:
        raise Conflict(key_fault(gate, error)) from error
    work.session.add(TurnRow(gate=name, run_id=run.id))

"""Decisions of people on what a step asks: over the API, or by a press where it was asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.document import Document
from schemas.events import ApprovalFacts
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow, StepRow
from schemas.storable import storable
from schemas.tables import DECIDED, EventRow
from schemas.workflow import StepState, StepStatus
from service import audit
from service.audit import Who
from service.db import Database, Session
from service.doubts import APPROVAL, record_asked, was
from service.errors import Conflict, HookwrightError, NotFound
from service.own_events import VENDOR, Announce
from service.queue import Queue
from service.store import approvals as store
from service.store import doubts
from service.store.runs import ACTIVE, LoadedRun, version_of
from service.unit_of_work import UnitOfWork, unit_of_work
from service.workflows.own_steps import unasked
from service.workflows.waiting import approval_answer

log = structlog.get_logger(__name__)

NOTE_LENGTH = 2000


def decide(
    database: Database,
    queue: Queue,
    *,
    run_id: UUID,
    step: str,
    approved: bool,
    by: Who,
    note: str | None,
    now: datetime,
) -> None:
    """Record what a person decided on a step that asks for it, and let its run go on.

    `step` may stand in a branch: `each[3].note`. Raises NotFound, and Conflict unless the step
    waits for a decision; who decided first is named.
    """
    with unit_of_work(database, queue) as work:
        run, row = _locked(work.session, run_id, step)
        _check_open(work.session, run, row, now)
        answer = _answer(approved=approved, by=audit.name_of(by), note=note, now=now)
        _give(work, run, row, answer, now)
        noted = {"workflow": run.workflow, "step": row.step}
        action = "run.approve" if approved else "run.reject"
        audit.note(work.session, by, action, str(run.id), now=now, details=noted)


def take_decisions(
    work: UnitOfWork, events: Iterable[EventRow], *, now: datetime, announce: Announce
) -> None:
    """Act upon those of these new events that tell of a decision."""
    told = [event for event in events if event.type == DECIDED and event.vendor != VENDOR]
    # In one order, so that two deliveries of many presses cannot wait for one another.
    for event in sorted(told, key=lambda event: (event.subject or "", event.id)):
        _take(work, event, now, announce)


def decided_already(
    work: UnitOfWork, run: LoadedRun, state: StepState, now: datetime
) -> StepState | None:
    """Give the state of a step that is about to wait for a decision which is known; else None.

    In shadow mode nobody is asked: the step goes on as if somebody had approved. And somebody can
    press a button before the answer that the question was posted has reached us.
    """
    if run.row.shadow:
        return unasked(state, now)
    if state.attempted_at is None:
        return None
    for event in store.decisions_since(work.session, str(run.row.id), state.attempted_at):
        facts = _facts(event)
        if facts is None or facts.step != state.step_id or facts.approved is None:
            continue
        if store.was_asked_by(work.session, run.row.id, state.step_id, event):
            answer = _answer(approved=facts.approved, by=facts.by, note=None, now=now)
            return state.model_copy(update={"answer": answer})
    return None


def _take(work: UnitOfWork, event: EventRow, now: datetime, announce: Announce) -> None:
    facts = _facts(event)
    if facts is None or facts.run_id is None or facts.step is None or facts.approved is None:
        return
    try:
        run, row = _locked(work.session, UUID(facts.run_id), facts.step)
        _check_open(work.session, run, row, now, pressed=True)
    except (ValueError, HookwrightError) as error:
        log.info("decision_not_taken", event_id=str(event.id), reason=str(error))
        return
    if not store.was_asked_by(work.session, run.id, row.step, event):
        reason = "it was not asked there"
        log.warning("decision_not_taken", event_id=str(event.id), reason=reason)
        return
    if row.status == StepStatus.IN_DOUBT:
        # Who presses a button has seen the question.
        record_asked(work, run, row, now=now, who=facts.by, announce=announce)
    answer = _answer(approved=facts.approved, by=facts.by, note=None, now=now)
    _give(work, run, row, answer, now)


def _locked(session: Session, run_id: UUID, step: str) -> tuple[RunRow, StepRow]:
    run_id, step = doubts.find_step(session, run_id, step)
    run = doubts.lock_run(session, run_id)
    if run is None:
        raise NotFound("there is no run with this id")
    row = doubts.steps_of(session, run_id).get(step)
    if row is None:
        raise NotFound(
            f"this run has no step `{step}`, or has not come to it",
            hint=f"`hookwright run show {run.id}` shows its steps",
        )
    return run, row


def _check_open(
    session: Session, run: RunRow, row: StepRow, now: datetime, *, pressed: bool = False
) -> None:
    if row.kind != APPROVAL:
        raise Conflict(f"the step {row.step} asks for no decision")
    decided = row.answer or row.output or {}
    if decided.get("timed_out"):
        raise Conflict("the time for a decision is over: nobody decided")
    if decided.get("decided_at"):
        word = "approved" if decided.get("approved") else "rejected"
        by = f" by {decided['by']}" if decided.get("by") else ""
        raise Conflict(f"it was {word}{by} at {decided['decided_at']}")
    if run.status not in ACTIVE:
        raise Conflict(f"the run has ended: it {was(run.status)}")
    if doubts.is_cancelled(session, run) and not _is_tidying(session, run, row):
        raise Conflict("the run is about to end: it shall be cancelled")
    if row.status == StepStatus.IN_DOUBT:
        if pressed:
            return
        raise Conflict(
            "nobody knows whether the question was asked",
            hint=f"say so first: hookwright run settle {run.id} {row.step} --took-effect",
        )
    if row.status != StepStatus.WAITING:
        raise Conflict(f"the step {row.step} does not wait for a decision: it is {row.status}")
    until = store.open_until(session, run.id, row.step)
    if until is not None and until <= now:
        raise Conflict("the time for a decision is over: nobody decided")


def _is_tidying(session: Session, run: RunRow, row: StepRow) -> bool:
    """Say whether the cancel itself let this step begin."""
    document = Document.model_validate(version_of(session, run).document)
    return document.is_tidying(row.step)


def _give(
    work: UnitOfWork, run: RunRow, row: StepRow, answer: dict[str, Any], now: datetime
) -> None:
    row.answer = answer
    run.due_at = now
    work.ring(AdvanceRun(run.id))
    log.info(
        "step_decided",
        run_id=str(run.id),
        step=row.step,
        approved=answer["approved"],
        who=answer["by"],
    )


def _answer(*, approved: bool, by: str | None, note: str | None, now: datetime) -> dict[str, Any]:
    return approval_answer(
        approved=approved,
        by=by,
        note=storable(note)[:NOTE_LENGTH] if note else None,
        decided_at=now.isoformat().replace("+00:00", "Z"),
    )


def _facts(event: EventRow) -> ApprovalFacts | None:
    try:
        return ApprovalFacts.model_validate(event.facts)
    except ValidationError:
        return None

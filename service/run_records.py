"""Between the rows of a run and what the planner sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.document import Document, EachStep, Step, kind_of
from schemas.events import Json
from schemas.run_tables import RunRow, StepRow
from schemas.tables import EventRow
from schemas.workflow import StepError, StepState, StepStatus
from service.routing import event_view
from service.runtime import Runtime
from service.starting import inputs_of
from service.store import runs as store
from service.store.payloads import keep_output, output_of, payload_of
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.versions import Reads, Version
from service.workflows.decisions import Place, RunView


def view_of(runtime: Runtime, work: UnitOfWork, run: LoadedRun, version: Version) -> RunView:
    """Give what the planner needs to know of a run or a branch."""
    document = version.document
    wanted = version.reads(run.row.container)
    event = event_view(run.event)
    if run.event.payload_id is not None and wanted.payload:
        event["payload"] = payload_of(work.session, run.event)
    gathers = document.coalesce is not None or document.quiet is not None
    reads = gathers and wanted.events
    events = store.events_of(work.session, run.root.id, run.event) if reads else ()
    return RunView(
        event=event,
        run=_facts(runtime, run, version, event),
        vars=version.vars,
        steps={
            name: _state(work, run, row, wanted)
            for rows in (run.around, run.steps)
            for name, row in rows.items()
        },
        events=[_joined(work, row, wanted) for row in events],
        inputs=inputs_of(document, run.event),
        items=_items(document, run),
        place=_place(run.row),
        cancel_requested=run.cancel_requested,
    )


def store_state(
    work: UnitOfWork, run: LoadedRun, version: Version, state: StepState, now: datetime
) -> StepRow:
    """Write a step's state into its row, which is made when there is none."""
    row = run.steps.get(state.step_id)
    if row is None:
        row = new_step(run, version, state.step_id)
        work.session.add(row)
    row.status = state.status
    row.attempts = state.attempts
    row.put_off = state.put_off
    row.polls = state.polls
    row.round = state.round
    if state.output is not None or row.output_id is None:
        keep_output(work.session, row, state.output, now=now)
    row.answer = state.answer
    row.error = None if state.error is None else state.error.model_dump(mode="json")
    row.reason = state.reason
    row.started_at = state.started_at
    row.attempted_at = state.attempted_at
    row.ended_at = now if state.status.is_final else None
    run.pauses[state.step_id] = (state.due_at, state.wait)
    return row


def new_step(run: LoadedRun, version: Version, step_id: str) -> StepRow:
    """Give the row of a step that had none, which is the run's from now on."""
    step = version.document.step(step_id)
    row = run.steps[step_id] = StepRow(
        run_id=run.row.id,
        step=step_id,
        position=list(version.document.by_id).index(step_id),
        action=action_of(step),
        kind=kind_of(step),
        status=StepStatus.PENDING,
    )
    return row


def action_of(step: Step) -> str | None:
    """Give the action that a step performs, None when it performs none."""
    uses: str | None = getattr(step, "uses", None)
    return uses


def _joined(work: UnitOfWork, row: EventRow, wanted: Reads) -> dict[str, Json]:
    view = event_view(row)
    if row.payload_id is not None and wanted.payload:
        view["payload"] = payload_of(work.session, row)
    return view


def _state(work: UnitOfWork, run: LoadedRun, row: StepRow, wanted: Reads) -> StepState:
    own = row.run_id == run.row.id
    due_at, wait = run.pauses.get(row.step, (None, None)) if own else (None, None)
    spread = run.spreads.get(row.step) if own else None
    return StepState(
        step_id=row.step,
        status=StepStatus(row.status),
        attempts=row.attempts,
        put_off=row.put_off,
        polls=row.polls,
        round=row.round,
        started_at=row.started_at,
        attempted_at=row.attempted_at,
        due_at=due_at,
        wait=wait,
        output=output_of(work.session, row) if wanted.output(row.step) else row.output,
        error=None if row.error is None else StepError.model_validate(row.error),
        reason=row.reason,
        answer=row.answer,
        tally=None if spread is None else spread.tally,
    )


def _facts(
    runtime: Runtime, run: LoadedRun, version: Version, event: Mapping[str, Json]
) -> dict[str, Json]:
    root = run.root
    return {
        "id": str(root.id),
        "workflow": root.workflow,
        "version": version.number,
        "mode": "shadow" if root.shadow else "live",
        "started_at": None if root.started_at is None else root.started_at.isoformat(),
        "url": runtime.run_url(root.id),
        "correlation_id": str(root.correlation_id),
        "event": dict(event),
    }


def _place(row: RunRow) -> Place | None:
    if row.container is None or row.number is None:
        return None
    return Place(row.container, row.number)


def _items(document: Document, run: LoadedRun) -> dict[str, Any]:
    """Give the variables of the loops around a branch, the outermost first."""
    found: dict[str, Any] = {}
    for link in reversed(run.chain):
        step = None if link.container is None else document.by_id.get(link.container)
        if isinstance(step, EachStep):
            found[step.variable] = link.item
            found[f"{step.variable}_index"] = link.number
    return found

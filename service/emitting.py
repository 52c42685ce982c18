"""A step that emits an event of ours, which may start other workflows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from schemas.document import EmitStep
from schemas.events import EventDraft, Json, RunFacts
from schemas.run_tables import RunRow
from schemas.tables import EventRow
from service.own_events import own_event
from service.routing import store_and_route
from service.runtime import Runtime
from service.store.deliveries import event_id
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.workflows.decisions import Failed, Outcome, Succeeded
from service.workflows.own_steps import emitted


def emit(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    step: EmitStep,
    params: Mapping[str, Json],
    round_number: int,
) -> Outcome:
    """Store the event of an `emit` step and start what it matches, in the run's transaction."""
    event = event_of_step(run.row, step, params, round_number, runtime.clock())
    if isinstance(event, Failed):
        return event
    if run.row.shadow:
        return Succeeded({"event_id": None})
    stored = store_and_route(runtime, work, [event])
    return stored_as(work, event, stored[0].id if stored else None)


def event_of_step(
    row: RunRow, step: EmitStep, params: Mapping[str, Json], round_number: int, now: datetime
) -> EventRow | Failed:
    """Give the event that an `emit` step of this run emits."""
    draft = emitted(step, params)
    if isinstance(draft, Failed):
        return draft
    return own_event(draft, key=f"emit:{row.id}:{step.id}:{round_number}", now=now, caused_by=row)


def stored_as(work: UnitOfWork, event: EventRow, new: UUID | None) -> Succeeded:
    """Give the outcome of a step whose event is stored. `new`: its id, None when it was before."""
    known = event_id(work.session, event.dedupe_key) if new is None else new
    return Succeeded({"event_id": str(known)})


def announce_failure(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, error: Mapping[str, Json]
) -> None:
    """Emit `run.failed`, unless the run was itself started by one: it would never end."""
    if run.event.type == "run.failed" or run.row.shadow:
        return
    store_and_route(runtime, work, [_failure(runtime, run.row, error)])


def _failure(runtime: Runtime, row: RunRow, error: Mapping[str, Json]) -> EventRow:
    return own_event(
        EventDraft(
            type="run.failed",
            vendor_type="run.failed",
            subject=str(row.id),
            facts=RunFacts(
                run_id=str(row.id),
                workflow=row.workflow,
                step=error.get("step"),
                code=error.get("code"),
                message=error.get("message"),
                url=runtime.run_url(row.id),
            ).model_dump(mode="json"),
        ),
        key=f"run.failed:{row.id}:{row.retries}",
        now=runtime.clock(),
        caused_by=row,
    )

"""Starting runs: for events that match, by hand, and for a step that calls a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from schemas.document import Document
from schemas.events import EventDraft, Json, Origin
from schemas.ids import new_id
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus
from service.own_events import VENDOR, own_event
from service.runtime import Runtime
from service.store import runs as store
from service.unit_of_work import UnitOfWork
from service.versions import Version
from service.workflows.inputs import default_inputs
from service.workflows.matching import matches
from service.workflows.own_steps import MOST_DEPTH

RING_AGAIN = timedelta(seconds=10)
"""A new run is rung for again after this long, should its first bell be lost."""
STARTED_BY_HAND = "workflow.started"
CALLED = "workflow.called"
SCHEDULED = "schedule.due"
DIRECT = frozenset({STARTED_BY_HAND, CALLED, SCHEDULED})
"""Events that start the one workflow they are made for, and are matched with no other."""


def start_matching(
    runtime: Runtime,
    work: UnitOfWork,
    events: Sequence[tuple[EventRow, Mapping[str, Json]]],
) -> None:
    """Start the runs that new events match. `events` come with their JSON form."""
    versions = runtime.versions.current(work.session) if events else ()
    now = runtime.clock()
    runs = [
        run
        for event, view in events
        for version in versions
        if (run := _match(runtime, version, event, view, now)) is not None
    ]
    begin(work, runs)


def begin(work: UnitOfWork, runs: Sequence[RunRow]) -> list[RunRow]:
    """Store new runs and ring for those that may begin; gives the new ones."""
    new = store.store_runs(work.session, runs)
    for run in new:
        if run.status == RunStatus.PENDING:
            work.ring(AdvanceRun(run.id))
    return new


def start_directly(
    runtime: Runtime,
    work: UnitOfWork,
    version: Version,
    *,
    event_type: str,
    facts: Mapping[str, Json],
    key: str,
    caused_by: RunRow | None = None,
    caller_step: str | None = None,
) -> RunRow:
    """Start one workflow with an event of ours: by hand, by its schedule, or called by a run.

    `key` is the same whenever the same start is asked for again. `caused_by` with `caller_step`:
    the run (or branch) whose step calls it. Raises ChainTooLong.
    """
    now = runtime.clock()
    event = own_event(
        EventDraft(
            type=event_type, vendor_type=event_type, subject=version.name, facts=dict(facts)
        ),
        key=key,
        now=now,
        origin=Origin.OWN,
        caused_by=caused_by,
    )
    work.session.add(event)
    work.session.flush()
    run = new_run(runtime, version, event, now=now, reason=None)
    if caused_by is not None:
        run.caller_id, run.caller_step = caused_by.id, caller_step
        run.shadow = run.shadow or caused_by.shadow
    begin(work, [run])
    return run


def new_run(
    runtime: Runtime, version: Version, event: EventRow, *, now: datetime, reason: str | None
) -> RunRow:
    """Give the row of a run that is to begin."""
    return RunRow(
        id=new_id(),
        event_id=event.id,
        workflow_version_id=version.id,
        workflow=version.name,
        status=RunStatus.PENDING,
        shadow=runtime.shadow or version.document.mode == "shadow",
        reason=reason,
        correlation_id=event.correlation_id,
        created_at=now,
        due_at=now + RING_AGAIN,
        depth=event.depth,
    )


def inputs_of(document: Document, event: EventRow) -> dict[str, Any]:
    """Give the inputs of a run: those of a start by hand or a call, else the defaults."""
    given = event.facts.get("inputs") if event.vendor == VENDOR and event.type in DIRECT else None
    return default_inputs(document) | (dict(given) if isinstance(given, Mapping) else {})


def _match(
    runtime: Runtime,
    version: Version,
    event: EventRow,
    view: Mapping[str, Json],
    now: datetime,
) -> RunRow | None:
    match = matches(version.document, view, version.vars)
    if not match.started and match.error is None:
        return None
    run = new_run(runtime, version, event, now=now, reason=match.reason)
    if event.depth > MOST_DEPTH:
        run.reason = f"{MOST_DEPTH} runs stand before it in its chain: it would never end"
    if not match.started or event.depth > MOST_DEPTH:
        run.status = RunStatus.SKIPPED
        run.ended_at = now
        run.due_at = None
    return run

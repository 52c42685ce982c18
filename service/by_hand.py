"""What people do with workflows: start one, and switch one off and on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import structlog

from schemas.document import ManualTrigger
from schemas.events import Json
from schemas.ids import new_id
from schemas.run_tables import RunRow
from schemas.storable import storable
from service.audit import Who, name_of, note
from service.db import Database
from service.errors import Conflict, Invalid, NotFound
from service.event_form import event_view
from service.gathering import NewRun
from service.queue import Queue
from service.runtime import Runtime
from service.starting import STARTED_BY_HAND, Hand, begin, new_run, start_directly
from service.store import starts
from service.store.marks import bump_mark
from service.store.payloads import payload_of
from service.unit_of_work import UnitOfWork, unit_of_work
from service.versions import MARK, Version
from service.workflows.inputs import WrongInputs, check_inputs

log = structlog.get_logger(__name__)


def start_by_hand(
    runtime: Runtime,
    name: str,
    inputs: Mapping[str, Json] | None = None,
    *,
    event_id: UUID | None = None,
    key: str | None = None,
    by: Who,
) -> UUID:
    """Start a workflow: with inputs if it has a `manual` trigger, or anew for a stored event.

    Gives the run's id. `key` is the same whenever the same start with inputs is asked for again,
    which gives the same run. What the document's conditions say of the event is not asked: who
    starts it has decided. Raises NotFound, Conflict when it is disabled, Invalid.
    """
    who = name_of(by)
    with unit_of_work(runtime.database, runtime.queue) as work:
        version = _version(runtime, work, name)
        if event_id is None:
            run = _start_with_inputs(runtime, work, version, inputs or {}, key, who)
        elif inputs:
            raise Invalid("a run is started with inputs or for an event, not both")
        else:
            run = _start_for_event(runtime, work, version, event_id, who)
        noted = {"run_id": str(run.id), "event_id": None if event_id is None else str(event_id)}
        note(work.session, by, "workflow.start", name, now=runtime.clock(), details=noted)
    log.info("run_started_by_hand", workflow=name, run_id=str(run.id), who=who)
    return run.id


def switch_workflow(
    database: Database, queue: Queue, *, name: str, enabled: bool, who: Who, now: datetime
) -> None:
    """Let a workflow start runs, or none any more; the runs it has go on. Raises NotFound."""
    with unit_of_work(database, queue) as work:
        row = starts.lock_workflow(work.session, name)
        if row is None:
            raise NotFound(f"there is no workflow {name!r}")
        if row.enabled == enabled:
            return
        row.enabled = enabled
        row.updated_at = now
        bump_mark(work.session, MARK)
        action = "workflow.enable" if enabled else "workflow.disable"
        note(work.session, who, action, name, now=now)
    log.info("workflow_switched", workflow=name, enabled=enabled, who=name_of(who))


def _version(runtime: Runtime, work: UnitOfWork, name: str) -> Version:
    versions = runtime.versions.current(work.session)
    version = next((item for item in versions if item.name == name), None)
    if version is not None:
        return version
    if not starts.has_workflow(work.session, name):
        raise NotFound(f"there is no workflow {name!r}")
    raise Conflict(f"the workflow {name} is disabled", hint=f"hookwright workflow enable {name}")


def _start_with_inputs(
    runtime: Runtime,
    work: UnitOfWork,
    version: Version,
    inputs: Mapping[str, Json],
    key: str | None,
    by: str,
) -> RunRow:
    document = version.document
    if not any(isinstance(trigger, ManualTrigger) for trigger in document.triggers):
        raise Invalid(
            f"{version.name} has no `manual` trigger",
            hint="give a stored event to start it for, or add `- manual: {}` to its `on`",
        )
    try:
        checked = storable(check_inputs(document, inputs))
    except WrongInputs as error:
        raise Invalid(str(error), hint=error.hint) from error
    except ValueError as error:
        raise Invalid(f"the inputs cannot be stored: {error}") from error
    return start_directly(
        runtime,
        work,
        version,
        event_type=STARTED_BY_HAND,
        facts={"workflow": version.name, "inputs": checked, "by": by},
        key=f"by-hand:{version.name}:{key or new_id()}",
        reason=f"started by {by}",
        hand=Hand(by),
    )


def _start_for_event(
    runtime: Runtime, work: UnitOfWork, version: Version, event_id: UUID, by: str
) -> RunRow:
    event = starts.event(work.session, event_id)
    if event is None:
        raise NotFound("there is no event with this id")
    view = event_view(event) | {"payload": payload_of(work.session, event)}
    now = runtime.clock()
    while True:
        reason = f"started by {by} for this event"
        run = new_run(runtime, version, event, now=now, reason=reason, hand=Hand(by))
        run.replay = starts.last_replay(work.session, event.id, version.name) + 1
        if begin(work, [NewRun(run, version, view)], now, gathers=False):
            return run
        # Somebody else has just started the same: this is one more.

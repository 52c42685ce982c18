"""A step that calls another workflow, and the called run that answers when it ends."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.document import CallStep
from schemas.events import Json
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow
from schemas.workflow import RunStatus
from service.answers import give_answer
from service.runtime import Runtime
from service.starting import CALLED, start_directly
from service.store import runs as store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.workflows.decisions import Failed, Finish, Outcome, Succeeded
from service.workflows.own_steps import called_inputs, unknown_workflow
from service.workflows.waiting import call_answer


def call_workflow(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    step: CallStep,
    params: Mapping[str, Json],
    attempt: int,
) -> Outcome:
    """Start the workflow that a step calls. Its run answers the step when it ends."""
    versions = runtime.versions.current(work.session)
    version = next((item for item in versions if item.name == step.call), None)
    if version is None:
        return unknown_workflow(step)
    found = called_inputs(version.document, params, depth=run.row.depth)
    if isinstance(found, Failed):
        return found
    facts = {
        "workflow": version.name,
        "inputs": found,
        "run_id": str(run.root.id),
        "step": step.id,
    }
    called = start_directly(
        runtime,
        work,
        version,
        event_type=CALLED,
        facts=facts,
        key=f"called:{run.row.id}:{step.id}:{attempt}",
        caused_by=run.row,
        caller_step=step.id,
    )
    if called.status == RunStatus.SKIPPED:
        # It was never begun, so nothing will ever answer.
        message = f"the called run {called.id} was skipped: {called.reason}"
        return Failed("called_run_failed", message, retryable=False)
    return Succeeded({"run_id": str(called.id)})


def answer_caller(runtime: Runtime, work: UnitOfWork, row: RunRow, decision: Finish) -> None:
    """Tell the step that called this run how it ended."""
    if row.caller_id is None or row.caller_step is None:
        return
    skipped = row.reason if decision.status is RunStatus.SKIPPED else None
    answer = call_answer(
        run_id=str(row.id),
        status=decision.status,
        outputs=decision.output if isinstance(decision.output, Mapping) else None,
        error=skipped if decision.error is None else decision.error.message,
    )
    give_answer(
        work,
        row.caller_id,
        row.caller_step,
        answer,
        now=runtime.clock(),
        asked={"run_id": str(row.id)},
    )


def cancel_called(runtime: Runtime, work: UnitOfWork, run: LoadedRun, step: str) -> bool:
    """Ask the run that a step called to end, since nobody waits for it any more.

    False when it cannot be asked at this moment.
    """
    called, are_all = store.called_by(work.session, run.row.id, step)
    for row in called:
        row.cancel_requested = True
        row.reason = "the run that called it was cancelled"
        row.due_at = runtime.clock()
        work.ring(AdvanceRun(row.id))
    return are_all

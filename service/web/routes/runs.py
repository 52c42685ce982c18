"""`/api/v1/runs`: executions of workflows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.api_runs import (
    BranchOut,
    BranchQuestion,
    RunDetail,
    RunOut,
    RunQuestion,
    Settlement,
    StepDecision,
)
from schemas.run_tables import RunRow
from schemas.statistics import CountOut
from service import approvals, doubts, retrying
from service.store import counting, listing, run_details
from service.store.run_details import Waiting
from service.web import described, run_shapes, shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Reading

router = APIRouter(prefix="/runs", tags=["runs"])

_DECIDING = described.problems(HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


@router.get("")
def list_runs(session: Reading, question: Annotated[RunQuestion, Query()]) -> api.Page[RunOut]:
    """List runs, newest first, without their branches."""
    found = listing.list_runs(session, question)
    waiting: list[tuple[RunRow, Waiting]] = []
    if question.waiting_for is not None:
        ids = [row.id for row in found.rows]
        waiting = run_details.waiting_under(session, ids, question.waiting_for)
    return shapes.page(found, lambda row: run_shapes.listed(row, waiting))


@router.get("/count")
def count_runs(
    session: Reading, parts: AnyParts, question: Annotated[RunQuestion, Query()]
) -> CountOut:
    """Count runs: exactly up to 10,000; more may be an estimate, which says so.

    `limit` and `cursor` are not heeded.
    """
    return counting.count_runs(session, question, parts.clock())


@router.get("/{run_id}")
def read_run(session: Reading, run_id: UUID) -> RunDetail:
    """Read a run or a branch: its event, steps with attempts, wait, effects and branches."""
    return run_shapes.run_detail(run_details.read_run(session, run_id))


@router.get("/{run_id}/branches")
def list_branches(
    session: Reading, run_id: UUID, question: Annotated[BranchQuestion, Query()]
) -> api.Page[BranchOut]:
    """List the branches of a run's own steps, newest first; those of a branch by its id."""
    found = run_details.list_branches(session, run_id, question)
    waits = run_details.waits_of(session, [row.id for row in found.rows])
    return shapes.page(found, lambda row: run_shapes.branch(row, waits))


@router.post(
    "/{run_id}/steps/{step:path}/settle", dependencies=[MayBeRepeated], responses=_DECIDING
)
def settle_step(
    session: Reading,
    parts: AnyParts,
    caller: Operator,
    run_id: UUID,
    step: str,
    settlement: Settlement,
) -> RunDetail:
    """Say whether a step in doubt took effect; its run goes on. Needs the role operator.

    A step in a branch is named by its path, as `each[3].note`, or by the branch's own id.

    What took effect makes the step succeeded; what was not made is tried again. 409 when the step
    is not in doubt (any more): who settles first has settled.
    """
    doubts.settle_step(
        parts.database,
        parts.queue,
        parts.actions,
        run_id=run_id,
        step=step,
        took_effect=settlement.took_effect,
        output=settlement.output,
        who=caller,
        now=parts.clock(),
        announce=parts.announce,
    )
    return run_shapes.run_detail(run_details.read_run(session, run_id))


@router.post(
    "/{run_id}/steps/{step:path}/look-up",
    dependencies=[MayBeRepeated],
    responses=_DECIDING,
    status_code=HTTPStatus.ACCEPTED,
)
def look_up_step(
    session: Reading, parts: AnyParts, caller: Operator, run_id: UUID, step: str
) -> RunDetail:
    """Let it be looked up once more whether a step in doubt took effect.

    Needs the role operator. For when an earlier look-up failed. What is found makes the step
    succeeded, what is not there is done now. 409 for an action that cannot be looked up, and when
    the step is not in doubt.
    """
    doubts.look_again(
        parts.database,
        parts.queue,
        parts.actions,
        run_id=run_id,
        step=step,
        who=caller,
        now=parts.clock(),
        announce=parts.announce,
    )
    return run_shapes.run_detail(run_details.read_run(session, run_id))


@router.post(
    "/{run_id}/cancel",
    dependencies=[MayBeRepeated],
    responses=_DECIDING,
    status_code=HTTPStatus.ACCEPTED,
)
def cancel_run(session: Reading, parts: AnyParts, caller: Operator, run_id: UUID) -> RunDetail:
    """Let a run end before its next step; a call that is under way is finished.

    Needs the role operator. 409 when the run has ended otherwise.
    """
    doubts.cancel_run(
        parts.database,
        parts.queue,
        run_id=run_id,
        who=caller,
        now=parts.clock(),
        announce=parts.announce,
    )
    return run_shapes.run_detail(run_details.read_run(session, run_id))


@router.post(
    "/{run_id}/steps/{step:path}/decision", dependencies=[MayBeRepeated], responses=_DECIDING
)
def decide_step(
    session: Reading,
    parts: AnyParts,
    caller: Operator,
    run_id: UUID,
    step: str,
    decision: StepDecision,
) -> RunDetail:
    """Approve or reject what a step asks; its run goes on. Needs the role operator.

    A step in a branch is named by its path, as `each[3].note`, or by the branch's own id. 409 when
    the step does not wait for a decision (any more): who decides first has decided.
    """
    approvals.decide(
        parts.database,
        parts.queue,
        run_id=run_id,
        step=step,
        approved=decision.decision == "approve",
        by=caller,
        note=decision.note,
        now=parts.clock(),
    )
    return run_shapes.run_detail(run_details.read_run(session, run_id))


@router.post(
    "/{run_id}/retry",
    dependencies=[MayBeRepeated],
    responses=_DECIDING,
    status_code=HTTPStatus.ACCEPTED,
)
def retry_run(session: Reading, parts: AnyParts, caller: Operator, run_id: UUID) -> RunDetail:
    """Let a run that failed or was cancelled go on from the step at which it ended.

    What succeeded is kept. Needs the role operator. 409 for any other run, and while a step is in
    doubt.
    """
    retrying.retry_run(parts.database, parts.queue, run_id=run_id, caller=caller, now=parts.clock())
    return run_shapes.run_detail(run_details.read_run(session, run_id))

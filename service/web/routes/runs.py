"""`/api/v1/runs`: executions of workflows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from service import doubts
from service.store import details, listing
from service.web import described, shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Reading

router = APIRouter(prefix="/runs", tags=["runs"])

_DECIDING = described.problems(HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


@router.get("")
def list_runs(
    session: Reading, question: Annotated[api.RunQuestion, Query()]
) -> api.Page[api.RunOut]:
    """List runs, newest first."""
    return shapes.page(listing.list_runs(session, question), api.RunOut.model_validate)


@router.get("/{run_id}")
def read_run(session: Reading, run_id: UUID) -> api.RunDetail:
    """Read a run: its event, steps with attempts, wait and effects."""
    return shapes.run_detail(details.read_run(session, run_id))


@router.post("/{run_id}/steps/{step}/settle", dependencies=[MayBeRepeated], responses=_DECIDING)
def settle_step(
    session: Reading,
    parts: AnyParts,
    caller: Operator,
    run_id: UUID,
    step: str,
    settlement: api.Settlement,
) -> api.RunDetail:
    """Say whether a step in doubt took effect; its run goes on. Needs the role operator.

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
        who=caller.label,
        now=parts.clock(),
        announce=parts.announce,
    )
    return shapes.run_detail(details.read_run(session, run_id))


@router.post(
    "/{run_id}/cancel",
    dependencies=[MayBeRepeated],
    responses=_DECIDING,
    status_code=HTTPStatus.ACCEPTED,
)
def cancel_run(session: Reading, parts: AnyParts, caller: Operator, run_id: UUID) -> api.RunDetail:
    """Let a run end before its next step; a call that is under way is finished.

    Needs the role operator. 409 when the run has ended otherwise.
    """
    doubts.cancel_run(
        parts.database,
        parts.queue,
        run_id=run_id,
        who=caller.label,
        now=parts.clock(),
        announce=parts.announce,
    )
    return shapes.run_detail(details.read_run(session, run_id))

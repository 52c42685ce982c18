"""`/api/v1/runs`: executions of workflows."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from service.store import details, listing
from service.web import shapes
from service.web.deps import Reading

router = APIRouter(prefix="/runs", tags=["runs"])


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

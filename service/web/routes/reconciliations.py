"""`/api/v1/reconciliations`: comparing sources with their vendors' own records."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.reconciling import (
    GapOut,
    ReconcileRequest,
    ReconciliationDetail,
    ReconciliationOut,
    ReconciliationQuestion,
    ReconciliationsBegun,
)
from service.reconcile_request import ask_for_sources
from service.store import details, listing
from service.vendors import BY_NAME
from service.web import described, shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Reading

router = APIRouter(prefix="/reconciliations", tags=["reconciliations"])


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[MayBeRepeated],
    responses=described.problems(HTTPStatus.CONFLICT),
)
def begin_reconciliation(
    parts: AnyParts, caller: Operator, request: ReconcileRequest
) -> ReconciliationsBegun:
    """Begin to compare a source, or all, with the vendor's record. Needs the role operator.

    A comparison that is under way is given instead of a second one.
    """
    asked = ask_for_sources(
        parts.database,
        parts.queue,
        BY_NAME,
        parts.clock,
        source=request.source,
        since=request.since,
        who=caller,
    )
    return ReconciliationsBegun(
        data=[ReconciliationOut.model_validate(row) for row in asked.begun],
        passed_over=asked.passed_over,
    )


@router.get("")
def list_reconciliations(
    session: Reading, question: Annotated[ReconciliationQuestion, Query()]
) -> api.Page[ReconciliationOut]:
    """List comparisons, newest first."""
    found = listing.list_reconciliations(session, question)
    return shapes.page(found, ReconciliationOut.model_validate)


@router.get("/{reconciliation_id}")
def read_reconciliation(session: Reading, reconciliation_id: UUID) -> ReconciliationDetail:
    """Read a comparison with the gaps it found."""
    row, gaps = details.read_reconciliation(session, reconciliation_id)
    return ReconciliationDetail(
        **ReconciliationOut.model_validate(row).model_dump(),
        gaps=[GapOut.model_validate(gap) for gap in gaps],
    )

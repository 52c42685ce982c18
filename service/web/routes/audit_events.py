"""`/api/v1/audit-events`: who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from schemas import api
from schemas.auditing import AuditEventOut, AuditFilter
from service.audit_export import as_csv
from service.store import audit as store
from service.web import shapes
from service.web.deps import AnyParts, Operator, Reading

router = APIRouter(tags=["audit-events"])

Asked = Annotated[AuditFilter, Query()]


@router.get("/audit-events")
def list_audit_events(
    session: Reading, _caller: Operator, question: Asked
) -> api.Page[AuditEventOut]:
    """List who did what, newest first. Needs the role operator."""
    found = store.list_audit_events(session, question)
    return shapes.page(found, AuditEventOut.model_validate)


@router.get(
    "/audit-events.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}, "description": "One line for each event"}},
)
def export_audit_events(parts: AnyParts, _caller: Operator, question: Asked) -> StreamingResponse:
    """Give the same as CSV, newest first: at most 100,000 lines. Needs the role operator.

    `limit` and `cursor` are not heeded; what is older is asked for with `until`.
    """
    return StreamingResponse(
        as_csv(parts.database, question),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="audit-events.csv"'},
    )

"""`/api/v1/alerts`: conditions with a life."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.tables import AlertRow
from service.store import details, listing
from service.web import shapes
from service.web.deps import Reading

router = APIRouter(prefix="/alerts", tags=["alerts"])


@router.get("")
def list_alerts(
    session: Reading, question: Annotated[api.AlertQuestion, Query()]
) -> api.Page[api.AlertOut]:
    """List alerts, newest first."""
    return shapes.page(listing.list_alerts(session, question), api.AlertOut.model_validate)


@router.get("/{alert_id}")
def read_alert(session: Reading, alert_id: UUID) -> api.AlertOut:
    """Read an alert."""
    return api.AlertOut.model_validate(details.read(session, AlertRow, alert_id))

"""`/api/v1/alerts`: conditions with a life."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.api_alerts import AlertNote, AlertOut, AlertQuestion
from schemas.tables import AlertRow
from service import alert_care
from service.store import details, listing
from service.web import described, shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Reading

_NO_NOTE = AlertNote()

router = APIRouter(prefix="/alerts", tags=["alerts"])


@router.get("")
def list_alerts(
    session: Reading, question: Annotated[AlertQuestion, Query()]
) -> api.Page[AlertOut]:
    """List alerts, newest first."""
    return shapes.page(listing.list_alerts(session, question), AlertOut.model_validate)


@router.get("/{alert_id}")
def read_alert(session: Reading, alert_id: UUID) -> AlertOut:
    """Read an alert."""
    return AlertOut.model_validate(details.read(session, AlertRow, alert_id))


@router.post(
    "/{alert_id}/ack",
    dependencies=[MayBeRepeated],
    responses=described.problems(HTTPStatus.CONFLICT),
)
def acknowledge_alert(
    session: Reading,
    parts: AnyParts,
    caller: Operator,
    alert_id: UUID,
    said: AlertNote = _NO_NOTE,
) -> AlertOut:
    """Take an open alert on. Needs the role operator. 409 when it is resolved."""
    alert_care.acknowledge(
        parts.database,
        parts.queue,
        alert_id,
        note=said.note,
        caller=caller,
        now=parts.clock(),
        announce=parts.announce,
    )
    return AlertOut.model_validate(details.read(session, AlertRow, alert_id))


@router.post("/{alert_id}/resolve", dependencies=[MayBeRepeated])
def resolve_alert(
    session: Reading,
    parts: AnyParts,
    caller: Operator,
    alert_id: UUID,
    said: AlertNote = _NO_NOTE,
) -> AlertOut:
    """Say that an alert is over. Needs the role operator."""
    alert_care.resolve(
        parts.database,
        parts.queue,
        alert_id,
        note=said.note,
        caller=caller,
        now=parts.clock(),
        announce=parts.announce,
    )
    return AlertOut.model_validate(details.read(session, AlertRow, alert_id))

"""`/api/v1/alerts`: conditions with a life."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.tables import AlertRow
from service import alert_care
from service.store import details, listing
from service.web import described, shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Reading

_NO_NOTE = api.AlertNote()

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
    said: api.AlertNote = _NO_NOTE,
) -> api.AlertOut:
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
    return api.AlertOut.model_validate(details.read(session, AlertRow, alert_id))


@router.post("/{alert_id}/resolve", dependencies=[MayBeRepeated])
def resolve_alert(
    session: Reading,
    parts: AnyParts,
    caller: Operator,
    alert_id: UUID,
    said: api.AlertNote = _NO_NOTE,
) -> api.AlertOut:
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
    return api.AlertOut.model_validate(details.read(session, AlertRow, alert_id))

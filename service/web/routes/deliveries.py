"""`/api/v1/deliveries` and `/api/v1/rejections`: what came in, and what was refused."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.tables import RejectionRow
from service.store import details, listing
from service.web import shapes
from service.web.deps import Reading

router = APIRouter()


@router.get("/deliveries", tags=["deliveries"])
def list_deliveries(
    session: Reading, question: Annotated[api.DeliveryQuestion, Query()]
) -> api.Page[api.DeliveryOut]:
    """List deliveries, newest first."""
    found = listing.list_deliveries(session, question)
    sizes = listing.body_sizes(session, [row.id for row in found.rows])
    return shapes.page(found, lambda row: shapes.delivery(row, sizes[row.id]))


@router.get("/deliveries/{delivery_id}", tags=["deliveries"])
def read_delivery(session: Reading, delivery_id: UUID) -> api.DeliveryDetail:
    """Read a delivery: headers, body, verdict, events and runs."""
    return shapes.delivery_detail(details.read_delivery(session, delivery_id))


@router.get("/rejections", tags=["rejections"])
def list_rejections(
    session: Reading, question: Annotated[api.RejectionQuestion, Query()]
) -> api.Page[api.RejectionOut]:
    """List refused requests, newest first."""
    return shapes.page(listing.list_rejections(session, question), api.RejectionOut.model_validate)


@router.get("/rejections/{rejection_id}", tags=["rejections"])
def read_rejection(session: Reading, rejection_id: UUID) -> api.RejectionDetail:
    """Read a refused request and why it was refused."""
    return shapes.rejection_detail(details.read(session, RejectionRow, rejection_id))

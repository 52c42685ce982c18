"""`/api/v1/deliveries`: what came in."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query

from schemas import api
from schemas.api_deliveries import (
    DeliveryDetail,
    DeliveryOut,
    DeliveryQuestion,
    DeliverySearch,
)
from schemas.bulk import ReplayOut, ReplayRequest
from schemas.statistics import CountOut
from schemas.tables import DeliveryRow
from service import replay
from service.store import counting, details, listing
from service.web import described, shapes
from service.web.deps import AnyParts, Operator, Reading

_AS_IT_IS = ReplayRequest()
"""What is meant by a request without a body."""

router = APIRouter()


@router.get("/deliveries", tags=["deliveries"])
def list_deliveries(
    session: Reading, question: Annotated[DeliverySearch, Query()]
) -> api.Page[DeliveryOut]:
    """List deliveries, newest first.

    With `q`, a portion of the deliveries is looked through for one page, 1,000 at most. So a page
    may hold fewer than `limit`, or none (`data` is empty), while there is more: go on with
    `next_cursor` until `has_more` is false.
    """
    found = listing.list_deliveries(session, question)
    sizes = listing.body_sizes(session, [row.id for row in found.rows])
    return shapes.page(found, lambda row: shapes.delivery(row, sizes[row.id]))


@router.get("/deliveries/count", tags=["deliveries"])
def count_deliveries(
    session: Reading, parts: AnyParts, question: Annotated[DeliveryQuestion, Query()]
) -> CountOut:
    """Count deliveries: exactly up to 10,000; more may be an estimate, which says so.

    `limit` and `cursor` are not heeded. Keys are not looked for here: there is no `q`.
    """
    return counting.count_deliveries(session, question, parts.clock())


@router.get("/deliveries/{delivery_id}", tags=["deliveries"])
def read_delivery(session: Reading, delivery_id: UUID) -> DeliveryDetail:
    """Read a delivery: headers, body, verdict, events and runs."""
    return shapes.delivery_detail(details.read_delivery(session, delivery_id))


@router.post(
    "/deliveries/{delivery_id}/replay",
    tags=["deliveries"],
    responses=described.problems(HTTPStatus.CONFLICT),
)
def replay_delivery(
    session: Reading,
    parts: AnyParts,
    caller: Operator,
    delivery_id: UUID,
    request: ReplayRequest = _AS_IT_IS,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            max_length=255,
            description="Within a day the same key replays the delivery once.",
        ),
    ] = None,
) -> ReplayOut:
    """Read a stored delivery anew, with today's code and options. Needs the role operator.

    One that gave no events gives them now, and they start their runs. One that was read before
    starts what its events match today anew: what those runs change outside is changed once more.
    409 while it is on its way, and when what was read before cannot be read any more.
    """
    if request.dry_run:
        foreseen = replay.foresee(parts.calling(), delivery_id, only=request.only)
        row = details.read(session, DeliveryRow, delivery_id)
        return shapes.foreseen(row, foreseen)
    replayed = replay.replay_delivery(
        parts.calling(),
        delivery_id,
        caller=caller,
        only=request.only,
        shadow=request.shadow,
        key=idempotency_key,
    )
    return shapes.replayed(details.read(session, DeliveryRow, delivery_id), replayed)

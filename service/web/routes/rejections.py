"""`/api/v1/rejections`: what was refused, why, and verifying it again."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.api_deliveries import RejectionDetail, RejectionOut, RejectionQuestion
from schemas.reverifying import ReverifyQuestion, ReverifyReport
from schemas.tables import RejectionRow
from service.diagnosing import explain
from service.reverify import reverify
from service.secretbox import SecretBox
from service.store import details, listing
from service.vendors import BY_NAME
from service.web import shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Reading

_ALL = ReverifyQuestion()
"""What is meant by a request without a body."""

router = APIRouter(tags=["rejections"])


@router.get("/rejections")
def list_rejections(
    session: Reading, question: Annotated[RejectionQuestion, Query()]
) -> api.Page[RejectionOut]:
    """List refused requests, newest first."""
    return shapes.page(listing.list_rejections(session, question), RejectionOut.model_validate)


@router.get("/rejections/{rejection_id}")
def read_rejection(session: Reading, parts: AnyParts, rejection_id: UUID) -> RejectionDetail:
    """Read a refused request and why it was refused, which is found out now if it was not yet."""
    row = details.read(session, RejectionRow, rejection_id)
    if row.cause is None:
        session.close()
        box = SecretBox(parts.settings.required_secret_keys())
        found = explain(parts.database, parts.queue, box, rejection_id, parts.clock())
        row.cause, row.diagnosis = found.cause, found.text
    return shapes.rejection_detail(row)


@router.post("/rejections/reverify", dependencies=[MayBeRepeated])
def verify_again(
    parts: AnyParts, caller: Operator, question: ReverifyQuestion = _ALL
) -> ReverifyReport:
    """Verify refused requests with the secrets of today. Needs the role operator.

    What proves authentic is stored and processed like any other delivery, once, as received when it
    came; a signed time is judged by that time too. One call looks at up to 500 requests: with
    `next_cursor` the next call goes on.
    """
    box = SecretBox(parts.settings.required_secret_keys())
    return reverify(parts.database, parts.queue, BY_NAME, box, question, caller, parts.clock())

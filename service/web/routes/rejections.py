"""`/api/v1/rejections`: what was refused, why, and verifying it again."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.reverifying import ReverifyQuestion, ReverifyReport
from schemas.tables import RejectionRow
from service.reverify import reverify
from service.secretbox import SecretBox
from service.store import details, listing
from service.vendors import BY_NAME
from service.web import shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Reading

router = APIRouter(tags=["rejections"])


@router.get("/rejections")
def list_rejections(
    session: Reading, question: Annotated[api.RejectionQuestion, Query()]
) -> api.Page[api.RejectionOut]:
    """List refused requests, newest first."""
    return shapes.page(listing.list_rejections(session, question), api.RejectionOut.model_validate)


@router.get("/rejections/{rejection_id}")
def read_rejection(session: Reading, rejection_id: UUID) -> api.RejectionDetail:
    """Read a refused request and why it was refused."""
    return shapes.rejection_detail(details.read(session, RejectionRow, rejection_id))


@router.post("/rejections/reverify", dependencies=[MayBeRepeated])
def verify_again(parts: AnyParts, caller: Operator, question: ReverifyQuestion) -> ReverifyReport:
    """Verify refused requests with the secrets of today. Needs the role operator.

    What proves authentic is stored and processed like any other delivery, once, as received when it
    came; a signed time is judged by that time too. One call looks at up to 500 requests: with
    `next_cursor` the next call goes on.
    """
    box = SecretBox(parts.settings.required_secret_keys())
    return reverify(parts.database, parts.queue, BY_NAME, box, question, caller, parts.clock())

"""What helps to connect: testing a connection, and finding out how a request was signed."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from schemas.connecting import ConnectionCheck, IdentifyQuestion, IdentifyReport
from service.connection_check import check_connection
from service.identifying import identify_delivery, identify_rejection
from service.web.deps import AnyParts, MayBeRepeated, Operator

router = APIRouter()


@router.post("/connections/{name}/test", tags=["connections"], dependencies=[MayBeRepeated])
def ask_connection(parts: AnyParts, _caller: Operator, name: str) -> ConnectionCheck:
    """Ask the vendor who we are. Needs the role operator; nothing is changed there.

    200 also when the vendor refuses: `ok` is false then, and `error` says what to do.
    """
    return check_connection(parts.calling(), name)


@router.post("/rejections/{rejection_id}/identify", tags=["rejections"])
def identify_refused(
    parts: AnyParts, _caller: Operator, rejection_id: UUID, question: IdentifyQuestion
) -> IdentifyReport:
    """Say which scheme a refused request was signed with. Needs the role operator.

    Without `secrets`, those of the request's source are tried; no secret is in the answer.
    """
    return identify_rejection(parts.settings, parts.database, rejection_id, question, parts.clock())


@router.post("/deliveries/{delivery_id}/identify", tags=["deliveries"])
def identify_stored(
    parts: AnyParts, _caller: Operator, delivery_id: UUID, question: IdentifyQuestion
) -> IdentifyReport:
    """Say which scheme a stored delivery was signed with. Needs the role operator."""
    return identify_delivery(parts.settings, parts.database, delivery_id, question, parts.clock())

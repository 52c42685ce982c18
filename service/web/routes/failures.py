"""`/api/v1/failures`: how much has failed and waits for somebody."""

from __future__ import annotations

from fastapi import APIRouter

from schemas import api
from service.store.failures import count_failures
from service.web.deps import AnyParts, Reading

router = APIRouter(prefix="/failures", tags=["failures"])


@router.get("")
def read_failures(session: Reading, parts: AnyParts) -> api.FailuresOut:
    """Count what has failed and waits for somebody."""
    return api.FailuresOut.model_validate(count_failures(session, now=parts.clock()))

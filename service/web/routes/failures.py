"""`/api/v1/failures`: how much has failed and waits for somebody."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from schemas.statistics import FailuresOut
from service.store.failures import count_failures
from service.web.deps import AnyParts, Reading

router = APIRouter(prefix="/failures", tags=["failures"])


@router.get("")
def read_failures(session: Reading, parts: AnyParts) -> FailuresOut:
    """Count what has failed and waits for somebody."""
    found = count_failures(session, now=parts.clock())
    unusable = parts.calling().versions.unusable(session)
    return FailuresOut(**asdict(found), unusable_workflows=list(unusable))

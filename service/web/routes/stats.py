"""`/api/v1/stats`: how much there was, by the hour and by the day."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from schemas.statistics import StatisticsOut, StatisticsQuestion
from service.statistics import read_statistics
from service.web.deps import AnyParts, Reading

router = APIRouter(prefix="/stats", tags=["stats"])


@router.get("")
def read_stats(
    session: Reading, parts: AnyParts, question: Annotated[StatisticsQuestion, Query()]
) -> StatisticsOut:
    """Give how many deliveries, events and runs there were: together, and by the hour or day."""
    return read_statistics(session, question, parts.clock())

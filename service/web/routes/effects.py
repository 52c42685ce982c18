"""`/api/v1/effects`: the ledger of what was changed outside, or may have been."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from schemas import api
from schemas.effect_lists import EffectEntry, EffectQuestion
from schemas.statistics import CountOut
from schemas.tables import EffectRow
from service.store import counting, details, effects
from service.web import run_shapes, shapes
from service.web.deps import AnyParts, Reading

router = APIRouter(prefix="/effects", tags=["effects"])


@router.get("")
def list_effects(
    session: Reading, question: Annotated[EffectQuestion, Query()]
) -> api.Page[EffectEntry]:
    """List effects, newest first; `state=in_doubt` are those that wait for a person."""
    found = effects.list_effects(session, question)
    runs = effects.runs_of(session, found.rows)
    return shapes.page(found, lambda row: run_shapes.effect(row, runs))


@router.get("/count")
def count_effects(
    session: Reading, parts: AnyParts, question: Annotated[EffectQuestion, Query()]
) -> CountOut:
    """Count effects: exactly up to 10,000; more may be an estimate, which says so.

    `limit` and `cursor` are not heeded.
    """
    return counting.count_effects(session, question, parts.clock())


@router.get("/{effect_id}")
def read_effect(session: Reading, effect_id: UUID) -> EffectEntry:
    """Read an effect: what was asked for, and what is known of it."""
    row = details.read(session, EffectRow, effect_id)
    return run_shapes.effect(row, effects.runs_of(session, [row]))

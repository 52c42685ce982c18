"""The ledger of effects: what was intended, made, not made, or is in doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from schemas.effect_lists import EffectQuestion
from schemas.run_tables import RunRow
from schemas.states import EffectState
from schemas.tables import EffectRow
from schemas.workflow import RunStatus
from service.paging import Page
from service.store.insert import insert_new
from service.store.listed import EFFECTS, wanted_effects
from service.store.listing import page_through


def intend(session: Session, row: EffectRow) -> tuple[EffectRow, bool]:
    """Write an effect down before it is made.

    Gives the row of its key, locked, and whether it is new.
    """
    if insert_new(session, EffectRow, [row], unique=["key"]):
        return row, True
    stored = session.exec(select(EffectRow).where(EffectRow.key == row.key).with_for_update()).one()
    return stored, False


def is_abandoned(session: Session, row: EffectRow) -> bool:
    """Say whether the run that began the effect has ended or is gone."""
    status = session.exec(select(RunRow.status).where(RunRow.id == row.run_id)).first()
    return status is None or RunStatus(status).is_final


def perhaps(session: Session, key: str) -> EffectRow | None:
    """Give the effect with this key, locked; None when it was never intended."""
    return session.exec(select(EffectRow).where(EffectRow.key == key).with_for_update()).first()


def intended_by(session: Session, run_id: UUID, step: str) -> EffectRow | None:
    """Give the effect of a step that was begun and whose end is not known, locked."""
    return session.exec(
        select(EffectRow)
        .where(
            EffectRow.run_id == run_id,
            EffectRow.step == step,
            EffectRow.state == EffectState.INTENDED,
        )
        .with_for_update()
    ).first()


def find(session: Session, key: str) -> EffectRow:
    """Give the effect with this key, locked."""
    return session.exec(select(EffectRow).where(EffectRow.key == key).with_for_update()).one()


def last_reference(session: Session, connection: str, target: str) -> Mapping[str, Any] | None:
    """Give what the newest made effect on a target left behind."""
    return session.exec(
        select(EffectRow.reference)
        .where(
            EffectRow.connection == connection,
            EffectRow.target == target,
            EffectRow.state == EffectState.MADE,
            col(EffectRow.reference).is_not(None),
        )
        .order_by(col(EffectRow.made_at).desc(), col(EffectRow.id).desc())
        .limit(1)
    ).first()


def references_since(
    session: Session, connection: str, action: str, since: datetime, *, limit: int = 1000
) -> Sequence[Mapping[str, Any]]:
    """Give the references of an action's made effects since a time, newest first."""
    rows = session.exec(
        select(EffectRow.reference)
        .where(
            EffectRow.connection == connection,
            EffectRow.action == action,
            EffectRow.state == EffectState.MADE,
            col(EffectRow.made_at) >= since,
            col(EffectRow.reference).is_not(None),
        )
        .order_by(col(EffectRow.made_at).desc())
        .limit(limit)
    )
    return [row for row in rows if row is not None]


def list_effects(session: Session, question: EffectQuestion) -> Page[EffectRow]:
    """Give effects, newest first."""
    return page_through(session, EffectRow, EFFECTS, wanted_effects(session, question), question)


def runs_of(session: Session, effects: Sequence[EffectRow]) -> dict[UUID, RunRow]:
    """Give the runs and branches that effects belong to, by their ids."""
    ids = {row.run_id for row in effects if row.run_id is not None}
    return {run.id: run for run in session.exec(select(RunRow).where(col(RunRow.id).in_(ids)))}

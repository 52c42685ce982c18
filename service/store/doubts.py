"""What a person decides on: a run and its steps, locked, and effects nobody could tell of."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, select

from schemas.run_tables import RunRow, StepRow
from schemas.tables import EffectRow, EffectState


def lock_run(session: Session, run_id: UUID) -> RunRow | None:
    """Give the run, locked: no worker can take it before the transaction ends."""
    return session.exec(select(RunRow).where(RunRow.id == run_id).with_for_update()).first()


def steps_of(session: Session, run_id: UUID) -> dict[str, StepRow]:
    """Give the steps of a run that were begun, by name."""
    rows = session.exec(select(StepRow).where(StepRow.run_id == run_id))
    return {row.step: row for row in rows}


def effect_in_doubt(session: Session, run_id: UUID, step: str) -> EffectRow | None:
    """Give the step's effect that is in doubt, locked.

    None when the call in doubt was another run's, for the same natural key.
    """
    return session.exec(
        select(EffectRow)
        .where(
            EffectRow.run_id == run_id,
            EffectRow.step == step,
            EffectRow.state == EffectState.IN_DOUBT,
        )
        .with_for_update()
    ).first()

"""What a person decides on: a run and its steps, locked, and effects nobody could tell of."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import literal, or_
from sqlmodel import Session, col, select

from schemas.run_tables import RunRow, StepRow, WaitRow
from schemas.states import EffectState
from schemas.storable import bounded
from schemas.tables import EffectRow
from schemas.workflow import StepStatus, WaitKind

PATH_LENGTH = 400


def lock_run(session: Session, run_id: UUID) -> RunRow | None:
    """Give the run, locked: no worker can take it before the transaction ends."""
    return session.exec(
        select(RunRow)
        .where(RunRow.id == run_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()


def find_step(session: Session, run_id: UUID, step: str) -> tuple[UUID, str]:
    """Give the run or branch that a step belongs to, and the step's own name.

    `step` is a step of the run or branch itself, or one in a branch, as people read it:
    `each[3]/both[0].note`. Where there is no such branch, what was given is given back.
    """
    path, dot, name = step.rpartition(".")
    if not dot:
        return run_id, step
    root = session.exec(select(RunRow.root_id).where(RunRow.id == run_id)).first() or run_id
    branch = session.exec(
        select(RunRow.id).where(RunRow.root_id == root, RunRow.path == bounded(path, PATH_LENGTH))
    ).first()
    return (run_id, step) if branch is None else (branch, name)


def doubtful_steps(session: Session, run_id: UUID) -> list[tuple[UUID, str]]:
    """Give the steps in doubt of a run and its branches, with the run or branch of each."""
    return list(
        session.exec(
            select(StepRow.run_id, StepRow.step)
            .join(RunRow, col(RunRow.id) == col(StepRow.run_id))
            .where(
                or_(col(RunRow.id) == run_id, col(RunRow.root_id) == run_id),
                StepRow.status == StepStatus.IN_DOUBT,
            )
        )
    )


def doubts_left(session: Session, limit: int) -> list[tuple[RunRow, EffectRow]]:
    """Give steps in doubt for which no run waits (any more), the newest first.

    Each with its run or branch and its effect: what was in doubt when its run was cancelled.
    """
    waits = select(WaitRow.id).where(
        WaitRow.run_id == StepRow.run_id,
        WaitRow.step == StepRow.step,
        WaitRow.kind == WaitKind.PERSON,
    )
    found = session.exec(
        select(RunRow, EffectRow)
        .join(EffectRow, col(EffectRow.run_id) == col(RunRow.id))
        .join(
            StepRow,
            (col(StepRow.run_id) == col(RunRow.id)) & (col(StepRow.step) == col(EffectRow.step)),
        )
        .where(
            EffectRow.state == literal(EffectState.IN_DOUBT.value, literal_execute=True),
            StepRow.status == StepStatus.IN_DOUBT,
            ~waits.exists(),
        )
        .order_by(col(EffectRow.intended_at).desc(), col(EffectRow.id).desc())
        .limit(limit)
    )
    return list(found)


def steps_of(session: Session, run_id: UUID) -> dict[str, StepRow]:
    """Give the steps of a run that were begun, by name."""
    rows = session.exec(
        select(StepRow).where(StepRow.run_id == run_id).execution_options(populate_existing=True)
    )
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


def is_cancelled(session: Session, run: RunRow) -> bool:
    """Say whether a run, or the run of a branch, shall end."""
    if run.cancel_requested or run.root_id is None:
        return run.cancel_requested
    return bool(
        session.exec(select(RunRow.cancel_requested).where(RunRow.id == run.root_id)).first()
    )

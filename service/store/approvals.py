"""Who was asked for a decision, until when, and what was decided there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import literal
from sqlmodel import Session, col, select

from schemas.configured_tables import SourceRow
from schemas.run_tables import WaitRow
from schemas.states import EffectState
from schemas.tables import DECIDED, EffectRow, EventRow
from schemas.workflow import WaitKind

MOST_DECISIONS = 50
"""How many presses on one run's questions are looked through."""


def open_until(session: Session, run_id: UUID, step: str) -> datetime | None:
    """Give until when a step waits for a decision; None when that is not what it waits for."""
    return session.exec(
        select(WaitRow.due_at).where(
            WaitRow.run_id == run_id, WaitRow.step == step, WaitRow.kind == WaitKind.APPROVAL
        )
    ).first()


def was_asked_by(session: Session, run_id: UUID, step: str, event: EventRow) -> bool:
    """Say whether the vendor and account that an event came from were asked by this step."""
    asked = session.exec(
        select(EffectRow.connection).where(
            EffectRow.run_id == run_id,
            EffectRow.step == step,
            EffectRow.action == f"{event.vendor}.ask_approval",
            EffectRow.state != EffectState.SHADOWED,
        )
    ).all()
    tied = None
    if event.source is not None:
        tied = session.exec(
            select(SourceRow.connection).where(SourceRow.name == event.source)
        ).first()
    return bool(asked) and (tied is None or tied in asked)


def decisions_since(session: Session, run_id: str, since: datetime) -> Sequence[EventRow]:
    """Give the events that tell of decisions on a run since a time, the oldest first."""
    return session.exec(
        select(EventRow)
        .where(
            # Written out: a database cannot see that a parameter fits the index of decisions.
            col(EventRow.type) == literal(DECIDED, literal_execute=True),
            EventRow.subject == run_id,
            col(EventRow.received_at) >= since,
        )
        .order_by(col(EventRow.id))
        .limit(MOST_DECISIONS)
    ).all()


def question_of(session: Session, run_id: UUID, step: str, action: str) -> EffectRow | None:
    """Give the latest asking of a step that may have been posted, None when there is none."""
    return session.exec(
        select(EffectRow)
        .where(
            EffectRow.run_id == run_id,
            EffectRow.step == step,
            EffectRow.action == action,
            col(EffectRow.state).in_(
                [EffectState.MADE, EffectState.INTENDED, EffectState.IN_DOUBT]
            ),
        )
        .order_by(col(EffectRow.id).desc())
        .limit(1)
    ).first()

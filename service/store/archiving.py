"""What is kept of rows that go: each row with what belongs to it, as the archives hold it."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, SQLModel, col, select

from schemas.run_tables import AttemptRow, RunEventRow, RunRow, StepRow
from schemas.tables import DeliveryRow, EffectRow, EventRow
from service.store.payloads import output_of, payload_of
from service.store.retention import Kind

Columns = dict[str, Any]
AT_ONCE = 20
"""Rows that are in memory at once: each may hold a body of a MiB and more."""


def describe(
    session: Session, kind: Kind, ids: Sequence[UUID]
) -> Iterator[tuple[UUID, datetime, Columns]]:
    """Give rows that are about to go, with the time whose day their file bears, in this order.

    A run comes with its steps, their attempts, its effects and the events that it gathered; an
    event with its payload, wherever it is kept.
    """
    for start in range(0, len(ids) if kind.day else 0, AT_ONCE):
        yield from _describe(session, kind, ids[start : start + AT_ONCE])


def _describe(
    session: Session, kind: Kind, ids: Sequence[UUID]
) -> Iterator[tuple[UUID, datetime, Columns]]:
    rows = session.exec(
        select(kind.model).where(col(kind.model.id).in_(ids)).order_by(col(kind.model.id))
    ).all()
    belongings = _of_runs(session, ids) if kind.model is RunRow else {}
    for row in rows:
        columns = _columns(row)
        if isinstance(row, EventRow):
            columns["payload"] = payload_of(session, row)
        if isinstance(row, DeliveryRow):
            columns |= _written(row.body)
        yield row.id, getattr(row, str(kind.day)), columns | belongings.get(row.id, {})


def _written(body: bytes) -> Columns:
    """Give a body as text, or in base64 where it is none."""
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": base64.b64encode(body).decode("ascii")}


def _of_runs(session: Session, ids: Sequence[UUID]) -> dict[UUID, Columns]:
    found: dict[UUID, Columns] = {
        id_: {"steps": [], "effects": [], "gathered_event_ids": []} for id_ in ids
    }
    attempts: dict[UUID, list[Columns]] = defaultdict(list)
    for attempt in _of(session, AttemptRow, ids):
        attempts[attempt.step_id].append(_columns(attempt))
    for step in _of(session, StepRow, ids):
        columns = _columns(step) | {"output": output_of(session, step)}
        found[step.run_id]["steps"].append(columns | {"attempts": attempts[step.id]})
    for effect in _of(session, EffectRow, ids):
        found[effect.run_id]["effects"].append(_columns(effect))
    gathered = select(RunEventRow).where(col(RunEventRow.run_id).in_(ids))
    for row in session.exec(gathered.order_by(col(RunEventRow.event_id))):
        found[row.run_id]["gathered_event_ids"].append(row.event_id)
    return found


def _of(session: Session, model: Any, ids: Sequence[UUID]) -> Sequence[Any]:
    return session.exec(select(model).where(model.run_id.in_(ids)).order_by(model.id)).all()


def _columns(row: SQLModel) -> Columns:
    return {name: getattr(row, name) for name in type(row).model_fields}

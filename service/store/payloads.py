"""Large values, in a table of their own: rows that are read often stay small.

A vendor's body or an action's output above `LARGE_BYTES` is kept compressed in `payloads`, and the
row that has it keeps its id. Whoever needs the value asks for it; most that is done with an event
or a step needs only its facts.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlmodel import Session

from schemas.events import Json
from schemas.ids import new_id
from schemas.run_tables import StepRow
from schemas.tables import EventRow, PayloadRow

LARGE_BYTES = 32 * 1024
"""JSON of this many bytes and more is kept apart."""
_LEVEL = 3
"""Compression that costs about 10 ms for a MiB of JSON."""


def store_apart(session: Session, events: Sequence[EventRow], payloads: dict[UUID, Any]) -> None:
    """Store the payloads of these events that `set_apart` took from them."""
    for event in events:
        if event.id in payloads and event.payload_id is not None:
            session.add(_row(event.payload_id, payloads[event.id], event.received_at))


def set_apart(events: Sequence[EventRow]) -> dict[UUID, Any]:
    """Take large payloads from rows that are about to be stored; gives them by the event's id."""
    taken: dict[UUID, Any] = {}
    for event in events:
        if _is_large(event.payload):
            taken[event.id] = event.payload
            event.payload_id = new_id()
            event.payload = None
    return taken


def payload_of(session: Session, event: EventRow) -> Json:
    """Give an event's payload, wherever it is kept."""
    return event.payload if event.payload_id is None else _load(session, event.payload_id)


def keep_output(session: Session, step: StepRow, output: Json, *, now: datetime) -> None:
    """Keep a step's output in its row, or apart when it is large."""
    if not _is_large(output):
        step.output = output
        return
    step.output = None
    known = None if step.output_id is None else session.get(PayloadRow, step.output_id)
    row = _row(step.output_id or new_id(), output, now)
    if known is None:
        session.add(row)
    else:
        known.content, known.size_bytes = row.content, row.size_bytes
    step.output_id = row.id


def forget_output(session: Session, step: StepRow) -> None:
    """Take a step's output away, wherever it is kept."""
    row = None if step.output_id is None else session.get(PayloadRow, step.output_id)
    if row is not None:
        session.delete(row)
    step.output = step.output_id = None


def output_of(session: Session, step: StepRow) -> Any:
    """Give a step's output, wherever it is kept."""
    return step.output if step.output_id is None else _load(session, step.output_id)


def _is_large(value: Json) -> bool:
    # Most values are small, and their text is the cheapest way to know.
    return value is not None and len(to_json(value)) >= LARGE_BYTES


def _row(row_id: UUID, value: Json, now: datetime) -> PayloadRow:
    text = json.dumps(value, separators=(",", ":")).encode()
    return PayloadRow(
        id=row_id, content=zlib.compress(text, _LEVEL), size_bytes=len(text), created_at=now
    )


def _load(session: Session, row_id: UUID) -> Json:
    row = session.get(PayloadRow, row_id)
    return None if row is None else json.loads(zlib.decompress(row.content))

"""Audit events as CSV (RFC 4180), for spreadsheets and other people's archives."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from uuid import UUID

from schemas.auditing import AuditEventOut, AuditFilter
from schemas.evidence_tables import AuditEventRow
from service.db import Database
from service.store import audit as store
from service.unit_of_work import reading

MOST_ROWS = 100_000
AT_ONCE = 500
COLUMNS = tuple(AuditEventOut.model_fields)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(database: Database, question: AuditFilter) -> Iterator[str]:
    """Give the newest events that are asked for, up to `MOST_ROWS`, a piece of text at a time.

    Each portion is read by itself: nothing is held while whoever reads it is slow. Raises
    Unavailable.
    """
    yield _lines([COLUMNS])
    last: UUID | None = None
    left = MOST_ROWS
    while left > 0:
        with reading(database) as session:
            rows = store.before(session, question, last, min(AT_ONCE, left))
            text = _lines(map(_cells, rows))
        if not rows:
            return
        yield text
        last = rows[-1].id
        left -= len(rows)


def _lines(rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _cells(row: AuditEventRow) -> list[str]:
    return [_cell(getattr(row, name)) for name in COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    # Spreadsheets perform what begins like a formula, and names are chosen by whoever writes them.
    return f"'{text}" if text.startswith(_FORMULA) else text

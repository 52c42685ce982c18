"""Thousands of waiting runs, as copies of one that really waits.

A run that came to its wait through the engine is read with every row that belongs to it and is
written again many times under ids, keys and subjects of its own: a worker cannot tell a copy from
a run that went the whole way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, insert, select

from schemas.ids import new_id
from schemas.run_tables import RunRow
from schemas.tables import METADATA, EventRow
from service.db import Database

Row = dict[str, Any]
Rows = list[tuple[Table, list[Row]]]
LATER = timedelta(hours=1)
AT_ONCE = 500


def copy_run(database: Database, run_id: UUID, subject: str, count: int) -> list[str]:
    """Write a waiting run so many times more, its time to go on an hour later; gives the subjects.

    `subject` is the subject of the run's event; wherever it stands a copy has one of its own.
    """
    with database.engine.begin() as connection:
        found = _rows_of(connection, run_id)
        ids = [row["id"] for _, rows in found for row in rows if "id" in row]
        subjects = [f"{subject}-{number}" for number in range(count)]
        for start in range(0, count, AT_ONCE):
            copies = [_copied(found, ids, subject, new) for new in subjects[start:][:AT_ONCE]]
            for at, (table, _) in enumerate(found):
                rows = [row for copy in copies for row in copy[at]]
                connection.execute(insert(table), rows)
    return subjects


def _rows_of(connection: Connection, run_id: UUID) -> Rows:
    """Give the run's own rows and its event's, those first that others refer to."""
    runs, events = (METADATA.tables[str(row.__tablename__)] for row in (RunRow, EventRow))
    (run,) = _read(connection, runs, "id", run_id)
    event = _read(connection, events, "id", run["event_id"])
    found: Rows = [(events, event), (runs, [run])]
    for table in METADATA.sorted_tables:
        if "run_id" in table.c:
            rows = _read(connection, table, "run_id", run_id)
            if rows:
                found.append((table, rows))
    return found


def _read(connection: Connection, table: Table, column: str, value: Any) -> list[Row]:
    rows = connection.execute(select(table).where(table.c[column] == value)).mappings()
    return [dict(row) for row in rows]


def _copied(found: Rows, ids: list[UUID], subject: str, new_subject: str) -> list[list[Row]]:
    new_ids = {old: new_id() for old in ids}
    texts = {subject: new_subject, **{str(old): str(new) for old, new in new_ids.items()}}

    def value(name: str, old: Any) -> Any:
        if isinstance(old, UUID):
            return new_ids.get(old, old)
        if isinstance(old, datetime):
            return old + LATER if name == "due_at" else old
        if name == "dedupe_key":
            return f"{old}:{new_subject}"
        if isinstance(old, str):
            return _replaced(old, texts)
        if isinstance(old, dict | list):
            return json.loads(_replaced(json.dumps(old), texts))
        return old

    return [
        [{name: value(name, old) for name, old in row.items()} for row in rows] for _, rows in found
    ]


def _replaced(text: str, texts: Mapping[str, str]) -> str:
    for old, new in texts.items():
        text = text.replace(old, new)
    return text

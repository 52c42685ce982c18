"""Reading rows that are sealed, as the database keeps them: past the types of the tables.

A row that was tampered with may hold what no type of ours reads.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from service.db import first_line, is_outage
from service.errors import Permanent
from service.leaves import (
    Column,
    Covered,
    Kind,
    kept_id,
    reader_of_postgres,
    reader_of_sqlite,
    row_hash,
)

ROWS_AT_ONCE = 64
"""What is fetched from PostgreSQL at a time: each may hold a body as large as its source takes."""


class Kept(NamedTuple):
    """A row as it is kept. `id` is None when `key`, what stands there for it, is no id of ours."""

    id: UUID | None
    key: str
    hash: bytes
    whose: str
    size: int


def rows_between(
    session: Session, table: Covered, after: UUID | None = None, until: UUID | None = None
) -> Iterator[Kept]:
    """Give the rows behind one id and up to another in the order of ids, one after the other."""
    read = _read_sqlite if _is_sqlite(session) else _read_postgres
    return read(session, table, *_tail(session, table, after, until))


def rows_of(session: Session, table: Covered, ids: Collection[UUID]) -> Iterator[Kept]:
    """Give the rows with these ids, in no order, one after the other."""
    read = _read_sqlite if _is_sqlite(session) else _read_postgres
    return read(session, table, *_among(session, table, ids))


def count_of(session: Session, table: Covered, ids: Collection[UUID]) -> int:
    """Give how many of these rows there are."""
    tail, values = _among(session, table, ids)
    return int(session.execute(sql(f"SELECT count(*) {tail}"), values).scalar_one())


def _among(session: Session, table: Covered, ids: Collection[UUID]) -> tuple[str, dict[str, Any]]:
    """Give the end of a statement that reads rows with these ids, and its values."""
    if _is_sqlite(session):
        among = "id IN (SELECT value FROM json_each(:ids))"
        return f'FROM "{table.name}" WHERE {among}', {"ids": json.dumps([id_.hex for id_ in ids])}
    return f'FROM "{table.name}" WHERE id = ANY(CAST(:ids AS uuid[]))', {"ids": list(ids)}


def ids_between(session: Session, table: Covered, after: UUID, until: UUID) -> Iterator[UUID]:
    """Give the ids behind one and up to another, in their order; what is no id is passed over."""
    tail, values = _tail(session, table, after, until)
    shown = "CAST(id AS BLOB)" if _is_sqlite(session) else "id"
    for (raw,) in _streamed(session, f"SELECT {shown} {tail}", values):
        id_ = _id_of(raw) if isinstance(raw, bytes) else raw
        if id_ is not None:
            yield id_


def _streamed(session: Session, statement: str, values: dict[str, Any]) -> Iterator[Any]:
    """Give the rows of a statement, a few at a time; whoever has enough may stop."""
    options = {"stream_results": True, "max_row_buffer": ROWS_AT_ONCE}
    with closing(session.execute(sql(statement), values, execution_options=options)) as result:
        yield from result


def _tail(
    session: Session, table: Covered, after: UUID | None, until: UUID | None
) -> tuple[str, dict[str, Any]]:
    """Give the end of a statement that reads rows between ids, and its values."""
    bounds = {"after": after, "until": until}
    values = {
        name: id_.hex if _is_sqlite(session) else id_
        for name, id_ in bounds.items()
        if id_ is not None
    }
    signs = {"after": "id > :after", "until": "id <= :until"}
    where = f" WHERE {' AND '.join(signs[name] for name in values)}" if values else ""
    return f'FROM "{table.name}"{where} ORDER BY id', values


def _read_sqlite(
    session: Session, table: Covered, tail: str, values: dict[str, Any]
) -> Iterator[Kept]:
    names = [f'"{column.name}"' for column in table.columns]
    read = reader_of_sqlite(table)
    whose = [column.name for column in table.columns].index(table.whose)
    types = " || ' ' || ".join(f"typeof({name})" for name in names)
    shown = ", ".join(f"CAST({name} AS BLOB)" for name in names)
    for types_of, *raw in _streamed(session, f"SELECT {types}, {shown} {tail}", values):
        encoded = read(types_of, raw)
        id_ = _id_of(raw[0]) if types_of.startswith("text ") else None
        yield Kept(
            id_,
            "" if id_ else raw[0].decode(errors="backslashreplace"),
            row_hash(table, encoded),
            (raw[whose] or b"").decode(errors="backslashreplace"),
            sum(map(len, encoded)),
        )


def _read_postgres(
    session: Session, table: Covered, tail: str, values: dict[str, Any]
) -> Iterator[Kept]:
    read = reader_of_postgres(table)
    whose = [column.name for column in table.columns].index(table.whose)
    shown = ", ".join(map(_shown, table.columns))
    for row in _streamed(session, f"SELECT {shown} {tail}", values):
        encoded = read(row)
        size = sum(map(len, encoded))
        yield Kept(row[0], "", row_hash(table, encoded), row[whose] or "", size)


def _shown(column: Column) -> str:
    if column.kind is Kind.TIME:
        return f'CAST(extract(epoch FROM "{column.name}") * 1000000 AS text)'
    if column.kind in {Kind.JSON, Kind.PAIRS}:
        return f'CAST("{column.name}" AS text)'
    return f'"{column.name}"'


def _id_of(raw: bytes) -> UUID | None:
    bare = kept_id(raw)
    return None if bare is None else UUID(bytes=bare)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def hold_still(session: Session) -> None:
    """Let everything that is read in this transaction be as it is now."""
    if not _is_sqlite(session):
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(sql("SET TRANSACTION READ ONLY"))
        # Whoever is told what was found may take his time.
        session.execute(sql("SET LOCAL idle_in_transaction_session_timeout = 0"))


def damages(session: Session, tables: Collection[str]) -> Iterator[str]:
    """Give what SQLite finds damaged in these tables and their indexes; nothing on PostgreSQL.

    Rows are found by their index: one that was altered in the file itself may differ from it.
    """
    if not _is_sqlite(session):
        return
    for table in tables:
        for (sentence,) in session.execute(sql(f"PRAGMA integrity_check('{table}')")):
            if sentence != "ok":
                yield f"{table}: {sentence}"


@contextmanager
def damage_told() -> Iterator[None]:
    """Raise Permanent with the database's own words when it cannot read what it keeps."""
    try:
        yield
    except DBAPIError as error:
        if is_outage(error):
            raise
        raise Permanent(f"the database cannot be read: {first_line(error)}") from error

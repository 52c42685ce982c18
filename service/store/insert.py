"""Insert what is not there yet, the same way on both databases, and lists of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import LargeBinary, Table, TextClause, bindparam, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel

from schemas.columns import UtcTime

MOST_PARAMETERS = 30_000
"""Values in one statement: SQLite takes 32,766 and PostgreSQL 65,535."""

T = TypeVar("T")


def in_parts(values: Iterable[T], *, each: int = 1) -> Iterator[list[T]]:
    """Give the values in lists that one statement can hold, when `each` needs so many parameters.

    Lists that grow with what senders and vendors give go through here.
    """
    left = iter(values)
    while part := list(islice(left, max(1, MOST_PARAMETERS // each))):
        yield part


def insert_new(
    session: Session, model: type[SQLModel], rows: Sequence[SQLModel], *, unique: Sequence[str]
) -> set[UUID]:
    """Insert rows, passing over those whose `unique` columns exist already.

    Gives the ids of the rows that are really new.
    """
    values = [values_of(model, row) for row in rows]
    return set(insert_values(session, table_of(model), values, unique=unique, returning="id"))


def insert_values(
    session: Session,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    unique: Sequence[str] | None = None,
    returning: str | None = None,
) -> list[Any]:
    """Insert rows of values, every one with the same columns.

    `unique`: rows whose columns of these names exist already are passed over. Gives the column
    `returning` of each row that is new.
    """
    if not rows:
        return []
    if session.get_bind().dialect.name == "postgresql" and _fits_json(table):
        made = _from_json(
            table, tuple(rows[0]), None if unique is None else tuple(unique), returning
        )
        found = session.execute(made, {"rows": _to_text(table, rows)})
        return list(found.scalars()) if returning else []
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    # Values within the statement would have it compiled anew each time; SQLAlchemy puts as many
    # rows into one as the database takes.
    statement: Any = dialect.insert(table)
    if unique is not None:
        statement = statement.on_conflict_do_nothing(index_elements=list(unique))
    if returning is None:
        session.execute(statement, list(rows))
        return []
    return list(session.execute(statement.returning(table.c[returning]), list(rows)).scalars())


def table_of(model: type[SQLModel]) -> Table:
    """Give the table of a model."""
    table: Table = model.__table__  # type: ignore[attr-defined]  # set by SQLModel
    return table


def values_of(model: type[SQLModel], row: SQLModel) -> dict[str, Any]:
    """Give the columns of a row."""
    values = row.__dict__
    return {name: values.get(name) for name in _columns(model)}


@cache
def _columns(model: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.name for column in table_of(model).columns)


@cache
def _fits_json(table: Table) -> bool:
    return not any(isinstance(column.type, LargeBinary) for column in table.columns)


def _to_text(table: Table, rows: Sequence[Mapping[str, Any]]) -> str:
    for name in _times(table):
        if any(moment.tzinfo is not UTC for row in rows if (moment := row.get(name)) is not None):
            rows = [{**row, name: _in_utc(name, row.get(name))} for row in rows]
    return to_json(rows).decode()


def _in_utc(name: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        message = f"a time without zone cannot be stored in {name}"
        raise ValueError(message)
    return None if moment is None else moment.astimezone(UTC)


@cache
def _times(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if isinstance(column.type, UtcTime))


def update_by_id(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], *names: str
) -> None:
    """Set these columns of the rows that have the `id` of one of `rows` to what stands there."""
    if not rows:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_update_from_json(table, names), {"rows": _to_text(table, rows)})
        return
    changed = update(table).where(table.c.id == bindparam("row_id"))
    values = [{"row_id": row["id"], **{name: row[name] for name in names}} for row in rows]
    session.connection().execute(changed.values({name: bindparam(name) for name in names}), values)


@cache
def _from_json(
    table: Table, names: tuple[str, ...], unique: tuple[str, ...] | None, returning: str | None
) -> TextClause:
    """Give the statement that reads all rows from one text of JSON.

    PostgreSQL takes rows in this form at a quarter of what they cost as parameters of their own.
    """
    quote, types = _quoting(table, names)
    columns = ", ".join(map(quote, names))
    conflict = ""
    if unique is not None:
        conflict = f" ON CONFLICT ({', '.join(map(quote, unique))}) DO NOTHING"
    wanted = "" if returning is None else f" RETURNING {quote(returning)}"
    return text(
        f"INSERT INTO {quote(table.name)} ({columns}) SELECT {columns}"  # noqa: S608  # no values
        f" FROM json_to_recordset(CAST(:rows AS json)) AS given({types}){conflict}{wanted}"
    )


@cache
def _update_from_json(table: Table, names: tuple[str, ...]) -> TextClause:
    quote, types = _quoting(table, ("id", *names))
    changes = ", ".join(f"{quote(name)} = given.{quote(name)}" for name in names)
    own = quote(table.name)
    return text(
        f"UPDATE {own} SET {changes}"  # noqa: S608  # no values
        f" FROM json_to_recordset(CAST(:rows AS json)) AS given({types}) WHERE {own}.id = given.id"
    )


def _quoting(table: Table, names: tuple[str, ...]) -> tuple[Callable[[str], str], str]:
    """Give what quotes names, and these columns with their types."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives no types here
    quote: Callable[[str], str] = dialect.identifier_preparer.quote
    types = [f"{quote(name)} {table.c[name].type.compile(dialect)}" for name in names]
    return quote, ", ".join(types)

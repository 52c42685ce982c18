"""Insert what is not there yet, the same way on both databases, and lists of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Table as CoreTable
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel

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
    if not rows:
        return set()
    table: CoreTable = model.__table__  # type: ignore[attr-defined]  # set by SQLModel
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    # Values within the statement would have it compiled anew each time; SQLAlchemy puts as many
    # rows into one as the database takes.
    statement = (
        dialect.insert(table)
        .on_conflict_do_nothing(index_elements=list(unique))
        .returning(table.c.id)
    )
    values = [values_of(model, row) for row in rows]
    return set(session.execute(statement, values).scalars())


def values_of(model: type[SQLModel], row: SQLModel) -> dict[str, Any]:
    """Give the columns of a row."""
    table: CoreTable = model.__table__  # type: ignore[attr-defined]  # set by SQLModel
    return {column.name: getattr(row, column.name) for column in table.columns}

"""Insert what is not there yet, the same way on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Table as CoreTable
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def insert_new(
    session: Session, model: type[SQLModel], rows: Sequence[SQLModel], *, unique: Sequence[str]
) -> set[UUID]:
    """Insert rows, passing over those whose `unique` columns exist already.

    Gives the ids of the rows that are really new.
    """
    if not rows:
        return set()
    table: CoreTable = model.__table__  # type: ignore[attr-defined]  # set by SQLModel
    values: list[dict[str, Any]] = [
        {column.name: getattr(row, column.name) for column in table.columns} for row in rows
    ]
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = (
        dialect.insert(table)
        .values(values)
        .on_conflict_do_nothing(index_elements=list(unique))
        .returning(table.c.id)
    )
    return set(session.execute(statement).scalars())

"""Marks: counters by which caches learn that what they hold has changed."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from schemas.upkeep_tables import MarkRow


def read_mark(session: Session, name: str) -> int:
    """Give a mark's number; 0 when nothing was ever marked."""
    return session.exec(select(MarkRow.number).where(MarkRow.name == name)).first() or 0


def bump_mark(session: Session, name: str) -> None:
    """Say that what this mark stands for has changed."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(
        dialect.insert(MarkRow)
        .values(name=name, number=1)
        .on_conflict_do_update(index_elements=["name"], set_={"number": col(MarkRow.number) + 1})
    )

"""Sources as the door reads them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from schemas.configured_tables import SourceRow
from service.store.marks import bump_mark, read_mark

SOURCES_MARK = "sources"


def read_sources_mark(session: Session) -> int:
    """Give the number that changes whenever a source has changed."""
    return read_mark(session, SOURCES_MARK)


def bump_sources_mark(session: Session) -> None:
    """Say that a source has changed: every door reads them again within two seconds."""
    bump_mark(session, SOURCES_MARK)


def read_sources(session: Session) -> Sequence[SourceRow]:
    """Give every source, disabled ones too."""
    return session.exec(select(SourceRow).order_by(col(SourceRow.name))).all()


def named(session: Session, name: str) -> SourceRow | None:
    """Give the source of a name."""
    return session.exec(select(SourceRow).where(SourceRow.name == name)).first()

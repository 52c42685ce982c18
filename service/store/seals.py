"""Seals and the keys they are signed with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import defer
from sqlalchemy.sql.base import ExecutableOption
from sqlmodel import Session, col, select

from schemas.evidence_tables import SealingKeyRow, SealRow
from service.store.marks import bump_mark

_MARK = "seals"
_AT_ONCE = 20
_KINDS = {
    "covers": str,
    "count": int,
    "leaves": bytes,
    "root": bytes,
    "previous": bytes,
    "key_id": str,
    "signature": bytes,
    "removed": bytes | None,
}
"""What columns hold that SQLite gives back unread, whatever somebody has put there."""


def take_turn(session: Session) -> None:
    """Wait until nobody else adds to the chain or changes it, and keep others waiting."""
    bump_mark(session, _MARK)


def newest(session: Session) -> SealRow | None:
    """Give the end of the chain, without its leaves."""
    return session.exec(
        select(SealRow).options(_light()).order_by(col(SealRow.number).desc()).limit(1)
    ).first()


def newest_of(session: Session, covers: str, *, skip: int = 0) -> SealRow | None:
    """Give the newest seal of a kind, or the one so many before it, without its leaves."""
    return session.exec(
        select(SealRow)
        .where(SealRow.covers == covers)
        .options(_light())
        .order_by(col(SealRow.last_id).desc())
        .offset(skip)
        .limit(1)
    ).first()


def by_number(session: Session, number: int) -> SealRow | None:
    """Give a seal, without its leaves until they are asked for."""
    return session.exec(select(SealRow).where(SealRow.number == number).options(_light())).first()


def roots_of(session: Session, kinds: Sequence[str]) -> Sequence[bytes]:
    """Give the roots of all seals of some kinds."""
    return session.exec(select(SealRow.root).where(col(SealRow.covers).in_(kinds))).all()


def numbers(session: Session) -> Sequence[object]:
    """Give the numbers of all seals, in their order, and what else may stand in their place."""
    return session.exec(select(SealRow.number).order_by(col(SealRow.number))).all()


def readable(session: Session, number: int) -> SealRow | None:
    """Give a seal with its leaves, out of the session; None when it holds what no type reads."""
    try:
        seal = session.exec(select(SealRow).where(SealRow.number == number)).first()
    except (ValueError, TypeError, AttributeError):
        return None
    except DBAPIError:
        # Only SQLite keeps, and then refuses to give, what does not belong into a column.
        if session.get_bind().dialect.name == "sqlite":
            return None
        raise
    if seal is None:
        return None
    session.expunge(seal)
    fits = all(isinstance(getattr(seal, name), kind) for name, kind in _KINDS.items())
    return seal if fits else None


def after(session: Session, covers: str, last_id: UUID, limit: int) -> Sequence[SealRow]:
    """Give the next seals of a kind that end behind an id, in their order, without leaves."""
    return session.exec(
        select(SealRow)
        .where(SealRow.covers == covers, SealRow.last_id > last_id)
        .options(_light())
        .order_by(col(SealRow.last_id))
        .limit(limit)
    ).all()


def holding(session: Session, covers: str, first: UUID, last: UUID) -> Iterator[SealRow]:
    """Give the seals of a kind in which ids of this range may stand, with their leaves."""
    position = UUID(int=max(0, first.int - 1))
    while found := after(session, covers, position, _AT_ONCE):
        for seal in found:
            if seal.first_id > last:
                return
            position = seal.last_id
            if seal.count and seal.pruned_at is None:
                yield seal


def key(session: Session, key_id: str) -> SealingKeyRow | None:
    """Give a key by its id."""
    return session.get(SealingKeyRow, key_id)


def every_key(session: Session) -> Sequence[SealingKeyRow]:
    """Give all keys, oldest first."""
    return session.exec(select(SealingKeyRow).order_by(col(SealingKeyRow.created_at))).all()


def retire(session: Session, key_id: str, now: datetime) -> None:
    """Note that no new seal is signed with a key."""
    row = key(session, key_id)
    if row is not None:
        row.retired_at = now


def public_keys(session: Session) -> Sequence[bytes]:
    """Give the public half of every key; what is none is left out, and fits no seal."""
    found: Sequence[object] = session.exec(select(SealingKeyRow.public)).all()
    return [public for public in found if isinstance(public, bytes)]


def _light() -> ExecutableOption:
    return defer(SealRow.leaves)  # type: ignore[arg-type]  # SQLModel shows columns as values

"""API tokens by hash, and their list."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy import or_
from sqlmodel import Session, col, select

from schemas.upkeep_tables import TokenRow


def by_digest(session: Session, digest: str) -> TokenRow | None:
    """Give the token with this SHA-256."""
    return session.exec(select(TokenRow).where(TokenRow.sha256 == digest)).first()


def matching(session: Session, name: str) -> Sequence[TokenRow]:
    """Give the live tokens with this id, prefix or label."""
    fits = [col(TokenRow.prefix) == name, col(TokenRow.label) == name]
    with suppress(ValueError):
        fits.append(col(TokenRow.id) == UUID(name))
    return session.exec(
        select(TokenRow).where(col(TokenRow.revoked_at).is_(None), or_(*fits))
    ).all()


def every_token(session: Session) -> Sequence[TokenRow]:
    """Give all tokens, newest first."""
    return session.exec(select(TokenRow).order_by(col(TokenRow.id).desc())).all()

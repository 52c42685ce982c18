"""API tokens and roles: making, recognising and revoking them. Only hashes are stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from schemas.upkeep_tables import TokenRow
from service.db import Database, Session
from service.errors import NotFound, Unauthenticated
from service.local_token import read_local_token, write_local_token
from service.queue import Queue
from service.store import tokens as store
from service.unit_of_work import reading, unit_of_work

PREFIX = "hw_"
RANDOM_BYTES = 32
LOCAL_LABEL = "this machine"
SHOWN_CHARACTERS = 9
"""How much of a token is kept readable, so that people can tell theirs apart."""


class Role(StrEnum):
    """What a token may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Say whether this role may do what the other one may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `token_id` is None for the token of the environment (ADMIN_TOKEN).

    `request_id` and `remote` tell by which request and from where, when it came by one.
    """

    label: str
    role: Role
    token_id: UUID | None
    request_id: str | None = None
    remote: str | None = None


def create_token(
    session: Session,
    *,
    label: str,
    role: Role,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[TokenRow, str]:
    """Store a new token; give its row and the token itself, which is shown this once."""
    token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    row = TokenRow(
        label=label,
        role=role.value,
        prefix=token[:SHOWN_CHARACTERS],
        sha256=_digest(token),
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, token


def authenticate(session: Session, token: str, *, now: datetime, admin_token: str | None) -> Caller:
    """Give who this token belongs to. Raises Unauthenticated, the same for every reason."""
    # The look-up is by the hash of what was sent: how long it takes tells nothing about a token.
    digest = _digest(token)
    if admin_token and hmac.compare_digest(digest, _digest(admin_token)):
        return Caller("environment", Role.ADMIN, None)
    row = store.by_digest(session, digest)
    if row is None or row.revoked_at is not None:
        raise Unauthenticated
    if row.expires_at is not None and row.expires_at <= now:
        raise Unauthenticated
    return Caller(row.label, Role(row.role), row.id)


def revoke_token(session: Session, name: str, *, now: datetime) -> TokenRow:
    """Revoke the token with this id, prefix or label. Raises NotFound unless exactly one fits."""
    found = store.matching(session, name)
    if len(found) != 1:
        fault = "no token" if not found else f"{len(found)} tokens"
        raise NotFound(
            f"{fault} with the id, prefix or label {name!r}",
            hint="`hookwright token list` shows the ids of all tokens",
        )
    (row,) = found
    row.revoked_at = row.revoked_at or now
    session.add(row)
    return row


def keep_local_token(data_dir: Path, database: Database, queue: Queue, *, now: datetime) -> None:
    """Let the data directory hold an administrator's token that works, made if need be."""
    token = read_local_token(data_dir)
    if token is not None and _works(database, token, now):
        return
    with unit_of_work(database, queue) as work:
        _, token = create_token(work.session, label=LOCAL_LABEL, role=Role.ADMIN, now=now)
    write_local_token(data_dir, token)


def _works(database: Database, token: str, now: datetime) -> bool:
    try:
        with reading(database) as session:
            authenticate(session, token, now=now, admin_token=None)
    except Unauthenticated:
        return False
    return True


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

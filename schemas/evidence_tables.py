"""The tables of evidence: who did what, and the seals over rows that must not change."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Uuid
from sqlmodel import Field

from schemas.columns import (
    STATE_LENGTH,
    Table,
    id_column,
    json_column,
    text_column,
    time_column,
)


class AuditEventRow(Table, table=True):
    """Something that a person or a program with a token did. Never changed.

    `action` is `<resource>.<what>` (`run.cancel`), `subject` the id or name of what it was done to.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_action_by_id", "action", "by", "id"),
        Index("ix_audit_events_subject_id", "subject", "id"),
    )

    id: UUID = id_column()
    at: datetime = time_column(index=True)
    by: str = text_column()
    role: str = text_column(STATE_LENGTH)
    action: str = text_column(60)
    subject: str = text_column(300, default="")
    details: dict[str, Any] = json_column()
    request_id: str | None = text_column(100, default=None)
    remote: str | None = text_column(100, default=None)


class SealRow(Table, table=True):
    """A batch of rows that is covered by one signature, and chained to the batch before it.

    `covers` says what of which table (service/seal_form.py). `leaves` holds, row by row in the
    order of ids, 16 bytes of id and 32 bytes of SHA-256 over what must not change; `root` is the
    root of their Merkle tree. `signature` (Ed25519) is over everything above and `sealed_at`;
    `previous` (the chain so far) is among it.

    `removed` tells, signed as well, which of the rows retention has removed since. When these are
    all, `pruned_at` is set and `leaves` are given up.
    """

    __tablename__ = "seals"
    __table_args__ = (Index("ix_seals_covers_last_id", "covers", "last_id"),)

    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    covers: str = text_column(40)
    first_id: UUID = Field(sa_type=Uuid)
    last_id: UUID = Field(sa_type=Uuid)
    count: int
    leaves: bytes = Field(sa_type=LargeBinary)
    root: bytes = Field(sa_type=LargeBinary)
    previous: bytes = Field(sa_type=LargeBinary)
    key_id: str = text_column(64)
    signature: bytes = Field(sa_type=LargeBinary)
    sealed_at: datetime = time_column()
    removed: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    pruned_at: datetime | None = time_column(null=True)


class SealingKeyRow(Table, table=True):
    """A key that seals are signed with. `private` is sealed by service/secretbox.py.

    `id` is the SHA-256 of the public key, in hexadecimal.
    """

    __tablename__ = "sealing_keys"

    id: str = text_column(64, primary_key=True)
    public: bytes = Field(sa_type=LargeBinary)
    private: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = time_column()
    retired_at: datetime | None = time_column(null=True)

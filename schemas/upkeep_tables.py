"""The tables of upkeep: work in bulk, how long things are kept, tokens, leases and marks."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Text
from sqlmodel import Field

from schemas.columns import (
    JSON_TYPE,
    STATE_LENGTH,
    Table,
    id_column,
    json_column,
    text_column,
    time_column,
)


class BulkJobRow(Table, table=True):
    """One thing done to everything that a filter finds, at a rate, with its progress.

    `kind` says what is done (schemas/bulk.py); `question` is the filter as it was asked. `total` is
    what the filter found when the job was asked for, `position` how far it has come and what could
    not be done. `per_second` bounds how many are begun in a second. `key`: who asks again with the
    same is given this job. `due_at` is when a worker takes it on (None: it has ended). `failures`
    counts the workers in a row that were lost or stopped without having done anything.
    """

    __tablename__ = "bulk_jobs"

    id: UUID = id_column()
    kind: str = text_column(40)
    question: dict[str, Any] = json_column()
    per_second: float
    state: str = text_column(STATE_LENGTH)
    by: str = text_column()
    key: str | None = text_column(300, default=None, unique=True)
    total: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    position: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    failures: int = 0
    losses: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = time_column()
    started_at: datetime | None = time_column(null=True)
    ended_at: datetime | None = time_column(null=True)
    due_at: datetime | None = time_column(null=True, index=True)
    lease_owner: str | None = text_column(default=None)
    lease_until: datetime | None = time_column(null=True)


class PolicyRow(Table, table=True):
    """What the configuration says of the installation as a whole, by name: `retention`."""

    __tablename__ = "policies"

    name: str = text_column(40, primary_key=True)
    value: dict[str, Any] = json_column()
    updated_at: datetime = time_column()


class TokenRow(Table, table=True):
    """An API token: only its hash is kept."""

    __tablename__ = "tokens"

    id: UUID = id_column()
    label: str = text_column()
    role: str = text_column(STATE_LENGTH)
    prefix: str = text_column(20)
    sha256: str = text_column(64, unique=True)
    created_at: datetime = time_column()
    expires_at: datetime | None = time_column(null=True)
    revoked_at: datetime | None = time_column(null=True)


class LeaseRow(Table, table=True):
    """Who may do what only one may do (leader of the timers, changes of one target)."""

    __tablename__ = "leases"

    name: str = text_column(500, primary_key=True)
    owner: str = text_column()
    until: datetime = time_column()


class MarkRow(Table, table=True):
    """A counter that changes when something cached elsewhere has changed (`sources`)."""

    __tablename__ = "marks"

    name: str = text_column(primary_key=True)
    number: int = Field(default=0, sa_type=BigInteger)

"""The tables of comparisons with vendors' records, and of the gaps that they find."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, Text, UniqueConstraint, Uuid
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
from schemas.states import GapState


class ReconciliationRow(Table, table=True):
    """One comparison of a vendor's record with what a source has stored.

    `position` says how far the record has been read: `{"record": 0, "page": …}`. `missing` entries
    were not here; of these `asked` were asked for again, `filled` are here now, `unfilled` are not
    to be had. `due_at` is when a worker takes it on (None: it has ended); `losses` counts the
    workers that were lost in a row with it.
    """

    __tablename__ = "reconciliations"
    __table_args__ = (Index("ix_reconciliations_source_id", "source", "id"),)

    id: UUID = id_column()
    source_id: UUID = Field(sa_type=Uuid, nullable=False)
    source: str = text_column()
    vendor: str = text_column()
    by: str = text_column(STATE_LENGTH)
    since: datetime = time_column()
    until: datetime = time_column()
    state: str = text_column(STATE_LENGTH)
    position: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    checked: int = 0
    missing: int = 0
    asked: int = 0
    filled: int = 0
    unfilled: int = 0
    failures: int = 0
    losses: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = time_column()
    ended_at: datetime | None = time_column(null=True)
    due_at: datetime | None = time_column(null=True, index=True)
    lease_owner: str | None = text_column(default=None)
    lease_until: datetime | None = time_column(null=True)


class GapRow(Table, table=True):
    """An entry of a vendor's record that we did not have when it was compared."""

    __tablename__ = "gaps"
    __table_args__ = (
        UniqueConstraint("source_id", "record", "reference"),
        Index(
            "ix_gaps_open",
            "id",
            postgresql_where=Column("state") == GapState.OPEN.value,
            sqlite_where=Column("state") == GapState.OPEN.value,
        ),
    )

    id: UUID = id_column()
    source_id: UUID = Field(sa_type=Uuid, nullable=False)
    source: str = text_column(index=True)
    record: str = text_column()
    reference: str = text_column(300)
    vendor_type: str = text_column()
    time: datetime = time_column()
    state: str = text_column(STATE_LENGTH)
    entry: dict[str, Any] = json_column()
    asked: int = 0
    error: str | None = Field(default=None, sa_type=Text)
    reconciliation_id: UUID = Field(sa_type=Uuid, nullable=False, index=True)
    found_at: datetime = time_column()
    changed_at: datetime = time_column()

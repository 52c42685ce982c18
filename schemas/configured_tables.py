"""The tables of what is configured: sources, connections, polls, workflows and their schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Column, ForeignKey, LargeBinary, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from schemas.columns import JSON_TYPE, Table, id_column, json_column, text_column, time_column


class SourceRow(Table, table=True):
    """A receiving address. `secrets` and `path_token` are sealed by service/secretbox.py.

    `connection` is the account of the same vendor whose events arrive here; facts that reach us
    over both are one. `reconcile` is how the vendor's record is compared (schemas/config.py);
    `reconcile_due_at` is when that happens next by itself (None: only when asked for).
    """

    __tablename__ = "sources"

    id: UUID = id_column()
    name: str = text_column(unique=True)
    vendor: str = text_column()
    secrets: bytes = Field(sa_type=LargeBinary)
    path_token_sha256: str | None = text_column(64, default=None)
    options: dict[str, Any] = json_column()
    limits: dict[str, Any] = json_column()
    enabled: bool = Field(default=True, sa_type=Boolean)
    from_file: bool = Field(default=False, sa_type=Boolean)
    connection: str | None = text_column(default=None)
    reconcile: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    reconcile_due_at: datetime | None = time_column(null=True)
    updated_at: datetime = time_column()


class ConnectionRow(Table, table=True):
    """Base address and credentials of one vendor account; `credentials` are sealed."""

    __tablename__ = "connections"

    id: UUID = id_column()
    name: str = text_column(unique=True)
    vendor: str = text_column()
    base_url: str | None = text_column(2000, default=None)
    credentials: bytes = Field(sa_type=LargeBinary)
    options: dict[str, Any] = json_column()
    from_file: bool = Field(default=False, sa_type=Boolean)
    updated_at: datetime = time_column()


class PollRow(Table, table=True):
    """A question asked again and again, and how far its answers have been read.

    `losses` counts the workers that were lost in a row while they asked it.
    """

    __tablename__ = "polls"

    id: UUID = id_column()
    name: str = text_column(unique=True)
    connection: str = text_column()
    poll: str = text_column()
    every_seconds: float
    options: dict[str, Any] = json_column()
    position: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    due_at: datetime = time_column(index=True)
    lease_owner: str | None = text_column(default=None)
    lease_until: datetime | None = time_column(null=True)
    asked_at: datetime | None = time_column(null=True)
    failures: int = 0
    losses: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    error: str | None = Field(default=None, sa_type=Text)
    enabled: bool = Field(default=True, sa_type=Boolean)
    from_file: bool = Field(default=False, sa_type=Boolean)
    updated_at: datetime = time_column()


class WorkflowRow(Table, table=True):
    """A workflow by name, and which of its versions is current."""

    __tablename__ = "workflows"

    id: UUID = id_column()
    name: str = text_column(unique=True)
    enabled: bool = Field(default=True, sa_type=Boolean)
    current_version_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    from_file: bool = Field(default=False, sa_type=Boolean)
    updated_at: datetime = time_column()


class WorkflowVersionRow(Table, table=True):
    """One version of a workflow. Never changed: runs keep the version they began with."""

    __tablename__ = "workflow_versions"
    __table_args__ = (UniqueConstraint("workflow_id", "number"),)

    id: UUID = id_column()
    workflow_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False)
    )
    number: int
    digest: str = text_column(64)
    document: dict[str, Any] = json_column()
    vars: dict[str, Any] = json_column()
    source_text: str = Field(sa_type=Text)
    created_at: datetime = time_column()


class ScheduleRow(Table, table=True):
    """When a workflow is started next by one of its `cron` triggers."""

    __tablename__ = "schedules"
    __table_args__ = (UniqueConstraint("workflow_id", "cron", "timezone"),)

    id: UUID = id_column()
    workflow_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False)
    )
    cron: str = text_column()
    timezone: str = text_column()
    due_at: datetime = time_column(index=True)
    fired_at: datetime | None = time_column(null=True)

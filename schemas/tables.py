"""Every table. Columns say what a row means; all SQL is in service/store/.

SQLModel needs the column types spelled out: its mapping of `datetime` and of enums differs between
releases, and enums would be stored by member name. Enums are kept as text by value here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from schemas.ids import new_id

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
NAME_LENGTH = 200
STATE_LENGTH = 20


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC in and out: `timestamptz` on PostgreSQL, ISO-like text without zone on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; keep UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a time without zone cannot be stored"
            raise ValueError(message)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JSON_TYPE = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class DeliveryState(StrEnum):
    """How far a stored delivery has come."""

    RECEIVED = "received"
    INGESTED = "ingested"
    MALFORMED = "malformed"
    """Authentic, kept, but not what its vendor documents: it gave no events."""
    DEAD = "dead"
    """Ingesting it failed for good; a redelivery or a replay tries again."""


class EffectState(StrEnum):
    """What is known of a call that changes something outside."""

    INTENDED = "intended"
    MADE = "made"
    NOT_MADE = "not_made"
    IN_DOUBT = "in_doubt"
    SHADOWED = "shadowed"


class AlertState(StrEnum):
    """The life of an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


def _id() -> Any:
    return Field(default_factory=new_id, sa_type=Uuid, primary_key=True)


def _time(*, index: bool = False, null: bool = False) -> Any:
    if null:
        return Field(default=None, sa_type=UtcTime, nullable=True, index=index)
    return Field(sa_type=UtcTime, nullable=False, index=index)


def _text(length: int = NAME_LENGTH, **more: Any) -> Any:
    return Field(sa_type=String(length), **more)


def _json(**more: Any) -> Any:
    return Field(default_factory=dict, sa_type=JSON_TYPE, nullable=False, **more)


class Table(SQLModel):
    """Base of every table."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)


class SourceRow(Table, table=True):
    """A receiving address. `secrets` and `path_token` are sealed by service/secretbox.py."""

    __tablename__ = "sources"

    id: UUID = _id()
    name: str = _text(unique=True)
    vendor: str = _text()
    secrets: bytes = Field(sa_type=LargeBinary)
    path_token_sha256: str | None = _text(64, default=None)
    options: dict[str, Any] = _json()
    limits: dict[str, Any] = _json()
    enabled: bool = Field(default=True, sa_type=Boolean)
    from_file: bool = Field(default=False, sa_type=Boolean)
    updated_at: datetime = _time()


class ConnectionRow(Table, table=True):
    """Base address and credentials of one vendor account; `credentials` are sealed."""

    __tablename__ = "connections"

    id: UUID = _id()
    name: str = _text(unique=True)
    vendor: str = _text()
    base_url: str | None = _text(2000, default=None)
    credentials: bytes = Field(sa_type=LargeBinary)
    options: dict[str, Any] = _json()
    from_file: bool = Field(default=False, sa_type=Boolean)
    updated_at: datetime = _time()


class PollRow(Table, table=True):
    """A question asked again and again, and how far its answers have been read."""

    __tablename__ = "polls"

    id: UUID = _id()
    name: str = _text(unique=True)
    connection: str = _text()
    poll: str = _text()
    every_seconds: float
    options: dict[str, Any] = _json()
    position: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    due_at: datetime = _time(index=True)
    lease_owner: str | None = _text(default=None)
    lease_until: datetime | None = _time(null=True)
    asked_at: datetime | None = _time(null=True)
    failures: int = 0
    error: str | None = Field(default=None, sa_type=Text)
    enabled: bool = Field(default=True, sa_type=Boolean)
    from_file: bool = Field(default=False, sa_type=Boolean)
    updated_at: datetime = _time()


class WorkflowRow(Table, table=True):
    """A workflow by name, and which of its versions is current."""

    __tablename__ = "workflows"

    id: UUID = _id()
    name: str = _text(unique=True)
    enabled: bool = Field(default=True, sa_type=Boolean)
    current_version_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    from_file: bool = Field(default=False, sa_type=Boolean)
    updated_at: datetime = _time()


class WorkflowVersionRow(Table, table=True):
    """One version of a workflow. Never changed: runs keep the version they began with."""

    __tablename__ = "workflow_versions"
    __table_args__ = (UniqueConstraint("workflow_id", "number"),)

    id: UUID = _id()
    workflow_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False)
    )
    number: int
    digest: str = _text(64)
    document: dict[str, Any] = _json()
    vars: dict[str, Any] = _json()
    source_text: str = Field(sa_type=Text)
    created_at: datetime = _time()


class DeliveryRow(Table, table=True):
    """One HTTP request as it came. Headers and body are never changed."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("source_id", "delivery_key"),
        Index("ix_deliveries_state_due_at", "state", "due_at"),
    )

    id: UUID = _id()
    source_id: UUID = Field(sa_type=Uuid, nullable=False)
    source: str = _text()
    vendor: str = _text()
    delivery_key: str = _text(300)
    received_at: datetime = _time(index=True)
    headers: list[list[str]] = Field(sa_type=JSON_TYPE, nullable=False)
    body: bytes = Field(sa_type=LargeBinary)
    state: str = _text(STATE_LENGTH, default=DeliveryState.RECEIVED)
    due_at: datetime | None = _time(null=True)
    failures: int = 0
    error: str | None = Field(default=None, sa_type=Text)


class EventRow(Table, table=True):
    """A normalised fact. `dedupe_key` is the same whenever the same fact is read again."""

    __tablename__ = "events"

    id: UUID = _id()
    dedupe_key: str = _text(400, unique=True)
    type: str = _text(index=True)
    vendor: str = _text()
    vendor_type: str = _text()
    source: str | None = _text(default=None)
    delivery_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True, index=True)
    subject: str | None = _text(300, default=None)
    time: datetime = _time()
    received_at: datetime = _time(index=True)
    facts: dict[str, Any] = _json()
    payload: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    correlation_id: UUID = Field(sa_type=Uuid, nullable=False)
    caused_by: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)


class RunRow(Table, table=True):
    """One execution of one version of a workflow for one event.

    `due_at` is when the run wants to be carried on (None: it waits for a person, or has ended);
    the lease says which worker carries it on now.
    """

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("event_id", "workflow_version_id", "replay"),
        Index("ix_runs_status_due_at", "status", "due_at"),
        Index("ix_runs_lease_owner", "lease_owner"),
    )

    id: UUID = _id()
    event_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("events.id", ondelete="CASCADE"), nullable=False)
    )
    workflow_version_id: UUID = Field(
        sa_column=Column(
            Uuid, ForeignKey("workflow_versions.id", ondelete="CASCADE"), nullable=False
        )
    )
    workflow: str = _text(index=True)
    replay: int = 0
    status: str = _text(STATE_LENGTH)
    shadow: bool = Field(default=False, sa_type=Boolean)
    cancel_requested: bool = Field(default=False, sa_type=Boolean)
    reason: str | None = Field(default=None, sa_type=Text)
    error: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    correlation_id: UUID = Field(sa_type=Uuid, nullable=False)
    created_at: datetime = _time(index=True)
    started_at: datetime | None = _time(null=True)
    ended_at: datetime | None = _time(null=True)
    due_at: datetime | None = _time(null=True)
    lease_owner: str | None = _text(default=None)
    lease_until: datetime | None = _time(null=True)
    failures: int = 0


class StepRow(Table, table=True):
    """One node of a run and what became of it."""

    __tablename__ = "steps"
    __table_args__ = (UniqueConstraint("run_id", "step"),)

    id: UUID = _id()
    run_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False)
    )
    step: str = _text()
    position: int
    action: str | None = _text(default=None)
    status: str = _text(STATE_LENGTH)
    attempts: int = 0
    put_off: int = 0
    polls: int = 0
    output: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    error: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    reason: str | None = Field(default=None, sa_type=Text)
    started_at: datetime | None = _time(null=True)
    attempted_at: datetime | None = _time(null=True)
    ended_at: datetime | None = _time(null=True)


class AttemptRow(Table, table=True):
    """One try of a step; it is written before the try begins."""

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("step_id", "number"),)

    id: UUID = _id()
    step_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("steps.id", ondelete="CASCADE"), nullable=False)
    )
    run_id: UUID = Field(sa_type=Uuid, nullable=False, index=True)
    number: int
    status: str = _text(STATE_LENGTH)
    started_at: datetime = _time()
    ended_at: datetime | None = _time(null=True)
    output: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    error: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)


class WaitRow(Table, table=True):
    """Why a run stands still and until when; gone as soon as the run goes on.

    `kind`: `retry`, `poll`, `turn` (another run is changing the same target) or `person` (an
    outcome is in doubt; `due_at` is None).
    """

    __tablename__ = "waits"

    id: UUID = _id()
    run_id: UUID = Field(
        sa_column=Column(
            Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, unique=True
        )
    )
    step: str = _text()
    kind: str = _text(STATE_LENGTH)
    since: datetime = _time()
    due_at: datetime | None = _time(null=True, index=True)


class EffectRow(Table, table=True):
    """A call that changes something outside: written before it is made.

    `key` is the same on every retry. `target` names the thing outside; the newest made effect on
    a target holds the `reference` by which it is found again.
    """

    __tablename__ = "effects"
    __table_args__ = (
        Index("ix_effects_connection_target_made_at", "connection", "target", "made_at"),
        Index("ix_effects_connection_action_made_at", "connection", "action", "made_at"),
    )

    id: UUID = _id()
    key: str = _text(500, unique=True)
    run_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True, index=True)
    step: str = _text()
    action: str = _text()
    connection: str = _text()
    target: str | None = _text(400, default=None)
    state: str = _text(STATE_LENGTH)
    params: dict[str, Any] = _json()
    output: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    reference: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    calls: int = 0
    error: str | None = Field(default=None, sa_type=Text)
    intended_at: datetime = _time()
    made_at: datetime | None = _time(null=True)


class AlertRow(Table, table=True):
    """A condition with a life. At most one alert of a key is not resolved."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index(
            "uq_alerts_key_unresolved",
            "key",
            unique=True,
            postgresql_where=Column("state") != AlertState.RESOLVED.value,
            sqlite_where=Column("state") != AlertState.RESOLVED.value,
        ),
        CheckConstraint("length(key) > 0", name="key_not_empty"),
    )

    id: UUID = _id()
    key: str = _text(300, index=True)
    state: str = _text(STATE_LENGTH)
    severity: str = _text(STATE_LENGTH)
    title: str = _text(300)
    details: dict[str, Any] = _json()
    opened_at: datetime = _time(index=True)
    changed_at: datetime = _time()
    resolved_at: datetime | None = _time(null=True)
    changes: int = 1
    event_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    run_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)


class RejectionRow(Table, table=True):
    """A refused request in the bounded quarantine: the true reason, and a cut body."""

    __tablename__ = "rejections"

    id: UUID = _id()
    source: str = _text(index=True)
    received_at: datetime = _time(index=True)
    reason: str = _text()
    detail: str = _text(500, default="")
    remote: str = _text(default="")
    headers: list[list[str]] = Field(sa_type=JSON_TYPE, nullable=False)
    body: bytes = Field(sa_type=LargeBinary)
    body_bytes: int = Field(sa_type=BigInteger)
    count: int = Field(default=1, sa_type=Integer)


class TokenRow(Table, table=True):
    """An API token: only its hash is kept."""

    __tablename__ = "tokens"

    id: UUID = _id()
    label: str = _text()
    role: str = _text(STATE_LENGTH)
    prefix: str = _text(20)
    sha256: str = _text(64, unique=True)
    created_at: datetime = _time()
    expires_at: datetime | None = _time(null=True)
    revoked_at: datetime | None = _time(null=True)


class LeaseRow(Table, table=True):
    """Who may do what only one may do (leader of the timers, changes of one target)."""

    __tablename__ = "leases"

    name: str = _text(500, primary_key=True)
    owner: str = _text()
    until: datetime = _time()


class MarkRow(Table, table=True):
    """A counter that changes when something cached elsewhere has changed (`sources`)."""

    __tablename__ = "marks"

    name: str = _text(primary_key=True)
    number: int = Field(default=0, sa_type=BigInteger)

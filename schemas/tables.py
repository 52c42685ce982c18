"""The tables of what comes in and of what becomes of it, and METADATA, which knows every table.

Columns say what a row means; all SQL is in service/store/.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    false,
)
from sqlmodel import Field

from schemas import (
    configured_tables,
    evidence_tables,
    reading_tables,
    reconciliation_tables,
    run_tables,
    upkeep_tables,
)
from schemas.columns import (
    JSON_TYPE,
    STATE_LENGTH,
    Table,
    id_column,
    json_column,
    text_column,
    time_column,
)
from schemas.compact import CompactJson
from schemas.events import Origin
from schemas.partitioned import PARTITIONED, complete
from schemas.states import AlertState, DeliveryState, EffectState


class DeliveryRow(Table, table=True):
    """One HTTP request as it came. Headers and body are never changed.

    `rejection_id` is the refused request that it was accepted from later, `replays` how often it
    was read anew by hand. `fault` names the log line with the traceback of its `error`. `rings`
    counts how often the sweeper rang for it, `losses` how many workers began with it alone, or to
    ask its vendor, and did not come back.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        # On PostgreSQL its key stands in a table of its own (schemas/partitioned.py).
        UniqueConstraint("source_id", "delivery_key").ddl_if(dialect="sqlite"),
        # What waits is looked for source by source: one that is busy hides no other.
        Index("ix_deliveries_state_source_id_due_at", "state", "source_id", "due_at"),
        Index("ix_deliveries_source_state_id", "source", "state", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: UUID = id_column()
    source_id: UUID = Field(sa_type=Uuid, nullable=False)
    source: str = text_column()
    vendor: str = text_column()
    delivery_key: str = text_column(300)
    received_at: datetime = time_column()
    headers: list[list[str]] = Field(sa_type=JSON_TYPE, nullable=False)
    body: bytes = Field(sa_type=LargeBinary)
    state: str = text_column(STATE_LENGTH, default=DeliveryState.RECEIVED)
    due_at: datetime | None = time_column(null=True)
    failures: int = 0
    error: str | None = Field(default=None, sa_type=Text)
    fault: str | None = text_column(STATE_LENGTH, default=None)
    replays: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    rejection_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    rings: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    losses: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


DECIDED = "approval.decided"
"""Events of this type tell of a decision somebody made at a vendor's."""


class EventRow(Table, table=True):
    """A normalised fact. `dedupe_key` is the same whenever the same fact is read again.

    `caused_by` is the run that emitted it, `depth` how many runs stand before it in its chain.
    A large payload stands in a row of its own (`payload_id`).
    """

    __tablename__ = "events"
    __table_args__ = (
        # On PostgreSQL it stands in a table of its own (schemas/partitioned.py).
        UniqueConstraint("dedupe_key").ddl_if(dialect="sqlite"),
        # All that a list of events is narrowed by: of a frequent subject many are passed over.
        Index("ix_events_subject_id", "subject", "id", "vendor", "source", "type", "received_at"),
        # What was decided on a run is asked whenever a step begins to wait for it. All other
        # events pay nothing for this index.
        Index(
            "ix_events_subject_decided",
            "subject",
            postgresql_where=Column("type") == DECIDED,
            sqlite_where=Column("type") == DECIDED,
        ),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: UUID = id_column()
    dedupe_key: str = text_column(400)
    type: str = text_column()
    vendor: str = text_column()
    vendor_type: str = text_column()
    source: str | None = text_column(default=None)
    delivery_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True, index=True)
    origin: str = text_column(
        STATE_LENGTH, default=Origin.WEBHOOK, sa_column_kwargs={"server_default": "webhook"}
    )
    subject: str | None = text_column(300, default=None)
    time: datetime = time_column()
    received_at: datetime = time_column(index=True)
    facts: dict[str, Any] = json_column()
    payload: Any = Field(default=None, sa_type=CompactJson, nullable=True)
    correlation_id: UUID = Field(sa_type=Uuid, nullable=False)
    caused_by: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    depth: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    payload_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)


class EffectRow(Table, table=True):
    """A call that changes something outside: written before it is made.

    `key` is the same on every retry. `target` names the thing outside; the newest made effect on
    a target holds the `reference` by which it is found again.
    """

    __tablename__ = "effects"
    __table_args__ = (
        Index("ix_effects_connection_target_made_at", "connection", "target", "made_at"),
        Index("ix_effects_connection_action_made_at", "connection", "action", "made_at"),
        Index("ix_effects_action_connection_state_id", "action", "connection", "state", "id"),
        # The few that somebody must look at are found at once; all others pay nothing for it.
        Index(
            "ix_effects_intended_at_in_doubt",
            "intended_at",
            postgresql_where=Column("state") == EffectState.IN_DOUBT.value,
            sqlite_where=Column("state") == EffectState.IN_DOUBT.value,
        ),
    )

    id: UUID = id_column()
    key: str = text_column(500, unique=True)
    run_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True, index=True)
    step: str = text_column()
    action: str = text_column()
    connection: str = text_column()
    target: str | None = text_column(400, default=None)
    state: str = text_column(STATE_LENGTH)
    params: dict[str, Any] = json_column()
    output: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    reference: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    calls: int = 0
    error: str | None = Field(default=None, sa_type=Text)
    intended_at: datetime = time_column()
    made_at: datetime | None = time_column(null=True)


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
        Index("ix_alerts_state_severity_id", "state", "severity", "id"),
        Index("ix_alerts_key_id", "key", "id"),
    )

    id: UUID = id_column()
    key: str = text_column(300)
    state: str = text_column(STATE_LENGTH)
    severity: str = text_column(STATE_LENGTH)
    title: str = text_column(300)
    details: dict[str, Any] = json_column()
    opened_at: datetime = time_column(index=True)
    changed_at: datetime = time_column()
    resolved_at: datetime | None = time_column(null=True)
    changes: int = 1
    event_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    run_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)


class RejectionRow(Table, table=True):
    """A refused request in the bounded quarantine: the true reason, and a cut body.

    `address` is the name that was asked for where it is no source's. `sealed` holds what is struck
    out of the headers, and the path's token, for verifying again. `complete`: all that this takes
    was kept. `cause` (a stable word) and `diagnosis` (a sentence) are what was found out about the
    reason afterwards. Once it has proven authentic, `delivery_id` is the delivery that it became.
    """

    __tablename__ = "rejections"
    __table_args__ = (
        Index("ix_rejections_listed", "id", "source", "address", "reason", "cause", "received_at"),
    )

    id: UUID = id_column()
    source: str = text_column(index=True)
    received_at: datetime = time_column(index=True)
    reason: str = text_column()
    detail: str = text_column(500, default="")
    remote: str = text_column(default="")
    headers: list[list[str]] = Field(sa_type=JSON_TYPE, nullable=False)
    body: bytes = Field(sa_type=LargeBinary)
    body_bytes: int = Field(sa_type=BigInteger)
    count: int = Field(default=1, sa_type=Integer)
    complete: bool = Field(
        default=False, sa_type=Boolean, sa_column_kwargs={"server_default": false()}
    )
    address: str | None = text_column(default=None)
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    cause: str | None = text_column(40, default=None)
    diagnosis: str | None = text_column(500, default=None)
    delivery_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    accepted_at: datetime | None = time_column(null=True)


class PayloadRow(Table, table=True):
    """A large value, kept away from the rows that are read often: compressed JSON."""

    __tablename__ = "payloads"

    id: UUID = id_column()
    content: bytes = Field(sa_type=LargeBinary)
    size_bytes: int
    created_at: datetime = time_column(index=True)


METADATA = Table.metadata
"""All tables: those of this module and of the modules that TABLE_MODULES names."""

TABLE_MODULES = (
    configured_tables,
    evidence_tables,
    reading_tables,
    reconciliation_tables,
    run_tables,
    upkeep_tables,
)

for _name in PARTITIONED:
    complete(METADATA.tables[_name])

"""The tables of runs and what belongs to them. All SQL is in service/store/."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlmodel import Field

from schemas.columns import (
    JSON_TYPE,
    STATE_LENGTH,
    Table,
    id_column,
    text_column,
    time_column,
)
from schemas.workflow import RunError, Tally


class RunRow(Table, table=True):
    """One execution of one version of a workflow for one event, or a branch of such a run.

    `due_at` is when the run wants to be carried on (None: only what it waits for lets it go on, or
    it has ended); the lease says which worker carries it on now.

    A branch carries on an arm of a `parallel` or one item of a `for_each`: it has a `parent_id`, no
    event of its own, and `number` counts it within the step `container` of its parent. `root_id` is
    the run it belongs to. `frame_id` is the nearest run around it that is no arm of a `parallel`:
    all steps of a frame see one another. `path` is what people read: `each[3]/both[0]`.

    `replay` is 0 for the run that an event started by itself, and counts those that were started
    for it anew; `started_by` says by whom, `bulk_job_id` with which work in bulk.

    Since it last came further, `rings` counts how often the sweeper rang for it, `losses` how many
    workers were lost with it.
    """

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("event_id", "workflow_version_id", "replay"),
        Index("ix_runs_status_due_at", "status", "due_at"),
        # In a backlog what is due is looked for workflow by workflow.
        Index(
            "ix_runs_workflow_status_due_at",
            "workflow",
            "status",
            "due_at",
            postgresql_where=Column("due_at").is_not(None),
            sqlite_where=Column("due_at").is_not(None),
        ),
        # Lists go through it, one workflow and status after the other.
        Index(
            "ix_runs_workflow_status_id",
            "workflow",
            "status",
            "id",
            postgresql_where=Column("parent_id").is_(None),
            sqlite_where=Column("parent_id").is_(None),
        ),
        Index(
            "ix_runs_parent_id_id",
            "parent_id",
            "id",
            postgresql_where=Column("parent_id").is_not(None),
            sqlite_where=Column("parent_id").is_not(None),
        ),
        Index("ix_runs_lease_owner", "lease_owner"),
        Index(
            "uq_runs_parent_id_container_number", "parent_id", "container", "number", unique=True
        ),
        Index("ix_runs_root_id", "root_id"),
        Index("ix_runs_frame_id", "frame_id"),
        Index("ix_runs_caller_id", "caller_id"),
    )

    id: UUID = id_column()
    event_id: UUID | None = Field(
        default=None,
        sa_column=Column(Uuid, ForeignKey("events.id", ondelete="CASCADE"), nullable=True),
    )
    workflow_version_id: UUID = Field(
        sa_column=Column(
            Uuid, ForeignKey("workflow_versions.id", ondelete="CASCADE"), nullable=False
        )
    )
    workflow: str = text_column()
    replay: int = 0
    status: str = text_column(STATE_LENGTH)
    shadow: bool = Field(default=False, sa_type=Boolean)
    cancel_requested: bool = Field(default=False, sa_type=Boolean)
    reason: str | None = Field(default=None, sa_type=Text)
    error: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    correlation_id: UUID = Field(sa_type=Uuid, nullable=False)
    created_at: datetime = time_column()
    started_at: datetime | None = time_column(null=True)
    ended_at: datetime | None = time_column(null=True)
    due_at: datetime | None = time_column(null=True)
    lease_owner: str | None = text_column(default=None)
    lease_until: datetime | None = time_column(null=True)
    failures: int = 0
    retries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    depth: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    output: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    caller_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    caller_step: str | None = text_column(default=None)
    parent_id: UUID | None = Field(
        default=None,
        sa_column=Column(Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=True),
    )
    root_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    frame_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    container: str | None = text_column(default=None)
    number: int | None = Field(default=None, sa_type=Integer, nullable=True)
    path: str | None = text_column(400, default=None)
    started_by: str | None = text_column(default=None)
    bulk_job_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    item: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    rings: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    losses: int = Field(default=0, sa_column_kwargs={"server_default": "0"})

    @property
    def run_id(self) -> UUID:
        """The run that people know: itself, or the one whose branch it is."""
        return self.root_id or self.id


class StepRow(Table, table=True):
    """One node of a run and what became of it.

    `kind` is the key that tells what it does (schemas/document). `round` counts how often it was
    asked for anew. `answer` is what came from outside while it waited. A large output stands in a
    row of its own (`output_id`).
    """

    __tablename__ = "steps"
    __table_args__ = (UniqueConstraint("run_id", "step"),)

    id: UUID = id_column()
    run_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False)
    )
    step: str = text_column()
    position: int
    action: str | None = text_column(default=None)
    status: str = text_column(STATE_LENGTH)
    attempts: int = 0
    put_off: int = 0
    polls: int = 0
    output: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    error: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    reason: str | None = Field(default=None, sa_type=Text)
    started_at: datetime | None = time_column(null=True)
    attempted_at: datetime | None = time_column(null=True)
    ended_at: datetime | None = time_column(null=True)
    kind: str = text_column(
        STATE_LENGTH, default="uses", sa_column_kwargs={"server_default": "uses"}
    )
    round: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    answer: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    output_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)


class AttemptRow(Table, table=True):
    """One try of a step; it is written before the try begins."""

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("step_id", "number"),)

    id: UUID = id_column()
    step_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("steps.id", ondelete="CASCADE"), nullable=False)
    )
    run_id: UUID = Field(sa_type=Uuid, nullable=False, index=True)
    number: int
    status: str = text_column(STATE_LENGTH)
    started_at: datetime = time_column()
    ended_at: datetime | None = time_column(null=True)
    output: Any = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    error: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)


class WaitRow(Table, table=True):
    """Why a run stands still and until when; gone as soon as the run goes on.

    `kind` is one of `schemas.workflow.WaitKind`. `due_at` is when the wait ends by itself (None:
    never). `step` is empty for a run that has not begun. `looked_until`: events whose ids were made
    before it have been compared with what is awaited. `looks` counts how often the events from the
    beginning of the wait were looked at once more.
    """

    __tablename__ = "waits"
    __table_args__ = (Index("ix_waits_kind_run_id", "kind", "run_id"),)

    id: UUID = id_column()
    run_id: UUID = Field(
        sa_column=Column(
            Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, unique=True
        )
    )
    step: str = text_column()
    kind: str = text_column(STATE_LENGTH)
    since: datetime = time_column()
    due_at: datetime | None = time_column(null=True, index=True)
    looked_until: datetime | None = time_column(null=True)
    looks: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class SpreadRow(Table, table=True):
    """How far the branches of one `parallel` or `for_each` of a run have come."""

    __tablename__ = "spreads"

    run_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    )
    step: str = text_column(primary_key=True)
    total: int
    begun: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    first_error: dict[str, Any] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)

    @property
    def tally(self) -> Tally:
        """How far the branches have come."""
        first = self.first_error
        return Tally(
            total=self.total,
            begun=self.begun,
            succeeded=self.succeeded,
            failed=self.failed,
            cancelled=self.cancelled,
            first_error=None if first is None else RunError.model_validate(first),
        )


class SpreadItemsRow(Table, table=True):
    """Some items of a `for_each`, in their order; `first` is the number of the first of them."""

    __tablename__ = "spread_items"

    run_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    )
    step: str = text_column(primary_key=True)
    first: int = Field(primary_key=True)
    items: list[Any] = Field(sa_type=JSON_TYPE, nullable=False)


class RunEventRow(Table, table=True):
    """An event that a run sees beside the one that started it (`coalesce`, `debounce`)."""

    __tablename__ = "run_events"

    run_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    )
    event_id: UUID = Field(
        sa_column=Column(
            Uuid, ForeignKey("events.id", ondelete="CASCADE"), primary_key=True, index=True
        )
    )


class GateRow(Table, table=True):
    """What the runs of one workflow and key meet before they begin. It is locked by its name.

    `name` is the kind of gate (`gather`, `concurrency`, `throttle`), the workflow and the key.
    `starts` are the latest moments at which a throttle let a run begin. After `keep_until` the row
    says nothing any more, and may go.
    """

    __tablename__ = "gates"

    name: str = text_column(500, primary_key=True)
    starts: list[str] = Field(sa_type=JSON_TYPE, nullable=False, default_factory=list)
    keep_until: datetime = time_column(index=True)


class TurnRow(Table, table=True):
    """A run's place before a gate, in the order of arrival (`id`).

    `holds`: it has passed the gate and counts until it ends (`concurrency`). Before a gathering
    gate stands the one run that more events may join.
    """

    __tablename__ = "turns"
    __table_args__ = (
        UniqueConstraint("run_id", "gate"),
        Index("ix_turns_gate_holds_id", "gate", "holds", "id"),
    )

    id: UUID = id_column()
    gate: str = text_column(500)
    run_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False)
    )
    holds: bool = Field(default=False, sa_type=Boolean)


class AwaitedRow(Table, table=True):
    """What a `wait_for` looks for: one value of an event's field that makes it worth a look.

    `type` is the awaited type or pattern as it is written. `field` and `value` are empty when every
    event of the type is to be looked at (service/workflows/correlating.py).
    """

    __tablename__ = "awaited"
    __table_args__ = (Index("ix_awaited_type_field_value", "type", "field", "value"),)

    id: UUID = id_column()
    run_id: UUID = Field(
        sa_column=Column(
            Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True
        )
    )
    step: str = text_column()
    type: str | None = text_column(default=None)
    field: str = text_column(300, default="")
    value: str = text_column(300, default="")

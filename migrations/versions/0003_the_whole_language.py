"""Branches of runs, what holds runs back before they begin, awaited events, schedules.

Revision: 0003, after: 0002

A branch has no event of its own, so `runs.event_id` may be null; its old unique key stays, since
the release that is running relies on it. SQLite copies the table for that, with its foreign keys
switched off by service/store/schema.py.
"""

import json
import zlib

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("events", sa.Column("depth", sa.Integer(), server_default="0", nullable=False))
    op.add_column("events", sa.Column("payload_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_events_subject_decided",
        "events",
        ["subject"],
        postgresql_where=sa.text("type = 'approval.decided'"),
        sqlite_where=sa.text("type = 'approval.decided'"),
    )
    with op.batch_alter_table("runs") as runs:
        runs.alter_column("event_id", existing_type=sa.Uuid(), nullable=True)
        runs.add_column(sa.Column("retries", sa.Integer(), server_default="0", nullable=False))
        runs.add_column(sa.Column("depth", sa.Integer(), server_default="0", nullable=False))
        runs.add_column(sa.Column("output", JSON, nullable=True))
        runs.add_column(sa.Column("caller_id", sa.Uuid(), nullable=True))
        runs.add_column(sa.Column("caller_step", sa.String(length=200), nullable=True))
        runs.add_column(sa.Column("parent_id", sa.Uuid(), nullable=True))
        runs.add_column(sa.Column("root_id", sa.Uuid(), nullable=True))
        runs.add_column(sa.Column("frame_id", sa.Uuid(), nullable=True))
        runs.add_column(sa.Column("container", sa.String(length=200), nullable=True))
        runs.add_column(sa.Column("number", sa.Integer(), nullable=True))
        runs.add_column(sa.Column("path", sa.String(length=400), nullable=True))
        runs.add_column(sa.Column("item", JSON, nullable=True))
        runs.create_foreign_key(
            op.f("fk_runs_parent_id_runs"), "runs", ["parent_id"], ["id"], ondelete="CASCADE"
        )
    op.create_index(
        "uq_runs_parent_id_container_number",
        "runs",
        ["parent_id", "container", "number"],
        unique=True,
    )
    op.create_index("ix_runs_root_id", "runs", ["root_id"])
    op.create_index("ix_runs_frame_id", "runs", ["frame_id"])
    op.create_index("ix_runs_caller_id", "runs", ["caller_id"])
    op.add_column(
        "steps", sa.Column("kind", sa.String(length=20), server_default="uses", nullable=False)
    )
    op.add_column("steps", sa.Column("round", sa.Integer(), server_default="0", nullable=False))
    op.add_column("steps", sa.Column("answer", JSON, nullable=True))
    op.add_column("steps", sa.Column("output_id", sa.Uuid(), nullable=True))
    op.add_column("waits", sa.Column("looked_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("waits", sa.Column("looks", sa.Integer(), server_default="0", nullable=False))
    _create_tables_of_runs()
    op.create_table(
        "payloads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payloads")),
    )
    op.create_index(op.f("ix_payloads_created_at"), "payloads", ["created_at"])
    op.create_table(
        "schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("cron", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=200), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflows.id"],
            name=op.f("fk_schedules_workflow_id_workflows"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint(
            "workflow_id", "cron", "timezone", name=op.f("uq_schedules_workflow_id_cron_timezone")
        ),
    )
    op.create_index(op.f("ix_schedules_due_at"), "schedules", ["due_at"])


def _create_tables_of_runs() -> None:
    op.create_table(
        "spreads",
        _run_id(),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("begun", sa.Integer(), nullable=False),
        sa.Column("succeeded", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("first_error", JSON, nullable=True),
        _of_run("spreads"),
        sa.PrimaryKeyConstraint("run_id", "step", name=op.f("pk_spreads")),
    )
    op.create_table(
        "spread_items",
        _run_id(),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("items", JSON, nullable=False),
        _of_run("spread_items"),
        sa.PrimaryKeyConstraint("run_id", "step", "first", name=op.f("pk_spread_items")),
    )
    op.create_table(
        "run_events",
        _run_id(),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        _of_run("run_events"),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["events.id"],
            name=op.f("fk_run_events_event_id_events"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "event_id", name=op.f("pk_run_events")),
    )
    op.create_index(op.f("ix_run_events_event_id"), "run_events", ["event_id"])
    op.create_table(
        "gates",
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("starts", JSON, nullable=False),
        sa.Column("keep_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_gates")),
    )
    op.create_index(op.f("ix_gates_keep_until"), "gates", ["keep_until"])
    op.create_table(
        "turns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("gate", sa.String(length=500), nullable=False),
        _run_id(),
        sa.Column("holds", sa.Boolean(), nullable=False),
        _of_run("turns"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turns")),
        sa.UniqueConstraint("run_id", "gate", name=op.f("uq_turns_run_id_gate")),
    )
    op.create_index("ix_turns_gate_holds_id", "turns", ["gate", "holds", "id"])
    op.create_table(
        "awaited",
        sa.Column("id", sa.Uuid(), nullable=False),
        _run_id(),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=True),
        sa.Column("field", sa.String(length=300), nullable=False),
        sa.Column("value", sa.String(length=300), nullable=False),
        _of_run("awaited"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_awaited")),
    )
    op.create_index(op.f("ix_awaited_run_id"), "awaited", ["run_id"])
    op.create_index("ix_awaited_type_field_value", "awaited", ["type", "field", "value"])


def _run_id() -> sa.Column[object]:
    return sa.Column("run_id", sa.Uuid(), nullable=False)


def _of_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["run_id"], ["runs.id"], name=op.f(f"fk_{table}_run_id_runs"), ondelete="CASCADE"
    )


def downgrade() -> None:
    _put_back("events", "payload_id", "payload")
    _put_back("steps", "output_id", "output")
    # Branches mean nothing to the release before: they end with the columns that tell of them.
    # One table after the other, because SQLite's foreign keys are off.
    op.execute(
        "DELETE FROM attempts WHERE step_id IN (SELECT steps.id FROM steps"
        " JOIN runs ON runs.id = steps.run_id WHERE runs.event_id IS NULL)"
    )
    op.execute("DELETE FROM steps WHERE run_id IN (SELECT id FROM runs WHERE event_id IS NULL)")
    op.execute("DELETE FROM waits WHERE run_id IN (SELECT id FROM runs WHERE event_id IS NULL)")
    op.execute("DELETE FROM runs WHERE event_id IS NULL")
    for table in (
        "schedules",
        "payloads",
        "awaited",
        "turns",
        "gates",
        "run_events",
        "spread_items",
        "spreads",
    ):
        op.drop_table(table)
    with op.batch_alter_table("waits") as waits:
        waits.drop_column("looks")
        waits.drop_column("looked_until")
    with op.batch_alter_table("steps") as steps:
        for column in ("output_id", "answer", "round", "kind"):
            steps.drop_column(column)
    for index in (
        "ix_runs_caller_id",
        "ix_runs_frame_id",
        "ix_runs_root_id",
        "uq_runs_parent_id_container_number",
    ):
        op.drop_index(index, table_name="runs")
    with op.batch_alter_table("runs") as runs:
        runs.drop_constraint(op.f("fk_runs_parent_id_runs"), type_="foreignkey")
        for column in (
            "item",
            "path",
            "number",
            "container",
            "frame_id",
            "root_id",
            "parent_id",
            "caller_step",
            "caller_id",
            "output",
            "depth",
            "retries",
        ):
            runs.drop_column(column)
        runs.alter_column("event_id", existing_type=sa.Uuid(), nullable=False)
    op.drop_index("ix_events_subject_decided", table_name="events")
    with op.batch_alter_table("events") as events:
        events.drop_column("payload_id")
        events.drop_column("depth")


def _put_back(table: str, pointer: str, column: str) -> None:
    """Put large values back into the rows that the release before reads them from."""
    columns = (sa.column("id", sa.Uuid()), sa.column(pointer, sa.Uuid()), sa.column(column, JSON))
    rows = sa.table(table, *columns)
    kept = sa.table("payloads", sa.column("id", sa.Uuid()), sa.column("content", sa.LargeBinary()))
    connection = op.get_bind()
    apart = sa.select(rows.c.id, rows.c[pointer]).where(rows.c[pointer].is_not(None))
    for row_id, kept_id in connection.execute(apart).all():
        content = connection.scalar(sa.select(kept.c.content).where(kept.c.id == kept_id))
        if content is not None:
            value = json.loads(zlib.decompress(content))
            connection.execute(sa.update(rows).where(rows.c.id == row_id).values({column: value}))

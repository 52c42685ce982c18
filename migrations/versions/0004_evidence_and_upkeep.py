"""Work in bulk, retention, who did what, seals, and refused requests that were accepted later.

Revision: 0004, after: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
IN_DOUBT = sa.text("state = 'in_doubt'")
IS_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("fault", sa.String(length=20), nullable=True))
    op.add_column(
        "deliveries", sa.Column("replays", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("deliveries", sa.Column("rejection_id", sa.Uuid(), nullable=True))
    op.add_column("runs", sa.Column("started_by", sa.String(length=200), nullable=True))
    op.add_column("runs", sa.Column("bulk_job_id", sa.Uuid(), nullable=True))
    op.add_column(
        "rejections",
        sa.Column("complete", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("rejections", sa.Column("address", sa.String(length=200), nullable=True))
    op.add_column("rejections", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.add_column("rejections", sa.Column("cause", sa.String(length=40), nullable=True))
    op.add_column("rejections", sa.Column("diagnosis", sa.String(length=500), nullable=True))
    op.add_column("rejections", sa.Column("delivery_id", sa.Uuid(), nullable=True))
    op.add_column("rejections", sa.Column("accepted_at", TIME, nullable=True))
    _count("deliveries", "rings", "losses")
    _count("runs", "rings", "losses")
    _count("polls", "losses")
    _count("reconciliations", "losses")
    op.drop_index("ix_deliveries_state_due_at", table_name="deliveries")
    op.create_index(
        "ix_deliveries_state_source_id_due_at", "deliveries", ["state", "source_id", "due_at"]
    )
    op.create_index(
        "ix_runs_workflow_status_due_at",
        "runs",
        ["workflow", "status", "due_at"],
        postgresql_where=IS_DUE,
        sqlite_where=IS_DUE,
    )
    op.create_index(
        "ix_effects_intended_at_in_doubt",
        "effects",
        ["intended_at"],
        postgresql_where=IN_DOUBT,
        sqlite_where=IN_DOUBT,
    )
    op.create_table(
        "bulk_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("question", JSON, nullable=False),
        sa.Column("per_second", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("position", JSON, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_jobs")),
        sa.UniqueConstraint("key", name=op.f("uq_bulk_jobs_key")),
    )
    op.create_index("ix_bulk_jobs_due_at", "bulk_jobs", ["due_at"])
    op.create_table(
        "policies",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_policies")),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("remote", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    for column in ("at", "action", "subject"):
        op.create_index(f"ix_audit_events_{column}", "audit_events", [column])
    op.create_table(
        "seals",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("covers", sa.String(length=40), nullable=False),
        sa.Column("first_id", sa.Uuid(), nullable=False),
        sa.Column("last_id", sa.Uuid(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", TIME, nullable=False),
        sa.Column("removed", sa.LargeBinary(), nullable=True),
        sa.Column("pruned_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_seals")),
    )
    op.create_index("ix_seals_covers_last_id", "seals", ["covers", "last_id"])
    op.create_table(
        "sealing_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("private", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("retired_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sealing_keys")),
    )


def _count(table: str, *columns: str) -> None:
    for column in columns:
        op.add_column(table, sa.Column(column, sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    for table in ("sealing_keys", "seals", "audit_events", "policies", "bulk_jobs"):
        op.drop_table(table)
    op.drop_index("ix_effects_intended_at_in_doubt", table_name="effects")
    op.drop_index("ix_runs_workflow_status_due_at", table_name="runs")
    op.drop_index("ix_deliveries_state_source_id_due_at", table_name="deliveries")
    op.create_index("ix_deliveries_state_due_at", "deliveries", ["state", "due_at"])
    for table, columns in (
        (
            "rejections",
            (
                "accepted_at",
                "delivery_id",
                "diagnosis",
                "cause",
                "sealed",
                "address",
                "complete",
            ),
        ),
        ("runs", ("losses", "rings", "bulk_job_id", "started_by")),
        ("deliveries", ("losses", "rings", "rejection_id", "replays", "fault")),
        ("polls", ("losses",)),
        ("reconciliations", ("losses",)),
    ):
        for column in columns:
            op.drop_column(table, column)

"""Which account a source belongs to, how an event came, and what a vendor's record showed.

Revision: 0002, after: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    # With a default, so that the release that is running can still write events.
    op.add_column(
        "events",
        sa.Column("origin", sa.String(length=20), server_default="webhook", nullable=False),
    )
    op.execute("UPDATE events SET origin = 'poll' WHERE delivery_id IS NULL")
    op.add_column("sources", sa.Column("connection", sa.String(length=200), nullable=True))
    op.add_column("sources", sa.Column("reconcile", JSON, nullable=True))
    op.add_column(
        "sources", sa.Column("reconcile_due_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("vendor", sa.String(length=200), nullable=False),
        sa.Column("by", sa.String(length=20), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("position", JSON, nullable=True),
        sa.Column("checked", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("filled", sa.Integer(), nullable=False),
        sa.Column("unfilled", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
    )
    op.create_index(op.f("ix_reconciliations_source"), "reconciliations", ["source"])
    op.create_index(op.f("ix_reconciliations_due_at"), "reconciliations", ["due_at"])
    op.create_table(
        "gaps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("record", sa.String(length=200), nullable=False),
        sa.Column("reference", sa.String(length=300), nullable=False),
        sa.Column("vendor_type", sa.String(length=200), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("entry", JSON, nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("reconciliation_id", sa.Uuid(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gaps")),
        sa.UniqueConstraint(
            "source_id", "record", "reference", name=op.f("uq_gaps_source_id_record_reference")
        ),
    )
    op.create_index(op.f("ix_gaps_source"), "gaps", ["source"])
    op.create_index(op.f("ix_gaps_reconciliation_id"), "gaps", ["reconciliation_id"])


def downgrade() -> None:
    op.drop_table("gaps")
    op.drop_table("reconciliations")
    with op.batch_alter_table("sources") as sources:
        sources.drop_column("reconcile_due_at")
        sources.drop_column("reconcile")
        sources.drop_column("connection")
    with op.batch_alter_table("events") as events:
        events.drop_column("origin")

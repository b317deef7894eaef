"""Sendgates: what is handed to another system, until when, and what it says about each person (R6)."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLE = "gate"


def upgrade() -> None:
    op.add_column("wait", sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_table(
        TABLE,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("gate_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("step_no", sa.SmallInteger(), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('open', 'released', 'timed_out')", name=op.f("ck_gate_state_known")),
        sa.PrimaryKeyConstraint("tenant_id", "gate_id", name=op.f("pk_gate")),
    )
    op.create_index("ix_gate_campaign", TABLE, ["tenant_id", "campaign_id", "step_no", "opened_at"])
    op.execute(f'ALTER TABLE "{TABLE}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{TABLE}" FORCE ROW LEVEL SECURITY')
    op.execute(
        f'CREATE POLICY tenant_isolation ON "{TABLE}" '
        "USING (tenant_id = current_setting('app.tenant_id')::uuid) "
        "WITH CHECK (tenant_id = current_setting('app.tenant_id')::uuid)"
    )
    op.execute(f'ALTER TABLE "{TABLE}" ALTER COLUMN tenant_id SET STATISTICS 0')
    op.execute(f'GRANT SELECT, INSERT, UPDATE ON "{TABLE}" TO csn_app')
    op.execute(f'GRANT SELECT ON "{TABLE}" TO csn_backup')


def downgrade() -> None:
    op.drop_table(TABLE)
    op.drop_column("wait", "facts")

"""The daily head of the audit chain: who is mailed it, and what was published on each day."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

RIGHTS = {"audit_subscriber": "SELECT, INSERT, UPDATE, DELETE", "audit_day": "SELECT, INSERT"}


def upgrade() -> None:
    op.create_table(
        "audit_subscriber",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_on", sa.Date(), nullable=True),
        sa.CheckConstraint("(account_id IS NULL) <> (email IS NULL)", name=op.f("ck_audit_subscriber_one_address")),
        sa.PrimaryKeyConstraint("tenant_id", "subscriber_id", name=op.f("pk_audit_subscriber")),
        sa.UniqueConstraint("tenant_id", "account_id", name=op.f("uq_audit_subscriber_tenant_id_account_id")),
        sa.UniqueConstraint("tenant_id", "email", name=op.f("uq_audit_subscriber_tenant_id_email")),
    )
    op.create_table(
        "audit_day",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day", name=op.f("pk_audit_day")),
    )
    for table, rights in RIGHTS.items():
        _isolate(table)
        op.execute(f'GRANT {rights} ON "{table}" TO csn_app')
        op.execute(f'GRANT SELECT ON "{table}" TO csn_backup')


def _isolate(table: str) -> None:
    """As in 0001: force row-level security, and keep statistics of tenants from misleading the planner."""
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    op.execute(
        f'CREATE POLICY tenant_isolation ON "{table}" '
        "USING (tenant_id = current_setting('app.tenant_id')::uuid) "
        "WITH CHECK (tenant_id = current_setting('app.tenant_id')::uuid)"
    )
    op.execute(f'ALTER TABLE "{table}" ALTER COLUMN tenant_id SET STATISTICS 0')


def downgrade() -> None:
    for table in RIGHTS:
        op.drop_table(table)

"""Links by which people without an account decide by mail, once, about one exact hash (U8)."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = "approval_link"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("outside_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("revision_no", sa.Integer(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_for", sa.Text(), nullable=True),
        sa.Column("signed_as", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(request_id, campaign_id, revision_no, content_hash) IN (0, 4)",
            name=op.f("ck_approval_link_whole"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "outside_id"],
            ["outside_approver.tenant_id", "outside_approver.outside_id"],
            name=op.f("fk_approval_link_tenant_id_outside_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "request_id"],
            ["approval_request.tenant_id", "approval_request.request_id"],
            name=op.f("fk_approval_link_tenant_id_request_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "link_id", name=op.f("pk_approval_link")),
    )
    op.create_index(
        "uq_approval_link_request",
        TABLE,
        ["tenant_id", "request_id", "outside_id"],
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
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

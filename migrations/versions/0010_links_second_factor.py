"""Mailed links that are sent again, and the code word of approvers without an account (U8)."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INDEX = "uq_approval_link_request"
KEYS = ["tenant_id", "request_id", "outside_id"]


def upgrade() -> None:
    op.add_column("approval_link", sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("approval_link", sa.Column("pass_hash", sa.LargeBinary(), nullable=True))
    op.add_column("approval_link", sa.Column("pass_until", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(INDEX, table_name="approval_link")
    op.create_index(
        INDEX,
        "approval_link",
        KEYS,
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL AND replaced_at IS NULL"),
    )
    op.add_column("outside_approver", sa.Column("code_hash", sa.Text(), nullable=True))
    op.add_column("outside_approver", sa.Column("code_set_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("outside_approver", "code_set_at")
    op.drop_column("outside_approver", "code_hash")
    # One link for each address and request again. The owner is bound by the policy too, and works for no tenant.
    op.execute('ALTER TABLE "approval_link" NO FORCE ROW LEVEL SECURITY')
    op.execute("DELETE FROM approval_link WHERE replaced_at IS NOT NULL")
    op.execute('ALTER TABLE "approval_link" FORCE ROW LEVEL SECURITY')
    op.drop_index(INDEX, table_name="approval_link")
    op.create_index(INDEX, "approval_link", KEYS, unique=True, postgresql_where=sa.text("request_id IS NOT NULL"))
    for column in ("pass_until", "pass_hash", "replaced_at"):
        op.drop_column("approval_link", column)

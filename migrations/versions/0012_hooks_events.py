"""Webhooks as channel configurations, beside mail servers."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = "channel_configuration"
KIND = "ck_channel_configuration_kind_known"
OF_MAIL = {
    "from_name": sa.Text(),
    "from_address": sa.Text(),
    "host": sa.Text(),
    "port": sa.Integer(),
    "security": sa.Text(),
}
CHECKS = {
    "ck_channel_configuration_kind_whole": (
        "CASE kind WHEN 'webhook' THEN url IS NOT NULL AND dkim_domain IS NULL AND"
        " num_nonnulls(from_name, from_address, host, port, security, username, password_sealed) = 0"
        " ELSE url IS NULL AND hook_secret_sealed IS NULL AND"
        " num_nonnulls(from_name, from_address, host, port, security) = 5 END"
    ),
    "ck_channel_configuration_hook_former_whole": "(hook_former_sealed IS NULL) = (hook_former_until IS NULL)",
}


def upgrade() -> None:
    for name, type_ in OF_MAIL.items():
        op.alter_column(TABLE, name, existing_type=type_, nullable=True)
    op.add_column(TABLE, sa.Column("url", sa.Text(), nullable=True))
    op.add_column(TABLE, sa.Column("hook_secret_sealed", sa.LargeBinary(), nullable=True))
    op.add_column(TABLE, sa.Column("hook_former_sealed", sa.LargeBinary(), nullable=True))
    op.add_column(TABLE, sa.Column("hook_former_until", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f(KIND), TABLE)
    op.create_check_constraint(op.f(KIND), TABLE, "kind IN ('smtp', 'webhook')")
    for name, rule in CHECKS.items():
        op.create_check_constraint(op.f(name), TABLE, rule)


def downgrade() -> None:
    for name in CHECKS:
        op.drop_constraint(op.f(name), TABLE)
    # What runs refer to has no place in the older table. The owner is bound by the policy too, and works for no tenant.
    op.execute(f'ALTER TABLE "{TABLE}" NO FORCE ROW LEVEL SECURITY')
    op.execute(f"DELETE FROM {TABLE} WHERE kind = 'webhook'")
    op.execute(f'ALTER TABLE "{TABLE}" FORCE ROW LEVEL SECURITY')
    op.drop_constraint(op.f(KIND), TABLE)
    op.create_check_constraint(op.f(KIND), TABLE, "kind IN ('smtp')")
    for name in ("hook_former_until", "hook_former_sealed", "hook_secret_sealed", "url"):
        op.drop_column(TABLE, name)
    for name, type_ in OF_MAIL.items():
        op.alter_column(TABLE, name, existing_type=type_, nullable=False)

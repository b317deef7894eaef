"""The sending engine: how channels are doing, rates and quotas, DKIM, alerts, the environment seal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TENANT_TABLES = ("alert", "channel_health", "quota_use", "workspace_pace")
GLOBAL_TABLES = ("seal",)


def upgrade() -> None:
    _channel_columns()
    _workspace_columns()
    _create_tables()
    op.create_index(
        "ix_entry_context", "entry", ["tenant_id", "entered_at"], postgresql_where=sa.text("context IS NOT NULL")
    )
    op.create_index(
        "ix_delivery_merge", "delivery", ["tenant_id", "claimed_at"], postgresql_where=sa.text("merge IS NOT NULL")
    )
    for table in TENANT_TABLES:
        _isolate(table)
    for table in (*TENANT_TABLES, *GLOBAL_TABLES):
        op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO csn_app')
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


def _channel_columns() -> None:
    table = "channel_configuration"
    op.add_column(table, sa.Column("connections", sa.Integer(), server_default=sa.text("4"), nullable=False))
    for name in ("source_address", "ehlo_name", "dkim_domain", "dkim_selector", "dkim_record"):
        op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    op.add_column(table, sa.Column("dkim_key_sealed", sa.LargeBinary(), nullable=True))
    op.create_check_constraint(
        op.f("ck_channel_configuration_connections_range"), table, "connections BETWEEN 1 AND 50"
    )
    op.create_check_constraint(
        op.f("ck_channel_configuration_dkim_whole"),
        table,
        "(dkim_domain IS NULL) = (dkim_key_sealed IS NULL) AND (dkim_domain IS NULL) = (dkim_selector IS NULL)",
    )


def _workspace_columns() -> None:
    for name in ("rate_per_minute", "messages_per_month", "cap_messages", "cap_days"):
        op.add_column("workspace", sa.Column(name, sa.Integer(), nullable=True))
    op.create_check_constraint(
        op.f("ck_workspace_cap_whole"), "workspace", "(cap_messages IS NULL) = (cap_days IS NULL)"
    )


def _create_tables() -> None:
    op.create_table(
        "alert",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "alert_id", name=op.f("pk_alert")),
    )
    op.create_index("ix_alert_raised", "alert", ["tenant_id", "raised_at"])
    op.create_index(
        "uq_alert_open",
        "alert",
        ["tenant_id", "kind", "subject"],
        unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "channel_health",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("breaker", sa.Text(), server_default=sa.text("'closed'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("openings", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("connect_failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sign_in_failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("recent", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("present_rate", sa.Float(), nullable=True),
        sa.Column("pressed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paced_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("breaker IN ('closed', 'open', 'half_open')", name=op.f("ck_channel_health_breaker_known")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "channel_id"],
            ["channel_configuration.tenant_id", "channel_configuration.channel_id"],
            name=op.f("fk_channel_health_tenant_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "channel_id", name=op.f("pk_channel_health")),
    )
    op.create_table(
        "quota_use",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "month", name=op.f("pk_quota_use")),
    )
    op.create_table(
        "seal",
        sa.Column("one_row", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("system_identifier", sa.Text(), nullable=False),
        sa.Column("timeline", sa.Integer(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("one_row", name=op.f("ck_seal_only_one")),
        sa.PrimaryKeyConstraint("one_row", name=op.f("pk_seal")),
    )
    op.create_table(
        "workspace_pace",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("paced_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_workspace_pace")),
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_merge")
    op.drop_index("ix_entry_context")
    for table in ("workspace_pace", "seal", "quota_use", "channel_health", "alert"):
        op.drop_table(table)
    op.drop_constraint("ck_workspace_cap_whole", "workspace")
    for name in ("cap_days", "cap_messages", "messages_per_month", "rate_per_minute"):
        op.drop_column("workspace", name)
    table = "channel_configuration"
    op.drop_constraint("ck_channel_configuration_dkim_whole", table)
    op.drop_constraint("ck_channel_configuration_connections_range", table)
    names = (
        "dkim_key_sealed",
        "dkim_record",
        "dkim_selector",
        "dkim_domain",
        "ehlo_name",
        "source_address",
        "connections",
    )
    for name in names:
        op.drop_column(table, name)

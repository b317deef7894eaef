"""Notices and what people want to be told; second step, resets, known browsers, sessions by id."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TENANT_TABLES = ("notice",)
GLOBAL_TABLES = (
    "notice_wish",
    "notice_digest",
    "account_device",
    "account_mail",
    "recovery_code",
    "second_step",
    "sign_in_guard",
)

_KINDS = (
    "'approval_requested', 'approval_decided', 'approval_reminder', 'approval_late', 'mentioned', 'commented', "
    "'access_asked', 'access_granted', 'key_owner_left', 'campaign_held', 'audit_head'"
)
_MODES = "'off', 'at_once', 'daily'"


def upgrade() -> None:
    op.add_column("account", sa.Column("time_zone", sa.Text(), nullable=True))
    op.add_column("account", sa.Column("language", sa.Text(), nullable=True))
    # Pauses of at most 15 minutes; from now on they are kept by where the tries come from.
    op.drop_column("account", "failed_count")
    op.drop_column("account", "locked_until")
    op.add_column("account_session", sa.Column("session_id", sa.Uuid(), nullable=True))
    op.execute("UPDATE account_session SET session_id = gen_random_uuid()")
    op.alter_column("account_session", "session_id", nullable=False)
    op.create_unique_constraint(op.f("uq_account_session_session_id"), "account_session", ["session_id"])
    _create_notices()
    _create_second_step()
    _create_sign_in()
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


def _create_notices() -> None:
    op.create_table(
        "notice",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("in_app", sa.Boolean(), nullable=False),
        sa.Column("mail", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"mail IN ({_MODES})", name=op.f("ck_notice_mail_known")),
        sa.PrimaryKeyConstraint("tenant_id", "notice_id", name=op.f("pk_notice")),
    )
    op.create_index("ix_notice_account", "notice", ["tenant_id", "account_id", "notice_id"])
    op.create_index(
        "ix_notice_unread",
        "notice",
        ["tenant_id", "account_id"],
        postgresql_where=sa.text("read_at IS NULL AND in_app"),
    )
    op.create_index(
        "ix_notice_digest",
        "notice",
        ["tenant_id", "account_id"],
        postgresql_where=sa.text("mail = 'daily' AND mailed_at IS NULL"),
    )
    op.create_table(
        "notice_wish",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("in_app", sa.Boolean(), nullable=False),
        sa.Column("mail", sa.Text(), nullable=False),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("ck_notice_wish_kind_known")),
        sa.CheckConstraint(f"mail IN ({_MODES})", name=op.f("ck_notice_wish_mail_known")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_notice_wish_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "kind", name=op.f("pk_notice_wish")),
    )
    op.create_table(
        "notice_digest",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("hour", sa.Integer(), server_default=sa.text("8"), nullable=False),
        sa.CheckConstraint("hour BETWEEN 0 AND 23", name=op.f("ck_notice_digest_hour_of_day")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_notice_digest_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_notice_digest")),
    )


def _create_second_step() -> None:
    op.create_table(
        "second_step",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_second_step_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_second_step")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_recovery_code_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "code_hash", name=op.f("pk_recovery_code")),
    )


def _create_sign_in() -> None:
    op.create_table(
        "account_device",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("device_hash", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_account_device_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "device_hash", name=op.f("pk_account_device")),
    )
    op.create_table(
        "sign_in_guard",
        sa.Column("guard_key", sa.LargeBinary(), nullable=False),
        sa.Column("failed_count", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("guard_key", name=op.f("pk_sign_in_guard")),
    )
    op.create_table(
        "account_mail",
        sa.Column("mail_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(collation="C"), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "purpose IN ('reset', 'confirm_email', 'email_asked', 'email_changed', 'password_changed', "
            "'second_step_on', 'second_step_off', 'recovery_used')",
            name=op.f("ck_account_mail_purpose_known"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_account_mail_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mail_id", name=op.f("pk_account_mail")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_account_mail_token_hash")),
    )
    op.create_index("ix_account_mail_account_id", "account_mail", ["account_id"])
    op.create_index("ix_account_mail_email", "account_mail", ["email", "asked_at"])


def downgrade() -> None:
    for table in (*GLOBAL_TABLES, *TENANT_TABLES):
        op.drop_table(table)
    op.drop_constraint(op.f("uq_account_session_session_id"), "account_session")
    op.drop_column("account_session", "session_id")
    op.add_column("account", sa.Column("failed_count", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("account", sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True))
    for name in ("language", "time_zone"):
        op.drop_column("account", name)

"""The first schema: people, campaigns, approvals, the ledger, with row-level security from the first table on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TENANT_TABLES = (
    "approval",
    "attribute",
    "audience",
    "audit_entry",
    "audit_head",
    "campaign",
    "channel_configuration",
    "chunk",
    "consent",
    "contact",
    "contact_list",
    "delivery",
    "entry",
    "event",
    "file_part",
    "idempotent_answer",
    "import",
    "invitation",
    "list_member",
    "passage",
    "project",
    "revision",
    "revision_editor",
    "run",
    "stored_file",
    "suppression",
    "tenant_key",
    "wait",
    "workspace",
)
GLOBAL_TABLES = (
    "account",
    "account_session",
    "agency",
    "agenda",
    "api_key",
    "role_grant",
    "sender",
    "tenant",
    "tenant_turn",
)
APPEND_ONLY = ("audit_entry", "approval")
SWEPT = ("delivery", "chunk", "run", "passage", "entry")
SEQUENCES = {"entry_id_seq": 1000, "chunk_token_seq": 1, "chunk_no_seq": 1}
FIRST_MONTH, MONTHS = (2026, 1), 60


def upgrade() -> None:
    for name, cache in SEQUENCES.items():
        op.execute(f"CREATE SEQUENCE {name} AS bigint CACHE {cache}")
    _create_tables()
    partitions = _create_event_partitions()
    for table in TENANT_TABLES:
        _isolate(table)
    for partition in partitions:
        _isolate(partition)
    _grant()


def _isolate(table: str) -> None:
    """Force row-level security. The plain cast makes a forgotten tenant an error of PostgreSQL itself."""
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    op.execute(
        f'CREATE POLICY tenant_isolation ON "{table}" '
        "USING (tenant_id = current_setting('app.tenant_id')::uuid) "
        "WITH CHECK (tenant_id = current_setting('app.tenant_id')::uuid)"
    )
    # Statistics about tenants are always behind: of a workspace made since the last ANALYZE PostgreSQL expects one row
    # at most, finds every index that begins with tenant_id equally good, and walks through all of its rows for each
    # lookup. Without them it expects a two-hundredth of the table, and takes the index that fits.
    op.execute(f'ALTER TABLE "{table}" ALTER COLUMN tenant_id SET STATISTICS 0')


def _create_event_partitions() -> list[str]:
    names = ["event_rest"]
    op.execute("CREATE TABLE event_rest PARTITION OF event DEFAULT")
    year, month = FIRST_MONTH
    for _ in range(MONTHS):
        after = (year + month // 12, month % 12 + 1)
        name = f"event_{year}_{month:02d}"
        op.execute(
            f"CREATE TABLE {name} PARTITION OF event "
            f"FOR VALUES FROM ('{year}-{month:02d}-01 00:00+00') TO ('{after[0]}-{after[1]:02d}-01 00:00+00')"
        )
        names.append(name)
        year, month = after
    return names


def _grant() -> None:
    for table in (*TENANT_TABLES, *GLOBAL_TABLES):
        rights = "SELECT, INSERT, UPDATE, DELETE"
        if table in APPEND_ONLY:
            rights = "SELECT, INSERT"
        elif table in SWEPT:
            rights = "SELECT, INSERT, UPDATE"
            op.execute(f'GRANT SELECT, DELETE ON "{table}" TO csn_sweep')
        op.execute(f'GRANT {rights} ON "{table}" TO csn_app')
        op.execute(f'GRANT SELECT ON "{table}" TO csn_backup')
    op.execute("GRANT SELECT ON alembic_version TO csn_app, csn_backup")
    for name in SEQUENCES:
        op.execute(f"GRANT USAGE, SELECT ON SEQUENCE {name} TO csn_app")
        op.execute(f"GRANT SELECT ON SEQUENCE {name} TO csn_backup")


def downgrade() -> None:
    for table in reversed((*GLOBAL_TABLES, *TENANT_TABLES)):
        op.execute(f'DROP TABLE "{table}" CASCADE')
    for name in SEQUENCES:
        op.execute(f"DROP SEQUENCE {name}")


def _create_tables() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        sa.UniqueConstraint("email", name=op.f("uq_account_email")),
    )
    op.create_table(
        "agency",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", name=op.f("pk_agency")),
    )
    op.create_table(
        "agenda",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("wall_time", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "subject", name=op.f("pk_agenda")),
    )
    op.create_index("ix_agenda_queue_due_at", "agenda", ["queue", "due_at"], unique=False)
    op.create_table(
        "attribute",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,59}$'", name=op.f("ck_attribute_key_form")),
        sa.CheckConstraint(
            "kind IN ('text', 'number', 'boolean', 'date', 'datetime')", name=op.f("ck_attribute_kind_known")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_attribute")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "no", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_tenant_id_subject", "audit_entry", ["tenant_id", "subject", "no"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "channel_configuration",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("from_name", sa.Text(), nullable=False),
        sa.Column("from_address", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.Text(), nullable=True),
        sa.Column("return_path", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("security", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("password_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("rate_per_minute", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_test_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_test_error", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('smtp')", name=op.f("ck_channel_configuration_kind_known")),
        sa.CheckConstraint(
            "purpose IN ('marketing', 'transactional')", name=op.f("ck_channel_configuration_purpose_known")
        ),
        sa.CheckConstraint(
            "security IN ('none', 'starttls', 'tls')", name=op.f("ck_channel_configuration_security_known")
        ),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("ck_channel_configuration_port_range")),
        sa.PrimaryKeyConstraint("tenant_id", "channel_id", name=op.f("pk_channel_configuration")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_channel_configuration_tenant_id_name")),
    )
    op.create_table(
        "chunk",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("deaths", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("retry", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'claimed', 'closed', 'cancelled')", name=op.f("ck_chunk_state_known")),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "no", name=op.f("pk_chunk")),
    )
    op.create_index(
        "ix_chunk_open",
        "chunk",
        ["tenant_id", "run_id", "not_before", "no"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'claimed')"),
    )
    op.create_table(
        "contact",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", sa.Text(collation="C"), nullable=True),
        sa.Column("address_hash", sa.LargeBinary(), nullable=True),
        sa.Column("external_id", sa.Text(collation="C"), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "contact_id", name=op.f("pk_contact")),
        sa.UniqueConstraint("tenant_id", "email_key", name=op.f("uq_contact_tenant_id_email_key")),
        sa.UniqueConstraint("tenant_id", "external_id", name=op.f("uq_contact_tenant_id_external_id")),
    )
    op.create_table(
        "delivery",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("chunk_no", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("exc", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("merge", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "exc IN ('skipped', 'rejected', 'render_failed', 'failed', 'waiting', 'uncertain', 'cancelled')",
            name=op.f("ck_delivery_exc_known"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "entry_id", "step_no", name=op.f("pk_delivery")),
    )
    op.create_index("ix_delivery_contact", "delivery", ["tenant_id", "contact_id", "claimed_at"], unique=False)
    op.create_table(
        "entry",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("occurrence", sa.Text(collation="C"), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("entry_key", sa.Text(collation="C"), nullable=False),
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("context", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "entry_id", name=op.f("pk_entry")),
        sa.UniqueConstraint("tenant_id", "campaign_id", "occurrence", "contact_id", "entry_key", name="uq_entry_way"),
    )
    op.create_index(
        "uq_entry_single",
        "entry",
        ["tenant_id", "campaign_id", "contact_id"],
        unique=True,
        postgresql_where=sa.text("single AND ended_at IS NULL"),
    )
    op.create_table(
        "event",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("entry_id", sa.BigInteger(), nullable=True),
        sa.Column("step_no", sa.SmallInteger(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "occurred_at", "event_id", name=op.f("pk_event")),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index("ix_event_campaign", "event", ["tenant_id", "campaign_id", "kind", "occurred_at"], unique=False)
    op.create_index("ix_event_contact", "event", ["tenant_id", "contact_id", "kind", "occurred_at"], unique=False)
    op.create_table(
        "idempotent_answer",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "caller", "key", name=op.f("pk_idempotent_answer")),
    )
    op.create_index(
        "ix_idempotent_answer_tenant_id_created_at", "idempotent_answer", ["tenant_id", "created_at"], unique=False
    )
    op.create_table(
        "passage",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("exit", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "entry_id", "step_no", name=op.f("pk_passage")),
    )
    op.create_table(
        "project",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "project_id", name=op.f("pk_project")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_project_tenant_id_name")),
    )
    op.create_table(
        "run",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("step_no", sa.SmallInteger(), nullable=False),
        sa.Column("occurrence", sa.Text(collation="C"), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("channel_fingerprint", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("dated", sa.Boolean(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "state IN ('planned', 'running', 'held', 'finished', 'cancelled')", name=op.f("ck_run_state_known")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", name=op.f("pk_run")),
    )
    op.create_index(
        "uq_run_dated",
        "run",
        ["tenant_id", "campaign_id", "step_no", "occurrence"],
        unique=True,
        postgresql_where=sa.text("dated AND state <> 'cancelled'"),
    )
    op.create_index(
        "uq_run_open",
        "run",
        ["tenant_id", "campaign_id", "step_no", "revision_no"],
        unique=True,
        postgresql_where=sa.text("NOT dated AND state IN ('planned', 'running', 'held')"),
    )
    op.create_table(
        "sender",
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_sender")),
    )
    op.create_table(
        "stored_file",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "file_id", name=op.f("pk_stored_file")),
    )
    op.create_table(
        "suppression",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "reason IN ('hard_bounce', 'complaint', 'erased', 'manual')", name=op.f("ck_suppression_reason_known")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "address_hash", name=op.f("pk_suppression")),
    )
    op.create_index("ix_suppression_tenant_id_at", "suppression", ["tenant_id", "at"], unique=False)
    op.create_table(
        "tenant_key",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key_id", name=op.f("pk_tenant_key")),
    )
    op.create_table(
        "tenant_turn",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("turn", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("weight", sa.Double(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("weight > 0", name=op.f("ck_tenant_turn_weight_positive")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_turn")),
    )
    op.create_table(
        "wait",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("listens", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "entry_id", "step_no", name=op.f("pk_wait")),
    )
    op.create_index("ix_wait_due", "wait", ["tenant_id", "campaign_id", "step_no", "due_at"], unique=False)
    op.create_index(
        "ix_wait_listens",
        "wait",
        ["tenant_id", "contact_id"],
        unique=False,
        postgresql_where=sa.text("listens IS NOT NULL"),
    )
    op.create_table(
        "account_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_account_session_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_account_session")),
    )
    op.create_index(op.f("ix_account_session_account_id"), "account_session", ["account_id"], unique=False)
    op.create_table(
        "campaign",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stop_epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("held_reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('dated', 'api')", name=op.f("ck_campaign_kind_known")),
        sa.CheckConstraint("purpose IN ('marketing', 'transactional')", name=op.f("ck_campaign_purpose_known")),
        sa.CheckConstraint(
            "state IN ('draft', 'scheduled', 'active', 'paused', 'held', 'stopping', 'stopped', 'completed', 'archived')",
            name=op.f("ck_campaign_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["project.tenant_id", "project.project_id"],
            name=op.f("fk_campaign_tenant_id_project_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "campaign_id", name=op.f("pk_campaign")),
    )
    op.create_index("ix_campaign_tenant_id_created_at", "campaign", ["tenant_id", "created_at"], unique=False)
    op.create_table(
        "consent",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('given', 'withdrawn')", name=op.f("ck_consent_status_known")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contact.tenant_id", "contact.contact_id"],
            name=op.f("fk_consent_tenant_id_contact_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "contact_id", "topic", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_tenant_id_at", "consent", ["tenant_id", "at"], unique=False)
    op.create_table(
        "contact_list",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["project.tenant_id", "project.project_id"],
            name=op.f("fk_contact_list_tenant_id_project_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "list_id", name=op.f("pk_contact_list")),
        sa.UniqueConstraint("tenant_id", "project_id", "name", name=op.f("uq_contact_list_tenant_id_project_id_name")),
    )
    op.create_table(
        "file_part",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "file_id"],
            ["stored_file.tenant_id", "stored_file.file_id"],
            name=op.f("fk_file_part_tenant_id_file_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "file_id", "no", name=op.f("pk_file_part")),
    )
    op.create_table(
        "invitation",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('admin', 'approver', 'manager', 'viewer')", name=op.f("ck_invitation_role_known")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["project.tenant_id", "project.project_id"],
            name=op.f("fk_invitation_tenant_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "invitation_id", name=op.f("pk_invitation")),
    )
    op.create_index(
        "uq_invitation_open",
        "invitation",
        ["tenant_id", "email", "project_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
    )
    op.create_table(
        "tenant",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["agency.agency_id"], name=op.f("fk_tenant_agency_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant")),
    )
    op.create_index(op.f("ix_tenant_agency_id"), "tenant", ["agency_id"], unique=False)
    op.create_table(
        "api_key",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["made_by"], ["account.account_id"], name=op.f("fk_api_key_made_by"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_api_key_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_key_key_hash")),
    )
    op.create_index(op.f("ix_api_key_tenant_id"), "api_key", ["tenant_id"], unique=False)
    op.create_table(
        "audience",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("audience_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("rule", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_count", sa.Integer(), nullable=True),
        sa.Column("last_count_ms", sa.Integer(), nullable=True),
        sa.Column("last_counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("visibility IN ('public', 'private')", name=op.f("ck_audience_visibility_known")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "list_id"],
            ["contact_list.tenant_id", "contact_list.list_id"],
            name=op.f("fk_audience_tenant_id_list_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["project.tenant_id", "project.project_id"],
            name=op.f("fk_audience_tenant_id_project_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "audience_id", name=op.f("pk_audience")),
        sa.UniqueConstraint("tenant_id", "project_id", "name", name=op.f("uq_audience_tenant_id_project_id_name")),
    )
    op.create_table(
        "import",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("mapping", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("done_bytes", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error_file_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_import_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "list_id"],
            ["contact_list.tenant_id", "contact_list.list_id"],
            name=op.f("fk_import_tenant_id_list_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", name=op.f("pk_import")),
    )
    op.create_index("ix_import_tenant_id_created_at", "import", ["tenant_id", "created_at"], unique=False)
    op.create_table(
        "list_member",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contact.tenant_id", "contact.contact_id"],
            name=op.f("fk_list_member_tenant_id_contact_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "list_id"],
            ["contact_list.tenant_id", "contact_list.list_id"],
            name=op.f("fk_list_member_tenant_id_list_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "list_id", "contact_id", name=op.f("pk_list_member")),
    )
    op.create_index("ix_list_member_tenant_id_contact_id", "list_member", ["tenant_id", "contact_id"], unique=False)
    op.create_table(
        "revision",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("draft", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("audience_count", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("submitted_by", sa.Uuid(), nullable=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('editing', 'in_review', 'changes_requested', 'approved', 'published', 'superseded', 'rejected', 'revoked')",
            name=op.f("ck_revision_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaign.tenant_id", "campaign.campaign_id"],
            name=op.f("fk_revision_tenant_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "campaign_id", "no", name=op.f("pk_revision")),
    )
    op.create_index(
        "uq_revision_open",
        "revision",
        ["tenant_id", "campaign_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('editing', 'in_review', 'changes_requested', 'approved')"),
    )
    op.create_index(
        "uq_revision_published",
        "revision",
        ["tenant_id", "campaign_id"],
        unique=True,
        postgresql_where=sa.text("state = 'published'"),
    )
    op.create_table(
        "role_grant",
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(role = 'agency_owner') = (tenant_id IS NULL)", name=op.f("ck_role_grant_role_fits_place")),
        sa.CheckConstraint(
            "role IN ('admin', 'approver', 'manager', 'viewer', 'agency_owner')", name=op.f("ck_role_grant_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_role_grant_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["agency.agency_id"], name=op.f("fk_role_grant_agency_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_role_grant_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("grant_id", name=op.f("pk_role_grant")),
        sa.UniqueConstraint(
            "account_id",
            "agency_id",
            "tenant_id",
            "project_id",
            name=op.f("uq_role_grant_account_id_agency_id_tenant_id_project_id"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("ix_role_grant_tenant_id", "role_grant", ["tenant_id"], unique=False)
    op.create_table(
        "workspace",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("colour", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_workspace_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_workspace")),
    )
    op.create_table(
        "approval",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("approval_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "decision IN ('approve', 'request_changes', 'reject', 'revoke')", name=op.f("ck_approval_decision_known")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id", "revision_no"],
            ["revision.tenant_id", "revision.campaign_id", "revision.no"],
            name=op.f("fk_approval_tenant_id_campaign_id_revision_no"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "approval_id", name=op.f("pk_approval")),
    )
    op.create_index("ix_approval_revision", "approval", ["tenant_id", "campaign_id", "revision_no", "at"], unique=False)
    op.create_table(
        "revision_editor",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id", "no"],
            ["revision.tenant_id", "revision.campaign_id", "revision.no"],
            name=op.f("fk_revision_editor_tenant_id_campaign_id_no"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "campaign_id", "no", "account_id", name=op.f("pk_revision_editor")),
    )

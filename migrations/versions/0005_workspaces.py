"""Workspaces and people: staff, states, white label, quotas, defaults of projects, requests for access, keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TENANT_TABLES = ("access_request", "api_use")
GLOBAL_TABLES = ("staff_reach", "staff_invitation", "agency_entry")
APPEND_ONLY = ("agency_entry",)
WORKSPACE = (
    ("logo_id", sa.Uuid()),
    ("brand_colour", sa.Text()),
    ("brand_colour_dark", sa.Text()),
    ("sender_name", sa.Text()),
    ("sender_address", sa.Text()),
    ("sender_reply_to", sa.Text()),
    ("contacts_most", sa.Integer()),
    ("retention_days", sa.Integer()),
)
PROJECT = (
    ("marketing_channel_id", sa.Uuid()),
    ("transactional_channel_id", sa.Uuid()),
    ("time_zone", sa.Text()),
    ("language", sa.Text()),
)
ROLES = "'admin', 'approver', 'manager', 'viewer', 'agency_owner'"
STAFF = "'agency_owner', 'agency_admin', 'agency_member'"


def upgrade() -> None:
    _roles(f"{ROLES}, 'agency_admin', 'agency_member'", f"(role IN ({STAFF})) = (tenant_id IS NULL)")
    _tenant_columns()
    _other_columns()
    _create_global_tables()
    _create_tenant_tables()
    for table in TENANT_TABLES:
        _isolate(table)
    for table in (*TENANT_TABLES, *GLOBAL_TABLES):
        rights = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f'GRANT {rights} ON "{table}" TO csn_app')
        op.execute(f'GRANT SELECT ON "{table}" TO csn_backup')


def _roles(known: str, fits: str) -> None:
    for name in ("role_known", "role_fits_place"):
        op.drop_constraint(op.f(f"ck_role_grant_{name}"), "role_grant")
    op.create_check_constraint(op.f("ck_role_grant_role_known"), "role_grant", f"role IN ({known})")
    op.create_check_constraint(op.f("ck_role_grant_role_fits_place"), "role_grant", fits)


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


def _tenant_columns() -> None:
    op.add_column("tenant", sa.Column("slug", sa.Text(collation="C"), nullable=True))
    op.execute("UPDATE tenant SET slug = 'w-' || replace(tenant_id::text, '-', '')")
    op.alter_column("tenant", "slug", nullable=False)
    op.add_column("tenant", sa.Column("state", sa.Text(), server_default=sa.text("'active'"), nullable=False))
    op.add_column("tenant", sa.Column("state_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tenant", sa.Column("api_calls_per_day", sa.Integer(), nullable=True))
    op.add_column("tenant", sa.Column("api_calls_per_month", sa.Integer(), nullable=True))
    op.create_unique_constraint(op.f("uq_tenant_agency_id_slug"), "tenant", ["agency_id", "slug"])
    op.create_check_constraint(op.f("ck_tenant_state_known"), "tenant", "state IN ('active', 'suspended', 'archived')")


def _other_columns() -> None:
    empty = sa.text("'{}'")
    op.add_column(
        "workspace", sa.Column("languages", postgresql.ARRAY(sa.Text()), server_default=empty, nullable=False)
    )
    for name, kind in WORKSPACE:
        op.add_column("workspace", sa.Column(name, kind, nullable=True))
    for name, kind in PROJECT:
        op.add_column("project", sa.Column(name, kind, nullable=True))
    op.add_column("project", sa.Column("approvers", postgresql.ARRAY(sa.Uuid()), server_default=empty, nullable=False))
    op.add_column("api_key", sa.Column("allowed_ips", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("api_key", sa.Column("replaces", sa.Uuid(), nullable=True))
    op.add_column("import", sa.Column("created_key", sa.Uuid(), nullable=True))


def _create_global_tables() -> None:
    op.create_table(
        "staff_reach",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_staff_reach_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["agency.agency_id"], name=op.f("fk_staff_reach_agency_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_staff_reach_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "tenant_id", name=op.f("pk_staff_reach")),
    )
    op.create_index("ix_staff_reach_tenant_id", "staff_reach", ["tenant_id"])
    op.create_table(
        "staff_invitation",
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"role IN ({STAFF})", name=op.f("ck_staff_invitation_role_known")),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["agency.agency_id"], name=op.f("fk_staff_invitation_agency_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("invitation_id", name=op.f("pk_staff_invitation")),
    )
    op.create_index(
        "uq_staff_invitation_open",
        "staff_invitation",
        ["agency_id", "email"],
        unique=True,
        postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
    )
    op.create_table(
        "agency_entry",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["agency.agency_id"], name=op.f("fk_agency_entry_agency_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_agency_entry")),
    )
    op.create_index("ix_agency_entry_agency_id_at", "agency_entry", ["agency_id", "at"])


def _create_tenant_tables() -> None:
    op.create_table(
        "access_request",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("granted_role", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint(
            "role IN ('admin', 'approver', 'manager', 'viewer')", name=op.f("ck_access_request_role_known")
        ),
        sa.CheckConstraint("state IN ('open', 'granted', 'declined')", name=op.f("ck_access_request_state_known")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["project.tenant_id", "project.project_id"],
            name=op.f("fk_access_request_tenant_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "request_id", name=op.f("pk_access_request")),
    )
    op.create_index("ix_access_request_created", "access_request", ["tenant_id", "created_at"])
    op.create_index(
        "uq_access_request_open",
        "access_request",
        ["tenant_id", "account_id", "project_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "api_use",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day", name=op.f("pk_api_use")),
    )


def downgrade() -> None:
    for table in ("api_use", "access_request", "agency_entry", "staff_invitation", "staff_reach"):
        op.drop_table(table)
    for table, name in (("import", "created_key"), ("api_key", "replaces"), ("api_key", "allowed_ips")):
        op.drop_column(table, name)
    op.drop_column("project", "approvers")
    for name, _ in reversed(PROJECT):
        op.drop_column("project", name)
    for name, _ in reversed(WORKSPACE):
        op.drop_column("workspace", name)
    op.drop_column("workspace", "languages")
    op.drop_constraint("ck_tenant_state_known", "tenant")
    op.drop_constraint("uq_tenant_agency_id_slug", "tenant")
    for name in ("api_calls_per_month", "api_calls_per_day", "state_at", "state", "slug"):
        op.drop_column("tenant", name)
    op.execute("DELETE FROM role_grant WHERE role IN ('agency_admin', 'agency_member')")
    _roles(ROLES, "(role = 'agency_owner') = (tenant_id IS NULL)")

"""Approval: policies, requests with what they need, outside approvers, comments, tags of campaigns."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("approval_policy", "outside_approver", "approval_request", "comment")
APPEND_ONLY = ("approval_policy", "comment")
DECISIONS = ("approve", "request_changes", "reject", "revoke")

# What was submitted before there were requests was asked of one person who did not edit it.
_DEFAULT = (
    '{"rule": "default", "stages": [{"needed": 1, "role": null, "accounts": [], "outside": []}], "order": "at_once", '
    '"copies": [], "deadline": null, "publisher": "approval", "drift": {"percent": 20, "people": 100}, '
    '"reminders": {"before_min": 120, "after_min": 60}}'
)
_BACKFILL = sa.text(
    """
    INSERT INTO approval_request (tenant_id, request_id, campaign_id, revision_no, project_id, content_hash,
      requirement, facts, asked_by, asked_at, note, state, counted, settled_at)
    SELECT v.tenant_id, gen_random_uuid(), v.campaign_id, v.no, c.project_id, v.content_hash,
      CAST(:requirement AS jsonb), '{}', v.submitted_by, v.submitted_at, '',
      CASE v.state WHEN 'in_review' THEN 'open' ELSE 'approved' END,
      CASE v.state WHEN 'in_review' THEN '{}' ELSE ARRAY(SELECT a.approval_id FROM approval a
        WHERE a.tenant_id = v.tenant_id AND a.campaign_id = v.campaign_id AND a.revision_no = v.no
          AND a.content_hash = v.content_hash AND a.decision = 'approve' ORDER BY a.at) END,
      v.published_at
    FROM revision v JOIN campaign c ON c.tenant_id = v.tenant_id AND c.campaign_id = v.campaign_id
    WHERE v.state IN ('in_review', 'approved', 'published', 'superseded') AND v.content_hash IS NOT NULL
      AND v.submitted_at IS NOT NULL
    """
)
_READ = ("revision", "campaign", "approval", "approval_request")


def upgrade() -> None:
    op.add_column("campaign", sa.Column("held_part", sa.Text(), nullable=True))
    op.add_column("campaign", sa.Column("held_facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column(
        "campaign",
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    _create_tables()
    _widen_approval()
    for table in TABLES:
        _isolate(table)
        rights = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE"
        op.execute(f'GRANT {rights} ON "{table}" TO csn_app')
        op.execute(f'GRANT SELECT ON "{table}" TO csn_backup')
    # The owner sees the rows of workspaces only while row-level security is not forced on it.
    for table in _READ:
        op.execute(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY')
    op.get_bind().execute(_BACKFILL, {"requirement": _DEFAULT})
    for table in _READ:
        op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')


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


def _widen_approval() -> None:
    op.alter_column("approval", "account_id", existing_type=sa.Uuid(), nullable=True)
    op.add_column("approval", sa.Column("outside_id", sa.Uuid(), nullable=True))
    op.add_column("approval", sa.Column("request_id", sa.Uuid(), nullable=True))
    op.drop_constraint(op.f("ck_approval_decision_known"), "approval", type_="check")
    _know((*DECISIONS, "confirm"))
    op.create_check_constraint(op.f("ck_approval_one_signer"), "approval", "num_nonnulls(account_id, outside_id) = 1")


def _know(decisions: tuple[str, ...]) -> None:
    words = ", ".join(repr(word) for word in decisions)
    op.create_check_constraint(op.f("ck_approval_decision_known"), "approval", f"decision IN ({words})")


def _create_tables() -> None:
    op.create_table(
        "approval_policy",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["project.tenant_id", "project.project_id"],
            name=op.f("fk_approval_policy_tenant_id_project_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "policy_id", name=op.f("pk_approval_policy")),
        sa.UniqueConstraint(
            "tenant_id",
            "project_id",
            "version",
            name=op.f("uq_approval_policy_tenant_id_project_id_version"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "outside_approver",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("outside_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("listed_by", sa.Uuid(), nullable=True),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "outside_id", name=op.f("pk_outside_approver")),
    )
    op.create_index(
        "uq_outside_approver_email",
        "outside_approver",
        ["tenant_id", "email"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    _create_request()
    op.create_table(
        "comment",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("comment_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("step_no", sa.Integer(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("mentions", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id", "revision_no"],
            ["revision.tenant_id", "revision.campaign_id", "revision.no"],
            name=op.f("fk_comment_tenant_id_campaign_id_revision_no"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "comment_id", name=op.f("pk_comment")),
    )
    op.create_index("ix_comment_campaign", "comment", ["tenant_id", "campaign_id", "at"])


def _create_request() -> None:
    op.create_table(
        "approval_request",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("requirement", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=True),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("counted", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'approved', 'changes_requested', 'rejected', 'withdrawn', 'void', 'revoked')",
            name=op.f("ck_approval_request_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id", "revision_no"],
            ["revision.tenant_id", "revision.campaign_id", "revision.no"],
            name=op.f("fk_approval_request_tenant_id_campaign_id_revision_no"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "request_id", name=op.f("pk_approval_request")),
    )
    op.create_index("ix_approval_request_asked", "approval_request", ["tenant_id", "asked_at"])
    op.create_index(
        "uq_approval_request_live",
        "approval_request",
        ["tenant_id", "campaign_id", "revision_no"],
        unique=True,
        postgresql_where=sa.text("state IN ('open', 'approved')"),
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_approval_one_signer"), "approval", type_="check")
    op.drop_constraint(op.f("ck_approval_decision_known"), "approval", type_="check")
    _know(DECISIONS)
    op.drop_column("approval", "request_id")
    op.drop_column("approval", "outside_id")
    op.alter_column("approval", "account_id", existing_type=sa.Uuid(), nullable=False)
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("campaign", "tags")
    op.drop_column("campaign", "held_facts")
    op.drop_column("campaign", "held_part")

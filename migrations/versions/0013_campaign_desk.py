"""Categories and templates of campaigns, and what an archived campaign was."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("category", "campaign_template")
TONES = ("ink", "teal", "amber", "plum", "moss", "violet", "rust", "slate")
FORMER = ("draft", "stopped", "completed")
# What was never finished was a draft. Of what was finished and ever interrupted it is not known whether it was stopped;
# as a stopped one it can do less.
_BACKFILL = """
    UPDATE campaign SET archived_from = CASE WHEN finished_at IS NULL THEN 'draft'
      WHEN stop_epoch > 0 THEN 'stopped' ELSE 'completed' END
    WHERE state = 'archived'
"""


def upgrade() -> None:
    _create_tables()
    # The owner sees the rows of workspaces, and may check keys of theirs, only while row-level security is not forced.
    op.execute('ALTER TABLE "campaign" NO FORCE ROW LEVEL SECURITY')
    _widen_campaign()
    op.execute(_BACKFILL)
    op.execute('ALTER TABLE "campaign" FORCE ROW LEVEL SECURITY')
    for table in TABLES:
        _isolate(table)
        op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO csn_app')
        op.execute(f'GRANT SELECT ON "{table}" TO csn_backup')


def _widen_campaign() -> None:
    op.add_column("campaign", sa.Column("category_id", sa.Uuid(), nullable=True))
    op.add_column("campaign", sa.Column("archived_from", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_campaign_tenant_id_category_id"),
        "campaign",
        "category",
        ["tenant_id", "category_id"],
        ["tenant_id", "category_id"],
        ondelete="RESTRICT",
    )
    op.create_index("ix_campaign_category", "campaign", ["tenant_id", "category_id"])
    op.create_check_constraint(op.f("ck_campaign_archived_from_known"), "campaign", _among("archived_from", FORMER))


def downgrade() -> None:
    op.drop_constraint("ck_campaign_archived_from_known", "campaign")
    op.drop_index("ix_campaign_category", table_name="campaign")
    op.drop_constraint("fk_campaign_tenant_id_category_id", "campaign", type_="foreignkey")
    for column in ("archived_from", "category_id"):
        op.drop_column("campaign", column)
    for table in reversed(TABLES):
        op.drop_table(table)


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


def _among(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


def _create_tables() -> None:
    op.create_table(
        "category",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tone", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(_among("tone", TONES), name=op.f("ck_category_tone_known")),
        sa.PrimaryKeyConstraint("tenant_id", "category_id", name=op.f("pk_category")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_category_tenant_id_name")),
    )
    op.create_table(
        "campaign_template",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("draft", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            _among("purpose", ("marketing", "transactional")), name=op.f("ck_campaign_template_purpose_known")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "template_id", name=op.f("pk_campaign_template")),
    )

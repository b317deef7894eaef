"""Flows: runs of steps that send nothing, where people wait, when the steps of a publication may begin."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MEMBERS = "flow_member"
KIND = "ck_campaign_kind_known"
WISH = "ck_notice_wish_kind_known"
WISHES = (
    "'approval_requested', 'approval_decided', 'approval_reminder', 'approval_late', 'mentioned', 'commented', "
    "'access_asked', 'access_granted', 'key_owner_left', 'campaign_held', 'audit_head'"
)


def upgrade() -> None:
    op.drop_constraint(KIND, "campaign")
    op.create_check_constraint(op.f(KIND), "campaign", "kind IN ('dated', 'api', 'flowing')")
    op.drop_constraint(WISH, "notice_wish")
    op.create_check_constraint(op.f(WISH), "notice_wish", f"kind IN ({WISHES}, 'flow_step', 'step_shifted')")
    op.add_column("campaign", sa.Column("entry_event", sa.Text(), nullable=True))
    op.create_index(
        "ix_campaign_entry_event",
        "campaign",
        ["tenant_id", "entry_event"],
        postgresql_where=sa.text("entry_event IS NOT NULL"),
    )
    _create_members()
    op.add_column("revision", sa.Column("skip_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("revision", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("run", "channel_id", nullable=True)
    op.alter_column("run", "channel_fingerprint", nullable=True)
    op.add_column("run", sa.Column("leads_on", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("wait", sa.Column("stage", sa.Text(), nullable=False, server_default=sa.text("'arrived'")))
    op.create_check_constraint(op.f("ck_wait_stage_known"), "wait", "stage IN ('arrived', 'waiting', 'sending')")


def _create_members() -> None:
    op.create_table(
        MEMBERS,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "campaign_id", "contact_id", name=op.f(f"pk_{MEMBERS}")),
    )
    op.execute(f'ALTER TABLE "{MEMBERS}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{MEMBERS}" FORCE ROW LEVEL SECURITY')
    op.execute(
        f'CREATE POLICY tenant_isolation ON "{MEMBERS}" '
        "USING (tenant_id = current_setting('app.tenant_id')::uuid) "
        "WITH CHECK (tenant_id = current_setting('app.tenant_id')::uuid)"
    )
    op.execute(f'ALTER TABLE "{MEMBERS}" ALTER COLUMN tenant_id SET STATISTICS 0')
    op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{MEMBERS}" TO csn_app')
    op.execute(f'GRANT SELECT ON "{MEMBERS}" TO csn_backup')


def downgrade() -> None:
    op.drop_constraint("ck_wait_stage_known", "wait")
    op.drop_column("wait", "stage")
    op.drop_column("run", "leads_on")
    op.alter_column("run", "channel_fingerprint", nullable=False)
    op.alter_column("run", "channel_id", nullable=False)
    op.drop_column("revision", "not_before")
    op.drop_column("revision", "skip_before")
    op.drop_table(MEMBERS)
    op.drop_index("ix_campaign_entry_event", table_name="campaign")
    op.drop_column("campaign", "entry_event")
    op.execute("DELETE FROM notice_wish WHERE kind IN ('flow_step', 'step_shifted')")
    op.drop_constraint(WISH, "notice_wish")
    op.create_check_constraint(op.f(WISH), "notice_wish", f"kind IN ({WISHES})")
    op.drop_constraint(KIND, "campaign")
    op.create_check_constraint(op.f(KIND), "campaign", "kind IN ('dated', 'api')")

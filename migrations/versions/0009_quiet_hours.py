"""Quiet hours of a project, which its marketing campaigns follow until they say otherwise."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = ("quiet_from", "quiet_until")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("project", sa.Column(name, sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_project_quiet_whole"),
        "project",
        "(quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from <> quiet_until",
    )


def downgrade() -> None:
    op.drop_constraint("ck_project_quiet_whole", "project")
    for name in reversed(COLUMNS):
        op.drop_column("project", name)

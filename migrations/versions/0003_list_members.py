"""List members without foreign keys: checking them row by row was more than half of an import (audiences/models.py)."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = "list_member"
KEYS = {"contact_id": "contact", "list_id": "contact_list"}


def upgrade() -> None:
    for column in KEYS:
        op.drop_constraint(op.f(f"fk_{TABLE}_tenant_id_{column}"), TABLE, type_="foreignkey")


def downgrade() -> None:
    # A new key is checked against the rows of every workspace, which the owner sees only while nothing is forced on it.
    _each("NO FORCE ROW LEVEL SECURITY")
    for column, table in KEYS.items():
        op.create_foreign_key(
            op.f(f"fk_{TABLE}_tenant_id_{column}"),
            TABLE,
            table,
            ["tenant_id", column],
            ["tenant_id", column],
            ondelete="CASCADE",
        )
    _each("FORCE ROW LEVEL SECURITY")


def _each(change: str) -> None:
    for table in (TABLE, *KEYS.values()):
        op.execute(f'ALTER TABLE "{table}" {change}')

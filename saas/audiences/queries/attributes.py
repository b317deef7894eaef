"""Which attributes contacts of the bound workspace may have."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import Attribute
from saas.audiences.rules.attributes import BUILT_IN
from saas.audiences.types import AttributeKind, Known
from saas.platform.db import bound_tenant


def known_attributes(session: Session) -> dict[str, Known]:
    """Return all attributes by key: the built-in ones, then the registered ones by key."""
    rows = session.scalars(
        sa.select(Attribute).where(Attribute.tenant_id == bound_tenant(session)).order_by(Attribute.key)
    )
    found = [Known(row.key, row.label, AttributeKind(row.kind), created_at=row.created_at) for row in rows]
    return {**BUILT_IN, **{known.key: known for known in found}}


def attribute_kinds(session: Session) -> dict[str, AttributeKind]:
    """Return the kind of each attribute by key."""
    return {key: found.kind for key, found in known_attributes(session).items()}

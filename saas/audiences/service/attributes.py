"""Register attributes."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.audiences.models import Attribute
from saas.audiences.queries.attributes import known_attributes
from saas.audiences.rules.attributes import KEY, MAX_REGISTERED, RESERVED
from saas.audiences.types import AttributeKind, BadFile, Known, NameTaken
from saas.audit import service as audit
from saas.kernel.errors import Conflict, Invalid
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


class TooManyAttributes(Conflict):
    """The workspace has as many attributes as there may be."""

    code = "too_many_attributes"


def register(session: Session, *, actor: Actor, key: str, label: str, kind: AttributeKind, now: datetime) -> Known:
    """Register an attribute of the whole workspace. Raises LacksRight, Invalid, NameTaken, TooManyAttributes."""
    require(actor, Action.CONTACT_WRITE)
    if not KEY.fullmatch(key) or key in RESERVED:
        raise Invalid.at("/key", "A key is 1 to 60 small letters, digits and _, and begins with a letter.")
    known = known_attributes(session)
    if key in known:
        raise NameTaken(f"There is an attribute “{key}” already.")
    if len(known) >= MAX_REGISTERED:
        raise TooManyAttributes(f"A workspace has at most {MAX_REGISTERED} attributes.")
    found = Known(key, label.strip(), kind, created_at=now)
    add_missing(session, [found], now=now)
    audit.append(session, actor=actor, action="attribute.registered", subject=key, now=now, facts={"kind": kind.value})
    return found


def add_missing(session: Session, wanted: Sequence[Known], *, now: datetime) -> None:
    """Register those attributes that are not there yet. Raises BadFile when one is there with another kind."""
    if not wanted:
        return
    tenant = bound_tenant(session)
    rows = [
        {"tenant_id": tenant, "key": one.key, "label": one.label or one.key, "kind": one.kind.value, "created_at": now}
        for one in sorted(wanted, key=lambda one: one.key)
    ]
    session.execute(insert(Attribute).values(rows).on_conflict_do_nothing())
    session.flush()
    known = known_attributes(session)
    for item in wanted:
        if known[item.key].kind is not item.kind:
            raise BadFile(f"The attribute {item.key} is of the kind {known[item.key].kind}, not {item.kind}.")
    number = session.scalar(sa.select(sa.func.count()).where(Attribute.tenant_id == tenant)) or 0
    if number > MAX_REGISTERED:
        raise BadFile(f"A workspace has at most {MAX_REGISTERED} attributes.")

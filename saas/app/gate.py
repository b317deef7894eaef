"""Tells the request shell who is asking: joins accounts, tenants and grants."""

from datetime import datetime
from functools import lru_cache
from uuid import UUID

import sqlalchemy as sa
from flask_login import current_user
from sqlalchemy.orm import Session

from saas.accounts import queries as accounts
from saas.accounts.models import Account
from saas.accounts.service import SEEN_EVERY, note_key_use
from saas.permissions.queries import grants_of, roles_for
from saas.permissions.rules import rights_of, rights_of_key
from saas.permissions.types import Actor, ActorKind, Right, Role
from saas.tenants.models import Tenant


@lru_cache(maxsize=4096)
def _rights(tenant_id: UUID, role: Role, project_id: UUID | None, scopes: tuple[str, ...]) -> frozenset[Right]:
    """Return a key's rights; they follow from the row alone, which is read for every request."""
    return rights_of_key(tenant_id, role=role, project_id=project_id, scopes=scopes)


class DatabaseGate:
    """The gate of a real installation."""

    def person(self, session: Session) -> Actor | None:
        """Return the person signed in by cookie, with the agencies they own."""
        if not current_user.is_authenticated:
            return None
        account: Account = current_user.account
        owned = {g.agency_id for g in grants_of(session, account.account_id) if g.role == Role.AGENCY_OWNER}
        return Actor(ActorKind.PERSON, account.account_id, account.name, email=account.email, agencies=frozenset(owned))

    def key(self, session: Session, text: str, now: datetime) -> Actor | None:
        """Return the actor of a live API key; its rights were fixed when it was made (R14)."""
        row = accounts.key_of(session, text, now)
        if row is None:
            return None
        if row.last_used_at is None or now - row.last_used_at > SEEN_EVERY:
            note_key_use(session, row.key_id, now)
        role = Role(row.role)
        return Actor(
            ActorKind.KEY,
            row.made_by,
            row.name,
            tenant_id=row.tenant_id,
            key_id=row.key_id,
            roles=((role, row.project_id),),
            rights=_rights(row.tenant_id, role, row.project_id, tuple(row.scopes)),
        )

    def enter(self, session: Session, actor: Actor, tenant_id: UUID) -> Actor | None:
        """Return the person with their rights in a workspace, None when they hold no role there."""
        agency_id = session.scalar(sa.select(Tenant.agency_id).where(Tenant.tenant_id == tenant_id))
        if agency_id is None or actor.account_id is None:
            return None
        roles = roles_for(session, account_id=actor.account_id, tenant_id=tenant_id, agency_id=agency_id)
        if not roles:
            return None
        return Actor(
            actor.kind,
            actor.account_id,
            actor.name,
            tenant_id=tenant_id,
            email=actor.email,
            roles=roles,
            rights=rights_of(tenant_id, roles),
            agencies=actor.agencies,
        )

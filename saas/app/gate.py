"""Tells the request shell who is asking: joins accounts, tenants and grants."""

from datetime import datetime
from functools import lru_cache
from uuid import UUID

import sqlalchemy as sa
from flask import request
from flask_login import current_user
from sqlalchemy.orm import Session

from saas.accounts import queries as accounts
from saas.accounts.models import Account, AccountSession
from saas.accounts.rules import is_within
from saas.accounts.service.keys import SEEN_EVERY, note_key_use
from saas.accounts.service.sessions import note_use
from saas.accounts.types import WrongAddress
from saas.http.shell import shell
from saas.permissions.queries import grants_of, roles_for
from saas.permissions.rules import agency_rights_of, rights_of, rights_of_key
from saas.permissions.types import Action, Actor, ActorKind, CallQuota, Right, Role, WorkspaceState
from saas.tenants.models import Tenant
from saas.tenants.rules import may_enter
from saas.tenants.service.quotas import count_call


@lru_cache(maxsize=4096)
def _rights(tenant_id: UUID, role: Role, project_id: UUID | None, scopes: tuple[str, ...]) -> frozenset[Right]:
    """Return a key's rights; they follow from the row alone, which is read for every request."""
    return rights_of_key(tenant_id, role=role, project_id=project_id, scopes=scopes)


def _quota(row: accounts.LiveKey) -> CallQuota | None:
    if row.calls_per_day is None and row.calls_per_month is None:
        return None
    return CallQuota(row.calls_per_day, row.calls_per_month)


class DatabaseGate:
    """The gate of a real installation."""

    def person(self, session: Session) -> Actor | None:
        """Return the person signed in by cookie, with what they may do in which agency."""
        if not current_user.is_authenticated:
            return None
        account: Account = current_user.account
        row: AccountSession | None = current_user.row
        now = shell().clock.now()
        if row is not None and now - row.seen_at > SEEN_EVERY:
            note_use(session, row, now)
        staff = [
            (held.agency_id, Role(held.role))
            for held in grants_of(session, account.account_id)
            if held.tenant_id is None
        ]
        rights = agency_rights_of(staff)
        return Actor(
            ActorKind.PERSON,
            account.account_id,
            account.name,
            email=account.email,
            agencies=frozenset(agency for agency, action in rights if action is Action.WORKSPACE_CREATE),
            agency_rights=rights,
        )

    def key(self, session: Session, text: str, now: datetime) -> Actor | None:
        """Return the actor of a live API key; its rights were fixed when it was made (R14).

        Raises WrongAddress. The keys of an archived workspace are none.
        """
        row = accounts.key_of(session, text, now)
        if row is None or row.standing == WorkspaceState.ARCHIVED:
            return None
        if row.allowed_ips is not None and not is_within(request.remote_addr, row.allowed_ips):
            raise WrongAddress("This API key may not be used from this address.")
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
            standing=WorkspaceState(row.standing),
            quota=_quota(row),
        )

    def spend(self, session: Session, actor: Actor, now: datetime) -> None:
        """Count a call where there is a quota. The row is held from here to the commit only. Raises CallsUsedUp."""
        if actor.quota is not None:
            count_call(session, quota=actor.quota, now=now)

    def enter(self, session: Session, actor: Actor, tenant_id: UUID) -> Actor | None:
        """Return the person with their rights in a workspace, None when they hold no role there."""
        found = session.execute(
            sa.select(Tenant.agency_id, Tenant.state).where(Tenant.tenant_id == tenant_id)
        ).one_or_none()
        if found is None or actor.account_id is None:
            return None
        standing = WorkspaceState(found.state)
        roles = roles_for(session, account_id=actor.account_id, tenant_id=tenant_id, agency_id=found.agency_id)
        if not may_enter(standing, roles):
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
            agency_rights=actor.agency_rights,
            standing=standing,
        )

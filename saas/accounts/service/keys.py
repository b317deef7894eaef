"""API keys: made, revoked, noted when used (R14)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts import queries
from saas.accounts.models import ApiKey
from saas.accounts.rules import new_api_key, read_networks, token_hash
from saas.accounts.types import KeyIsOver
from saas.audit import service as audit
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.rules import NEVER_BY_KEY, ROLE_ACTIONS, may_grant
from saas.permissions.types import CAMPAIGN_ROLES, Action, Actor, Role
from saas.platform.db import bound_tenant

SEEN_EVERY: Final = timedelta(minutes=5)


def make_key(
    session: Session,
    *,
    actor: Actor,
    name: str,
    role: Role,
    scopes: Sequence[str],
    project_id: UUID | None,
    expires_at: datetime | None,
    now: datetime,
    allowed_ips: Sequence[str] = (),
) -> tuple[ApiKey, str]:
    """Make an API key with at most its maker's rights (R14). Returns the row and the key, shown only once."""
    if project_id is not None and not queries.has_project(session, project_id):
        raise Invalid.at("/project_id", "There is no such project in this workspace.")
    require(actor, Action.KEY_WRITE, project_id)
    _check_key(actor, role, scopes, project_id)
    if expires_at is not None and expires_at <= now:
        raise Invalid.at("/expires_at", "Choose a time in the future, or leave it out.")
    row, text = _new_key(
        session,
        actor,
        name=name.strip(),
        role=role,
        scopes=scopes,
        project_id=project_id,
        expires_at=expires_at,
        now=now,
    )
    row.allowed_ips = read_networks(allowed_ips)
    session.flush()
    facts = {"role": role.value, "scopes": list(scopes)}
    audit.append(session, actor=actor, action="key.made", subject=show("key", row.key_id), now=now, facts=facts)
    return row, text


def _new_key(
    session: Session,
    actor: Actor,
    *,
    name: str,
    role: Role,
    scopes: Sequence[str],
    project_id: UUID | None,
    expires_at: datetime | None,
    now: datetime,
) -> tuple[ApiKey, str]:
    text = new_api_key()
    row = ApiKey(
        key_id=uuid7(),
        tenant_id=bound_tenant(session),
        project_id=project_id,
        name=name,
        key_hash=token_hash(text),
        last4=text[-4:],
        role=role.value,
        scopes=list(scopes),
        made_by=actor.account_id,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    return row, text


def rotate_key(
    session: Session, *, actor: Actor, key_id: UUID, overlap: timedelta, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key that takes another one's place; the old one lives on for `overlap`. Returns row and key, shown once.

    It is made by the actor, so it has at most their rights, and counts as them where it edits. Raises NotFound,
    Invalid, KeyIsOver.
    """
    old = _key_for_update(session, actor, key_id)
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise KeyIsOver("This key does not work any longer; make a new one.")
    role = Role(old.role)
    _check_key(actor, role, old.scopes, old.project_id)
    row, text = _new_key(
        session,
        actor,
        name=old.name,
        role=role,
        scopes=old.scopes,
        project_id=old.project_id,
        expires_at=old.expires_at,
        now=now,
    )
    row.allowed_ips, row.replaces = old.allowed_ips, old.key_id
    until = now + overlap
    if overlap <= timedelta(0):
        old.revoked_at = now
    elif old.expires_at is None or old.expires_at > until:
        old.expires_at = until
    session.flush()
    facts = {"by": show("key", row.key_id), "until": until.isoformat()}
    audit.append(session, actor=actor, action="key.rotated", subject=show("key", key_id), now=now, facts=facts)
    return row, text


def revoke_key(session: Session, *, actor: Actor, key_id: UUID, now: datetime) -> ApiKey:
    """Revoke a key for good. Raises NotFound."""
    row = _key_for_update(session, actor, key_id)
    if row.revoked_at is None:
        row.revoked_at = now
        session.flush()
        audit.append(session, actor=actor, action="key.revoked", subject=show("key", key_id), now=now)
    return row


def _key_for_update(session: Session, actor: Actor, key_id: UUID) -> ApiKey:
    row = session.scalars(
        sa.select(ApiKey)
        .where(ApiKey.key_id == key_id, ApiKey.tenant_id == bound_tenant(session))
        .with_for_update(key_share=True)
    ).first()
    if row is None:
        raise NotFound.of("API key")
    require(actor, Action.KEY_WRITE, row.project_id)
    return row


def note_key_use(session: Session, key_id: UUID, now: datetime) -> None:
    """Remember when a key was last used, to five minutes; a row that another request holds is left to that one."""
    stale = (
        sa.select(ApiKey.key_id)
        .where(
            ApiKey.key_id == key_id,
            sa.or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - SEEN_EVERY),
        )
        .with_for_update(key_share=True, skip_locked=True)
    )
    session.execute(sa.update(ApiKey).where(ApiKey.key_id.in_(stale)).values(last_used_at=now))


def _check_key(actor: Actor, role: Role, scopes: Sequence[str], project_id: UUID | None) -> None:
    own = {held for held, place in actor.roles if place is None or place == project_id}
    if role not in CAMPAIGN_ROLES or (role not in own and not may_grant(own, role)):
        raise Invalid.at("/role", "A key has at most the rights of who makes it.")
    for index, scope in enumerate(scopes):
        # Who may give a role does not have its rights: an agency's staff makes administrators and reads no contacts.
        if scope in set(Action) and not actor.may(Action(scope), project_id):
            raise Invalid.at(f"/scopes/{index}", f"You do not have the right {scope} here yourself.")
        if scope not in set(Action) or Action(scope) not in ROLE_ACTIONS[role]:
            raise Invalid.at(f"/scopes/{index}", f"The role {role.value} has no right {scope}.")
        if Action(scope) in NEVER_BY_KEY:
            raise Invalid.at(f"/scopes/{index}", f"A key can never have the right {scope}.")
    if not scopes:
        raise Invalid.at("/scopes", "Choose at least one right.")

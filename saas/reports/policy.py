"""What of the audit chain somebody may see."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from saas.accounts.models import Account, ApiKey
from saas.audiences.models import ContactList
from saas.audiences.policy import administered
from saas.audiences.queries.audiences import audiences
from saas.audit.queries import Sight
from saas.campaigns.models import Campaign
from saas.kernel.ids import show
from saas.kernel.paging import PageRequest
from saas.permissions.queries import roles_for
from saas.permissions.rules import rights_of
from saas.permissions.types import Action, Actor, ActorKind, Right
from saas.platform.db import bound_tenant
from saas.tenants.queries import agency_of

# Which right shows entries about a kind of thing to somebody who has not the right to the whole audit log.
RIGHTS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "cam": Action.CAMPAIGN_READ,
        "lst": Action.LIST_READ,
        "imp": Action.LIST_READ,
        "cat": Action.CAMPAIGN_READ,
        "cpt": Action.CAMPAIGN_READ,
        "aud": Action.AUDIENCE_READ,
        "prj": Action.PROJECT_READ,
        "chn": Action.CHANNEL_READ,
        "wsp": Action.WORKSPACE_READ,
        "acc": Action.MEMBER_READ,
        "inv": Action.MEMBER_READ,
        "key": Action.KEY_READ,
    }
)
_OF_PROJECTS: Final = ("cam", "lst", "aud", "prj")
_MOST: Final = 500  # of each kind of a project's things, the newest


def sight(session: Session, actor: Actor) -> Sight | None:
    """Return what the actor may see of the whole workspace's entries: everything (None) with the right to it.

    Who may not read the log as a whole sees what was done to things that they may see.
    """
    if actor.may(Action.AUDIT_READ):
        return None
    kinds = frozenset(kind for kind, right in RIGHTS.items() if actor.may(right))
    if administered(actor) is not None:
        kinds -= {"aud"}  # some are private: only those that the actor sees, one by one
    return Sight(kinds, frozenset(_in_projects(session, actor, set(_OF_PROJECTS) - kinds)))


def project_sight(session: Session, actor: Actor, project_id: UUID) -> Sight:
    """Return what is about one project, of which the actor may see it: the project and its things."""
    seen = frozenset(_in_projects(session, actor, _OF_PROJECTS, project_id))
    return Sight((), seen | {show("prj", project_id)})


def may_still_read(session: Session, actor: Actor, *, now: datetime) -> bool:
    """Say whether an actor has the right to the whole log at this moment: roles and keys may end while they read."""
    if actor.kind is ActorKind.SYSTEM:
        return True
    tenant = bound_tenant(session)
    if actor.kind is ActorKind.KEY:
        key = session.get(ApiKey, actor.key_id, populate_existing=True)
        return key is not None and key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
    if actor.account_id is None:
        return False
    account = session.get(Account, actor.account_id, populate_existing=True)
    roles = roles_for(session, account_id=actor.account_id, tenant_id=tenant, agency_id=agency_of(session))
    allowed = Right(tenant, None, Action.AUDIT_READ) in rights_of(tenant, roles)
    return allowed and account is not None and account.suspended_at is None


def _in_projects(
    session: Session, actor: Actor, kinds: Collection[str], project_id: UUID | None = None
) -> Iterator[str]:
    """Yield things of projects that the actor sees: of one project, or of all of theirs."""
    tenant, newest = bound_tenant(session), PageRequest(_MOST)
    for kind, column, model in (("cam", Campaign.campaign_id, Campaign), ("lst", ContactList.list_id, ContactList)):
        if kind in kinds:
            found = sa.select(column).where(
                model.tenant_id == tenant, _among(model.project_id, actor, kind, project_id)
            )
            yield from (show(kind, value) for value in session.scalars(found.order_by(column.desc()).limit(_MOST)))
    if "aud" in kinds:
        rows = audiences(session, actor=actor, page=newest, project_id=project_id).rows
        yield from (show("aud", row.audience_id) for row in rows)
    if "prj" in kinds and project_id is None:
        yield from (show("prj", value) for value in actor.projects(Action.PROJECT_READ) or ())


def _among(
    column: InstrumentedAttribute[UUID], actor: Actor, kind: str, project_id: UUID | None
) -> sa.ColumnElement[bool]:
    allowed = actor.projects(RIGHTS[kind])
    if project_id is not None:
        return column == project_id if allowed is None or project_id in allowed else sa.false()
    return sa.true() if allowed is None else column.in_(allowed)

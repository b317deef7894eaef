"""Templates of campaigns: drafts that a workspace keeps to begin with, and carries elsewhere as files (S1).

A template shows everybody who may read campaigns here what a campaign of one project says. So it is saved, brought in,
changed and deleted by those who may write campaigns in the whole workspace (R14), and used by all who may write any.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns import queries
from saas.campaigns.desk import queries as desk
from saas.campaigns.desk.models import CampaignTemplate
from saas.campaigns.service.draft import check_purpose
from saas.campaigns.service.references import LeftEmpty, names_of, settled
from saas.campaigns.types import CampaignKind
from saas.channels.types import Purpose
from saas.kernel.errors import require_version
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

FORMAT: Final = 1  # of the files


def save_as_template(
    session: Session, *, actor: Actor, campaign_id: UUID, name: str, description: str, now: datetime
) -> CampaignTemplate:
    """Keep a campaign's newest draft as a template. Raises NotFound, LacksRight."""
    source = queries.campaign(session, actor=actor, campaign_id=campaign_id)
    newest = queries.revisions(session, campaign_id)[0]
    return _make(
        session,
        actor=actor,
        action="template.saved",
        facts={"from": show("cam", campaign_id), "revision": newest.no},
        values={"name": name, "description": description, "kind": source.kind, "purpose": source.purpose},
        draft=newest.draft,
        now=now,
    )


def change_template(
    session: Session, *, actor: Actor, template_id: UUID, version: int, changes: Mapping[str, str], now: datetime
) -> CampaignTemplate:
    """Change name or description. Raises NotFound, LacksRight, Stale."""
    row = _writable(session, actor, template_id, version)
    row.name = changes.get("name", row.name).strip()
    row.description = changes.get("description", row.description).strip()
    row.updated_at, row.version = now, row.version + 1
    session.flush()
    _audit(session, actor, row, "template.changed", now)
    return row


def delete_template(session: Session, *, actor: Actor, template_id: UUID, version: int, now: datetime) -> None:
    """Delete a template; campaigns that began with it stay. Raises NotFound, LacksRight, Stale."""
    row = _writable(session, actor, template_id, version)
    session.delete(row)
    session.flush()
    _audit(session, actor, row, "template.deleted", now)


def as_file(session: Session, *, actor: Actor, row: CampaignTemplate) -> dict[str, Any]:
    """Return a template as a file holds it: what the actor may not see is left empty, the rest has its names."""
    draft = settled(session, actor=actor, draft=row.draft).draft
    called = names_of(session, actor=actor, draft=draft)
    return {
        "format": FORMAT,
        "name": row.name,
        "description": row.description,
        "kind": row.kind,
        "purpose": row.purpose,
        "draft": draft,
        "references": [{"id": text, "name": called[text]} for text in sorted(called)],
    }


def bring_in(
    session: Session,
    *,
    actor: Actor,
    name: str,
    description: str,
    kind: CampaignKind,
    purpose: Purpose,
    draft: Mapping[str, Any],
    references: Mapping[str, str],
    now: datetime,
) -> tuple[CampaignTemplate, list[LeftEmpty]]:
    """Make a template of a file; return what it names that is not here. Raises LacksRight, Invalid.

    references: what the draft's ids are called. What was made in another workspace is found by these names.
    """
    check_purpose(kind, purpose)
    found = settled(session, actor=actor, draft=draft, names=references)
    row = _make(
        session,
        actor=actor,
        action="template.imported",
        facts={"left_empty": len(found.left_empty)},
        values={"name": name, "description": description, "kind": kind.value, "purpose": purpose.value},
        draft=found.draft,
        now=now,
    )
    return row, found.left_empty


def _make(
    session: Session,
    *,
    actor: Actor,
    action: str,
    facts: dict[str, Any],
    values: Mapping[str, str],
    draft: Mapping[str, Any],
    now: datetime,
) -> CampaignTemplate:
    require(actor, Action.CAMPAIGN_WRITE)
    row = CampaignTemplate(
        tenant_id=bound_tenant(session),
        template_id=uuid7(),
        **{word: text.strip() for word, text in values.items()},
        draft=dict(draft),
        made_by=actor.account_id,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    session.flush()
    _audit(session, actor, row, action, now, facts=facts)
    return row


def _writable(session: Session, actor: Actor, template_id: UUID, version: int) -> CampaignTemplate:
    row = desk.template_for_update(session, template_id)
    require(actor, Action.CAMPAIGN_WRITE)
    require_version(row.version, version)
    return row


def _audit(
    session: Session,
    actor: Actor,
    row: CampaignTemplate,
    action: str,
    now: datetime,
    *,
    facts: dict[str, Any] | None = None,
) -> None:
    audit.append(session, actor=actor, action=action, subject=show("cpt", row.template_id), now=now, facts=facts)

"""New campaigns that begin with a draft that is there: copies of campaigns, and templates.

Nothing of approvals, entries or numbers comes along; whoever makes the new campaign is the editor of its draft (R13).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.desk import queries as desk
from saas.campaigns.models import Campaign
from saas.campaigns.rules.copies import copied, copy_name
from saas.campaigns.service.categories import offered
from saas.campaigns.service.draft import Begun, create
from saas.campaigns.service.references import LeftEmpty, settled
from saas.campaigns.types import CampaignKind
from saas.channels.types import Purpose
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.permissions.types import Actor
from saas.platform.db import bound_tenant
from saas.tenants.models import Workspace
from saas.tenants.service.workspaces import project_in


def duplicate(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    name: str | None = None,
    project_id: UUID | None = None,
    now: datetime,
) -> Campaign:
    """Make a new draft of a campaign's newest one, in the same project or another. Raises NotFound, LacksRight.

    Description, tags and category come along, and all times that have not passed. What the draft names stays named.
    """
    source = queries.campaign(session, actor=actor, campaign_id=campaign_id)
    target = project_id or source.project_id
    newest = queries.revisions(session, campaign_id)[0]
    known = desk.categories_of(session, [source.category_id]).get(source.category_id)
    made = create(
        session,
        actor=actor,
        project_id=target,
        name=name or copy_name(source.name),
        description=source.description,
        kind=CampaignKind(source.kind),
        purpose=Purpose(source.purpose),
        tags=source.tags,
        begun=Begun(
            "campaign.duplicated",
            _fresh(session, newest.draft, target, now),
            {"copied_from": show("cam", campaign_id), "revision": newest.no},
        ),
        now=now,
    )
    made.category_id = known.category_id if known is not None and known.archived_at is None else None
    session.flush()
    return made


def begin(
    session: Session,
    *,
    actor: Actor,
    template_id: UUID | None,
    kind: CampaignKind | None,
    purpose: Purpose | None,
    category_id: UUID | None = None,
    now: datetime,
    **words: Any,
) -> tuple[Campaign, list[LeftEmpty]]:
    """Make a campaign: empty, or with a template's draft; return what of that had to be left empty.

    kind and purpose come from the template; without one they are needed. words: as of `create`. Raises as it does,
    and Invalid for a category that is not offered.
    """
    if template_id is not None:
        made, left = _of_template(
            session, actor=actor, template_id=template_id, kind=kind, purpose=purpose, now=now, words=words
        )
    elif kind is None or purpose is None:
        raise Invalid.at("/kind" if kind is None else "/purpose", "Say how it starts and what it is for.")
    else:
        made, left = create(session, actor=actor, kind=kind, purpose=purpose, now=now, **words), []
    made.category_id = offered(session, category_id)
    session.flush()
    return made, left


def _of_template(
    session: Session,
    *,
    actor: Actor,
    template_id: UUID,
    kind: CampaignKind | None,
    purpose: Purpose | None,
    now: datetime,
    words: Mapping[str, Any],
) -> tuple[Campaign, list[LeftEmpty]]:
    row = desk.template(session, template_id)
    for word, given, own in (("kind", kind, row.kind), ("purpose", purpose, row.purpose)):
        if given is not None and given.value != own:
            raise Invalid.at(f"/{word}", f"Campaigns of this template are {own}; leave this out.")
    found = settled(session, actor=actor, draft=row.draft)
    facts = {"template": show("cpt", template_id)}
    begun = Begun("campaign.begun", _fresh(session, found.draft, words["project_id"], now), facts)
    own_kind, own_purpose = CampaignKind(row.kind), Purpose(row.purpose)
    made = create(session, actor=actor, kind=own_kind, purpose=own_purpose, begun=begun, now=now, **words)
    return made, found.left_empty


def _fresh(session: Session, draft: Mapping[str, Any], project_id: UUID, now: datetime) -> dict[str, Any]:
    """Return a draft whose times lie ahead, by the clock that it goes by in its project."""
    workspace = session.get_one(Workspace, bound_tenant(session))
    zone = draft.get("time_zone") or project_in(session, project_id).time_zone or workspace.time_zone
    return copied(draft, zone=zone, now=now)

"""Who comes into a flowing campaign, and who leaves it: a diff of its audience, or an event (M16, M21, R15)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import members_select, steady_plans
from saas.audiences.rules import segment
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Document
from saas.campaigns.types import CampaignKind, CampaignState
from saas.journeys.service.signed import signed_document
from saas.journeys.sets.entering import let_in
from saas.journeys.sets.parting import part
from saas.journeys.types import FLOW_UPDATE
from saas.ledger.models import ENTRY_IDS, Entry, FlowMember
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Piece
from saas.platform.db import bound_tenant
from saas.platform.seal.service import is_sealed
from saas.tenants.service.standing import is_active

_WHILE_SEALED: Final = timedelta(seconds=30)
_EVERY: Final = 5  # minutes, where the campaign says nothing else
LEFT: Final = "left"
CAME_AGAIN: Final = "came_again"


def update(session: Session, campaign_id: UUID, now: datetime) -> Piece:
    """Compare a flowing campaign's people with its audience: who matches anew comes in, who does no more may leave."""
    if is_sealed(session) or not is_active(session):
        return Piece(units=0, again_at=now + _WHILE_SEALED)
    found = _flowing(session, campaign_id, now)
    if found is None:
        return Piece(units=0)  # whoever lets it go on arms it anew
    campaign, document = found
    if document.list_id is not None:
        _diff(session, campaign, document, document.list_id, now)
    return Piece(units=1, again_at=now + every_of(document))


def every_of(document: Document) -> timedelta:
    """Return how often a flowing campaign's people are compared with its audience."""
    return timedelta(minutes=(document.entry or {}).get("every_minutes") or _EVERY)


def enter_by_event(session: Session, *, name: str, people: Mapping[UUID, Mapping[str, Any]], now: datetime) -> int:
    """Let people come into every flowing campaign that waits for an event; its properties are their context.

    Where the campaign has an audience as well, only its members come. Returns how many entries that made.
    """
    ids = session.scalars(
        sa.select(Campaign.campaign_id).where(
            Campaign.tenant_id == bound_tenant(session),
            Campaign.entry_event == name,
            Campaign.kind == CampaignKind.FLOWING,
            Campaign.state == CampaignState.ACTIVE,
        )
    ).all()
    made = 0
    for campaign_id in ids:
        found = _flowing(session, campaign_id, now)
        if found is not None:
            campaign, document = found
            given = sa.select(
                sa.func.unnest(sa.literal([str(each) for each in people], sa.ARRAY(sa.Text())))
                .cast(sa.Uuid())
                .label("contact_id"),
                sa.func.unnest(sa.literal([dict(each) for each in people.values()], sa.ARRAY(JSONB()))).label(
                    "context"
                ),
            ).subquery("given")
            who: sa.Select[UUID, Any] = sa.select(given.c.contact_id, given.c.context)
            if document.list_id is not None:
                members = _members(session, document, document.list_id)
                who = who.where(given.c.contact_id.in_(members))
            made += _enter(session, campaign, document, who, now)
    return made


def _flowing(session: Session, campaign_id: UUID, now: datetime) -> tuple[Campaign, Document] | None:
    """Return an active flowing campaign and what was signed of it; whoever stops it waits for us."""
    campaign = session.get(
        Campaign, (bound_tenant(session), campaign_id), populate_existing=True, with_for_update={"read": True}
    )
    if campaign is None or CampaignState(campaign.state) is not CampaignState.ACTIVE:
        return None
    revision = campaigns.published(session, campaign_id)
    document = signed_document(session, campaign, revision, now) if revision is not None else None
    if document is None or CampaignKind(campaign.kind) is not CampaignKind.FLOWING:
        return None
    over = document.publish_until is not None and now >= document.publish_until
    return None if over else (campaign, document)


def _members(session: Session, document: Document, list_id: UUID) -> sa.Select[UUID]:
    rule = segment.parse(document.rule, kinds=attribute_kinds(session)) if document.rule else None
    return members_select(session, list_id=list_id, rule=rule)


def _diff(session: Session, campaign: Campaign, document: Document, list_id: UUID, now: datetime) -> None:
    tenant = bound_tenant(session)
    members = _members(session, document, list_id)
    with steady_plans(session):
        gone = session.scalars(
            sa.delete(FlowMember)
            .where(
                FlowMember.tenant_id == tenant,
                FlowMember.campaign_id == campaign.campaign_id,
                FlowMember.contact_id.not_in(members),
            )
            .returning(FlowMember.contact_id),
            execution_options={"synchronize_session": False},
        ).all()
        leaves = (document.entry or {}).get("leaving") == "leave"
        if gone and leaves:
            part(session, campaign_id=campaign.campaign_id, contacts=gone, reason=LEFT, now=now)
        by_event = bool((document.entry or {}).get("event"))
        if by_event and not leaves:
            return  # the audience only says who of those may come whose event was told
        matching = members.subquery("matching")
        added = (
            insert(FlowMember)
            .from_select(
                ["tenant_id", "campaign_id", "contact_id", "since"],
                sa.select(sa.literal(tenant), sa.literal(campaign.campaign_id), matching.c.contact_id, sa.literal(now)),
                include_defaults=False,
            )
            .on_conflict_do_nothing()
        )
        if by_event:
            session.execute(added)  # so that the next look tells who matches no more
            return
        came = added.returning(FlowMember.contact_id).cte("came")
        who = sa.select(came.c.contact_id, sa.null().cast(JSONB()).label("context"))
        _enter(session, campaign, document, who, now)


def _enter(session: Session, campaign: Campaign, document: Document, who: sa.Select[UUID, Any], now: datetime) -> int:
    """Make entries for people, as the re-entry policy allows, and let them stand at the first steps."""
    tenant, policy = bound_tenant(session), (document.entry or {}).get("re_entry") or "never"
    if policy == "always":
        who = _closing_open(session, campaign, who, now)
    wanted = who.cte("wanted")
    before = sa.select(sa.func.count()).where(
        Entry.tenant_id == tenant,
        Entry.campaign_id == campaign.campaign_id,
        Entry.occurrence == "",
        Entry.contact_id == wanted.c.contact_id,
    )
    still_open = before.where(Entry.ended_at.is_(None))
    allowed = {
        "never": before.scalar_subquery() == 0,
        "after_finishing": still_open.scalar_subquery() == 0,
    }.get(policy, sa.true())
    rows = sa.select(
        sa.literal(tenant),
        ENTRY_IDS.next_value(),
        sa.literal(campaign.campaign_id),
        sa.literal(""),
        wanted.c.contact_id,
        sa.cast(before.scalar_subquery(), sa.Text()),
        sa.literal(value=True),
        wanted.c.context,
        sa.literal(now),
    ).where(allowed)
    return let_in(
        session, rows.order_by(wanted.c.contact_id), campaign_id=campaign.campaign_id, document=document, now=now
    )


def _closing_open(
    session: Session, campaign: Campaign, who: sa.Select[UUID, Any], now: datetime
) -> sa.Select[UUID, Any]:
    """Close the open ways of those who come again (R15, mautic#9797). Returns a statement for the same people."""
    rows = session.execute(who).all()
    contacts: Sequence[UUID] = [row[0] for row in rows]
    part(session, campaign_id=campaign.campaign_id, contacts=contacts, reason=CAME_AGAIN, now=now)
    given = sa.select(
        sa.func.unnest(sa.literal([str(each) for each in contacts], sa.ARRAY(sa.Text())))
        .cast(sa.Uuid())
        .label("contact_id"),
        sa.func.unnest(sa.literal([row[1] for row in rows], sa.ARRAY(JSONB(none_as_null=True)))).label("context"),
    ).subquery("given")
    return sa.select(given.c.contact_id, given.c.context)


def listen(session: Session, campaign: Campaign, document: Document, now: datetime) -> None:
    """Have a flowing campaign updated from now on, and entered by its event."""
    campaign.entry_event = (document.entry or {}).get("event")
    agenda.arm(session, work=FLOW_UPDATE, subject=campaign.campaign_id, due_at=now)

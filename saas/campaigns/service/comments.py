"""What people say about a campaign, to all who have to do with it and to those they name (R13)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns import queries
from saas.campaigns.models import Campaign, Comment, Revision
from saas.campaigns.rules.approval import NotHere
from saas.campaigns.service.requests import situation
from saas.campaigns.service.signing import participants
from saas.campaigns.service.telling import tell
from saas.campaigns.types import RevisionState
from saas.kernel.errors import Fault, Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.notices.types import NoticeKind
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


def comment(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    text: str,
    step_no: int | None = None,
    mentions: Collection[UUID] = (),
    now: datetime,
) -> Comment:
    """Say something about a campaign's newest revision, or a step of it. Tells who is named and who takes part.

    Raises NotFound, LacksRight, NotHere for a mention of somebody who may not read the campaign.
    """
    campaign = queries.campaign(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_COMMENT, campaign.project_id)
    if actor.account_id is None:
        raise NotFound.of("person")
    row = queries.revisions(session, campaign_id)[0]
    _check_step(row, step_no)
    named = frozenset(mentions)
    _check_mentions(session, campaign, named)
    found = Comment(
        tenant_id=bound_tenant(session),
        comment_id=uuid7(),
        campaign_id=campaign_id,
        revision_no=row.no,
        step_no=step_no,
        account_id=actor.account_id,
        text=text.strip(),
        mentions=sorted(named),
        at=now,
    )
    session.add(found)
    session.flush()
    facts = {"comment": show("cmt", found.comment_id), "revision": row.no}
    audit.append(
        session, actor=actor, action="campaign.commented", subject=show("cam", campaign_id), now=now, facts=facts
    )
    said = f"{actor.name}: “{found.text}”"
    tell(session, NoticeKind.MENTIONED, campaign, named - {actor.account_id}, said, now=now)
    others = _participants(session, campaign, row, actor) - named
    tell(session, NoticeKind.COMMENTED, campaign, others, said, now=now)
    return found


def comments(session: Session, campaign_id: UUID) -> Sequence[Comment]:
    """Return what was said about a campaign, oldest first."""
    return session.scalars(
        sa.select(Comment)
        .where(Comment.tenant_id == bound_tenant(session), Comment.campaign_id == campaign_id)
        .order_by(Comment.at, Comment.comment_id)
    ).all()


def mentionable(session: Session, campaign: Campaign) -> frozenset[UUID]:
    """Return whom a comment may name: everybody who may read the campaign."""
    return frozenset(queries.people_with(session, Action.CAMPAIGN_READ, campaign.project_id))


def _participants(session: Session, campaign: Campaign, row: Revision, actor: Actor) -> frozenset[UUID]:
    spoke = {each.account_id for each in comments(session, campaign.campaign_id)}
    found = {*participants(session, row, but=actor), *spoke}
    waiting = situation(session, row, project_id=campaign.project_id)
    if waiting is not None and RevisionState(row.state) is RevisionState.IN_REVIEW:
        found |= waiting.standing.may_decide
    return frozenset(found) - {actor.account_id or campaign.campaign_id}


def _check_step(row: Revision, step_no: int | None) -> None:
    if step_no is not None and step_no not in {step["step_no"] for step in row.draft.get("steps") or []}:
        raise Invalid.at("/step_no", "This revision has no such step.")


def _check_mentions(session: Session, campaign: Campaign, named: frozenset[UUID]) -> None:
    strangers = named - mentionable(session, campaign)
    if strangers:
        raise NotHere(
            "You can only name people who may read this campaign.",
            faults=[
                Fault("/mentions", f"{show('acc', each)} may not read this campaign.") for each in sorted(strangers)
            ],
        )

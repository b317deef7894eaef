"""Whom a stopped campaign has not served: one other campaign at a time is for them, so nobody gets it twice (U11)."""

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import hash_of, read
from saas.campaigns.rules.lifecycle import FINAL
from saas.campaigns.types import RevisionState
from saas.kernel.errors import Conflict
from saas.kernel.ids import BadId, parse, show
from saas.ledger.models import Entry
from saas.ledger.queries.numbers import cut_off
from saas.permissions.types import Actor
from saas.platform.db import bound_tenant

# A draft counts where another one would be made beside it; where one asks for approval, only what has asked too.
ASKED: Final = frozenset({RevisionState.IN_REVIEW, RevisionState.APPROVED, RevisionState.PUBLISHED})
DRAWN_UP: Final = ASKED | {RevisionState.EDITING, RevisionState.CHANGES_REQUESTED}


class RestTaken(Conflict):
    """Another campaign is for the same rest, or has sent to it: a second one would send it to them again (U11)."""

    code = "rest_taken"


def other_for(
    session: Session, *, earlier: UUID, own: UUID | None, states: Collection[RevisionState]
) -> Campaign | None:
    """Return another campaign than `own` for whom an earlier one has not served, None where there is none.

    It is one that is not over and has a revision in one of these states, or one that people have entered, whatever
    became of it since: whom that has not served is its own rest.
    """
    tenant = bound_tenant(session)
    entered = sa.select(sa.literal(1)).where(Entry.tenant_id == tenant, Entry.campaign_id == Campaign.campaign_id)
    found = (
        sa.select(Campaign)
        .join(Revision, sa.and_(Revision.tenant_id == tenant, Revision.campaign_id == Campaign.campaign_id))
        .where(
            Campaign.tenant_id == tenant,
            Revision.draft[("audience", "rest_of")].astext == show("cam", earlier),
            sa.or_(sa.and_(Campaign.state.not_in(FINAL), Revision.state.in_(states)), entered.exists()),
        )
        .order_by(Campaign.campaign_id)
        .limit(1)
    )
    if own is not None:
        found = found.where(Campaign.campaign_id != own)
    return session.scalars(found).first()


def refuse_taken(session: Session, *, actor: Actor, earlier: UUID, own: UUID | None) -> None:
    """Refuse a draft for the rest of a campaign while another campaign is for it. Raises RestTaken."""
    lock_rest(session, earlier)
    other = other_for(session, earlier=earlier, own=own, states=DRAWN_UP)
    if other is not None:
        raise RestTaken(taken_text(session, actor, other), campaign_id=show("cam", other.campaign_id))


def lock_rest(session: Session, earlier: UUID) -> None:
    """Make others who ask about the rest of the same campaign wait: of two, the second hears of the first."""
    found = sa.select(Campaign.campaign_id).where(
        Campaign.tenant_id == bound_tenant(session), Campaign.campaign_id == earlier
    )
    session.execute(found.with_for_update())


def taken_text(session: Session, actor: Actor, other: Campaign) -> str:
    """Return what is said of the campaign that is for a rest already, by its name where the actor may see it."""
    seen = queries.visible(session, actor).where(Campaign.campaign_id == other.campaign_id)
    name = (
        f"“{other.name}” ({show('cam', other.campaign_id)})" if session.scalars(seen).first() else "of another project"
    )
    return (
        f"Campaign {name} is for the same people already; a second one would send it to them again."
        " Go on there, or archive its draft or stop it before it starts. If it was stopped later, send to its own rest."
    )


def rest_of(draft: Mapping[str, Any]) -> UUID | None:
    """Return the stopped campaign whose rest a draft is for, None where it is for others."""
    given = (draft.get("audience") or {}).get("rest_of")
    try:
        return parse("cam", given) if given else None
    except BadId:
        return None


def partly_served(session: Session, campaign_id: UUID) -> int:
    """Count who had at least one message of a stopped campaign and not those that its stop cut off (U11).

    They are in no rest: what was sent is not sent again. A message that never began counts for everybody, also if it
    stood on a way that somebody would not have gone.
    """
    row = queries.published(session, campaign_id)
    if row is None or row.document is None:
        return 0
    document = read(row.document, expected_hash=hash_of(row.document))  # only counted by, not carried out
    return cut_off(session, campaign_id, steps=[message.step_no for message in document.messages])

"""Let a campaign start otherwise: by calls instead of by a date, or the other way round (S35, S48)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.campaigns.rules.lifecycle import NotAllowed, campaign_moves
from saas.campaigns.rules.starts import switched
from saas.campaigns.service.draft import save
from saas.campaigns.types import CampaignKind, CampaignState
from saas.channels.types import Purpose
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor


def switch_start(session: Session, *, actor: Actor, campaign_id: UUID, kind: CampaignKind, now: datetime) -> Campaign:
    """Change how a campaign starts while it is a draft; what its draft has no place for any more is emptied.

    It is an edit like any other: an approval that was given becomes void. Raises NotFound, LacksRight, NotAllowed, and
    Invalid where messages of its purpose cannot start so.
    """
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_WRITE, row.project_id)
    state, before = CampaignState(row.state), row.kind
    if state is not CampaignState.DRAFT or queries.published(session, campaign_id) is not None:
        text = "How a campaign starts is changed before it is published; copy it and change the copy."
        raise NotAllowed(text, state=state.value, allowed_transitions=[move.value for move in campaign_moves(state)])
    if kind is CampaignKind.DATED and Purpose(row.purpose) is Purpose.TRANSACTIONAL:
        raise Invalid.at("/kind", "Transactional messages answer a call; a dated campaign is marketing.")
    if kind.value == before:
        return row
    row.kind, row.updated_at, row.version = kind.value, now, row.version + 1
    session.flush()
    newest = queries.revisions(session, campaign_id)[0]
    draft = switched(newest.draft, kind=kind)
    save(session, actor=actor, campaign_id=campaign_id, no=newest.no, version=newest.version, draft=draft, now=now)
    facts = {"kind": kind.value, "was": before}
    subject = show("cam", campaign_id)
    audit.append(session, actor=actor, action="campaign.start_switched", subject=subject, now=now, facts=facts)
    return row

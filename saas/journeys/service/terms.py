"""What a call needs to know of a campaign, read once and remembered: the trigger's statement compares it (R5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Damaged, Document, Message, Step, read
from saas.campaigns.rules.lifecycle import CLOSED
from saas.campaigns.rules.quiet import Silence
from saas.campaigns.types import CampaignKind, CampaignState
from saas.channels.models import ChannelConfiguration
from saas.journeys.service.dates import begins_at
from saas.journeys.sets.messages import leads_on, open_run_of
from saas.kernel.errors import Conflict
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

_MOST_TERMS: Final = 1000
_NO_CALLS: Final = {
    CampaignKind.DATED: "This campaign starts by its date, not by a call.",
    CampaignKind.FLOWING: "In this campaign people come in as they match or as an event is told, not by a call.",
}


class NotAccepting(Conflict):
    """Calls are accepted only for an active campaign that starts by API (R5.2)."""

    code = "campaign_not_active"


class WindowOver(NotAccepting):
    """The campaign's window of validity is over (R5.2)."""


class CampaignOver(NotAccepting):
    """The campaign has come to its end, and takes no calls any more."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a call needs to know of a campaign.

    runs: of the messages that everybody gets at once, None until the campaign's start has opened them; empty where
    something else comes first. stands: the steps at which somebody who entered stands, where anything follows.
    too_late_from: from when on nobody may come any more (R5.4).
    """

    campaign_id: UUID
    project_id: UUID
    purpose: str
    revision_no: int
    content_hash: str
    payload: Sequence[Mapping[str, Any]]
    runs: tuple[UUID, ...] | None
    stands: tuple[int, ...]
    rate_per_minute: int | None
    held_by: Silence | None
    zone: str
    accepts_from: datetime | None
    accepts_until: datetime | None
    too_late_from: datetime | None

    def check_open(self, now: datetime) -> None:
        """Refuse a call outside of the window of validity. Raises NotAccepting."""
        if self.accepts_from is not None and now < self.accepts_from:
            raise NotAccepting(f"This campaign takes calls from {self.accepts_from.isoformat()} on.")
        if self.accepts_until is not None and now >= self.accepts_until:
            raise WindowOver(f"This campaign took calls until {self.accepts_until.isoformat()}.")

    def is_open(self, now: datetime) -> bool:
        """Say whether a call may enter people now, as far as these terms know."""
        begun = self.accepts_from is None or now >= self.accepts_from
        over = [each for each in (self.accepts_until, self.too_late_from) if each is not None and now >= each]
        return begun and not over

    def due_at(self, now: datetime) -> datetime:
        """Return when messages of a call may leave: at once, or when it is not quiet any more (R14)."""
        return (self.held_by and self.held_by.ends_at(now, self.zone)) or now


class Remembered:
    """Terms by workspace and campaign, in this process. They may be old: the statement's gate compares them."""

    def __init__(self) -> None:
        self._terms: dict[tuple[UUID, UUID], Terms] = {}

    def get(self, tenant_id: UUID, campaign_id: UUID) -> Terms | None:
        """Return what is remembered of a campaign."""
        return self._terms.get((tenant_id, campaign_id))

    def put(self, tenant_id: UUID, terms: Terms) -> None:
        """Remember what was read."""
        if len(self._terms) >= _MOST_TERMS:
            self._terms.clear()
        self._terms[tenant_id, terms.campaign_id] = terms


remembered: Final = Remembered()


def read_terms(session: Session, actor: Actor, campaign_id: UUID) -> Terms:
    """Read what holds now. Raises NotAccepting, NotFound, LacksRight."""
    campaign = campaigns.campaign(session, actor=actor, campaign_id=campaign_id, action=Action.CAMPAIGN_TRIGGER)
    require(actor, Action.CAMPAIGN_TRIGGER, campaign.project_id)
    if CampaignKind(campaign.kind) is not CampaignKind.API:
        raise NotAccepting(_NO_CALLS[CampaignKind(campaign.kind)])
    _check_active(CampaignState(campaign.state))
    revision = campaigns.published(session, campaign_id)
    if revision is None:
        raise NotAccepting("This campaign has no published revision.")
    try:
        document = read(revision.document or b"", expected_hash=revision.content_hash or "")
    except Damaged:
        raise NotAccepting("What was signed of this campaign is damaged; nothing can be sent.") from None
    first = [document.step(no) for no in document.shape.start]
    at_once = [step for step in first if isinstance(step, Message) and step.at is None]
    rate = None
    if at_once:
        channel = session.get_one(ChannelConfiguration, (bound_tenant(session), at_once[0].channel_id))
        rate = channel.rate_per_minute
    follows = not at_once or leads_on(document, at_once[0].step_no)
    return Terms(
        campaign_id=campaign_id,
        project_id=campaign.project_id,
        purpose=campaign.purpose,
        revision_no=revision.no,
        content_hash=document.content_hash,
        payload=document.payload,
        runs=_runs(session, campaign_id, revision.no, at_once),
        stands=tuple(step.step_no for step in first) if follows else (),
        rate_per_minute=rate,
        held_by=document.held_by,
        zone=document.time_zone,
        accepts_from=document.accepts_from,
        accepts_until=document.accepts_until,
        too_late_from=_too_late_from(session, campaign_id, revision, document) if document.late == "refuse" else None,
    )


def _too_late_from(session: Session, campaign_id: UUID, revision: Revision, document: Document) -> datetime | None:
    """Return when the first step with a date on each way has begun: only after all of them is everybody late (R5.4)."""
    begins = [begins_at(session, campaign_id, step, revision) for step in _first_dates(document)]
    return max((each for each in begins if each is not None), default=None)


def _first_dates(document: Document) -> list[Step]:
    """Return the first step with a date on each way."""
    shape = document.shape
    return [
        step
        for step in document.steps
        if step.at is not None
        and (
            step.step_no in shape.start
            or any(document.step(feeder).at is None for feeder, _ in shape.feeders[step.step_no])
        )
    ]


def _check_active(state: CampaignState) -> None:
    """Refuse a call of a campaign that is not active. Raises CampaignOver, NotAccepting."""
    if state is not CampaignState.ACTIVE:
        refusal = CampaignOver if state in CLOSED else NotAccepting
        raise refusal(f"This campaign is {state}; calls are accepted while it is active.")


def _runs(
    session: Session, campaign_id: UUID, revision_no: int, messages: Sequence[Message]
) -> tuple[UUID, ...] | None:
    found = [open_run_of(session, campaign_id, revision_no, message.step_no) for message in messages]
    return None if None in found else tuple(run.run_id for run in found if run is not None)

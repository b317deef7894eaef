"""Tell people about a campaign: only those who may read it at that moment, each in the words that concern them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.kernel.ids import show
from saas.notices.service.inform import inform
from saas.notices.types import NoticeKind
from saas.permissions.types import Action
from saas.platform.db import bound_tenant


def tell(
    session: Session, kind: NoticeKind, campaign: Campaign, to: Collection[UUID | None], text: str, *, now: datetime
) -> None:
    """Tell people about a campaign; who may not read it (any more), or has no account here, is left out."""
    _tell(session, kind, campaign, to, (_TITLES[kind], text), now)


def tell_copies(
    session: Session, kind: NoticeKind, campaign: Campaign, to: Collection[UUID], text: str, *, now: datetime
) -> None:
    """Tell those whom a policy names under `copies`, in words that ask them for nothing; else as `tell`."""
    _tell(session, kind, campaign, to, (_FOR_INFORMATION, f"{text} You are asked for nothing."), now)


def _tell(
    session: Session,
    kind: NoticeKind,
    campaign: Campaign,
    to: Collection[UUID | None],
    words: tuple[str, str],
    now: datetime,
) -> None:
    wanted = {each for each in to if each is not None}
    known = wanted & queries.people_with(session, Action.CAMPAIGN_READ, campaign.project_id).keys() if wanted else ()
    if not known:
        return
    shown, (title, text) = show("cam", campaign.campaign_id), words
    inform(
        session,
        kind=kind,
        to=sorted(known),
        subject=shown,
        title=f"{title}: {campaign.name}",
        text=text,
        path=f"/w/{show('wsp', bound_tenant(session))}/campaigns/{shown}",
        now=now,
    )


_FOR_INFORMATION: Final = "For your information"
_TITLES: Final[Mapping[NoticeKind, str]] = MappingProxyType(
    {
        NoticeKind.APPROVAL_REQUESTED: "Your approval is wanted",
        NoticeKind.APPROVAL_DECIDED: "Decided",
        NoticeKind.APPROVAL_REMINDER: "Still waits for approval",
        NoticeKind.APPROVAL_LATE: "Not approved in time",
        NoticeKind.MENTIONED: "You were named",
        NoticeKind.COMMENTED: "New comment",
        NoticeKind.CAMPAIGN_HELD: "Held",
        NoticeKind.FLOW_STEP: "A step was reached",
        NoticeKind.STEP_SHIFTED: "A time has shifted",
    }
)

"""How many messages of a campaign are still to come, so that no bar is full before its end (U10)."""

from collections.abc import Collection
from dataclasses import dataclass

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.service.rounds import rounds_of_row
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind
from saas.http.types import Context
from saas.ledger.queries.numbers import Numbers


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of a flow: all of them; those that nobody was planned for yet; whether rounds are to come.

    rest: about how many people's messages that is, which a bar leaves empty. many: whether somebody may get several.
    """

    all: int
    coming: int
    again: bool
    rest: int
    many: bool


def messages(context: Context, campaign: Campaign, numbers: Numbers | None, *, begun: Collection[int]) -> Messages:
    """Return what is to come of a campaign by its published revision; begun: the steps with numbers."""
    row = queries.published(context.session, campaign.campaign_id)
    numbered = _messages(row)
    again = rounds_of_row(row, now=context.now)
    dated = CampaignKind(campaign.kind) is CampaignKind.DATED
    coming = len(numbered - set(begun)) if dated else 0
    of_one = (numbers.planned if numbers is not None else 0) // max(len(begun), 1)
    rounds = len(again.next) if again is not None else 0
    return Messages(
        all=len(numbered),
        coming=coming,
        again=rounds > 0,
        rest=of_one * coming + (of_one if rounds else 0),
        many=len(numbered) > 1 or not dated or again is not None,
    )


def _messages(row: Revision | None) -> frozenset[int]:
    steps = row.draft.get("steps") or () if row is not None else ()
    kinds = ((step["step_no"], KINDS.get(step.get("kind") or "email")) for step in steps)
    return frozenset(no for no, kind in kinds if kind is not None and kind.sends)

"""What stays as it is while a campaign runs: steps that have begun, and the place of those that come next (S57-S61)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.campaigns.rules.flow.edits import locked_changes
from saas.campaigns.rules.flow.shape import shape_of
from saas.campaigns.service.live_edit import begun_now
from saas.campaigns.types import CampaignKind
from saas.http.types import Context
from saas.web.campaigns import flow_edits
from saas.web.campaigns.found import Found
from saas.web.campaigns.outline import START, place_of


@dataclass(frozen=True, slots=True)
class Locks:
    """begun: steps that stay as they are; placed: steps that stay where they are; shut: places where nothing goes.

    stale: the draft changes what has begun meanwhile (R9).
    """

    begun: frozenset[int] = field(default_factory=frozenset)
    placed: frozenset[int] = field(default_factory=frozenset)
    shut: frozenset[str] = field(default_factory=frozenset)
    stale: bool = False


def locks(context: Context, found: Found) -> Locks:
    """Return what the published revision locks of the draft."""
    row = queries.published(context.session, found.campaign.campaign_id)
    begun = begun_now(context.session, found.campaign)
    if row is None or not begun:
        return Locks()
    nodes = shape_of(json.loads(row.document or b"{}")).nodes
    ways = {
        place_of(no, word): targets
        for no in begun.intersection(nodes)
        for word, targets in nodes[no].next.items()
        if targets
    }
    coming = frozenset(no for targets in ways.values() for no in targets) - begun
    stale = row.no != found.revision.no and bool(locked_changes(row.draft, found.revision.draft, begun=begun))
    return Locks(begun, coming, frozenset({START, *ways}), stale=stale)


def with_moves(
    context: Context, campaign: Campaign, changed: Mapping[str, Any], *, step_no: int, target: int | None
) -> dict[str, Any]:
    """Return a draft that says where those go who wait at steps that are gone: from one to `target`, else nowhere."""
    row = queries.published(context.session, campaign.campaign_id)
    if row is None or CampaignKind(campaign.kind) is CampaignKind.DATED:
        return dict(changed)
    left = {step["step_no"] for step in changed["steps"]}
    gone = [step["step_no"] for step in flow_edits.steps_of(row.draft) if step["step_no"] not in left]
    moves = {str(no): target if no == step_no else None for no in gone}
    return {**changed, "moves": {**moves, **(changed.get("moves") or {})}}

"""Whether a campaign, as it stands, can still be changed."""

from saas.campaigns.models import Campaign
from saas.campaigns.rules.lifecycle import check_may_change
from saas.campaigns.types import CampaignKind, CampaignState


def require_changeable(campaign: Campaign) -> None:
    """Refuse to edit, submit or publish what could never take effect. Raises NotAllowed, AlreadyStarted."""
    check_may_change(
        CampaignState(campaign.state),
        dated=CampaignKind(campaign.kind) is CampaignKind.DATED,
        started=campaign.started_at is not None,
    )

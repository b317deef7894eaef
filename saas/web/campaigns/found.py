"""What a campaign page's address names."""

from dataclasses import dataclass

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.http.fields import path_id
from saas.http.types import Context
from saas.kernel.ids import show
from saas.tenants.models import Project
from saas.tenants.service.workspaces import project_in


@dataclass(frozen=True, slots=True)
class Found:
    """A campaign with its newest revision and its project; `id` as it stands in addresses."""

    campaign: Campaign
    revision: Revision
    project: Project
    id: str


def find(context: Context, campaign_id: str) -> Found:
    """Return a campaign that the person may read. Raises NotFound."""
    wanted = path_id("cam", campaign_id, what="campaign")
    campaign = queries.campaign(context.session, actor=context.actor, campaign_id=wanted)
    newest = queries.newest_revisions(context.session, [wanted])[wanted]
    project = project_in(context.session, campaign.project_id)
    return Found(campaign, newest, project, show("cam", wanted))

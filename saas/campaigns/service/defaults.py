"""What a draft follows as long as it says nothing of its own: its project, and behind that its workspace (R14)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.campaigns.rules.quiet import QuietHours
from saas.campaigns.steps import email
from saas.channels.types import Purpose
from saas.kernel.ids import show
from saas.platform.db import bound_tenant
from saas.tenants.models import Project, Workspace


@dataclass(frozen=True, slots=True)
class Followed:
    """What a campaign's project says, or its workspace where the project says nothing."""

    time_zone: str
    language: str
    channel_id: UUID | None
    zone_of_project: bool
    quiet: QuietHours | None


def followed(session: Session, campaign: Campaign) -> Followed:
    """Return what the drafts of a campaign follow."""
    project = session.get_one(Project, (bound_tenant(session), campaign.project_id))
    workspace = session.get_one(Workspace, bound_tenant(session))
    marketing = Purpose(campaign.purpose) is Purpose.MARKETING
    return Followed(
        time_zone=project.time_zone or workspace.time_zone,
        language=project.language or workspace.language,
        channel_id=project.marketing_channel_id if marketing else project.transactional_channel_id,
        zone_of_project=project.time_zone is not None,
        quiet=quiet_of(project),
    )


def quiet_of(project: Project) -> QuietHours | None:
    """Return the quiet hours of a project."""
    if project.quiet_from is None or project.quiet_until is None:
        return None
    return QuietHours.of(project.quiet_from, project.quiet_until)


def filled(draft: Mapping[str, Any], defaults: Followed) -> dict[str, Any]:
    """Return a draft in which what it leaves open is what it follows; what it says itself stays."""
    channel = show("chn", defaults.channel_id) if defaults.channel_id else None
    steps = [
        {**step, "channel_id": step.get("channel_id") or channel}
        if step.get("kind", email.KIND) == email.KIND
        else step
        for step in draft.get("steps") or []
    ]
    return {**draft, "time_zone": draft.get("time_zone") or defaults.time_zone, "steps": steps}

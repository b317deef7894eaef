"""Revisions in review that a person can decide about now."""

from dataclasses import dataclass
from datetime import datetime

from saas.accounts.queries import accounts
from saas.campaigns.service.waiting import waiting as in_review
from saas.http.types import Context
from saas.kernel.ids import show


@dataclass(frozen=True, slots=True)
class Waiting:
    """One revision that waits for the reader."""

    id: str
    name: str
    no: int
    asked_by: str
    asked_at: datetime | None
    planned_at: datetime | None
    count: int | None
    kind: str


def waiting(context: Context) -> list[Waiting]:
    """Return what waits for this person, the earliest start first."""
    found = [each for each in in_review(context.session, actor=context.actor) if each.mine]
    askers = accounts(context.session, [each.revision.submitted_by for each in found if each.revision.submitted_by])
    names = {key: row.name for key, row in askers.items()}
    return [
        Waiting(
            show("cam", each.campaign.campaign_id),
            each.campaign.name,
            each.revision.no,
            names.get(each.revision.submitted_by, "") if each.revision.submitted_by else "",
            each.revision.submitted_at,
            each.revision.planned_at,
            each.revision.audience_count,
            each.campaign.kind,
        )
        for each in found
    ]

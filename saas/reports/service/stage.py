"""Set the stage for a rehearsal: the revision as if it were published, in a transaction that is thrown away (U6, U14).

The campaign is a copy with an id of its own, so no row of the real one is locked or changed. Its approval is one that
nobody gave: a person without an account, who exists in this transaction only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audiences.models import ContactList
from saas.campaigns.models import Approval, ApprovalRequest, Campaign, OutsideApprover, Revision
from saas.campaigns.rules.document import Damaged, Document, canonical, hash_of, read
from saas.campaigns.rules.policy import Requirement, requirement_as_json
from saas.campaigns.service import submission
from saas.campaigns.service.review import DocumentAltered
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import (
    START_CAMPAIGN,
    CampaignState,
    Decision,
    RequestState,
    RevisionState,
)
from saas.content.jail.renderer import Renderer
from saas.journeys.steps.registry import WORKS
from saas.kernel.errors import Fault
from saas.kernel.ids import uuid7
from saas.permissions.types import Actor
from saas.platform.agenda import service as agenda
from saas.reports.service.standins import STANDINS


@dataclass(frozen=True, slots=True)
class Stage:
    """A campaign that exists in one transaction only, published and about to start.

    list_id: of test people, if there are any; it stands for real_list_id, the audience's own.
    """

    campaign: Campaign
    revision: Revision
    document: Document
    start: datetime
    list_id: UUID | None
    real_list_id: UUID | None


def document_to_play(
    session: Session, *, campaign: Campaign, row: Revision, renderer: Renderer, actor: Actor, now: datetime
) -> dict[str, Any]:
    """Return the document of a revision: what was submitted, or what a submission would make of the draft.

    Raises NotReady with everything that is missing, DocumentAltered.
    """
    editable = RevisionState(row.state) in {RevisionState.EDITING, RevisionState.CHANGES_REQUESTED}
    if not editable and row.document is not None:
        try:
            read(row.document, expected_hash=row.content_hash or "")
        except Damaged:
            raise DocumentAltered("The stored document is not the one that was submitted.") from None
        found: dict[str, Any] = json.loads(row.document)
    else:
        asked: dict[str, Any] = {"campaign": campaign, "row": row, "renderer": renderer, "actor": actor, "now": now}
        proposed = submission.proposed(session, **asked)
        if proposed is None:
            faults = submission.checks(session, **asked)
            raise submission.NotReady("This draft cannot be carried out yet; see errors.", faults=faults)
        found = json.loads(canonical(proposed))
    _refuse_unplayable(found)
    return found


def _refuse_unplayable(document: Mapping[str, Any]) -> None:
    unknown = [
        Fault(f"/steps/{index}/kind", f"Steps of kind “{step['kind']}” cannot be rehearsed.")
        for index, step in enumerate(document["steps"])
        if step["kind"] not in KINDS or step["kind"] not in {**WORKS, **STANDINS}
    ]
    if unknown:
        raise submission.NotReady("This draft cannot be rehearsed; see errors.", faults=unknown)


def set_up(
    session: Session, *, campaign: Campaign, document: Mapping[str, Any], lead_s: int, now: datetime, own_people: bool
) -> Stage:
    """Write the copy, as if it had been published now. own_people: its audience is a list of test people, empty yet."""
    tenant, campaign_id = campaign.tenant_id, uuid7()
    list_id = _own_list(session, campaign, now) if own_people and document["audience"] else None
    audience = document["audience"]
    if list_id is not None:
        audience = {**audience, "list_id": str(list_id), "rest_of": None}
    stored = canonical({**document, "campaign_id": str(campaign_id), "audience": audience})
    read_back = read(stored, expected_hash=hash_of(stored))
    planned = [step.at for step in read_back.steps if step.at is not None] if read_back.kind == "dated" else []
    start = max(min(planned, default=now), now + timedelta(seconds=lead_s) if planned else now)
    copy = Campaign(
        tenant_id=tenant, campaign_id=campaign_id, project_id=campaign.project_id, name=campaign.name, description="",
        kind=campaign.kind, purpose=campaign.purpose, state=CampaignState.SCHEDULED.value, stop_epoch=0, tags=[],
        created_at=now, updated_at=now, version=1,
    )  # fmt: skip
    session.add(copy)
    session.flush()
    row = Revision(
        tenant_id=tenant, campaign_id=campaign_id, no=1, state=RevisionState.PUBLISHED.value, draft={},
        document=stored, content_hash=read_back.content_hash, created_at=now, updated_at=now, submitted_at=now,
        planned_at=min(planned, default=None), published_at=now, effective_at=start, version=1,
    )  # fmt: skip
    session.add(row)
    session.flush()
    _sign(session, row, campaign.project_id, now)
    agenda.arm(session, work=START_CAMPAIGN, subject=campaign_id, due_at=start)
    named = (document["audience"] or {}).get("list_id")
    real = UUID(named) if named else None
    return Stage(copy, row, read_back, start, list_id, real)


def _own_list(session: Session, campaign: Campaign, now: datetime) -> UUID:
    row = ContactList(
        tenant_id=campaign.tenant_id, list_id=uuid7(), project_id=campaign.project_id, name=f"rehearsal {uuid7().hex}",
        description="", created_at=now, updated_at=now, version=1,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row.list_id


def _sign(session: Session, row: Revision, project_id: UUID, now: datetime) -> None:
    """Write the parts of an approval that the engine looks for; they leave with the transaction."""
    signer, approval_id, request_id = uuid7(), uuid7(), uuid7()
    address = f"rehearsal.{signer.hex}@example.invalid"
    session.add(
        OutsideApprover(
            tenant_id=row.tenant_id, outside_id=signer, email=address, name="Rehearsal", listed_at=now, confirmed_at=now
        )
    )
    session.add(
        ApprovalRequest(
            tenant_id=row.tenant_id, request_id=request_id, campaign_id=row.campaign_id, revision_no=row.no,
            project_id=project_id, content_hash=row.content_hash or "", requirement=requirement_as_json(Requirement()),
            facts={}, asked_at=now, note="", state=RequestState.APPROVED.value, counted=[approval_id], settled_at=now,
        )
    )  # fmt: skip
    session.flush()
    session.add(
        Approval(
            tenant_id=row.tenant_id, approval_id=approval_id, campaign_id=row.campaign_id, revision_no=row.no,
            outside_id=signer, request_id=request_id, decision=Decision.APPROVE.value,
            content_hash=row.content_hash or "", comment="", facts={}, at=now,
        )
    )  # fmt: skip
    session.flush()

"""Whether what a campaign would go on with is still what was signed: revision, document, channel, approval."""

from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.campaigns.queries import APPROVED_SQL, SIGNERS_SQL
from saas.campaigns.rules.document import Damaged, read
from saas.campaigns.types import CampaignKind
from saas.channels import queries as channels
from saas.channels.queries import FINGERPRINT_SQL
from saas.channels.rules import fingerprint_of
from saas.kernel.errors import Conflict
from saas.ledger.models import Run
from saas.platform.db import bound_tenant

# What a person reads when a campaign is held; the part is the key.
HELD: Final = {
    "published": "its revision is no longer published",
    "document": "the stored document is not the one that was signed",
    "channel": "the channel configuration changed after it was signed",
    "approval": "there is no approval for exactly this content",
    "signer": "somebody who signed it may not approve any more",
}

_PARTS: Final = f"""
    SELECT v.state IN ('published', 'superseded') AS published,
      v.content_hash = r.content_hash AND 'v1:' || encode(sha256(v.document), 'hex') = r.content_hash AS document,
      ch.channel_id IS NOT NULL AND ch.archived_at IS NULL AND {FINGERPRINT_SQL} = r.channel_fingerprint AS channel,
      {APPROVED_SQL.format(of="r", no="r.revision_no")} AS approval,
      {SIGNERS_SQL.format(of="r", no="r.revision_no")} AS signer
    FROM run r JOIN revision v ON v.tenant_id = r.tenant_id AND v.campaign_id = r.campaign_id AND v.no = r.revision_no
    LEFT JOIN channel_configuration ch ON ch.tenant_id = r.tenant_id AND ch.channel_id = r.channel_id
    WHERE r.tenant_id = :tenant
"""
_OF_RUN: Final = sa.text(_PARTS + " AND r.run_id = :run")
_OF_OPEN: Final = sa.text(
    _PARTS
    + """ AND r.campaign_id = :campaign AND r.state = 'running' AND EXISTS (SELECT FROM chunk k
      WHERE k.tenant_id = r.tenant_id AND k.run_id = r.run_id AND k.state IN ('pending', 'claimed'))"""
)


class NotAsSigned(Conflict):
    """The campaign cannot go on: something is not what was signed; the detail says what, and what to do."""

    code = "not_as_signed"


def why_shut(session: Session, run: Run) -> str | None:
    """Return which part is not what was signed ("document", "channel", …), None when all is."""
    row = session.execute(_OF_RUN, {"tenant": run.tenant_id, "run": run.run_id}).mappings().one_or_none()
    return "document" if row is None else _first_of(row)


def refuse_unlike_signed(session: Session, campaign: Campaign) -> None:
    """Refuse to let a campaign go on that would be held again at once. Raises NotAsSigned.

    Looked at are the runs that still hold people, and the published revision, by which everything else would begin.
    """
    rows = session.execute(_OF_OPEN, {"tenant": bound_tenant(session), "campaign": campaign.campaign_id}).mappings()
    part = next(filter(None, map(_first_of, rows)), None) or _of_published(session, campaign)
    if part is not None:
        raise NotAsSigned(f"It cannot go on: {HELD[part]}. {_advice(campaign, part)}", part=part)


def _first_of(row: sa.RowMapping) -> str | None:
    return next((part for part in HELD if not row[part]), None)


def _of_published(session: Session, campaign: Campaign) -> str | None:
    revision = queries.published(session, campaign.campaign_id)
    if revision is None:
        return "published"
    expected = revision.content_hash or ""
    try:
        document = read(revision.document or b"", expected_hash=expected)
    except Damaged:
        return "document"
    part = queries.approval_at(session, revision)
    if part is not None:
        return part
    unlike = [step for step in document.messages if _fingerprint(session, step.channel_id) != step.channel]
    return "channel" if unlike else None


def _fingerprint(session: Session, channel_id: UUID) -> dict[str, Any] | None:
    row = channels.find(session, channel_id)
    return None if row is None or row.archived_at is not None else fingerprint_of(row)


def _advice(campaign: Campaign, part: str) -> str:
    """Return what helps; a dated campaign that has begun can have no new revision (S60)."""
    begun = CampaignKind(campaign.kind) is CampaignKind.DATED and campaign.started_at is not None
    anew = "stop it and make a new campaign" if begun else "make a new revision and have it signed"
    if part == "channel":
        return f"Set the channel configuration back to what was signed, or {anew}."
    return f"{anew[0].upper()}{anew[1:]}."

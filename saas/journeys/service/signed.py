"""What a campaign goes on with is exactly what was signed, or it is held (U1, U16)."""

from datetime import datetime

from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Damaged, Document, read
from saas.campaigns.service.control import hold
from saas.campaigns.service.signed import HELD
from saas.campaigns.types import Part
from saas.channels import queries as channels
from saas.channels.rules import fingerprint_of


def signed_document(session: Session, campaign: Campaign, revision: Revision, now: datetime) -> Document | None:
    """Return the document if it is exactly what somebody approved; else hold the campaign."""
    expected = revision.content_hash or ""
    try:
        document = read(revision.document or b"", expected_hash=expected)
    except Damaged:
        reason = "the stored document is not the one that was signed"
        hold(session, campaign=campaign, reason=reason, now=now, facts={"part": "document", "revision": revision.no})
        return None
    part = campaigns.approval_at(session, revision) or _changed_channel(session, document)
    if part is not None:
        hold(
            session, campaign=campaign, reason=HELD[part], now=now, facts={"part": part.value, "revision": revision.no}
        )
        return None
    return document


def _changed_channel(session: Session, document: Document) -> Part | None:
    """Return the part when a channel configuration is not the signed one: nothing is even prepared then (U16)."""
    live = (channels.find(session, message.channel_id) for message in document.messages)
    same = (
        row is not None and row.archived_at is None and fingerprint_of(row) == message.channel
        for row, message in zip(live, document.messages, strict=True)
    )
    return None if all(same) else Part.CHANNEL

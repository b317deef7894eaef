"""Read what a link's message was."""

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Damaged, Document, read
from saas.intake.types import Sent
from saas.ledger.models import Consent, Contact, Delivery, Run
from saas.platform.db import bound_tenant

log = structlog.get_logger()


def sent(session: Session, *, entry_id: int, step_no: int) -> Sent | None:
    """Return the message of one person at one step: the revision is that of the run by which it left."""
    tenant = bound_tenant(session)
    row = session.execute(
        sa.select(
            Delivery.contact_id,
            Run.campaign_id,
            Run.revision_no,
            Run.content_hash,
            Contact.email,
            sa.or_(Contact.contact_id.is_(None), Contact.erased_at.is_not(None)).label("erased"),
        )
        .join(Run, sa.and_(Run.tenant_id == Delivery.tenant_id, Run.run_id == Delivery.run_id))
        .outerjoin(Contact, sa.and_(Contact.tenant_id == Delivery.tenant_id, Contact.contact_id == Delivery.contact_id))
        .where(Delivery.tenant_id == tenant, Delivery.entry_id == entry_id, Delivery.step_no == step_no)
    ).one_or_none()
    return None if row is None else Sent(entry_id, step_no, *row)


def document(session: Session, message: Sent) -> Document | None:
    """Return what was signed for a message; None when the stored bytes are no longer that (and it is logged)."""
    row = _revision(session, message)
    if row is None:
        return None
    try:
        return read(row.document or b"", expected_hash=message.content_hash)
    except Damaged as error:
        log.error("intake.damaged", campaign=str(message.campaign_id), why=str(error))  # noqa: TRY400  a finding
        return None


def drafted_topic(session: Session, message: Sent) -> str | None:
    """Return the topic that the author chose: the way out for people when the signed document cannot be read."""
    row = _revision(session, message)
    topic = row.draft.get("topic") if row is not None else None
    return topic if isinstance(topic, str) and topic else None


def consent_status(session: Session, *, message: Sent, topic: str) -> str | None:
    """Return a person's latest word on a topic."""
    return session.scalar(
        sa.select(Consent.status).where(
            Consent.tenant_id == bound_tenant(session),
            Consent.contact_id == message.contact_id,
            Consent.topic == topic,
        )
    )


def _revision(session: Session, message: Sent) -> Revision | None:
    return session.get(Revision, (bound_tenant(session), message.campaign_id, message.revision_no))

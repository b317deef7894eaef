"""Who may be sent to now: the conditions of the claim, and forecasts of it (ledger.md)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from saas.ledger.models import Consent, Contact, Suppression
from saas.platform.db import bound_tenant

# Why a person may not be sent to now, null if they may. Over contact ct, suppression sp, consent cs (of the topic);
# :marketing says whether consent is needed (R5.9). One text for the claim and for every forecast of it.
SKIP_REASON: Final = """
    CASE WHEN ct.contact_id IS NULL OR ct.erased_at IS NOT NULL THEN 'erased'
         WHEN ct.email IS NULL THEN 'no_address'
         WHEN sp.address_hash IS NOT NULL THEN 'suppressed'
         WHEN :marketing AND cs.status = 'withdrawn' THEN 'unsubscribed'
         WHEN :marketing AND cs.status IS NULL THEN 'no_consent' END
"""
# Each a look by its whole key, which LIMIT keeps: where statistics are older than an import, PostgreSQL expects hardly
# any consent, and would hold each person of a claim against all of them.
SKIP_JOINS: Final = """
    LEFT JOIN LATERAL (SELECT s.address_hash FROM suppression s
      WHERE s.tenant_id = ct.tenant_id AND s.address_hash = ct.address_hash LIMIT 1) sp ON true
    LEFT JOIN LATERAL (SELECT c.status, c.contact_id FROM consent c
      WHERE c.tenant_id = ct.tenant_id AND c.contact_id = ct.contact_id AND c.topic = :topic LIMIT 1) cs ON true
"""
# What people got lately from marketing runs, whatever the campaign (S15). One text for the claim and its forecast.
LATELY: Final = """
    SELECT d.contact_id, count(*) AS messages FROM delivery d
    JOIN run r ON r.tenant_id = :tenant AND r.run_id = d.run_id
    JOIN campaign c ON c.tenant_id = :tenant AND c.campaign_id = r.campaign_id AND c.purpose = 'marketing'
    WHERE d.tenant_id = :tenant AND d.claimed_at > :capped_since AND (d.exc IS NULL OR d.exc = 'uncertain')
"""


@dataclass(frozen=True, slots=True)
class Need:
    """What a message needs of a person before it may be sent.

    marketing: consent to `topic` is needed. cap: nobody who got so many marketing messages since that moment.
    """

    marketing: bool
    topic: str | None
    cap: tuple[int, datetime] | None = None


def drop_outs(session: Session, people_select: sa.Select[UUID], *, need: Need) -> dict[str | None, int]:
    """Forecast the claim: how many of these contacts could be sent to (key None) and how many not, by reason."""
    judged = _judged(session, people_select, need).subquery("judged")
    rows = session.execute(sa.select(judged.c.reason, sa.func.count().label("people")).group_by(judged.c.reason))
    return {row.reason: row.people for row in rows}


def sendable(session: Session, people_select: sa.Select[UUID], *, need: Need) -> sa.Select[UUID]:
    """Return the statement for those of these contacts who could be sent to: one column, contact_id."""
    judged = _judged(session, people_select, need).subquery("judged")
    return sa.select(judged.c.contact_id).where(judged.c.reason.is_(None))


def _judged(session: Session, people_select: sa.Select[UUID], need: Need) -> sa.Select[Any]:
    tenant = bound_tenant(session)
    p = people_select.subquery("p")
    ct, sp, cs = aliased(Contact, name="ct"), aliased(Suppression, name="sp"), aliased(Consent, name="cs")
    tables = (
        sa.join(p, ct, sa.and_(ct.tenant_id == tenant, ct.contact_id == p.c.contact_id))
        .outerjoin(sp, sa.and_(sp.tenant_id == ct.tenant_id, sp.address_hash == ct.address_hash))
        .outerjoin(cs, sa.and_(cs.tenant_id == ct.tenant_id, cs.contact_id == ct.contact_id, cs.topic == need.topic))
    )
    judged = SKIP_REASON.replace(":marketing", "true" if need.marketing else "false")
    reason: sa.ColumnElement[Any] = sa.literal_column(f"({judged})", sa.Text())
    if need.marketing and need.cap is not None:
        most, since = need.cap
        lately = (
            sa.text(f"{LATELY} GROUP BY d.contact_id")
            .bindparams(tenant=tenant, capped_since=since)
            .columns(sa.column("contact_id", sa.Uuid()), sa.column("messages", sa.BigInteger()))
            .subquery("lately")
        )
        tables = tables.outerjoin(lately, lately.c.contact_id == ct.contact_id)
        capped = sa.case((sa.func.coalesce(lately.c.messages, 0) >= most, sa.literal("capped")))
        reason = sa.func.coalesce(reason, capped)
    return sa.select(ct.contact_id, reason.label("reason")).select_from(tables)

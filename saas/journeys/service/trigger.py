"""The trigger (R5, S36, A5): a durable insert, then the bell. One set-based statement for a whole call."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Damaged, Document, read
from saas.campaigns.types import CampaignKind, CampaignState
from saas.channels.types import Purpose
from saas.journeys.rules import context_fault
from saas.journeys.steps import email
from saas.journeys.types import Answer, Recipient, Result
from saas.kernel.errors import Conflict
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

_FIND: Final = sa.text(
    """
    SELECT asked.place, ct.contact_id, sp.address_hash IS NOT NULL AS suppressed
    FROM unnest(CAST(:indexes AS int[]), CAST(:ids AS uuid[]), CAST(:emails AS text[]), CAST(:externals AS text[]))
      AS asked(place, contact_id, email_key, external_id)
    JOIN contact ct ON ct.tenant_id = :tenant AND ct.erased_at IS NULL AND (ct.contact_id = asked.contact_id
      OR ct.email_key = asked.email_key COLLATE "C" OR ct.external_id = asked.external_id COLLATE "C")
    LEFT JOIN suppression sp ON sp.tenant_id = ct.tenant_id AND sp.address_hash = ct.address_hash
    """
)
_ENTER: Final = sa.text(
    """
    INSERT INTO entry (tenant_id, entry_id, campaign_id, occurrence, contact_id, entry_key, single, context, entered_at)
    SELECT :tenant, nextval('entry_id_seq'), :campaign, '', u.contact_id, u.entry_key, u.single, u.context, :now
    FROM unnest(CAST(:contacts AS uuid[]), CAST(:keys AS text[]), CAST(:singles AS boolean[]),
      CAST(:contexts AS jsonb[])) AS u(contact_id, entry_key, single, context) ORDER BY u.contact_id
    ON CONFLICT DO NOTHING RETURNING entry_id, contact_id, entry_key
    """
)


# Who was served, or never will be, is through with a campaign of a single message (R5.7); locked in the same order as
# the insert, so that two calls never wait for each other.
_END: Final = sa.text(
    """
    UPDATE entry SET ended_at = :now, end_reason = 'finished' FROM (
        SELECT e.entry_id FROM entry e WHERE e.tenant_id = :tenant AND e.campaign_id = :campaign
          AND e.contact_id = ANY(:contacts) AND e.single AND e.ended_at IS NULL
          AND EXISTS (SELECT FROM delivery d LEFT JOIN chunk k
              ON k.tenant_id = d.tenant_id AND k.run_id = d.run_id AND k.no = d.chunk_no
            WHERE d.tenant_id = :tenant AND d.entry_id = e.entry_id
              AND (d.exc <> 'waiting' OR d.exc IS NULL AND k.state = 'closed'))
        ORDER BY e.contact_id FOR UPDATE OF e
    ) through WHERE entry.tenant_id = :tenant AND entry.entry_id = through.entry_id
    """
)


class NotAccepting(Conflict):
    """Calls are accepted only for an active campaign that starts by API (R5.2)."""

    code = "campaign_not_active"


@dataclass(frozen=True, slots=True)
class _Known:
    recipient: Recipient
    contact_id: UUID
    entry_key: str
    single: bool


def trigger(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    call_id: str,
    recipients: Sequence[Recipient],
    now: datetime,
) -> list[Result]:
    """Enter the recipients of a call. Returns one result each, in their order. Raises NotAccepting, NotFound.

    call_id: unique to this call; it makes the keys of entries for which the caller gave none.
    """
    return _answers(session, _prepare(session, actor, campaign_id), call_id, recipients, now)


def rehearse(
    session: Session, *, actor: Actor, campaign_id: UUID, recipients: Sequence[Recipient], now: datetime
) -> list[Result]:
    """Say what a call would answer, without any effect (U13): the call itself, taken back."""
    call = _prepare(session, actor, campaign_id)
    with session.begin_nested() as trial:
        results, _ = _entered(session, call, "rehearsal", recipients, now)
        trial.rollback()
    return results


@dataclass(frozen=True, slots=True)
class _Call:
    campaign: Campaign
    document: Document
    revision_no: int


def _prepare(session: Session, actor: Actor, campaign_id: UUID) -> _Call:
    campaign = campaigns.campaign(session, actor=actor, campaign_id=campaign_id, action=Action.CAMPAIGN_TRIGGER)
    require(actor, Action.CAMPAIGN_TRIGGER, campaign.project_id)
    if CampaignKind(campaign.kind) is not CampaignKind.API:
        raise NotAccepting("This campaign starts by its date, not by a call.")
    if CampaignState(campaign.state) is not CampaignState.ACTIVE:
        raise NotAccepting(f"This campaign is {campaign.state}; calls are accepted while it is active.")
    revision = campaigns.published(session, campaign_id)
    if revision is None:
        raise NotAccepting("This campaign has no published revision.")
    try:
        document = read(revision.document or b"", expected_hash=revision.content_hash or "")
    except Damaged:
        raise NotAccepting("What was signed of this campaign is damaged; nothing can be sent.") from None
    return _Call(campaign, document, revision.no)


def _answers(
    session: Session, call: _Call, call_id: str, recipients: Sequence[Recipient], now: datetime
) -> list[Result]:
    results, ids = _entered(session, call, call_id, recipients, now)
    run = email.open_run_of(
        session,
        campaign_id=call.campaign.campaign_id,
        revision_no=call.revision_no,
        step_no=call.document.steps[0].step_no,
    )
    if run is None:
        raise NotAccepting("This campaign is just starting. Try again in a moment.")
    email.add_people(session, run, entry_ids=ids, purpose=call.campaign.purpose, now=now)
    return results


def _entered(
    session: Session, call: _Call, call_id: str, recipients: Sequence[Recipient], now: datetime
) -> tuple[list[Result], list[int]]:
    """Enter who can. Returns the answers in the order of the call, and the new entries in order of contact."""
    results, known = _sort_out(session, call, call_id, recipients)
    entered = _enter(session, call.campaign, known, now)
    ids = [entry_id for _, entry_id in sorted(entered.items())]
    for item in known:
        # Taken out, because a person named twice with one key is entered once.
        is_new = entered.pop((item.contact_id, item.entry_key), None) is not None
        status = Answer.ACCEPTED if is_new else Answer.DUPLICATE
        results.append(Result(item.recipient.index, status, item.entry_key))
    return sorted(results, key=lambda r: r.index), ids


def _sort_out(
    session: Session, call: _Call, call_id: str, recipients: Sequence[Recipient]
) -> tuple[list[Result], list[_Known]]:
    """Answer for those who cannot enter; return who can."""
    results: list[Result] = []
    sound: list[Recipient] = []
    for recipient in recipients:
        fault = context_fault(recipient.context, call.document.payload)
        if fault:
            results.append(Result(recipient.index, Answer.INVALID_CONTEXT, detail=fault))
        else:
            sound.append(recipient)
    found = _find(session, sound)
    known: list[_Known] = []
    for recipient in sound:
        row = found.get(recipient.index)
        if row is None:
            results.append(Result(recipient.index, Answer.UNKNOWN_CONTACT))
        elif row.suppressed:
            results.append(Result(recipient.index, Answer.SUPPRESSED))
        else:
            known.append(_keyed(call, call_id, recipient, row.contact_id))
    return results, known


def _keyed(call: _Call, call_id: str, recipient: Recipient, contact_id: UUID) -> _Known:
    """Give the entry its key: the caller's, or one of the call; marketing then has one open entry a person (R5.7)."""
    if recipient.entry_key:
        return _Known(recipient, contact_id, recipient.entry_key, single=False)
    single = Purpose(call.campaign.purpose) is Purpose.MARKETING
    return _Known(recipient, contact_id, f"{call_id}:{recipient.index}", single=single)


def _find(session: Session, recipients: Sequence[Recipient]) -> dict[int, Any]:
    if not recipients:
        return {}
    rows = session.execute(
        _FIND,
        {
            "tenant": bound_tenant(session),
            "indexes": [r.index for r in recipients],
            "ids": [r.contact_id for r in recipients],
            "emails": [r.email_key for r in recipients],
            "externals": [r.external_id for r in recipients],
        },
    )
    return {row.place: row for row in rows}


def _enter(session: Session, campaign: Campaign, known: Sequence[_Known], now: datetime) -> dict[tuple[UUID, str], int]:
    if not known:
        return {}
    tenant = bound_tenant(session)
    singles = [k.contact_id for k in known if k.single]
    if singles:
        session.execute(_END, {"tenant": tenant, "campaign": campaign.campaign_id, "contacts": singles, "now": now})
    rows = session.execute(
        _ENTER.bindparams(sa.bindparam("contexts", type_=sa.ARRAY(sa.JSON))),
        {
            "tenant": tenant,
            "campaign": campaign.campaign_id,
            "contacts": [k.contact_id for k in known],
            "keys": [k.entry_key for k in known],
            "singles": [k.single for k in known],
            "contexts": [dict(k.recipient.context) for k in known],
            "now": now,
        },
    )
    return {(row.contact_id, row.entry_key): row.entry_id for row in rows}

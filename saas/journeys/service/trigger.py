"""The trigger (R5, S36, A5): a durable insert, then the bell. One statement for a whole call.

It repeats what it was told of the campaign (its gate) and enters nobody when that is no longer so; then what holds now
is read, or said why no call is accepted. So a call costs one look at the database, and never acts on an old answer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.rules.document import Damaged, read
from saas.campaigns.rules.quiet import QuietHours
from saas.campaigns.types import CampaignKind, CampaignState
from saas.channels.models import ChannelConfiguration
from saas.channels.types import Purpose
from saas.journeys.rules import context_fault
from saas.journeys.steps import email
from saas.journeys.types import Answer, Recipient, Result
from saas.kernel.errors import Conflict
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform import driver
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant
from saas.sending.rules.speed import chunk_size
from saas.sending.types import send_work

# How a recipient is named; each way is an index of its own.
_WAYS: Final = """
    SELECT ct.contact_id, ct.address_hash FROM contact ct WHERE asked.way = 'contact_id' AND ct.tenant_id = :tenant
      AND ct.contact_id = CASE WHEN asked.way = 'contact_id' THEN CAST(asked.name AS uuid) END AND ct.erased_at IS NULL
    UNION ALL
    SELECT ct.contact_id, ct.address_hash FROM contact ct WHERE asked.way = 'email' AND ct.tenant_id = :tenant
      AND ct.email_key = asked.name COLLATE "C" AND ct.erased_at IS NULL
    UNION ALL
    SELECT ct.contact_id, ct.address_hash FROM contact ct WHERE asked.way = 'external_id' AND ct.tenant_id = :tenant
      AND ct.external_id = asked.name COLLATE "C" AND ct.erased_at IS NULL
"""
# Who was served, or never will be, is through with a campaign of a single message (R5.7); locked in the same order as
# the insert, so that two calls never wait for each other. The insert looks at its count, so this is done before.
_ENDED: Final = """, ended AS (
        UPDATE entry SET ended_at = :now, end_reason = 'finished' FROM (
            SELECT e.entry_id FROM entry e WHERE e.tenant_id = :tenant AND e.campaign_id = :campaign
              AND e.contact_id = ANY(ARRAY(SELECT f.contact_id FROM found f WHERE f.single AND NOT f.suppressed))
              AND e.single AND e.ended_at IS NULL
              AND EXISTS (SELECT FROM delivery d LEFT JOIN chunk k
                  ON k.tenant_id = d.tenant_id AND k.run_id = d.run_id AND k.no = d.chunk_no
                WHERE d.tenant_id = :tenant AND d.entry_id = e.entry_id
                  AND (d.exc <> 'waiting' OR d.exc IS NULL AND k.state = 'closed'))
            ORDER BY e.contact_id FOR UPDATE OF e
        ) through WHERE entry.tenant_id = :tenant AND entry.entry_id = through.entry_id RETURNING 1
    )"""
_GATE: Final = """gate AS MATERIALIZED (
        SELECT r.run_id FROM campaign c
        JOIN revision v ON v.tenant_id = c.tenant_id AND v.campaign_id = c.campaign_id AND v.no = :revision
          AND v.state = 'published' AND v.content_hash = :content_hash
        JOIN run r ON r.tenant_id = c.tenant_id AND r.run_id = :run AND r.campaign_id = c.campaign_id
          AND r.revision_no = v.no AND r.state = 'running' AND NOT r.dated
        JOIN channel_configuration ch ON ch.tenant_id = r.tenant_id AND ch.channel_id = r.channel_id
          AND ch.rate_per_minute IS NOT DISTINCT FROM CAST(:rate AS int)
        WHERE c.tenant_id = :tenant AND c.campaign_id = :campaign AND c.state = 'active' AND c.kind = 'api'
          AND c.purpose = :purpose AND c.project_id = :project
    ), """
_ENTER: Final = """
    WITH {gate}found AS MATERIALIZED (
        SELECT asked.place, asked.key, asked.single, asked.context, ct.contact_id,
          sp.address_hash IS NOT NULL AS suppressed
        FROM {through} CROSS JOIN json_to_recordset(CAST(:asked AS json))
          AS asked(place int, way text, name text, key text, single boolean, context jsonb)
        CROSS JOIN LATERAL ({ways}) ct
        LEFT JOIN suppression sp ON sp.tenant_id = :tenant AND sp.address_hash = ct.address_hash
    ){ended}, added AS (
        INSERT INTO entry (tenant_id, entry_id, campaign_id, occurrence, contact_id, entry_key, single, context,
          entered_at)
        SELECT :tenant, nextval('entry_id_seq'), :campaign, '', f.contact_id, f.key, f.single, f.context, :now
        FROM found f WHERE NOT f.suppressed{after_ended} ORDER BY f.contact_id, f.key
        ON CONFLICT DO NOTHING RETURNING entry_id, contact_id, entry_key
    ){sent}
    SELECT ARRAY(SELECT place FROM found ORDER BY place), ARRAY(SELECT contact_id FROM found ORDER BY place),
      ARRAY(SELECT place FROM found WHERE suppressed), ARRAY(SELECT contact_id FROM added ORDER BY entry_id),
      ARRAY(SELECT entry_key FROM added ORDER BY entry_id), {armed} FROM {through}
"""
_SENT: Final = f""", chunked AS (
        INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry)
        SELECT :tenant, :run, nextval('chunk_no_seq'), part.ids, :due_at, 'pending', 0, false FROM (
            SELECT array_agg(entry_id ORDER BY contact_id, entry_key) AS ids, place FROM (
                SELECT entry_id, contact_id, entry_key,
                  (row_number() OVER (ORDER BY contact_id, entry_key) - 1) / CAST(:size AS int) AS place FROM added
            ) ranked GROUP BY place ORDER BY place
        ) part
    ), {agenda.ARM_SQL}"""

_MOST_TERMS: Final = 1000


class NotAccepting(Conflict):
    """Calls are accepted only for an active campaign that starts by API (R5.2)."""

    code = "campaign_not_active"


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a call needs to know of a campaign. run_id is None until its start has opened a run."""

    campaign_id: UUID
    project_id: UUID
    purpose: str
    revision_no: int
    content_hash: str
    payload: Sequence[Mapping[str, Any]]
    run_id: UUID | None
    rate_per_minute: int | None
    quiet: QuietHours | None
    zone: str

    def due_at(self, now: datetime) -> datetime:
        """Return when messages of a call may leave: at once, or when it is not quiet any more (R14)."""
        return (self.quiet and self.quiet.ends_at(now, self.zone)) or now


@dataclass(frozen=True, slots=True)
class _Entered:
    """The answer of the statement: contacts by place, places of suppressed ones, new entries by contact and key."""

    contacts: Mapping[int, UUID]
    suppressed: frozenset[int]
    new: set[tuple[UUID, str]]


class _Remembered:
    """Terms by workspace and campaign, in this process. They may be old: the statement's gate compares them."""

    def __init__(self) -> None:
        self._terms: dict[tuple[UUID, UUID], _Terms] = {}

    def get(self, tenant_id: UUID, campaign_id: UUID) -> _Terms | None:
        return self._terms.get((tenant_id, campaign_id))

    def put(self, tenant_id: UUID, terms: _Terms) -> None:
        if len(self._terms) >= _MOST_TERMS:
            self._terms.clear()
        self._terms[tenant_id, terms.campaign_id] = terms


_remembered: Final = _Remembered()


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
    tenant = bound_tenant(session)
    known = _remembered.get(tenant, campaign_id)
    if known is not None and actor.may(Action.CAMPAIGN_TRIGGER, known.project_id):
        results = _results(session, known, call_id, recipients, now)
        if results is not None:
            return results
    terms = _read_terms(session, actor, campaign_id)
    if terms.run_id is None:
        raise NotAccepting("This campaign is just starting. Try again in a moment.")
    _remembered.put(tenant, terms)
    results = _results(session, terms, call_id, recipients, now)
    if results is None:
        raise NotAccepting("This campaign is just being changed. Try again in a moment.")
    return results


def rehearse(
    session: Session, *, actor: Actor, campaign_id: UUID, recipients: Sequence[Recipient], now: datetime
) -> list[Result]:
    """Say what a call would answer, without any effect (U13): the entering itself, taken back."""
    terms = _read_terms(session, actor, campaign_id)
    with session.begin_nested() as trial:
        results = _results(session, terms, "rehearsal", recipients, now, rehearsed=True)
        trial.rollback()
    return results or []


def _read_terms(session: Session, actor: Actor, campaign_id: UUID) -> _Terms:
    """Read what holds now. Raises NotAccepting, NotFound, LacksRight."""
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
    step = document.steps[0]
    run = email.open_run_of(session, campaign_id=campaign_id, revision_no=revision.no, step_no=step.step_no)
    channel = session.get_one(ChannelConfiguration, (bound_tenant(session), step.channel_id))
    return _Terms(
        campaign_id=campaign_id,
        project_id=campaign.project_id,
        purpose=campaign.purpose,
        revision_no=revision.no,
        content_hash=document.content_hash,
        payload=document.payload,
        run_id=None if run is None else run.run_id,
        rate_per_minute=channel.rate_per_minute,
        quiet=document.quiet,
        zone=document.time_zone,
    )


def _results(
    session: Session,
    terms: _Terms,
    call_id: str,
    recipients: Sequence[Recipient],
    now: datetime,
    *,
    rehearsed: bool = False,
) -> list[Result] | None:
    """Enter who can, and answer for everybody in the order of the call. None when the terms no longer hold."""
    marketing = Purpose(terms.purpose) is Purpose.MARKETING
    asked: list[dict[str, Any]] = []
    faults: dict[int, str] = {}
    for recipient in recipients:
        fault = context_fault(recipient.context, terms.payload)
        if fault:
            faults[recipient.index] = fault
        else:
            asked.append(_asked(recipient, call_id, marketing=marketing))
    entered = _enter(session, terms, asked, now, rehearsed=rehearsed)
    if entered is None:
        return None
    found = [_unknown(r.index, faults.get(r.index)) for r in recipients]
    for row in asked:
        place = row["place"]
        if place in entered.contacts:
            found[place] = _answer(entered, place, row["key"])
    return found


def _asked(recipient: Recipient, call_id: str, *, marketing: bool) -> dict[str, Any]:
    """Give the entry its key: the caller's, or one of the call; marketing then has one open entry a person (R5.7)."""
    return {
        "place": recipient.index,
        "way": recipient.way,
        "name": recipient.name,
        "key": recipient.entry_key or f"{call_id}:{recipient.index}",
        "single": marketing and not recipient.entry_key,
        "context": recipient.context,
    }


def _unknown(index: int, fault: str | None) -> Result:
    return Result(index, Answer.INVALID_CONTEXT, detail=fault) if fault else Result(index, Answer.UNKNOWN_CONTACT)


def _answer(entered: _Entered, place: int, key: str) -> Result:
    if place in entered.suppressed:
        return Result(place, Answer.SUPPRESSED)
    entry = (entered.contacts[place], key)
    if entry not in entered.new:
        return Result(place, Answer.DUPLICATE, key)
    # Taken out, because a person named twice with one key is entered once.
    entered.new.remove(entry)
    return Result(place, Answer.ACCEPTED, key)


def _enter(
    session: Session, terms: _Terms, asked: Sequence[Mapping[str, Any]], now: datetime, *, rehearsed: bool
) -> _Entered | None:
    single = any(row["single"] for row in asked)
    work = send_work(terms.purpose)
    values: dict[str, Any] = {
        "tenant": bound_tenant(session),
        "campaign": terms.campaign_id,
        "asked": json.dumps(asked),
        "now": now,
    }
    if not rehearsed:
        values |= {
            "project": terms.project_id,
            "purpose": terms.purpose,
            "revision": terms.revision_no,
            "content_hash": terms.content_hash,
            "run": terms.run_id,
            "rate": terms.rate_per_minute,
            "size": chunk_size(terms.rate_per_minute),
            "work": work.name,
            "queue": work.queue.value,
            "subject": str(terms.run_id),
            "due_at": terms.due_at(now),
        }
    rows = driver.rows(session, _statement(single=single, rehearsed=rehearsed), values)
    if not rows:
        return None
    places, contacts, suppressed, new, keys, armed = rows[0]
    if armed:
        agenda.ring_for(session, work)
    return _Entered(dict(zip(places, contacts, strict=True)), frozenset(suppressed), set(zip(new, keys, strict=True)))


@cache
def _statement(*, single: bool, rehearsed: bool) -> str:
    """Return the statement in the driver's spelling. A rehearsal enters, and sends nothing; its terms are fresh."""
    text = _ENTER.format(
        ways=_WAYS,
        ended=_ENDED if single else "",
        after_ended=" AND (SELECT count(*) FROM ended) >= 0" if single else "",
        gate="" if rehearsed else _GATE,
        through="(SELECT 1) AS always" if rehearsed else "gate",
        sent="" if rehearsed else _SENT,
        armed="false" if rehearsed else "EXISTS (SELECT FROM armed)",
    )
    return driver.spelled(text)

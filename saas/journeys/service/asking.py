"""Ask other systems about people, outside of any transaction, and take their answers in (S14).

Whoever is asked about somebody is asked at least once: a worker that ends in the middle leaves its lease behind, and
after that somebody else asks again with the same message id.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.rules.attributes import MAX_JSON_BYTES
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Document, Step, read
from saas.campaigns.service.letter import fields_of_names
from saas.campaigns.types import CampaignState
from saas.channels import queries as channels
from saas.channels.adapters.webhook.adapter import not_sent, outcome_of
from saas.channels.adapters.webhook.types import Answer, NoAnswer
from saas.channels.service.hooks import Receiver, receiver_of
from saas.channels.types import Outcome, OutcomeKind, OutcomeScope, Trouble
from saas.content.jail.renderer import Renderer
from saas.content.service.payloads import compile_payload
from saas.content.types import Addressee, RenderFailure
from saas.journeys.rules.answers import Reply, filled_from, judged
from saas.journeys.types import CALL_WEBHOOK
from saas.kernel.clock import Clock
from saas.kernel.errors import DomainError
from saas.ledger.types import FLOW_STEP, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Picked, Piece
from saas.platform.db import bound_tenant
from saas.platform.egress import NotTrusted
from saas.platform.secrets.service import Vault
from saas.sending.service import pressure
from saas.sending.service.pressure import Admission
from saas.sending.service.seen import seen_in

AT_ONCE: Final = 200  # people who are asked about in one turn
_AT_A_TIME: Final = 20  # of them; with the patience of a call, the slowest turn ends within the lease
LEASE: Final = timedelta(minutes=10)
HOLD_S: Final = 120
_TAKE: Final = sa.text(
    """
    WITH due AS (
        SELECT w.entry_id, w.step_no FROM wait w WHERE w.tenant_id = :tenant AND w.campaign_id = :campaign
          AND w.step_no = :step AND w.stage = 'waiting' AND w.answer IS NULL AND w.due_at > :now
          AND coalesce(CAST(w.facts ->> 'not_before' AS timestamptz), :now) <= :now
        ORDER BY w.entry_id LIMIT :most FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE wait w SET facts = coalesce(w.facts, '{}') || jsonb_build_object('not_before', CAST(:lease AS text),
          'tries', coalesce(CAST(w.facts ->> 'tries' AS int), 0) + 1)
        FROM due WHERE w.tenant_id = :tenant AND w.entry_id = due.entry_id AND w.step_no = due.step_no
        RETURNING w.entry_id, w.contact_id, w.facts
    )
    SELECT t.entry_id, t.contact_id, CAST(t.facts ->> 'tries' AS int) AS tries, e.context, ct.email, ct.attributes
    FROM taken t JOIN entry e ON e.tenant_id = :tenant AND e.entry_id = t.entry_id
    LEFT JOIN contact ct ON ct.tenant_id = :tenant AND ct.contact_id = t.contact_id AND ct.erased_at IS NULL
    ORDER BY t.entry_id
    """
)
_NOTE: Final = sa.text(
    """
    UPDATE wait w SET answer = x.answer, due_at = CASE WHEN x.answer IS NULL THEN w.due_at ELSE :now END,
      facts = w.facts || x.facts
    FROM jsonb_to_recordset(CAST(:replies AS jsonb)) AS x(entry_id bigint, answer text, facts jsonb)
    WHERE w.tenant_id = :tenant AND w.step_no = :step AND w.entry_id = x.entry_id AND w.answer IS NULL
    """
)
_FILL: Final = sa.text(
    """
    UPDATE contact ct SET attributes = ct.attributes || x.filled, updated_at = :now, version = ct.version + 1
    FROM jsonb_to_recordset(CAST(:filled AS jsonb)) AS x(contact_id uuid, filled jsonb)
    WHERE ct.tenant_id = :tenant AND ct.contact_id = x.contact_id AND ct.erased_at IS NULL
      AND octet_length((ct.attributes || x.filled)::text) <= :most
    RETURNING ct.contact_id
    """
)
_MORE: Final = sa.text(
    """
    SELECT min(coalesce(CAST(w.facts ->> 'not_before' AS timestamptz), :now)) FROM wait w WHERE w.tenant_id = :tenant
      AND w.campaign_id = :campaign AND w.step_no = :step AND w.stage = 'waiting' AND w.answer IS NULL
      AND w.due_at > :now
    """
)


@dataclass(frozen=True, slots=True)
class Asker:
    """What asking needs beside a session. open: a session of a workspace; what is done in it is committed."""

    open: Callable[[UUID], AbstractContextManager[Session]]
    vault: Vault
    clock: Clock
    allow: tuple[str, ...]
    public_url: str


@dataclass(frozen=True, slots=True)
class _Somebody:
    entry_id: int
    contact_id: UUID
    tries: int
    addressee: Addressee | None


@dataclass(frozen=True, slots=True)
class _Taken:
    """People of a step who are asked about in one turn, and through which channel, as it allowed."""

    tenant_id: UUID
    campaign_id: UUID
    channel_id: UUID
    document: Document
    step: Step
    people: Sequence[_Somebody]
    admission: Admission


@dataclass(frozen=True, slots=True)
class _Told:
    """What came of one person. outcome: what it says of the channel, None where nobody was asked."""

    one: _Somebody
    reply: Reply
    outcome: Outcome | None = None


def call_webhook(asker: Asker, picked: Picked) -> Piece:
    """Take some people of a step about whom another system is to be asked; it is asked after the commit."""
    session, now = picked.session, picked.now
    campaign_id, step_no = picked.subject.partition(":")[::2]
    where = {"tenant": picked.tenant_id, "campaign": UUID(campaign_id), "step": int(step_no), "now": now}
    found = _signed(session, UUID(campaign_id), int(step_no))
    if found is None:
        return Piece(units=0)
    document, step = found
    channel_id = UUID(step.own["channel_id"])
    admission = pressure.admit(session, channel_id=channel_id, now=now)
    if admission.again_at is not None:
        return Piece(units=0, again_at=admission.again_at)
    lease, most = (now + LEASE).isoformat(), min(AT_ONCE, admission.most)
    rows = session.execute(_TAKE, where | {"lease": lease, "most": most}).all()
    more_at = session.scalar(_MORE, where)
    if not rows:
        return Piece(units=0, again_at=more_at)
    # A call is no message: it fills the rates of channel and workspace, and takes nothing of the month's messages.
    rates = replace(admission, month=None)
    paced = pressure.reserve(session, channel_id=channel_id, people=len(rows), admission=rates, now=now)
    people = [_somebody(row, step) for row in rows]
    taken = _Taken(picked.tenant_id, UUID(campaign_id), channel_id, document, step, people, rates)
    again_at = max(more_at, paced) if more_at is not None and paced is not None else more_at
    return Piece(units=len(people), again_at=again_at, then=partial(_ask, asker, taken), hold_s=HOLD_S)


def _signed(session: Session, campaign_id: UUID, step_no: int) -> tuple[Document, Step] | None:
    campaign = session.get(Campaign, (bound_tenant(session), campaign_id))
    if campaign is None or CampaignState(campaign.state) is not CampaignState.ACTIVE:
        return None
    revision = campaigns.published(session, campaign_id)
    if revision is None:
        return None
    document = read(revision.document or b"", expected_hash=revision.content_hash or "")
    return (document, document.step(step_no)) if step_no in document.shape.nodes else None


def _somebody(row: Any, step: Step) -> _Somebody:
    if row.attributes is None:  # erased meanwhile: nobody is told anything about them
        return _Somebody(row.entry_id, row.contact_id, row.tries, None)
    values = {
        name: row.attributes[name] for name in fields_of_names(step.own.get("used") or ()) if name in row.attributes
    }
    person = Addressee(
        to="",
        message_id="",
        contact={**values, "email": row.email},
        context=row.context or {},
        unsubscribe_url="",
        click_url="",
    )
    return _Somebody(row.entry_id, row.contact_id, row.tries, person)


def _ask(asker: Asker, picked: _Taken) -> None:
    """Ask about everybody who was taken, some at a time, while no transaction is open; then write all answers down."""
    with asker.open(picked.tenant_id) as session:
        receiver = receiver_of(session, channel=channels.channel(session, picked.channel_id), vault=asker.vault)
    bodies = _bodies(asker, picked)
    with ThreadPoolExecutor(max_workers=_AT_A_TIME) as threads:
        told = list(threads.map(lambda one: _ask_about(asker, picked, receiver, one, bodies), picked.people))
    _take_in(asker, picked, told)


def _bodies(asker: Asker, picked: _Taken) -> dict[int, bytes | RenderFailure]:
    known = [(one.entry_id, one.addressee) for one in picked.people if one.addressee is not None]
    with closing(Renderer()) as renderer:
        payload = compile_payload(renderer, picked.step.own["body"], workspace_name=picked.document.workspace_name)
        made = payload.write([addressee for _, addressee in known], date=asker.clock.now())
    return {entry_id: body for (entry_id, _), body in zip(known, made, strict=True)}


def _ask_about(
    asker: Asker, picked: _Taken, receiver: Receiver, one: _Somebody, bodies: Mapping[int, bytes | RenderFailure]
) -> _Told:
    """Ask about one person. Raises nothing that another system can cause."""
    body = bodies.get(one.entry_id)
    if body is None:
        return _Told(one, Reply("failed", {"why": "erased"}))
    if isinstance(body, RenderFailure):
        return _Told(one, Reply("failed", {"why": body.reason}))
    message_id = sha256(f"{picked.tenant_id}:{one.entry_id}:{picked.step.step_no}".encode()).hexdigest()[:32]
    answer, why, outcome = None, "", None
    try:
        answer = receiver.call(body, message_id=f"call_{message_id}", at=asker.clock.now(), allow=asker.allow)
        outcome = _of_channel(answer)
    except NoAnswer as error:
        why, outcome = error.detail, Outcome(OutcomeKind.UNKNOWN)
    except NotTrusted as error:
        why, outcome = error.detail, not_sent(error.detail, Trouble.TLS)
    except DomainError as error:
        why, outcome = error.detail, not_sent(error.detail, Trouble.CONNECT)
    return _Told(one, judged(answer, why, tries=one.tries, now=asker.clock.now()), outcome)


def _of_channel(answer: Answer) -> Outcome:
    """Return what an answer says about the channel: a refusal of this person is an answer like any other."""
    found = outcome_of(answer)
    is_of_person = found.kind is OutcomeKind.REFUSED and found.scope is OutcomeScope.RECIPIENT
    return Outcome(OutcomeKind.ACCEPTED) if is_of_person else found


def _take_in(asker: Asker, picked: _Taken, told: Sequence[_Told]) -> None:
    """Write answers down, what they fill in, and what they say about the channel."""
    now, step_no = asker.clock.now(), picked.step.step_no
    with asker.open(picked.tenant_id) as session:
        unfit = _fill(session, picked.step, told, now)
        replies = [
            {
                "entry_id": each.one.entry_id,
                "answer": each.reply.answer,
                "facts": {**each.reply.facts, **({"unfit": names} if (names := unfit.get(each.one.entry_id)) else {})},
            }
            for each in told
        ]
        where = {"tenant": picked.tenant_id, "step": step_no, "now": now}
        session.execute(_NOTE, where | {"replies": json.dumps(replies)})
        seen = seen_in([each.outcome for each in told if each.outcome is not None])
        pressure.report(session, channel_id=picked.channel_id, admission=picked.admission, seen=seen, now=now)
        subject = flow_subject(picked.campaign_id, step_no)
        agenda.arm(session, work=FLOW_STEP, subject=subject, due_at=now)
        if any(each.reply.answer is None for each in told):
            agenda.arm(session, work=CALL_WEBHOOK, subject=subject, due_at=now + timedelta(seconds=1))


def _fill(session: Session, step: Step, told: Sequence[_Told], now: datetime) -> dict[int, list[str]]:
    """Write what answers fill in. Returns the attributes that could not be, by entry: unfit or too large."""
    fill, kinds = step.own.get("fill") or (), attribute_kinds(session)
    filled: dict[UUID, dict[str, Any]] = {}
    unfit: dict[int, list[str]] = {}
    for each in told:
        values, unfit[each.one.entry_id] = filled_from(each.reply, fill, kinds)
        if values:
            filled.setdefault(each.one.contact_id, {}).update(values)
    if not filled:
        return unfit
    rows = [{"contact_id": str(contact_id), "filled": values} for contact_id, values in filled.items()]
    where = {"tenant": bound_tenant(session), "now": now, "most": MAX_JSON_BYTES, "filled": json.dumps(rows)}
    done = set(session.scalars(_FILL, where))
    for each in told:
        if each.one.contact_id in filled and each.one.contact_id not in done:
            unfit[each.one.entry_id] += filled[each.one.contact_id]
    return unfit

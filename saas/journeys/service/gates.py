"""Sendgates: tell the other system, hand out the people, take its word about each, release them (R6)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Document, Step, read
from saas.campaigns.service.letter import fields_of
from saas.channels import queries as channels
from saas.channels.service.hooks import receiver_of
from saas.journeys.rules.calls import value_fault
from saas.journeys.service.asking import HOLD_S, LEASE, Asker
from saas.journeys.service.handed import addresses
from saas.kernel.errors import Conflict, Fault, Invalid, NotFound, Unavailable
from saas.kernel.ids import show
from saas.kernel.paging import Page, PageRequest, cut
from saas.ledger.models import Gate, Wait
from saas.ledger.types import FLOW_STEP, GateState, flow_subject
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor, ActorKind
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Picked, Piece
from saas.platform.db import bound_tenant

PAGE: Final = 1000
_PEOPLE: Final = sa.text(
    """
    SELECT w.entry_id, w.answer, e.entry_key, e.context, ct.contact_id, ct.email, ct.external_id, ct.attributes
    FROM wait w JOIN entry e ON e.tenant_id = w.tenant_id AND e.entry_id = w.entry_id
    JOIN contact ct ON ct.tenant_id = w.tenant_id AND ct.contact_id = w.contact_id AND ct.erased_at IS NULL
    WHERE w.tenant_id = :tenant AND w.campaign_id = :campaign AND w.step_no = :step
      AND w.listens @> CAST(:gate AS jsonb) AND w.entry_id > :after ORDER BY w.entry_id LIMIT :limit
    """
)
# Of two words that mean the same way here, the one that was said last counts; `no` is their order.
_DECIDE: Final = sa.text(
    """
    WITH here AS (
        SELECT w.entry_id, x.no, x.decision, x.fields
        FROM jsonb_to_recordset(CAST(:decisions AS jsonb))
          AS x(no int, person uuid, key text, decision text, fields jsonb)
        JOIN entry e ON e.tenant_id = :tenant AND e.contact_id = x.person AND e.campaign_id = :campaign
          AND (x.key IS NULL OR e.entry_key = x.key)
        JOIN wait w ON w.tenant_id = :tenant AND w.entry_id = e.entry_id AND w.step_no = :step
          AND w.listens @> CAST(:gate AS jsonb)
    ), last AS (
        SELECT DISTINCT ON (entry_id) entry_id, decision, fields FROM here ORDER BY entry_id, no DESC
    ), taken AS (
        UPDATE wait w
        SET answer = last.decision, facts = coalesce(w.facts, '{}') || jsonb_build_object('fields', last.fields)
        FROM last WHERE w.tenant_id = :tenant AND w.entry_id = last.entry_id AND w.step_no = :step
          AND w.listens @> CAST(:gate AS jsonb)
    )
    SELECT count(DISTINCT no) FROM here
    """
)
_RELEASE: Final = sa.text(
    """
    UPDATE wait SET due_at = :now, answer = coalesce(answer, 'accepted') WHERE tenant_id = :tenant
      AND campaign_id = :campaign AND step_no = :step AND listens @> CAST(:gate AS jsonb)
    """
)


class GateClosed(Conflict):
    """The gate was released, or its time is over; nothing can be said about its people any more."""

    code = "gate_closed"


@dataclass(frozen=True, slots=True)
class Word:
    """What the other system says about one person. entry_key: of calls; None where there is one entry each."""

    contact_id: UUID
    decision: str
    entry_key: str | None
    fields: Mapping[str, Any]


def gate_in(session: Session, *, actor: Actor, gate_id: UUID) -> Gate:
    """Return a gate of a campaign that the actor may call. Raises NotFound, LacksRight."""
    row = session.get(Gate, (bound_tenant(session), gate_id))
    if row is None:
        raise NotFound.of("gate")
    try:
        campaign = campaigns.campaign(session, actor=actor, campaign_id=row.campaign_id, action=Action.CAMPAIGN_TRIGGER)
    except NotFound:
        raise NotFound.of("gate") from None
    require(actor, Action.CAMPAIGN_TRIGGER, campaign.project_id)
    return row


def step_of(session: Session, gate: Gate) -> tuple[Document, Step]:
    """Return what was signed about a gate."""
    revision = session.get_one(Revision, (gate.tenant_id, gate.campaign_id, gate.revision_no))
    document = read(revision.document or b"", expected_hash=revision.content_hash or "")
    return document, document.step(gate.step_no)


def people(session: Session, gate: Gate) -> Iterator[dict[str, Any]]:
    """Yield who waits at a gate, with the values that the next message uses; a page of them at a time."""
    after = -1
    while True:
        rows = _page(session, gate, after=after, limit=PAGE)
        yield from (shown for _, shown in rows)
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


def some_people(session: Session, gate: Gate, *, page: PageRequest) -> Page[dict[str, Any]]:
    """Return a page of those who wait at a gate, as `people` yields them."""
    after = int(page.after[0]) if page.after else -1
    found = cut(
        _page(session, gate, after=after, limit=page.limit + 1), limit=page.limit, key=lambda row: (str(row[0]),)
    )
    return found.map(lambda row: row[1])


def _page(session: Session, gate: Gate, *, after: int, limit: int) -> list[tuple[int, dict[str, Any]]]:
    document, step = step_of(session, gate)
    fields = _fields(document, step)
    rows = session.execute(_PEOPLE, _where(gate) | {"after": after, "limit": limit})
    return [(row.entry_id, _person(row, fields)) for row in rows]


def _person(row: sa.Row[Any], fields: Sequence[str]) -> dict[str, Any]:
    return {
        "contact_id": show("ctc", row.contact_id),
        "email": row.email,
        "external_id": row.external_id,
        "entry_key": row.entry_key,
        "decision": row.answer,
        "values": {name: row.attributes[name] for name in fields if name in row.attributes},
        "context": row.context or {},
    }


def _fields(document: Document, step: Step) -> Sequence[str]:
    nexts = document.shape.nodes[step.step_no].next.get("accepted", ())
    messages = [message for message in document.messages if message.step_no in nexts]
    return sorted({name for message in messages for name in fields_of(message)})


def decide(session: Session, *, gate: Gate, words: Sequence[Word], now: datetime) -> int:
    """Take the other system's word about people; a later word replaces an earlier one, in one request as well.

    Returns about how many of those whom the words are about (`about`) they were taken: who waits at the gate.

    Raises GateClosed, Invalid for a field that the step does not declare open, or a value that cannot be.
    """
    _check_open(gate, now)
    _, step = step_of(session, gate)
    faults = [fault for no, word in enumerate(words) for fault in _bad_fields(word, step, no)]
    if faults:
        raise Invalid("Some decisions fill fields that cannot be filled; see errors.", faults=faults)
    told = [
        {
            "no": no,
            "person": str(word.contact_id),
            "key": word.entry_key,
            "decision": word.decision,
            "fields": dict(word.fields),
        }
        for no, word in enumerate(about(words))
    ]
    return int(session.scalar(_DECIDE, _where(gate) | {"decisions": json.dumps(told)}) or 0)


def about(words: Sequence[Word]) -> Sequence[Word]:
    """Return the last word about each person, or each of their ways that is named, in the order they were said."""
    last = {(word.contact_id, word.entry_key): no for no, word in enumerate(words)}
    return [words[no] for no in sorted(last.values())]


def _bad_fields(word: Word, step: Step, no: int) -> Iterator[Fault]:
    allowed = step.own.get("open_fields") or ()
    for name, value in word.fields.items():
        if name not in allowed:
            yield Fault(f"/decisions/{no}/fields/{name}", "This field is not one that the gate declares open.")
        elif (why := value_fault(value)) is not None:
            yield Fault(f"/decisions/{no}/fields/{name}", why)


def finish(session: Session, *, actor: Actor, gate: Gate, now: datetime) -> Gate:
    """Release everybody: who was not rejected goes on. Doing it again changes nothing.

    actor: nobody (SYSTEM) where the other system says so by its address. Raises GateClosed.
    """
    row = session.get_one(Gate, (gate.tenant_id, gate.gate_id), populate_existing=True, with_for_update=True)
    if GateState(row.state) is GateState.RELEASED:
        return row
    _check_open(row, now)
    row.state, row.closed_at = GateState.RELEASED.value, now
    session.flush()
    session.execute(_RELEASE, _where(row) | {"now": now})
    agenda.arm(session, work=FLOW_STEP, subject=flow_subject(row.campaign_id, row.step_no), due_at=now)
    facts = {"gate": show("gat", row.gate_id), "step": row.step_no}
    action = "gate.released_by_link" if actor.kind is ActorKind.SYSTEM else "gate.released"
    audit.append(session, actor=actor, action=action, subject=show("cam", row.campaign_id), now=now, facts=facts)
    return row


def _check_open(gate: Gate, now: datetime) -> None:
    if GateState(gate.state) is not GateState.OPEN or now >= gate.deadline_at:
        raise GateClosed("This gate is closed: it was released, or its time is over.", state=gate.state)


def _where(gate: Gate) -> dict[str, Any]:
    return {
        "tenant": gate.tenant_id,
        "campaign": gate.campaign_id,
        "step": gate.step_no,
        "gate": json.dumps({"gate": str(gate.gate_id)}),
    }


def tell_gate(asker: Asker, picked: Picked) -> Piece:
    """Have the other system told that people wait for its word; it is told again until it has taken it."""
    gate = picked.session.get(Gate, (picked.tenant_id, UUID(picked.subject)))
    if gate is None or gate.told_at is not None or picked.now >= gate.deadline_at + LEASE:
        return Piece(units=0)

    def go_on() -> None:
        _tell(asker, picked.tenant_id, gate.gate_id)

    return Piece(then=go_on, hold_s=HOLD_S)


def _tell(asker: Asker, tenant_id: UUID, gate_id: UUID) -> None:
    """Raises Unavailable where it was not taken; the agenda tries again."""
    with asker.open(tenant_id) as session:
        gate = session.get_one(Gate, (tenant_id, gate_id))
        _, step = step_of(session, gate)
        people = session.scalar(
            sa.select(sa.func.count()).where(Wait.tenant_id == tenant_id, Wait.listens == {"gate": str(gate_id)})
        )
        body = {
            "type": "gate.opened" if gate.closed_at is None else "gate.passed",
            "gate_id": show("gat", gate_id),
            "campaign_id": show("cam", gate.campaign_id),
            "step": {"step_no": step.step_no, "name": step.name},
            "people": people,
            "deadline_at": gate.deadline_at.isoformat(),
            **addresses(gate, public_url=asker.public_url, link_key=asker.vault.link_key),
        }
        channel = channels.channel(session, UUID(step.own["channel_id"]))
        receiver = receiver_of(session, channel=channel, vault=asker.vault)
    message_id = f"gate_{gate_id.hex}"
    answer = receiver.call(json.dumps(body).encode(), message_id=message_id, at=asker.clock.now(), allow=asker.allow)
    if not 200 <= answer.status < 300:
        raise Unavailable(f"The webhook of the gate answered {answer.status}.")
    with asker.open(tenant_id) as session:
        session.get_one(Gate, (tenant_id, gate_id)).told_at = asker.clock.now()

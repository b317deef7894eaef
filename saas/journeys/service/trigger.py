"""The trigger (R5, S36, A5): a durable insert, then the bell. One statement for a whole call.

It repeats what it was told of the campaign (its gate) and enters nobody when that is no longer so; then what holds now
is read, or said why no call is accepted. So a call costs one look at the database, and never acts on an old answer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.channels.types import Purpose
from saas.journeys.rules.calls import context_fault
from saas.journeys.service.terms import NotAccepting, Terms, read_terms, remembered
from saas.journeys.sets.calls import statement
from saas.journeys.sets.moves import NEVER
from saas.journeys.types import Answer, Recipient, Result
from saas.ledger.types import FLOW_STEP, WaitStage, flow_subject
from saas.permissions.types import Action, Actor
from saas.platform import driver
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Work
from saas.platform.db import bound_tenant
from saas.sending.rules.speed import chunk_size
from saas.sending.types import send_work


@dataclass(frozen=True, slots=True)
class _Entered:
    """The answer of the statement: contacts by place, places of suppressed ones, new entries by contact and key."""

    contacts: Mapping[int, UUID]
    suppressed: frozenset[int]
    new: set[tuple[UUID, str]]


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
    known = remembered.get(tenant, campaign_id)
    # Who would be refused by what is remembered is refused by what holds now, or not at all.
    if known is not None and known.is_open(now) and actor.may(Action.CAMPAIGN_TRIGGER, known.project_id):
        results = _results(session, known, call_id, recipients, now)
        if results is not None:
            return results
    terms, results = _called(session, actor, campaign_id, call_id, recipients, now)
    remembered.put(tenant, terms)
    return results


def call(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    call_id: str,
    recipients: Sequence[Recipient],
    now: datetime,
) -> list[Result]:
    """Do the same by what holds now, and remember nothing of it: for campaigns that exist in a rehearsal only."""
    return _called(session, actor, campaign_id, call_id, recipients, now)[1]


def _called(
    session: Session,
    actor: Actor,
    campaign_id: UUID,
    call_id: str,
    recipients: Sequence[Recipient],
    now: datetime,
) -> tuple[Terms, list[Result]]:
    terms = read_terms(session, actor, campaign_id)
    terms.check_open(now)
    if terms.runs is None:
        raise NotAccepting("This campaign is just starting. Try again in a moment.")
    results = _results(session, terms, call_id, recipients, now)
    if results is None:
        raise NotAccepting("This campaign is just being changed. Try again in a moment.")
    return terms, results


def check_accepting(session: Session, *, actor: Actor, campaign_id: UUID, now: datetime) -> None:
    """Refuse what no call of this moment may do. Raises NotAccepting, NotFound, LacksRight."""
    read_terms(session, actor, campaign_id).check_open(now)


def rehearse(
    session: Session, *, actor: Actor, campaign_id: UUID, recipients: Sequence[Recipient], now: datetime
) -> list[Result]:
    """Say what a call would answer, without any effect (U13): the entering itself, taken back."""
    terms = read_terms(session, actor, campaign_id)
    terms.check_open(now)
    with session.begin_nested() as trial:
        results = _results(session, terms, "rehearsal", recipients, now, rehearsed=True)
        trial.rollback()
    return results or []


def _results(
    session: Session,
    terms: Terms,
    call_id: str,
    recipients: Sequence[Recipient],
    now: datetime,
    *,
    rehearsed: bool = False,
) -> list[Result] | None:
    """Enter who can, and answer for everybody in the order of the call. None when the terms no longer hold."""
    if terms.too_late_from is not None and now >= terms.too_late_from:
        return [Result(recipient.index, Answer.TOO_LATE) for recipient in recipients]
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
        "key": recipient.entry_key or recipient.own_key or f"{call_id}:{recipient.index}",
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
    session: Session, terms: Terms, asked: Sequence[Mapping[str, Any]], now: datetime, *, rehearsed: bool
) -> _Entered | None:
    runs = () if rehearsed else terms.runs or ()
    stands = () if rehearsed else terms.stands
    values: dict[str, Any] = {
        "tenant": bound_tenant(session),
        "campaign": terms.campaign_id,
        "asked": json.dumps(asked),
        "now": now,
    }
    if not rehearsed:
        values |= _values(terms, now)
    text = statement(
        single=any(row["single"] for row in asked) and not terms.stands,
        rehearsed=rehearsed,
        sends=bool(runs),
        stands=bool(stands),
    )
    rows = driver.rows(session, text, values)
    if not rows:
        return None
    places, contacts, suppressed, new, keys, armed = rows[0]
    if armed:
        agenda.ring_for(session, _work(terms))
    if new:
        for subject in _further(terms):
            agenda.arm(session, work=_work(terms), subject=subject, due_at=terms.due_at(now))
    return _Entered(dict(zip(places, contacts, strict=True)), frozenset(suppressed), set(zip(new, keys, strict=True)))


def _work(terms: Terms) -> Work:
    return send_work(terms.purpose) if terms.runs else FLOW_STEP


def _subjects(terms: Terms) -> list[str]:
    if terms.runs:
        return [str(run_id) for run_id in terms.runs]
    return [flow_subject(terms.campaign_id, no) for no in terms.stands]


def _further(terms: Terms) -> list[str]:
    """Return what else has to be woken than what the statement itself arms."""
    return _subjects(terms)[1:]


def _values(terms: Terms, now: datetime) -> dict[str, Any]:
    work, sends = _work(terms), bool(terms.runs)
    return {
        "project": terms.project_id,
        "purpose": terms.purpose,
        "revision": terms.revision_no,
        "content_hash": terms.content_hash,
        "run": terms.runs[0] if terms.runs else None,
        "runs": list(terms.runs or ()),
        "rate": terms.rate_per_minute,
        "size": chunk_size(terms.rate_per_minute),
        "stands": list(terms.stands),
        "stage": WaitStage.SENDING.value if sends else WaitStage.ARRIVED.value,
        "stands_until": NEVER if sends else now,
        "work": work.name,
        "queue": work.queue.value,
        "subject": _subjects(terms)[0],
        "due_at": terms.due_at(now) if sends else now,
    }

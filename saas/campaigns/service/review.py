"""What approvers see: exactly what will be sent, to how many, to whom for example, when (R13)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.segment import steady_plans
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Damaged, Document, Message, read
from saas.campaigns.rules.samples import Facet, FacetKind, Pack
from saas.campaigns.rules.schedule import InThePast, effective_start
from saas.campaigns.service.delivery import Delivery, delivery_of
from saas.campaigns.service.letter import is_marketing, letter_of, written
from saas.campaigns.service.people import audience_of
from saas.campaigns.service.persons import EXAMPLE, Person, seen, veiled
from saas.campaigns.service.rounds import Rounds, rounds_of
from saas.campaigns.service.samples import pack
from saas.content.jail.renderer import Renderer
from saas.content.types import Rendered, RenderFailure
from saas.kernel.errors import Conflict, NotFound
from saas.ledger.models import Contact
from saas.ledger.queries.reach import Need, drop_outs, sendable
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


class DocumentAltered(Conflict):
    """The stored document is not the one that was submitted; nobody can sign it, and nothing of it is sent."""

    code = "document_altered"


@dataclass(frozen=True, slots=True)
class Sample:
    """A person, why they were chosen, and the message they would get, as it travels (letter.py).

    `failure` says why theirs cannot be made.
    """

    contact_id: UUID | None
    email: str
    label: str
    why: Sequence[Facet]
    subject: str
    html: str
    text: str
    failure: str | None


@dataclass(frozen=True, slots=True)
class ReviewStep:
    """A message step as approvers see it."""

    step_no: int
    name: str
    channel: Mapping[str, Any]
    links: Sequence[str]
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of those who could be sent to belong to a language, or came in by a branch of the rule."""

    facet: Facet
    people: int


@dataclass(frozen=True, slots=True)
class Review:
    """The whole of what is signed.

    signed_count: how many people there were when it was submitted; count: how many there are now. nobody: what the
    texts and the rule tell apart, but nobody of the audience is; left_out: what the sample people do not show.
    rounds: of a campaign that recurs. signed: the document, every field of it, without what the messages say.
    """

    content_hash: str | None
    signed_count: int | None
    count: int | None
    reachable: int | None
    drop_outs: Mapping[str, int]
    planned_at: datetime | None
    effective_if_approved_now: datetime | None
    time_zone: str | None
    settings: Delivery
    steps: Sequence[ReviewStep]
    nobody: Sequence[Facet]
    left_out: Sequence[Facet]
    shares: Sequence[Share]
    rounds: Rounds | None
    signed: Mapping[str, Any]


def review(
    session: Session,
    *,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    renderer: Renderer,
    public_url: str,
    lead_s: int,
    now: datetime,
) -> Review:
    """Return what this revision will send. Raises NotFound before it was submitted, DocumentAltered.

    Who may not read contacts sees their texts masked, in the messages too; languages and numbers stay, so that
    the messages still differ (R14).
    """
    document = document_of(row)
    people = audience_of(session, document)
    starts = _start_if_approved(row, lead_s, now)
    need = _need(document, max(starts or now, now))
    count, reachable, dropped = _forecast(session, people, need)
    found, counts, chosen = _sample_people(session, document, people, need, may_see=may_see(actor, campaign))
    return Review(
        content_hash=row.content_hash,
        signed_count=row.audience_count,
        count=count,
        reachable=reachable,
        drop_outs=dropped,
        planned_at=row.planned_at,
        effective_if_approved_now=starts,
        time_zone=document.time_zone,
        settings=delivery_of(
            session, document, count=count, reachable=reachable, starts=row.effective_at or starts, now=now
        ),
        steps=[
            ReviewStep(
                step.step_no,
                step.name,
                step.channel,
                step.links,
                _shown(_Maker(renderer, document, row.campaign_id, public_url, now), step, chosen),
            )
            for step in document.messages
        ],
        nobody=found.nobody,
        left_out=found.left_out,
        shares=[Share(facet, many) for facet, many in counts.items() if facet.kind in _SHARES and many],
        rounds=rounds_of(document, now=now),
        signed=_signed(row),
    )


def rendered_for(
    session: Session,
    *,
    row: Revision,
    step_no: int,
    contact_id: UUID | None,
    renderer: Renderer,
    public_url: str,
    now: datetime,
) -> Sample:
    """Return one person's message of a step; without a contact, that of an invented person. Raises NotFound."""
    document = document_of(row)
    person = seen(_contact(session, contact_id), ()) if contact_id else EXAMPLE
    return _shown(_Maker(renderer, document, row.campaign_id, public_url, now), _step(document, step_no), [person])[0]


def rendered_veiled(
    session: Session,
    *,
    row: Revision,
    step_no: int,
    contact_id: UUID,
    renderer: Renderer,
    public_url: str,
    now: datetime,
) -> Sample:
    """Return one person's message with their texts masked (R14). Raises NotFound."""
    document = document_of(row)
    person = veiled(_contact(session, contact_id), (), document)
    return _shown(_Maker(renderer, document, row.campaign_id, public_url, now), _step(document, step_no), [person])[0]


def _signed(row: Revision) -> dict[str, Any]:
    """Return the document as it was written; what messages say stands in them as people get it."""
    found: dict[str, Any] = json.loads(row.document or b"{}")
    steps = [{name: value for name, value in step.items() if name != "content"} for step in found.get("steps") or ()]
    return {**found, "steps": steps}


def _step(document: Document, step_no: int) -> Message:
    try:
        return document.message(step_no)
    except KeyError:
        raise NotFound.of("step") from None


def _contact(session: Session, contact_id: UUID) -> Contact:
    found = session.get(Contact, (bound_tenant(session), contact_id))
    if found is None:
        raise NotFound.of("contact")
    return found


def document_of(row: Revision) -> Document:
    """Return the document of a submitted revision. Raises NotFound, DocumentAltered."""
    if row.document is None or row.content_hash is None:
        raise NotFound("This revision was not submitted yet; there is nothing to review.")
    try:
        return read(row.document, expected_hash=row.content_hash)
    except Damaged:
        raise DocumentAltered("The stored document is not the one that was submitted. Nobody can sign it.") from None


def may_see(actor: Actor, campaign: Campaign) -> bool:
    """Say whether the actor may read the people of a campaign, whose names and values are masked else (R14)."""
    return actor.may(Action.CONTACT_READ, campaign.project_id)


def _need(document: Document, at: datetime) -> Need:
    cap = (document.cap.messages, at - timedelta(days=document.cap.days)) if document.cap else None
    return Need(marketing=is_marketing(document), topic=document.topic, cap=cap)


def _forecast(
    session: Session, people: "sa.Select[UUID] | None", need: Need
) -> tuple[int | None, int | None, dict[str, int]]:
    if people is None:
        return None, None, {}
    with steady_plans(session):
        reasons = drop_outs(session, people, need=need)
    dropped = {reason: count for reason, count in reasons.items() if reason is not None}
    return sum(reasons.values()), reasons.get(None, 0), dropped


_NO_PACK: Final = Pack((), (), ())
_SHARES: Final = frozenset({FacetKind.LANGUAGE, FacetKind.BRANCH})


def _sample_people(
    session: Session,
    document: Document,
    people: "sa.Select[UUID] | None",
    need: Need,
    *,
    may_see: bool,
) -> tuple[Pack, Mapping[Facet, int], Sequence[Person]]:
    """Choose among those who could be sent to; among all, where that is nobody."""
    if people is None:
        return _NO_PACK, {}, [EXAMPLE]
    found = pack(session, document=document, people=sendable(session, people, need=need))
    counts = found.counts
    if not found.pack.people:
        found = pack(session, document=document, people=people)
    if may_see:
        chosen = [seen(found.rows[one.key], one.why) for one in found.pack.people]
    else:
        chosen = [veiled(found.rows[one.key], one.why, document) for one in found.pack.people]
    return found.pack, counts, chosen or [EXAMPLE]


@dataclass(frozen=True, slots=True)
class _Maker:
    """What all shown messages of a revision share."""

    renderer: Renderer
    document: Document
    campaign_id: UUID
    public_url: str
    now: datetime


def _shown(maker: _Maker, step: Message, people: Sequence[Person]) -> list[Sample]:
    document = maker.document
    letter = letter_of(maker.renderer, document, step, campaign_id=maker.campaign_id)
    context = {field["key"]: _example(field) for field in document.payload}
    made = [
        written(
            letter,
            step=step,
            to=person.to,
            values=person.values,
            context=context,
            tracked=is_marketing(document),
            public_url=maker.public_url,
            now=maker.now,
        )
        for person in people
    ]
    return [_sample(person, message) for person, message in zip(people, made, strict=True)]


def _sample(person: Person, message: Rendered | RenderFailure) -> Sample:
    about = (person.contact_id, person.email, person.label, person.why)
    if isinstance(message, RenderFailure):
        return Sample(*about, "", "", "", message.reason)
    return Sample(*about, message.subject, message.html, message.text, failure=None)


def _example(field: Mapping[str, Any]) -> object:
    return {"text": f"({field['key']})", "number": 1, "boolean": True}[field["kind"]]


def _start_if_approved(row: Revision, lead_s: int, now: datetime) -> datetime | None:
    if row.planned_at is None:
        return None
    try:
        return effective_start(row.planned_at, published_at=now, lead_s=lead_s)
    except InThePast:
        return None

"""What approvers see: exactly what will be sent, to how many, to whom for example, when (R13)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import members_select, steady_plans
from saas.audiences.rules import segment
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.delivery import takes_s
from saas.campaigns.rules.document import Damaged, Document, FrequencyCap, Step, Wave, read
from saas.campaigns.rules.schedule import InThePast, effective_start
from saas.channels import queries as channels
from saas.channels.types import Purpose
from saas.content.jail.renderer import Renderer
from saas.content.rules.links import track
from saas.content.service import merge_row, render_email
from saas.content.types import EmailContent, Rendered, RenderFailure
from saas.kernel.errors import Conflict, NotFound
from saas.ledger.models import Contact
from saas.ledger.queries import drop_outs
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

SAMPLES: Final = 4
_MASKED: Final = "•••"


class DocumentAltered(Conflict):
    """The stored document is not the one that was submitted; nobody can sign it, and nothing of it is sent."""

    code = "document_altered"


@dataclass(frozen=True, slots=True)
class Sample:
    """A person and the message they would get; `failure` says why theirs cannot be made."""

    contact_id: UUID | None
    email: str
    label: str
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
class Delivery:
    """How fast and in which parts it leaves.

    takes_s: how many seconds it takes: the speed paces everybody in the audience, the channel's present rate those who
    could be sent to now; None where nothing holds it back but how fast the relay answers.
    """

    speed_per_hour: int | None
    waves: Sequence[Wave]
    frequency_cap: FrequencyCap | None
    takes_s: int | None


@dataclass(frozen=True, slots=True)
class Review:
    """The whole of what is signed."""

    content_hash: str | None
    count: int | None
    reachable: int | None
    drop_outs: Mapping[str, int]
    planned_at: datetime | None
    effective_if_approved_now: datetime | None
    time_zone: str | None
    settings: Delivery
    steps: Sequence[ReviewStep]


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

    Who may not read contacts sees their texts masked, in the messages too; languages, numbers and dates stay, so that
    the messages still differ (R14).
    """
    document = document_of(row)
    people = _people(session, document)
    count, reachable, dropped = _forecast(session, document, people)
    samples = _sample_contacts(session, document, people)
    return Review(
        content_hash=row.content_hash,
        count=count,
        reachable=reachable,
        drop_outs=dropped,
        planned_at=row.planned_at,
        effective_if_approved_now=_start_if_approved(row, lead_s, now),
        time_zone=document.time_zone,
        settings=_delivery(session, document, count, reachable),
        steps=[
            ReviewStep(
                step.step_no,
                step.name,
                step.channel,
                step.links,
                _rendered(renderer, document, step, samples, public_url, may_see=_may_see(actor, campaign)),
            )
            for step in document.steps
        ],
    )


def rendered_for(
    session: Session, *, row: Revision, step_no: int, contact_id: UUID | None, renderer: Renderer, public_url: str
) -> Sample:
    """Return one person's message of a step; without a contact, that of an invented person. Raises NotFound."""
    document = document_of(row)
    try:
        step = document.step(step_no)
    except KeyError:
        raise NotFound.of("step") from None
    contact = session.get(Contact, (bound_tenant(session), contact_id)) if contact_id else None
    if contact_id and contact is None:
        raise NotFound.of("contact")
    return _rendered(renderer, document, step, [contact], public_url, may_see=True)[0]


def document_of(row: Revision) -> Document:
    """Return the document of a submitted revision. Raises NotFound, DocumentAltered."""
    if row.document is None or row.content_hash is None:
        raise NotFound("This revision was not submitted yet; there is nothing to review.")
    try:
        return read(row.document, expected_hash=row.content_hash)
    except Damaged:
        raise DocumentAltered("The stored document is not the one that was submitted. Nobody can sign it.") from None


def _delivery(session: Session, document: Document, count: int | None, reachable: int | None) -> Delivery:
    speed, waves = document.speed_per_hour, document.waves
    if count is None:
        return Delivery(speed, waves, document.cap, None)
    rate = _slowest_rate(session, document)
    takes = takes_s(count, speed_per_hour=speed, waves=waves, messages=reachable, rate_per_minute=rate)
    return Delivery(speed, waves, document.cap, takes)


def _slowest_rate(session: Session, document: Document) -> int | None:
    """Return the lowest rate of the channels as they are configured now, messages a minute."""
    found = [channels.find(session, step.channel_id) for step in document.steps]
    rates = [row.rate_per_minute for row in found if row is not None and row.rate_per_minute is not None]
    return min(rates, default=None)


def _people(session: Session, document: Document) -> "sa.Select[UUID] | None":
    if document.list_id is None:
        return None
    rule = segment.parse(document.rule, kinds=attribute_kinds(session)) if document.rule else None
    return members_select(session, list_id=document.list_id, rule=rule)


def _forecast(
    session: Session, document: Document, people: "sa.Select[UUID] | None"
) -> tuple[int | None, int | None, dict[str, int]]:
    if people is None:
        return None, None, {}
    marketing = Purpose(document.purpose) is Purpose.MARKETING
    with steady_plans(session):
        reasons = drop_outs(session, people, marketing=marketing, topic=document.topic)
    dropped = {reason: count for reason, count in reasons.items() if reason is not None}
    return sum(reasons.values()), reasons.get(None, 0), dropped


def _sample_contacts(
    session: Session, document: Document, people: "sa.Select[UUID] | None"
) -> Sequence[Contact | None]:
    """Choose people who differ: one a language, and one who lacks most of what the texts use (U15)."""
    if people is None:
        return [None]
    inside = people.subquery("p")
    base = sa.select(Contact).join(
        inside, sa.and_(Contact.tenant_id == bound_tenant(session), Contact.contact_id == inside.c.contact_id)
    )
    language = Contact.attributes["language"].astext
    by_language = session.scalars(
        base.ext(distinct_on(language)).order_by(language, Contact.contact_id).limit(SAMPLES)
    ).all()
    used = [name.removeprefix("contact.") for step in document.steps for name in step.used]
    lacking = sum((sa.case((Contact.attributes.has_key(key), 0), else_=1) for key in used), start=sa.literal(0))
    poorest = session.scalars(base.order_by(lacking.desc(), Contact.contact_id).limit(1)).all()
    chosen = {row.contact_id: row for row in (*by_language, *poorest)}
    return list(chosen.values()) or [None]


def _rendered(
    renderer: Renderer,
    document: Document,
    step: Step,
    contacts: Sequence[Contact | None],
    public_url: str,
    *,
    may_see: bool,
) -> list[Sample]:
    marketing = Purpose(document.purpose) is Purpose.MARKETING
    sources = EmailContent(**step.content)
    content = track(sources).content if marketing else sources
    people = [_person(contact, may_see=may_see) for contact in contacts]
    rows = [_row(document, person.values, public_url, marketing=marketing) for person in people]
    made = render_email(renderer, content, rows)
    return [_sample(person, message) for person, message in zip(people, made, strict=True)]


@dataclass(frozen=True, slots=True)
class _Person:
    """A sample person as templates and readers see them."""

    contact_id: UUID | None
    values: Mapping[str, object]
    label: str

    @property
    def email(self) -> str:
        return str(self.values["email"])


def _person(contact: Contact | None, *, may_see: bool) -> _Person:
    if contact is None:
        return _Person(None, {"email": "person@example.org"}, "Example")
    email = contact.email or ""
    if may_see:
        return _Person(contact.contact_id, {**contact.attributes, "email": email}, _label(contact))
    values = {key: _masked(key, value) for key, value in contact.attributes.items()}
    return _Person(contact.contact_id, {**values, "email": _mask(email)}, _MASKED)


def _sample(person: _Person, message: Rendered | RenderFailure) -> Sample:
    if isinstance(message, RenderFailure):
        return Sample(person.contact_id, person.email, person.label, "", "", "", message.reason)
    return Sample(
        person.contact_id, person.email, person.label, message.subject, message.html, message.text, failure=None
    )


def _row(document: Document, contact: Mapping[str, object], public_url: str, *, marketing: bool) -> dict[str, object]:
    return merge_row(
        contact=contact,
        campaign_name="",
        workspace_name=document.workspace_name,
        unsubscribe_url=f"{public_url}/u/preview" if marketing else "",
        click_url=f"{public_url}/c/preview" if marketing else "",
        context={field["key"]: _example(field) for field in document.payload},
    )


def _masked(key: str, value: object) -> object:
    return _MASKED if isinstance(value, str) and key != "language" else value


def _example(field: Mapping[str, Any]) -> object:
    return {"text": f"({field['key']})", "number": 1, "boolean": True}[field["kind"]]


def _label(contact: Contact) -> str:
    names = [contact.attributes.get("first_name"), contact.attributes.get("last_name")]
    shown = " ".join(str(name) for name in names if name)[:60] or "No name"
    language = contact.attributes.get("language")
    return f"{shown} · {language}" if language else shown


def _mask(email: str) -> str:
    return f"{email[:1]}{_MASKED}@{email.rpartition('@')[2]}" if email else ""


def _may_see(actor: Actor, campaign: Campaign) -> bool:
    return actor.may(Action.CONTACT_READ, campaign.project_id)


def _start_if_approved(row: Revision, lead_s: int, now: datetime) -> datetime | None:
    if row.planned_at is None:
        return None
    try:
        return effective_start(row.planned_at, published_at=now, lead_s=lead_s)
    except InThePast:
        return None

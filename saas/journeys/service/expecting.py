"""What a call would lead to for each of its recipients: first steps, splits that can be told now, their message (U13).

Nothing is entered for it. Of what lies behind a lot, a wait, a decision or a gate nobody knows anything yet; the way is
told up to there. Actions are named and not done, so what stands behind them is told by the values of now.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.rules.document import Document, Message, Step, read
from saas.campaigns.service.letter import is_marketing, letter_of, written
from saas.campaigns.steps import (
    ab_test,
    condition,
    decision,
    email,
    engagement_split,
    gate,
    random_split,
    segment_split,
    wait,
)
from saas.channels.rules import wire_address
from saas.content.jail.renderer import Renderer
from saas.content.types import RenderFailure
from saas.journeys.steps import condition as condition_work
from saas.journeys.steps import segment_split as split_work
from saas.journeys.types import Answer, Recipient, Result, Way
from saas.ledger.models import Contact
from saas.ledger.queries.reach import SKIP_JOINS, SKIP_REASON
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

MOST_RENDERED: Final = 20  # messages; who wants to see more of them rehearses further calls

_REASON: Final = sa.text(
    f"""
    SELECT ct.contact_id, {SKIP_REASON} AS reason FROM contact ct {SKIP_JOINS}
    WHERE ct.tenant_id = :tenant AND ct.contact_id = ANY(:contacts)
    """
)
_LOTS: Final = frozenset({random_split.KIND, ab_test.KIND})
_LATER: Final = frozenset({wait.KIND, decision.KIND, gate.KIND, engagement_split.KIND})


@dataclass(frozen=True, slots=True)
class Expected:
    """A step that somebody is expected to come to. exit: None where it cannot be told yet; text says why."""

    step_no: int
    kind: str
    name: str
    exit: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as its reader would have it. failure: why it cannot be made."""

    step_no: int
    subject: str
    html: str
    text: str
    failure: str | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one recipient may expect. reason: why their first message would be skipped, None if it would be sent."""

    path: Sequence[Expected]
    reason: str | None
    message: Shown | None


@dataclass(frozen=True, slots=True)
class Looks:
    """What is needed to show a message: who renders it, where its links lead, and when."""

    renderer: Renderer
    public_url: str
    now: datetime


def expectations(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    recipients: Sequence[Recipient],
    results: Sequence[Result],
    looks: Looks,
) -> dict[int, Expectation]:
    """Return what each recipient who would be accepted may expect, by index.

    Messages are shown to who may read contacts, of the first MOST_RENDERED people.
    """
    revision = campaigns.published(session, campaign_id)
    if revision is None:
        return {}
    document = read(revision.document or b"", expected_hash=revision.content_hash or "")
    accepted = [recipients[each.index] for each in results if each.status is Answer.ACCEPTED]
    contacts = _contacts(session, accepted)
    by_step = _decided(session, document, [row.contact_id for row in contacts.values()])
    reasons = _reasons(session, document, [row.contact_id for row in contacts.values()])
    campaign = campaigns.campaign(session, actor=actor, campaign_id=campaign_id, action=Action.CAMPAIGN_TRIGGER)
    shows = actor.may(Action.CONTACT_READ, campaign.project_id)
    letters = _Letters(document, campaign_id, looks)
    found = {}
    for place, recipient in enumerate(accepted):
        row = contacts.get((recipient.way, recipient.name))
        if row is None:
            continue
        path = list(_path(document, row.contact_id, by_step))
        first = next((each.step_no for each in path if each.kind == email.KIND), None)
        message = letters.of(first, row, recipient) if shows and first is not None and place < MOST_RENDERED else None
        found[recipient.index] = Expectation(path, reasons.get(row.contact_id) if first is not None else None, message)
    return found


def _contacts(session: Session, accepted: Sequence[Recipient]) -> dict[tuple[Way, str], Contact]:
    columns = {Way.CONTACT_ID: Contact.contact_id, Way.EMAIL: Contact.email_key, Way.EXTERNAL_ID: Contact.external_id}
    found: dict[tuple[Way, str], Contact] = {}
    for way, column in columns.items():
        names = [each.name for each in accepted if each.way is way]
        wanted: list[Any] = [UUID(name) for name in names] if way is Way.CONTACT_ID else list(names)
        if wanted:
            rows = session.scalars(
                sa.select(Contact).where(Contact.tenant_id == bound_tenant(session), column.in_(wanted))
            )
            found |= {(way, str(getattr(row, column.key))): row for row in rows}
    return found


def _decided(session: Session, document: Document, contacts: Sequence[UUID]) -> dict[int, dict[UUID, str]]:
    """Return which exit everybody takes at the splits that look at the person only, one statement a step."""
    found = {}
    for step in document.steps:
        if step.kind == condition.KIND:
            word = condition_work.exit_of(session, step.own["rule"])
        elif step.kind == segment_split.KIND:
            word = split_work.exit_of(session, step.own["branches"])
        else:
            continue
        rows = session.execute(
            sa.select(Contact.contact_id, word).where(
                Contact.tenant_id == bound_tenant(session), Contact.contact_id.in_(contacts)
            )
        )
        found[step.step_no] = {row[0]: row[1] for row in rows}
    return found


def _reasons(session: Session, document: Document, contacts: Sequence[UUID]) -> dict[UUID, str]:
    values = {
        "tenant": bound_tenant(session),
        "contacts": list(contacts),
        "marketing": is_marketing(document),
        "topic": document.topic,
    }
    return {row.contact_id: row.reason for row in session.execute(_REASON, values) if row.reason}


def _path(document: Document, contact_id: UUID, by_step: Mapping[int, Mapping[UUID, str]]) -> Iterator[Expected]:
    """Yield the steps that somebody would come to, up to where nobody can tell any more."""
    shape, came = document.shape, set(document.shape.start)
    for no in shape.order:
        if no not in came:
            continue
        step = document.step(no)
        word, text = _exit(document, step, by_step.get(no, {}).get(contact_id))
        yield Expected(no, step.kind, step.name, word, text)
        if word is not None:
            came |= set(shape.nodes[no].next.get(word, ()))


def _exit(document: Document, step: Step, decided: str | None) -> tuple[str | None, str]:
    if step.at is not None:
        return None, f"runs at {step.wall}, for everybody who waits here by then"
    if step.kind in _LOTS:
        return None, "is drawn by lot when they come"
    if step.kind in _LATER:
        return None, "depends on what happens then"
    if decided is not None:
        return decided, f"would take “{decided}” by what is known now"
    exits = document.shape.nodes[step.step_no].exits
    text = "would be sent" if isinstance(step, Message) else "would be done"
    return (exits[0] if len(exits) == 1 else "done" if "done" in exits else None), text


class _Letters:
    """Messages of a document, each step's letter made once."""

    def __init__(self, document: Document, campaign_id: UUID, looks: Looks) -> None:
        self._document, self._campaign_id, self._looks = document, campaign_id, looks
        self._made: dict[int, Any] = {}

    def of(self, step_no: int, contact: Contact, recipient: Recipient) -> Shown:
        """Return one person's message. Raises Unavailable."""
        step, looks = self._document.message(step_no), self._looks
        letter = self._made.get(step_no)
        if letter is None:
            letter = letter_of(looks.renderer, self._document, step, campaign_id=self._campaign_id)
            self._made[step_no] = letter
        marketing = is_marketing(self._document)
        found = written(
            letter,
            step=step,
            to=wire_address(contact.email or "") or "person@example.org",
            values={**contact.attributes, "email": contact.email or ""},
            context=recipient.context,
            tracked=marketing,
            public_url=looks.public_url,
            now=looks.now,
        )
        if isinstance(found, RenderFailure):
            return Shown(step_no, "", "", "", found.reason)
        return Shown(step_no, found.subject, found.html, found.text, None)

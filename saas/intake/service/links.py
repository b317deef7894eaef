"""Facts that come back from messages: clicks, opens and unsubscribes. A token is proven before anything is looked up.

Each fact is written once: a click per link and second, an open per message and minute, an unsubscribe per message and
change of mind. Clicks and opens wake who waits for them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns.rules.document import Document
from saas.channels.types import Purpose as Sending
from saas.content.rules import tokens
from saas.content.types import BadToken, Claimed, Purpose
from saas.intake import queries
from saas.intake.rules import agent_of, fact_id, in_words, masked, may_lead_to, opened_by
from saas.intake.service.waking import wake
from saas.intake.types import Agent, DeadLink, Destination, Fact, Sent, Standing, Subscription
from saas.kernel.ids import show
from saas.ledger.models import Event
from saas.ledger.types import ConsentStatus, EventKind
from saas.permissions.types import SYSTEM
from saas.platform.db import bind, bound_tenant
from saas.tenants.service.brand import brand

SOURCE: Final = "unsubscribe"

# Holds the contact against an erasure that runs at the same time; an erased one is left in peace.
_ALIVE: Final = sa.text(
    "SELECT FROM contact WHERE tenant_id = :tenant AND contact_id = :contact AND erased_at IS NULL FOR KEY SHARE"
)
# The row is locked also when it stays as it is: a second request waits here until the first one is known.
_WITHDRAW: Final = sa.text(
    """
    INSERT INTO consent AS s (tenant_id, contact_id, topic, status, source, at)
    VALUES (:tenant, :contact, :topic, 'withdrawn', :source, :now)
    ON CONFLICT (tenant_id, contact_id, topic) DO UPDATE SET status = excluded.status, source = excluded.source,
      at = excluded.at WHERE s.status <> 'withdrawn' OR s.source <> excluded.source
    RETURNING 1
    """
)


def prove(token: str, *, purpose: Purpose, link_key: bytes) -> Claimed:
    """Return what a token says, once it is known to be ours, for this purpose. No database. Raises DeadLink."""
    try:
        claimed = tokens.read(token)
    except BadToken:
        raise DeadLink from None
    key = tokens.subkey(link_key, tenant_id=claimed.tenant_id, purpose=purpose)
    if not tokens.verify(claimed, key=key, purpose=purpose):
        raise DeadLink
    return claimed


def find(session: Session, *, token: str, link_no: int, link_key: bytes) -> Destination:
    """Return where a click leads: the address stands in the signed document. Raises DeadLink."""
    message = _message(session, token, Purpose.CLICK, link_key)
    document = queries.document(session, message)
    links = _links(document, message.step_no)
    if not 0 <= link_no < len(links) or not may_lead_to(links[link_no]):
        raise DeadLink
    return Destination(message, link_no, links[link_no])


def note_click(session: Session, *, destination: Destination, user_agent: str, now: datetime) -> None:
    """Write that a link was followed. A crash within a second may lose it: a click is not worth a disk's wait."""
    message, link_no = destination.sent, destination.link_no
    if message.erased:
        return
    second = now.replace(microsecond=0)
    session.execute(sa.text("SET LOCAL synchronous_commit = off"))
    new = _write_event(
        session,
        kind=EventKind.CLICKED,
        event_id=fact_id(EventKind.CLICKED, message.entry_id, message.step_no, link_no, int(second.timestamp())),
        message=message,
        facts={"link_no": link_no} | _seen_by(agent_of(user_agent)),
        at=second,
    )
    if new:
        # Who clicks has opened: whoever waits for that is woken as well (R7).
        wake(session, [_about(message, kind, now) for kind in (EventKind.CLICKED, EventKind.OPENED)], now)


def note_open(session: Session, *, token: str, user_agent: str, link_key: bytes, now: datetime) -> None:
    """Write that a message's image was fetched, once a minute; a crash within a second may lose it. Raises DeadLink."""
    message = _message(session, token, Purpose.CLICK, link_key)
    if message.erased:
        return
    minute = now.replace(second=0, microsecond=0)
    session.execute(sa.text("SET LOCAL synchronous_commit = off"))
    new = _write_event(
        session,
        kind=EventKind.OPENED,
        event_id=fact_id(EventKind.OPENED, message.entry_id, message.step_no, int(minute.timestamp())),
        message=message,
        facts=_seen_by(opened_by(user_agent)),
        at=minute,
    )
    if new:
        wake(session, [_about(message, EventKind.OPENED, now)], now)


def _seen_by(agent: Agent) -> dict[str, object]:
    return {"agent": agent.value} | ({"machine": True} if agent is Agent.MACHINE else {})


def _about(message: Sent, kind: EventKind, at: datetime) -> Fact:
    return Fact(message.contact_id, at, {"on": kind.value, "entry": message.entry_id, "step": message.step_no})


def subscription(session: Session, *, token: str, link_key: bytes) -> Subscription:
    """Return what a person is about to leave, changing nothing. Raises DeadLink."""
    message = _message(session, token, Purpose.UNSUBSCRIBE, link_key)
    topic = _topic(session, message)
    if topic is None:
        return _told(session, message, Standing.NO_SUBSCRIPTION, "")
    status = queries.consent_status(session, message=message, topic=topic)
    left = message.erased or status == ConsentStatus.WITHDRAWN
    return _told(session, message, Standing.UNSUBSCRIBED if left else Standing.SUBSCRIBED, topic)


def unsubscribe(session: Session, *, token: str, link_key: bytes, now: datetime) -> Subscription:
    """Withdraw a person's consent to the topic of a message, for good (RFC 8058). Idempotent. Raises DeadLink."""
    message = _message(session, token, Purpose.UNSUBSCRIBE, link_key)
    topic = _topic(session, message)
    if topic is None:
        return _told(session, message, Standing.NO_SUBSCRIPTION, "")
    if not message.erased:
        _withdraw(session, message, topic, now)
    return _told(session, message, Standing.UNSUBSCRIBED, topic)


def _message(session: Session, token: str, purpose: Purpose, link_key: bytes) -> Sent:
    claimed = prove(token, purpose=purpose, link_key=link_key)
    bind(session, claimed.tenant_id)
    message = queries.sent(session, entry_id=claimed.entry_id, step_no=claimed.step_no)
    if message is None:
        raise DeadLink
    return message


def _links(document: Document | None, step_no: int) -> tuple[str, ...]:
    if document is None:
        return ()
    try:
        return tuple(document.message(step_no).links)
    except KeyError:
        return ()


def _topic(session: Session, message: Sent) -> str | None:
    """Return the topic of a marketing message; what answers a person's own doing has none (R5.9)."""
    document = queries.document(session, message)
    if document is None:
        return queries.drafted_topic(session, message)
    return document.topic if document.purpose == Sending.MARKETING else None


def _withdraw(session: Session, message: Sent, topic: str, now: datetime) -> None:
    ids = {"tenant": bound_tenant(session), "contact": message.contact_id}
    session.execute(sa.text("SET LOCAL synchronous_commit = on"))
    if session.execute(_ALIVE, ids).first() is None:
        return
    changed = session.scalar(_WITHDRAW, {**ids, "topic": topic, "source": SOURCE, "now": now}) is not None
    if not changed and _told_before(session, message):
        return
    _write_event(
        session,
        kind=EventKind.UNSUBSCRIBED,
        event_id=fact_id(EventKind.UNSUBSCRIBED, message.entry_id, message.step_no),
        message=message,
        facts={"topic": topic},
        at=now,
    )
    if changed:
        _audit(session, message.contact_id, message, topic, now)


def _told_before(session: Session, message: Sent) -> bool:
    """Say whether this very message's unsubscribe is written; the consent's lock lets one request ask at a time."""
    found = sa.select(Event.event_id).where(
        Event.tenant_id == bound_tenant(session),
        Event.contact_id == message.contact_id,
        Event.kind == EventKind.UNSUBSCRIBED,
        Event.entry_id == message.entry_id,
        Event.step_no == message.step_no,
    )
    return session.scalar(found.limit(1)) is not None


def _write_event(
    session: Session,
    *,
    kind: EventKind,
    event_id: bytes,
    message: Sent,
    facts: Mapping[str, object],
    at: datetime,
) -> bool:
    """Write a fact; False when it was known."""
    row = insert(Event).values(
        tenant_id=bound_tenant(session),
        occurred_at=at,
        event_id=event_id,
        kind=kind.value,
        contact_id=message.contact_id,
        campaign_id=message.campaign_id,
        entry_id=message.entry_id,
        step_no=message.step_no,
        facts=dict(facts),
    )
    written = session.execute(row.on_conflict_do_nothing().returning(Event.event_id))
    return written.one_or_none() is not None


def _audit(session: Session, contact_id: UUID, message: Sent, topic: str, now: datetime) -> None:
    subject = show("ctc", contact_id)
    facts = {"campaign": show("cam", message.campaign_id), "topic": topic}
    audit.append(session, actor=SYSTEM, action="contact.unsubscribed", subject=subject, now=now, facts=facts)


def _told(session: Session, message: Sent, standing: Standing, topic: str) -> Subscription:
    looks = brand(session)
    email = None if message.erased else message.email
    return Subscription(standing, looks.name, masked(email) if email else "", in_words(topic), looks)

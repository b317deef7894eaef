"""Why did somebody get this, or why not: every decision about one person in one campaign (U5, U17)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ListMember
from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import condition
from saas.audiences.rules import segment
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Document
from saas.campaigns.rules.occurrences import ONCE
from saas.campaigns.types import CampaignKind, CampaignState
from saas.intake.rules import masked
from saas.kernel.errors import NotFound
from saas.ledger.models import Contact, Entry, Event, Suppression
from saas.ledger.types import custom_kind
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.reports.rules.parts import Part, leaves
from saas.reports.rules.reasons import end_in_words
from saas.reports.service.simulating import HIDDEN, hidden
from saas.reports.service.ways import Way, documents, entries_of, present, ways
from saas.reports.types import Station

_HANDED_ON: Final = re.compile(r"flow:[0-9]{1,3}:([0-9]{1,18})")  # the key of an entry that a campaign started
_NOT_BEGUN: Final = frozenset({CampaignState.DRAFT, CampaignState.SCHEDULED})


@dataclass(frozen=True, slots=True)
class ToldWay:
    """A way with how it began and how it ended, in words. context: what the call sent along, None for who may not."""

    entry: Entry
    entry_key: str | None
    entered_by: str
    context: Mapping[str, Any] | None
    end_text: str | None
    stations: Sequence[Station]


@dataclass(frozen=True, slots=True)
class Why:
    """The whole answer. ways: each entry, the first one first; why_not: what was looked at for somebody without one."""

    contact_id: UUID
    email: str | None
    campaign_id: UUID
    campaign_state: str
    text: str
    ways: Sequence[ToldWay]
    why_not: Sequence[Part]

    @property
    def entered(self) -> bool:
        """Say whether they ever were in the campaign."""
        return bool(self.ways)


def why(session: Session, *, actor: Actor, campaign_id: UUID, contact_id: UUID) -> Why:
    """Return every decision about a person in a campaign. Raises NotFound, LacksRight.

    Who may not read contacts sees addresses and texts masked; what was decided stays.
    """
    campaign = campaigns.campaign(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.REPORT_READ, campaign.project_id)
    contact = session.get(Contact, (bound_tenant(session), contact_id))
    if contact is None:
        raise NotFound.of("contact")
    knows = actor.may(Action.CONTACT_READ, campaign.project_id)
    entries, document = entries_of(session, campaign_id, contact_id), present(session, campaign_id)
    found = ways(session, campaign=campaign, document=document, entries=entries) if document is not None else []
    told = [_told(session, actor, campaign, each, knows=knows) for each in found]
    parts = [] if told else _why_not(session, campaign, document, contact)
    return Why(
        contact_id=contact_id,
        email=contact.email if knows else masked(contact.email or "") or None,
        campaign_id=campaign_id,
        campaign_state=campaign.state,
        text=_summary(campaign, told, parts),
        ways=told,
        why_not=parts if knows else [_veiled(part) for part in parts],
    )


def person(session: Session, *, actor: Actor, text: str) -> UUID:
    """Return the contact of an address, for who may read contacts. Raises NotFound, LacksRight."""
    require(actor, Action.CONTACT_READ)
    found = session.scalar(
        sa.select(Contact.contact_id).where(
            Contact.tenant_id == bound_tenant(session), Contact.email_key == text.strip().casefold()
        )
    )
    if found is None:
        raise NotFound.of("contact")
    return found


def _told(session: Session, actor: Actor, campaign: Campaign, one: Way, *, knows: bool) -> ToldWay:
    entry = one.entry
    stations = one.stations if knows else [hidden(station) for station in one.stations]
    end = end_in_words(entry.end_reason) if entry.ended_at is not None else None
    key, context = (entry.entry_key, entry.context) if knows else (None, None)
    begun_by = _starter(session, actor, entry) or _entered_by(campaign, entry, key)
    return ToldWay(entry, key, begun_by, context, end, stations)


def _starter(session: Session, actor: Actor, entry: Entry) -> str | None:
    """Say which campaign let somebody in; it has no name for who may not see it. None where none did."""
    came_from = _HANDED_ON.fullmatch(entry.entry_key)
    if came_from is None:
        return None
    tenant = bound_tenant(session)
    name = session.scalar(
        campaigns.visible(session, actor)
        .join(Entry, sa.and_(Entry.tenant_id == tenant, Entry.campaign_id == Campaign.campaign_id))
        .where(Entry.entry_id == int(came_from[1]), Entry.contact_id == entry.contact_id)
        .with_only_columns(Campaign.name)
    )
    return f"started by campaign {name}" if name is not None else "started by another campaign"


def _entered_by(campaign: Campaign, entry: Entry, key: str | None) -> str:
    match CampaignKind(campaign.kind):
        case CampaignKind.DATED:
            return "the start of the campaign" if entry.occurrence == ONCE else f"the round of {entry.occurrence}"
        case CampaignKind.API:
            return f"a call with the key {key}" if key and ":" not in key else "a call"
        case _:
            return f"coming in ({key})" if key else "coming to match, or an event"


def _summary(campaign: Campaign, told: Sequence[ToldWay], parts: Sequence[Part]) -> str:
    if told:
        messages = [s for way in told for s in way.stations if s.state == "sent"]
        missed = [s for way in told for s in way.stations if s.state in {"skipped", "failed", "uncertain", "cancelled"}]
        sent = f"got {len(messages)} message{'' if len(messages) == 1 else 's'}"
        return f"Is in this campaign and {'; '.join([sent, *_missed(missed)])}."
    decisive = [part.text for part in parts if part.decisive]
    if decisive:
        return f"Is not in this campaign: {'; '.join(decisive)}."
    if CampaignState(campaign.state) in _NOT_BEGUN:
        return "The campaign has not begun. As it stands now, this person would be in it."
    return "Is not in this campaign; nothing of what is known now says why."


def _missed(stations: Sequence[Station]) -> Iterator[str]:
    """Yield each reason why something was missed, with all steps of which it is the reason."""
    steps: dict[str, list[int]] = {}
    for station in stations:
        numbers = steps.setdefault(station.text, [])
        if station.step_no not in numbers:
            numbers.append(station.step_no)
    for text, numbers in steps.items():
        named = f"step {numbers[0]}" if len(numbers) == 1 else f"steps {', '.join(str(no) for no in numbers)}"
        yield f"{named}: {text}"


def _why_not(session: Session, campaign: Campaign, document: Document | None, contact: Contact) -> list[Part]:
    """Look at everything that lets people in, as it is now; of what was then, the times say what they can."""
    document = document or next(iter(reversed(documents(session, campaign.campaign_id).values())), None)
    parts = [*_erased(contact), *_state(campaign)]
    if document is None:
        return [*parts, Part("campaign", holds=False, decisive=True, text="the campaign was never submitted", facts={})]
    if document.kind == CampaignKind.API:
        return [
            *parts,
            *_suppressed(session, contact),
            Part("call", holds=False, decisive=True, text="no call named this person", facts={}),
        ]
    parts += _cut_off(campaign, document)
    return [
        *parts,
        *_event(session, campaign, document, contact),
        *_on_list(session, campaign, document, contact),
        *_rule(session, document, contact),
    ]


def _event(session: Session, campaign: Campaign, document: Document, contact: Contact) -> Iterator[Part]:
    """Yield whether the event by which people come into a flowing campaign was told of somebody since it began."""
    name = (document.entry or {}).get("event")
    if not name:
        return
    at = session.scalar(
        sa.select(sa.func.max(Event.occurred_at)).where(
            Event.tenant_id == contact.tenant_id,
            Event.contact_id == contact.contact_id,
            Event.kind == custom_kind(name),
            Event.occurred_at >= campaign.started_at if campaign.started_at is not None else sa.true(),
        )
    )
    said = "was told" if at is not None else "was not told of this person"
    text = f"the event “{name}” {said} since the campaign began"
    yield Part("event", at is not None, at is None, text, {"event": name, "at": at, "started_at": campaign.started_at})


def _erased(contact: Contact) -> Iterator[Part]:
    if contact.erased_at is not None:
        yield Part(
            "erased", holds=False, decisive=True, text="was erased on their own demand", facts={"at": contact.erased_at}
        )


def _state(campaign: Campaign) -> Iterator[Part]:
    if CampaignState(campaign.state) in _NOT_BEGUN:
        yield Part(
            "campaign",
            holds=False,
            decisive=True,
            text=f"the campaign is {campaign.state}: nobody is in it yet",
            facts={},
        )


def _cut_off(campaign: Campaign, document: Document) -> Iterator[Part]:
    """Say that nobody could come in, for a campaign that was over before it began (M12)."""
    if campaign.started_at is None and CampaignState(campaign.state) is CampaignState.COMPLETED:
        facts = {"publish_until": document.publish_until, "finished_at": campaign.finished_at}
        yield Part("campaign", holds=False, decisive=True, text="its time was over before it began", facts=facts)


def _suppressed(session: Session, contact: Contact) -> Iterator[Part]:
    row = session.get(Suppression, (bound_tenant(session), contact.address_hash)) if contact.address_hash else None
    if row is not None:
        facts = {"reason": row.reason, "since": row.at}
        yield Part(
            "suppressed",
            holds=False,
            decisive=True,
            text="the address is on the suppression list; calls do not enter it",
            facts=facts,
        )


def _on_list(session: Session, campaign: Campaign, document: Document, contact: Contact) -> Iterator[Part]:
    if document.list_id is None:
        return  # people come by an event alone
    row = session.get(ListMember, (bound_tenant(session), document.list_id, contact.contact_id))
    if row is None:
        yield Part("list", holds=False, decisive=True, text="is not on the list of the audience", facts={})
        return
    began = campaign.started_at
    late = began is not None and row.added_at > began and document.kind == CampaignKind.DATED
    text = "came on the list after the start; nobody joins later (R4)" if late else "is on the list of the audience"
    yield Part("list", not late, late, text, {"since": row.added_at, "started_at": began})


def _rule(session: Session, document: Document, contact: Contact) -> Iterator[Part]:
    """Yield each part of the audience's rule with whether it holds for somebody now."""
    if not document.rule:
        return
    kinds = attribute_kinds(session)
    parts = leaves(document.rule)
    asked = [condition(segment.parse(part.rule, kinds=kinds), contact.tenant_id) for part in parts]
    columns = [found.label(f"p{no}") for no, found in enumerate(asked)]
    row = session.execute(
        sa.select(*columns).where(Contact.tenant_id == contact.tenant_id, Contact.contact_id == contact.contact_id)
    ).one()
    whole = session.scalar(
        sa.select(condition(segment.parse(document.rule, kinds=kinds), contact.tenant_id)).where(
            Contact.tenant_id == contact.tenant_id, Contact.contact_id == contact.contact_id
        )
    )
    for part, holds in zip(parts, row, strict=True):
        values = {part.attribute: contact.attributes.get(part.attribute)} if part.attribute else {}
        decisive = not whole and bool(holds) is part.negated
        word = "holds" if holds else "does not hold"
        asked_not = ", and must not" if part.negated else ""
        text = f"the rule’s part at {part.pointer or '/'} ({part.text}) {word}{asked_not}"
        yield Part("rule", bool(holds), decisive, text, {"values": values, "pointer": part.pointer})


def _veiled(part: Part) -> Part:
    """Hide what is known of the person; the rule itself is the campaign's and stays."""
    values = part.facts.get("values")
    if not values:
        return part
    shown = {key: HIDDEN if isinstance(value, str) else value for key, value in values.items()}
    return replace(part, facts={**part.facts, "values": shown})

"""Look up what a draft from elsewhere names: by id, else by name; what is not there is left empty and told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from saas.audiences.models import Audience, ContactList
from saas.audiences.queries.audiences import audience_in
from saas.audiences.queries.lists import list_in
from saas.audiences.types import Visibility
from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.campaigns.rules.references import Reference, references, replaced
from saas.channels import queries as channels
from saas.channels.models import ChannelConfiguration
from saas.kernel.errors import NotFound
from saas.kernel.ids import show
from saas.permissions.policy import require_somewhere
from saas.permissions.types import Action, Actor, LacksRight
from saas.platform.db import bound_tenant

_ENOUGH: Final = 50  # things of one name: one in each project


@dataclass(frozen=True, slots=True)
class LeftEmpty:
    """A place of a draft that was left empty: where, what was named there, and how it was called if that is known."""

    pointer: str
    id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    """A draft of which every reference is something that the actor may use here, and what had to be left empty."""

    draft: dict[str, Any]
    left_empty: list[LeftEmpty]


def settled(
    session: Session, *, actor: Actor, draft: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> Settled:
    """Return a draft as this actor can use it here. names: what its references are called, by id, if it came along.

    An id of this workspace counts as it is; else the one thing of that name, if the actor sees exactly one.
    """
    called, known, left = names or {}, dict[str, str | None](), list[LeftEmpty]()

    def say(one: Reference) -> str | None:
        if one.text not in known:
            known[one.text] = _here(session, actor, one, called.get(one.text))
        if known[one.text] is None:
            left.append(LeftEmpty(one.pointer, one.text, called.get(one.text)))
        return known[one.text]

    return Settled(replaced(draft, say), sorted(left, key=_in_order))


def names_of(session: Session, *, actor: Actor, draft: Mapping[str, Any]) -> dict[str, str]:
    """Return what a draft's references are called, by id, as far as the actor may see them."""
    found = {one.text: _name(session, actor, one.prefix, one.id) for one in references(draft)}
    return {text: name for text, name in found.items() if name is not None}


def _in_order(one: LeftEmpty) -> list[str]:
    """Return what places are ordered by: steps by their number, not by its letters."""
    return [part.zfill(4) for part in one.pointer.split("/")]


def _here(session: Session, actor: Actor, one: Reference, name: str | None) -> str | None:
    if _name(session, actor, one.prefix, one.id) is not None:
        return one.text
    if name is None:
        return None
    kind = _KINDS[one.prefix]
    wanted = sa.select(kind.key).where(kind.tenant == bound_tenant(session), kind.name == name).limit(_ENOUGH)
    same = [found for found in session.scalars(wanted) if _name(session, actor, one.prefix, found) is not None]
    return show(one.prefix, same[0]) if len(same) == 1 else None


def _name(session: Session, actor: Actor, prefix: str, wanted: UUID | None) -> str | None:
    """Return the name of something that the actor may use in a draft, None where there is no such thing for them."""
    if wanted is None:
        return None
    try:
        return _KINDS[prefix].read(session, actor, wanted)
    except (NotFound, LacksRight):
        return None


def _audience(session: Session, actor: Actor, wanted: UUID) -> str:
    row = audience_in(session, wanted, actor=actor)
    if row.visibility != Visibility.PUBLIC:  # campaigns use public ones only (M13)
        raise NotFound.of("audience")
    return row.name


def _list(session: Session, actor: Actor, wanted: UUID) -> str:
    return list_in(session, wanted, actor=actor).name


def _channel(session: Session, actor: Actor, wanted: UUID) -> str:
    require_somewhere(actor, Action.CHANNEL_READ)
    return channels.channel(session, wanted).name


def _campaign(session: Session, actor: Actor, wanted: UUID) -> str:
    return queries.campaign(session, actor=actor, campaign_id=wanted).name


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of thing is read for somebody, and found by its name."""

    read: Callable[[Session, Actor, UUID], str]
    tenant: InstrumentedAttribute[UUID]
    key: InstrumentedAttribute[UUID]
    name: InstrumentedAttribute[str]


_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "aud": _Kind(_audience, Audience.tenant_id, Audience.audience_id, Audience.name),
        "lst": _Kind(_list, ContactList.tenant_id, ContactList.list_id, ContactList.name),
        "chn": _Kind(
            _channel, ChannelConfiguration.tenant_id, ChannelConfiguration.channel_id, ChannelConfiguration.name
        ),
        "cam": _Kind(_campaign, Campaign.tenant_id, Campaign.campaign_id, Campaign.name),
    }
)

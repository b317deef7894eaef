"""Who begins a campaign's flow, in a sentence: of a draft and of a signed document alike (A3, M16, M21)."""

from collections.abc import Mapping
from typing import Any, Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from saas.audiences.models import Audience, ContactList
from saas.campaigns.models import Campaign
from saas.campaigns.types import CampaignKind
from saas.web.campaigns.step_words import name_of, span

EVERY_MINUTES: Final = 5  # where an entry says nothing


def start_word(session: Session, flow: Mapping[str, Any], kind: CampaignKind) -> str:
    """Return who begins: "Everybody on Club", "People who come to match Oslo members"."""
    if kind is CampaignKind.API:
        return str(gettext("Whoever a call of your system names"))
    who = _who(session, flow.get("audience") or {})
    if kind is CampaignKind.DATED:
        return who[:1].upper() + who[1:] or str(gettext("An audience or list that is not chosen yet"))
    event = (flow.get("entry") or {}).get("event")
    if who and event:
        return str(gettext("Whose event “%(event)s” is told, of: %(who)s; nobody else", event=event, who=who))
    if event:
        return str(gettext("People whose event “%(event)s” is told", event=event))
    if who:
        return str(gettext("People who come to match: %(who)s", who=who))
    return str(gettext("It is not said yet whose coming is waited for"))


def entry_word(entry: Mapping[str, Any]) -> str:
    """Return all that a flowing campaign's entry says: its event, leaving, coming again, how often it is looked."""
    event = gettext("Event “%(event)s”.", event=entry["event"]) if entry.get("event") else gettext("No event.")
    return f"{event} {leaving_word(entry)} {every_word(entry)}"


def every_word(entry: Mapping[str, Any]) -> str:
    """Return how often it is looked who matches the audience."""
    every = span(entry.get("every_minutes") or EVERY_MINUTES)
    return str(gettext("Who matches the audience is looked at every %(span)s; events count at once.", span=every))


def leaving_word(entry: Mapping[str, Any]) -> str:
    """Return what becomes of people who match no more, and whether somebody may come again (R15)."""
    leaving = {
        "stay": gettext("Who matches no more goes on to the end."),
        "leave": gettext("Who matches no more leaves at once."),
    }
    again = {
        "never": gettext("Everybody comes in once."),
        "after_finishing": gettext("Somebody may come again after their way has ended."),
        "always": gettext("Somebody may come again at any time; the way before ends then."),
    }
    return f"{leaving[entry.get('leaving') or 'stay']} {again[entry.get('re_entry') or 'never']}"


def _who(session: Session, audience: Mapping[str, Any]) -> str:
    if audience.get("audience_id"):
        return name_of(session, Audience, "aud", audience["audience_id"])
    if audience.get("rest_of"):
        name = name_of(session, Campaign, "cam", audience["rest_of"])
        return str(gettext("everybody whom “%(name)s” has not served", name=name))
    if not audience.get("list_id"):
        return ""
    name = name_of(session, ContactList, "lst", audience["list_id"])
    if audience.get("rule"):
        return str(gettext("those on %(name)s for whom the signed rule holds", name=name))
    return str(gettext("everybody on %(name)s", name=name))

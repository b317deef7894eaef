"""What can be chosen in drafts and their steps: senders, webhooks, audiences, lists, campaigns, attributes."""

from typing import Final

from flask_babel import gettext, ngettext

from saas.audiences.queries.attributes import known_attributes
from saas.audiences.queries.audiences import audiences as all_audiences
from saas.audiences.queries.lists import lists as all_lists
from saas.audiences.types import AttributeKind, Visibility
from saas.campaigns.desk import queries as desk
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import LATE
from saas.campaigns.service.defaults import followed
from saas.channels import queries as channels
from saas.channels.types import ChannelKind, Purpose
from saas.http.types import Context
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action
from saas.tenants.queries import workspace
from saas.web.campaigns import delivery
from saas.web.campaigns.found import Found

ALL: Final = PageRequest(MAX_LIMIT)
_DATES: Final = frozenset({AttributeKind.DATE, AttributeKind.DATETIME})
Choices = list[tuple[str, str]]


def senders(context: Context, campaign: Campaign) -> Choices:
    """Return the channel configurations that emails of a campaign may come from."""
    rows = channels.channels(context.session, ALL, purpose=Purpose(campaign.purpose), kind=ChannelKind.SMTP).rows
    return [(show("chn", row.channel_id), f"{row.name} · {row.from_name} <{row.from_address}>") for row in rows]


def webhooks(context: Context) -> Choices:
    """Return the systems that can be called."""
    rows = channels.channels(context.session, ALL, kind=ChannelKind.WEBHOOK).rows
    return [(show("chn", row.channel_id), row.name) for row in rows]


def audiences(context: Context) -> Choices:
    """Return the audiences that campaigns can use: public ones."""
    rows = all_audiences(context.session, actor=context.actor, page=ALL).rows
    return [(show("aud", row.audience_id), row.name) for row in rows if row.visibility == Visibility.PUBLIC]


def lists(context: Context) -> Choices:
    """Return the lists."""
    return [
        (
            show("lst", item.row.list_id),
            ngettext("%(name)s (one person)", "%(name)s (%(num)d people)", item.member_count, name=item.row.name),
        )
        for item in all_lists(context.session, actor=context.actor, page=ALL).rows
    ]


def campaigns(context: Context, besides: Campaign) -> Choices:
    """Return the other campaigns that this person may start."""
    rows = desk.campaigns(context.session, actor=context.actor, wanted=desk.CampaignFilter(), page=ALL).rows
    return [
        (show("cam", row.campaign_id), row.name)
        for row in rows
        if row.campaign_id != besides.campaign_id and context.actor.may(Action.CAMPAIGN_TRIGGER, row.project_id)
    ]


def attributes(context: Context) -> Choices:
    """Return the attributes of people."""
    return [(key, known.label) for key, known in known_attributes(context.session).items()]


def dates(context: Context) -> Choices:
    """Return the attributes that hold a date."""
    found = known_attributes(context.session)
    return [(key, known.label) for key, known in found.items() if known.kind in _DATES]


def late_uses() -> list[tuple[str, str]]:
    """Return what may become of calls after the first step with a date (R5.4)."""
    return [
        ("", gettext("They do the steps before the first date, and their way ends there")),
        ("refuse", gettext("They are refused")),
        ("send", gettext("They do all steps, those with a date at once")),
    ]


def late_word(late: str) -> str:
    """Return what becomes of calls after the first step with a date."""
    return str(dict(late_uses()).get("" if late == LATE[0] else late, late))


def cap_uses(context: Context) -> list[tuple[str, str]]:
    """Return where the frequency cap comes from, with what the workspace says now."""
    said = delivery.cap_word(delivery.cap_of(workspace(context.session)))
    return [
        ("workspace", gettext("As the workspace says: %(cap)s", cap=said)),
        ("own", gettext("As said here")),
        ("none", gettext("No limit for this campaign")),
    ]


def quiet_uses(context: Context, found: Found) -> list[tuple[str, str]]:
    """Return where the quiet hours come from, with what the project says now."""
    said = delivery.quiet_word(followed(context.session, found.campaign).quiet)
    return [
        ("project", gettext("Follows project: %(quiet)s", quiet=said)),
        ("own", gettext("As said here")),
        ("none", gettext("No quiet hours for this campaign")),
    ]

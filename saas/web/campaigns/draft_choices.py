"""What can be chosen in a draft's form, with what each field follows as long as the draft says nothing."""

from flask_babel import gettext, ngettext

from saas.audiences.queries.audiences import audiences as known_audiences
from saas.audiences.queries.lists import lists
from saas.audiences.types import Visibility
from saas.campaigns.models import Campaign
from saas.campaigns.service.defaults import followed
from saas.http.types import Context
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.web.campaigns import choices
from saas.web.campaigns.found import Found
from saas.web.campaigns.step_words import name_of

_ALL = PageRequest(MAX_LIMIT)


def audiences(context: Context) -> list[tuple[str, str]]:
    """Return what can be chosen: public audiences, and everybody of a list."""
    session, actor = context.session, context.actor
    found = [
        (show("aud", row.audience_id), gettext("Audience: %(name)s", name=row.name))
        for row in known_audiences(session, actor=actor, page=_ALL).rows
        if row.visibility == Visibility.PUBLIC
    ]
    return found + [
        (
            show("lst", item.row.list_id),
            ngettext(
                "Everybody on %(name)s (one person)",
                "Everybody on %(name)s (%(num)d people)",
                item.member_count,
                name=item.row.name,
            ),
        )
        for item in lists(session, actor=actor, page=_ALL).rows
    ]


def rest_of(context: Context, found: Found) -> list[tuple[str, str]]:
    """Return the stopped campaign whose rest this draft is for, as a choice (U11)."""
    given = (found.revision.draft.get("audience") or {}).get("rest_of")
    if not given:
        return []
    name = name_of(context.session, Campaign, "cam", given)
    return [(given, gettext("Whom “%(name)s” has not served", name=name))]


def follows(context: Context, found: Found) -> dict[str, str]:
    """Return, as first choice of a field, what it follows as long as the draft says nothing of its own."""
    defaults = followed(context.session, found.campaign)
    whose = gettext("Follows project") if defaults.zone_of_project else gettext("Follows workspace")
    words = {"time_zone": f"{whose}: {defaults.time_zone.replace('_', ' ')}", "channel_id": ""}
    if defaults.channel_id is not None:
        name = dict(choices.senders(context, found.campaign)).get(
            show("chn", defaults.channel_id), gettext("out of use")
        )
        words["channel_id"] = gettext("Follows project: %(name)s", name=name)
    return words

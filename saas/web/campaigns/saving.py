"""Save a draft from a page: what its schema says beside the fields, and who was quicker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response
from flask_babel import gettext

from saas.accounts.queries import accounts
from saas.audit.queries import entries_about
from saas.campaigns.models import Revision
from saas.campaigns.schemas.campaigns import DraftIn
from saas.campaigns.service import draft as drafts
from saas.http.types import Context
from saas.kernel.errors import Conflict, Stale
from saas.web import forms, refusals
from saas.web.campaigns import view
from saas.web.campaigns.found import Found
from saas.web.shell import go


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a draft: the saved revision, or what is wrong by input, or (conflict) who was quicker."""

    row: Revision | None
    errors: dict[str, str]
    conflict: str = ""


def save(context: Context, found: Found, draft: Mapping[str, Any], *, fields: Mapping[str, str]) -> Saved:
    """Save a draft, complete or not. fields: JSON pointer in the draft to the name of an input.

    After a conflict the session has been rolled back: what was found before is to be found again.
    """
    loaded = forms.load(
        DraftIn(), {"draft": draft}, fields={f"/draft{pointer}": name for pointer, name in fields.items()}
    )
    if loaded.errors:
        return Saved(None, {name: refusals.in_words(text) for name, text in loaded.errors.items()})
    try:
        row = drafts.save(
            context.session,
            actor=context.actor,
            campaign_id=found.campaign.campaign_id,
            no=found.revision.no,
            version=forms.version(),
            draft=loaded.body["draft"],
            now=context.now,
        )
    except (Stale, Conflict) as error:
        context.session.rollback()
        return Saved(None, {}, _conflict(context, found.id, error))
    return Saved(row, {})


def locked(found: Found) -> Response | None:
    """Return the way to the page that says why a draft cannot be edited now; None when it can."""
    if found.revision.state in view.EDITABLE:
        return None
    text = gettext("Revision %(no)s is locked now.", no=found.revision.no)
    return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind="info")


def _conflict(context: Context, campaign_id: str, error: Stale | Conflict) -> str:
    """Say who was quicker, and what can be done about it."""
    if isinstance(error, Conflict):
        return error.detail
    last = next(
        (e for e in entries_about(context.session, campaign_id, limit=5) if e.action == "revision.edited"), None
    )
    who = accounts(context.session, [last.actor_id]) if last is not None and last.actor_id else {}
    name = next((row.name for row in who.values()), gettext("Somebody"))
    return str(
        gettext(
            "%(name)s saved this while you were writing. What you typed stands below. Save again to put yours in its "
            "place, or open theirs first.",
            name=name,
        )
    )

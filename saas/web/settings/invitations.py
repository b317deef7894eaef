"""Invite several people at once; send an invitation anew, withdraw it."""

import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from flask import Response, request
from flask_babel import gettext, ngettext

from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action, Role
from saas.tenants.queries import known_people, members
from saas.tenants.schemas.people import InvitationArguments
from saas.tenants.service import invitations
from saas.tenants.types import Invited, Outcome, Reply
from saas.web import forms
from saas.web.refusals import load
from saas.web.settings import places
from saas.web.shell import go, page

_BETWEEN: Final = re.compile(r"[\n,;]+")
_NAMED: Final = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]+)>")
_FIELDS: Final = {
    "/invitations": "emails",
    **{f"/invitations/{no}/role": "role" for no in range(50)},
    **{f"/invitations/{no}/project_id": "project_id" for no in range(50)},
}


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def new(context: Context) -> Response:
    """Show the form."""
    return _form(context, {"emails": "", "role": Role.VIEWER.value, "project_id": ""}, {})


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def invite(context: Context) -> Response:
    """Invite them; each line has its own outcome, and those that did not work stay in the form."""
    values = forms.typed("emails", "role", "project_id")
    place = {"role": values["role"], "project_id": values["project_id"] or None}
    picked = [{"account_id": account_id} for account_id in dict.fromkeys(request.form.getlist("pick"))]
    people = [{**person, **place} for person in (*people_of(values["emails"]), *picked)]
    if not people:
        return _form(context, values, {"emails": gettext("Enter an address, or pick somebody.")})
    loaded = load(InvitationArguments(), {"invitations": people}, fields=_FIELDS)
    if loaded.errors:
        return _form(context, values, loaded.errors)
    replies = invitations.invite(
        context.session,
        actor=context.actor,
        people=[Invited(**{**line, "role": Role(line["role"])}) for line in loaded.body["invitations"]],
        hours=context.settings.invitation_hours,
        now=context.now,
    )
    wrong = [reply for reply in replies if reply.outcome is Outcome.INVALID]
    if wrong:
        left = "\n".join(reply.email for reply in wrong)
        return _form(context, {**values, "emails": left}, {}, replies=replies)
    return _told(replies)


def _told(replies: Sequence[Reply]) -> Response:
    known = [reply.email for reply in replies if reply.outcome is Outcome.ALREADY_MEMBER]
    number = len(replies) - len(known)
    text = ngettext("%(num)s invitation is on its way.", "%(num)s invitations are on their way.", number)
    if known:
        text += " " + gettext("Members already: %(emails)s.", emails=", ".join(known))
    return go("web_settings.members", text=text, kind="success" if number else "warning")


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def resend(context: Context, invitation_id: str) -> Response:
    """Send an invitation anew; its old link ends now."""
    try:
        row = invitations.resend(
            context.session,
            actor=context.actor,
            invitation_id=_id(invitation_id),
            hours=context.settings.invitation_hours,
            now=context.now,
        )
    except Conflict as error:
        return go("web_settings.members", text=error.detail, kind="warning")
    text = gettext("A new invitation to %(email)s is on its way; the old link has ended.", email=row.email)
    return go("web_settings.members", text=text)


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def revoke(context: Context, invitation_id: str) -> Response:
    """Withdraw an invitation."""
    try:
        invitations.revoke(context.session, actor=context.actor, invitation_id=_id(invitation_id), now=context.now)
    except Conflict as error:
        return go("web_settings.members", text=error.detail, kind="warning")
    return go("web_settings.members", text=gettext("The invitation is withdrawn; its link has ended."))


def _id(text: str) -> UUID:
    return path_id("inv", text, what="invitation")


def people_of(text: str) -> list[dict[str, str]]:
    """Read addresses or known names, bare or as “Name <address>”, one a line or between commas; each once."""
    found: dict[str, dict[str, str]] = {}
    for part in _BETWEEN.split(text.replace("\r", "")):
        named = _NAMED.fullmatch(part.strip())
        email = (named["email"] if named else part).strip()
        name = named["name"].strip().strip("\"'") if named else ""
        if email:
            found.setdefault(email.casefold(), {"email": email, "name": name})
    return list(found.values())


def _form(
    context: Context, values: dict[str, Any], errors: dict[str, str], *, replies: Sequence[Reply] = ()
) -> Response:
    picked = request.form.getlist("pick") if errors else []
    known = known_people(context.session, context.actor)
    here = {row.account_id for row in members(context.session, only=None, page=PageRequest(MAX_LIMIT)).rows}
    return page(
        "settings/invite.html",
        context,
        status=422 if errors else 200,
        values=values,
        errors=errors,
        roles=places.grantable(context),
        places=places.options(context, Action.MEMBER_WRITE),
        days=context.settings.invitation_hours // 24,
        replies=replies,
        people=[(show("acc", row.account_id), row.name, row.email) for row in known if row.account_id not in here],
        picked=picked,
    )

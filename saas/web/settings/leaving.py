"""Remove a member, and decide what becomes of the API keys that they made (R14)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, request
from flask_babel import gettext

from saas.accounts.queries import live_keys_of
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.tenants.service import members as service
from saas.tenants.types import DecidedKey, KeyChoice, KeysUndecided, Member
from saas.web.refusals import beside
from saas.web.settings import members
from saas.web.shell import go, page


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def remove(context: Context, account_id: str) -> Response:
    """Take a role away; without a project, all roles in the workspace. Their keys are decided on first."""
    member = members.found(context, account_id, members.place(request.form.get("project_id")))
    choices = _choices(context, member)
    try:
        decided = service.remove_member(
            context.session,
            actor=context.actor,
            account_id=member.account_id,
            project_id=member.project_id,
            decisions=choices,
            now=context.now,
        )
    except KeysUndecided:
        context.session.rollback()
        return _ask(context, member, choices)
    except DomainError as error:
        context.session.rollback()
        return members.show_detail(context, member, {}, beside(error))
    return _told(context, member, decided)


def _choices(context: Context, member: Member) -> dict[UUID, KeyChoice]:
    rows = live_keys_of(context.session, member.account_id, context.now, project_id=member.project_id)
    typed = {row.key_id: request.form.get(f"key-{show('key', row.key_id)}", "") for row in rows}
    return {key_id: KeyChoice(word) for key_id, word in typed.items() if word in set(KeyChoice)}


def _ask(context: Context, member: Member, choices: dict[UUID, KeyChoice]) -> Response:
    rows = live_keys_of(context.session, member.account_id, context.now, project_id=member.project_id)
    return page(
        "settings/member_keys.html",
        context,
        status=422 if request.form.get("asked") else 200,
        member=member,
        account_id=show("acc", member.account_id),
        project_id=show("prj", member.project_id) if member.project_id else "",
        keys=[_shown(row, choices) for row in rows],
        missing=bool(request.form.get("asked")),
        options=[
            (KeyChoice.ROTATE.value, gettext("Put a new key in its place; this one works for another day")),
            (KeyChoice.KEEP.value, gettext("Let it go on as it is")),
            (KeyChoice.REVOKE.value, gettext("Revoke it now")),
        ],
    )


def _shown(row: Any, choices: dict[UUID, KeyChoice]) -> dict[str, Any]:
    chosen = choices.get(row.key_id)
    return {"id": show("key", row.key_id), "row": row, "choice": chosen.value if chosen else None}


def _told(context: Context, member: Member, decided: Sequence[DecidedKey]) -> Response:
    text = gettext("%(name)s is removed.", name=member.name)
    fresh = [key for key in decided if key.key is not None]
    if not fresh:
        return go("web_settings.members", text=text)
    return page("settings/member_left.html", context, member=member, keys=fresh)

"""Pages of members: who holds which role where, change it, take it away."""

from typing import Any
from uuid import UUID

from flask import Response, request, url_for
from flask_babel import gettext

from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, NotFound
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action, Role
from saas.tenants import queries
from saas.tenants.rules import state_of
from saas.tenants.schemas import PlaceArguments, RoleChange
from saas.tenants.service import members
from saas.tenants.types import Member
from saas.web import forms, pager
from saas.web.denied import unless_may, unless_may_somewhere
from saas.web.refusals import beside, load
from saas.web.settings import places
from saas.web.shell import go, page


@endpoint(Scope.TENANT, Action.MEMBER_READ)
def index(context: Context) -> Response:
    """Show who holds which role, and the invitations that are open."""
    only = context.actor.projects(Action.MEMBER_READ)
    found = queries.members(context.session, only=only, page=pager.wanted())
    where = places.names(context)
    return page(
        "settings/members.html",
        context,
        rows=[_row(context, member, where) for member in found.rows],
        paging=pager.around(found),
        invitations=_invitations(context, where, only),
        may_write=context.actor.may_somewhere(Action.MEMBER_WRITE),
        denied=unless_may_somewhere(context.actor, Action.MEMBER_WRITE),
    )


@endpoint(Scope.TENANT, Action.MEMBER_READ)
def detail(context: Context, account_id: str) -> Response:
    """Show a member's role at one place, with the forms that change it."""
    member = _member(context, account_id, _place(request.args.get("project_id")))
    return _detail(context, member, {}, {})


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def change(context: Context, account_id: str) -> Response:
    """Give a member another role, or a role at another place."""
    member = _member(context, account_id, _place(request.form.get("from_project_id")))
    values = forms.typed("role", "project_id")
    loaded = load(RoleChange(), {"role": values["role"], "project_id": values["project_id"] or None})
    errors = loaded.errors
    if not errors:
        try:
            _change(context, member, loaded.body)
        except DomainError as error:
            context.session.rollback()
            errors = beside(error, fields={"/project_id": "project_id", "/role": "role"})
            errors = {name or "role": text for name, text in errors.items()}
        else:
            return go("web_settings.members", text=gettext("%(name)s has the new role.", name=member.name))
    return _detail(context, member, values, errors)


def _change(context: Context, member: Member, body: dict[str, Any]) -> None:
    members.change_role(
        context.session,
        actor=context.actor,
        account_id=member.account_id,
        role=Role(body["role"]),
        project_id=body["project_id"],
        now=context.now,
    )


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def remove(context: Context, account_id: str) -> Response:
    """Take a role away; without a project, all roles in the workspace."""
    member = _member(context, account_id, _place(request.form.get("project_id")))
    try:
        keys = members.remove_member(
            context.session,
            actor=context.actor,
            account_id=member.account_id,
            project_id=member.project_id,
            now=context.now,
        )
    except DomainError as error:
        context.session.rollback()
        return _detail(context, member, {}, beside(error))
    if not keys:
        return go("web_settings.members", text=gettext("%(name)s is removed.", name=member.name))
    text = gettext(
        "%(name)s is removed. Keys that they made still work: %(keys)s. Revoke those that nobody needs.",
        name=member.name,
        keys=", ".join(f"{key.name} (…{key.last4})" for key in keys),
    )
    return go("web_settings.keys", text=text, kind="warning")


def _member(context: Context, account_id: str, project_id: UUID | None) -> Member:
    wanted = path_id("acc", account_id, what="member")
    found = queries.member(context.session, account_id=wanted, project_id=project_id)
    if found is None or not context.actor.may(Action.MEMBER_READ, project_id):
        raise NotFound.of("member")
    return found


def _place(text: str | None) -> UUID | None:
    if not text:
        return None
    loaded = load(PlaceArguments(), {"project_id": text})
    if loaded.errors:
        raise NotFound.of("member")
    found: UUID | None = loaded.body["project_id"]
    return found


def _row(context: Context, member: Member, where: dict[UUID | None, str]) -> dict[str, Any]:
    project = show("prj", member.project_id) if member.project_id else None
    may = context.actor.may(Action.MEMBER_WRITE, member.project_id)
    account = show("acc", member.account_id)
    return {
        "member": member,
        "where": where.get(member.project_id, ""),
        "me": member.account_id == context.actor.account_id,
        "href": url_for("web_settings.member", account_id=account, project_id=project) if may else None,
    }


def _invitations(context: Context, where: dict[UUID | None, str], only: frozenset[UUID] | None) -> list[dict[str, Any]]:
    found = queries.open_invitations(context.session, only=only, page=PageRequest(MAX_LIMIT))
    return [
        {
            "id": show("inv", row.invitation_id),
            "row": row,
            "where": where.get(row.project_id, ""),
            "state": state_of(
                sent_at=row.sent_at,
                expires_at=row.expires_at,
                accepted_at=row.accepted_at,
                revoked_at=row.revoked_at,
                now=context.now,
            ).value,
            "may_write": context.actor.may(Action.MEMBER_WRITE, row.project_id),
        }
        for row in found.rows
    ]


def _detail(context: Context, member: Member, values: dict[str, str], errors: dict[str, str]) -> Response:
    project = show("prj", member.project_id) if member.project_id else ""
    return page(
        "settings/member.html",
        context,
        status=422 if errors else 200,
        member=member,
        account_id=show("acc", member.account_id),
        project_id=project,
        where=places.names(context).get(member.project_id, ""),
        me=member.account_id == context.actor.account_id,
        values={"role": member.role, "project_id": project, **values},
        errors=errors,
        roles=places.grantable(context),
        places=places.options(context, Action.MEMBER_WRITE),
        may_write=context.actor.may(Action.MEMBER_WRITE, member.project_id),
        denied=unless_may(context.actor, Action.MEMBER_WRITE, member.project_id),
    )

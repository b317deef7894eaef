"""Pages of members: who holds which role where, change it, take it away."""

from typing import Any
from uuid import UUID

from flask import Response, request, url_for
from flask_babel import gettext

from saas.campaigns.service.eligible import resting_on
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, NotFound
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action, Role
from saas.tenants import queries
from saas.tenants.rules import state_of
from saas.tenants.schemas.people import PlaceArguments, RoleChange
from saas.tenants.service import members
from saas.tenants.types import AccessState, Member
from saas.web import forms, pager
from saas.web.denied import unless_may, unless_may_somewhere
from saas.web.refusals import beside, load
from saas.web.settings import places
from saas.web.shell import go, page


@endpoint(Scope.TENANT, Action.MEMBER_READ)
def index(context: Context) -> Response:
    """Show who holds which role, and the invitations that are open."""
    only = context.actor.projects(Action.MEMBER_READ)
    listed = queries.members(context.session, only=only, page=pager.wanted())
    where = places.names(context)
    return page(
        "settings/members.html",
        context,
        rows=[_row(context, member, where) for member in listed.rows],
        paging=pager.around(listed),
        invitations=_invitations(context, where, only),
        asked=_asked(context),
        may_write=context.actor.may_somewhere(Action.MEMBER_WRITE),
        denied=unless_may_somewhere(context.actor, Action.MEMBER_WRITE),
    )


@endpoint(Scope.TENANT, Action.MEMBER_READ)
def detail(context: Context, account_id: str) -> Response:
    """Show a member's role at one place, with the forms that change it."""
    member = found(context, account_id, place(request.args.get("project_id")))
    return show_detail(context, member, {}, {})


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def change(context: Context, account_id: str) -> Response:
    """Give a member another role, or a role at another place."""
    member = found(context, account_id, place(request.form.get("from_project_id")))
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
    return show_detail(context, member, values, errors)


def _change(context: Context, member: Member, body: dict[str, Any]) -> None:
    members.change_role(
        context.session,
        actor=context.actor,
        account_id=member.account_id,
        role=Role(body["role"]),
        project_id=body["project_id"],
        now=context.now,
    )


def found(context: Context, account_id: str, project_id: UUID | None) -> Member:
    """Return a member's role at one place, of those that the person may see. Raises NotFound."""
    wanted = path_id("acc", account_id, what="member")
    member = queries.member(context.session, account_id=wanted, project_id=project_id)
    if member is None or not context.actor.may(Action.MEMBER_READ, project_id):
        raise NotFound.of("member")
    return member


def place(text: str | None) -> UUID | None:
    """Return the project that a form or a query names, None for the whole workspace. Raises NotFound."""
    if not text:
        return None
    loaded = load(PlaceArguments(), {"project_id": text})
    if loaded.errors:
        raise NotFound.of("member")
    project_id: UUID | None = loaded.body["project_id"]
    return project_id


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


def _asked(context: Context) -> int:
    """Return how many requests for access wait for an answer that this person can give."""
    if not context.actor.may_somewhere(Action.MEMBER_WRITE):
        return 0
    only = context.actor.projects(Action.MEMBER_WRITE)
    rows = queries.access_requests(context.session, only=only, page=PageRequest(MAX_LIMIT)).rows
    return sum(row.state == AccessState.OPEN for row in rows)


def _invitations(context: Context, where: dict[UUID | None, str], only: frozenset[UUID] | None) -> list[dict[str, Any]]:
    invited = queries.open_invitations(context.session, only=only, page=PageRequest(MAX_LIMIT))
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
        for row in invited.rows
    ]


def show_detail(context: Context, member: Member, values: dict[str, str], errors: dict[str, str]) -> Response:
    """Return the page of a member's role, with the forms that change it."""
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
        resting=[
            (row.name, url_for("web_campaigns.show_campaign", campaign_id=show("cam", row.campaign_id)))
            for row in resting_on(context.session, member.account_id)
            if context.actor.may(Action.CAMPAIGN_READ, row.project_id)
        ],
    )

"""Ask for access, and answer those who asked (A10)."""

from typing import cast
from uuid import UUID

import flask
from flask import Response, redirect, request, url_for
from flask_babel import gettext

from saas.accounts.queries import accounts
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.permissions.types import Action, Role
from saas.tenants import queries
from saas.tenants.models import AccessRequest
from saas.tenants.schemas.people import AskArguments, DeclineArguments, GrantArguments
from saas.tenants.service import access
from saas.tenants.types import AccessState
from saas.web import forms, pager, words
from saas.web.refusals import load
from saas.web.settings import places
from saas.web.shell import go, local_path, page


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def index(context: Context) -> Response:
    """Show who asked for what; open requests can be answered with one click."""
    only = context.actor.projects(Action.MEMBER_WRITE)
    found = queries.access_requests(context.session, only=only, page=pager.wanted())
    people = accounts(context.session, [row.account_id for row in found.rows])
    where = places.names(context)
    rows = [
        {
            "id": show("arq", row.request_id),
            "row": row,
            "name": people[row.account_id].name,
            "email": people[row.account_id].email,
            "where": where.get(row.project_id, ""),
            "right": words.right_word(Action(row.action)) if row.action else "",
            "held": _held(context, row),
            "may_write": row.state == AccessState.OPEN and context.actor.may(Action.MEMBER_WRITE, row.project_id),
        }
        for row in found.rows
    ]
    return page("settings/access.html", context, rows=rows, paging=pager.around(found), roles=places.grantable(context))


@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def ask(context: Context) -> Response:
    """Ask for a role, from the page that said no."""
    typed = forms.typed("role", "project_id", "action", "note")
    body = {name: typed[name] or None for name in ("project_id", "action")}
    loaded = load(AskArguments(), {**body, "role": typed["role"], "note": typed["note"]})
    back = local_path(request.form.get("back"), url_for("web_home.show"))
    if loaded.errors:
        return _back(back, " ".join(loaded.errors.values()), "error")
    try:
        row = access.ask(context.session, actor=context.actor, now=context.now, **loaded.body)
    except DomainError as error:
        context.session.rollback()
        return _back(back, error.detail, "warning")
    names = [giver.name for giver in queries.givers(context.session, row.project_id)][:5]
    text = gettext("Asked for. %(names)s can give it; you are told what they answer.", names=words.listed(names))
    return _back(url_for("web_home.show"), text, "success")


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def grant(context: Context, request_id: str) -> Response:
    """Give what was asked for, or the role that was chosen instead."""
    loaded = load(GrantArguments(), {"role": request.form.get("role") or None})
    if loaded.errors:
        return go("web_settings.access", text=" ".join(loaded.errors.values()), kind="error")
    role: Role | None = loaded.body["role"]
    try:
        row = access.grant(context.session, actor=context.actor, request_id=_id(request_id), role=role, now=context.now)
    except DomainError as error:
        context.session.rollback()
        return _said(error)
    name = accounts(context.session, [row.account_id])[row.account_id].name
    given = words.role_word(row.granted_role or row.role)
    return go("web_settings.access", text=gettext("%(name)s has the role %(role)s now.", name=name, role=given))


@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
def decline(context: Context, request_id: str) -> Response:
    """Say no, with a word why."""
    loaded = load(DeclineArguments(), forms.typed("answer"))
    if loaded.errors:
        return go("web_settings.access", text=" ".join(loaded.errors.values()), kind="error")
    try:
        access.decline(
            context.session,
            actor=context.actor,
            request_id=_id(request_id),
            answer=loaded.body["answer"],
            now=context.now,
        )
    except DomainError as error:
        context.session.rollback()
        return _said(error)
    return go("web_settings.access", text=gettext("Declined; they are told."))


def _said(error: DomainError) -> Response:
    if error.code in {"already_answered", "last_admin"}:
        return go("web_settings.access", text=error.detail, kind="warning")
    raise error


def _back(path: str, text: str, kind: str) -> Response:
    flask.flash(text, kind)
    return cast("Response", redirect(path, code=303))


def _id(text: str) -> UUID:
    return path_id("arq", text, what="request for access")


def _held(context: Context, row: AccessRequest) -> str:
    """Return the role that giving this one would replace."""
    found = queries.member(context.session, account_id=row.account_id, project_id=row.project_id)
    return words.role_word(found.role) if found is not None else ""

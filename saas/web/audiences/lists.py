"""Pages of lists: all of them, one with its people, make, change, delete."""

from typing import Any
from uuid import UUID

from flask import Response, request, url_for
from flask_babel import gettext

from saas.audiences.models import ContactList
from saas.audiences.queries import contacts, imports, lists
from saas.audiences.rules.addresses import read_address
from saas.audiences.schemas import ListArguments, ListChanges
from saas.audiences.service import lists as service
from saas.audiences.types import ContactView, Unfit
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.kernel.paging import PageRequest
from saas.permissions.types import Action
from saas.web import forms, pager
from saas.web.audiences import choices
from saas.web.denied import unless_may, unless_may_somewhere
from saas.web.refusals import beside, load
from saas.web.shell import go, page

_SHOWN_IMPORTS = 5


@endpoint(Scope.TENANT, Action.LIST_READ)
def index(context: Context) -> Response:
    """Show the lists of the person's projects."""
    found = lists.lists(context.session, actor=context.actor, page=pager.wanted())
    projects = choices.project_names(context)
    rows = [
        {
            "name": view.row.name,
            "description": view.row.description,
            "project": projects.get(view.row.project_id, ""),
            "people": view.member_count,
            "updated_at": view.row.updated_at,
            "href": url_for("web_audiences.list_detail", list_id=show("lst", view.row.list_id)),
        }
        for view in found.rows
    ]
    return page(
        "audiences/lists.html",
        context,
        rows=rows,
        paging=pager.around(found),
        may_write=context.actor.may_somewhere(Action.LIST_WRITE),
        denied=unless_may_somewhere(context.actor, Action.LIST_WRITE),
    )


@endpoint(Scope.TENANT, Action.LIST_WRITE)
def new(context: Context) -> Response:
    """Show the form for a new list."""
    return _new(context, {"project_id": request.args.get("project_id", "")}, {})


@endpoint(Scope.TENANT, Action.LIST_WRITE)
def create(context: Context) -> Response:
    """Make a list."""
    values = forms.typed("name", "project_id", "description")
    loaded = load(ListArguments(), values)
    if loaded.errors:
        return _new(context, values, loaded.errors)
    try:
        row = service.create_list(context.session, actor=context.actor, now=context.now, **loaded.body)
    except DomainError as error:
        context.session.rollback()
        return _new(context, values, beside(error))
    text = gettext("The list “%(name)s” is made. Import people into it.", name=row.name)
    return go("web_audiences.list_detail", list_id=show("lst", row.list_id), text=text)


def _new(context: Context, values: dict[str, str], errors: dict[str, str]) -> Response:
    return page(
        "audiences/list_new.html",
        context,
        status=422 if errors else 200,
        values=values,
        errors=errors,
        projects=choices.projects(context, Action.LIST_WRITE),
    )


@endpoint(Scope.TENANT, Action.LIST_READ)
def detail(context: Context, list_id: str) -> Response:
    """Show a list with its people; found by their whole address."""
    row = lists.list_in(context.session, path_id("lst", list_id, what="list"), actor=context.actor)
    return _detail(context, row, _values(row), {})


@endpoint(Scope.TENANT, Action.LIST_WRITE)
def change(context: Context, list_id: str) -> Response:
    """Change a list's name or description."""
    wanted = path_id("lst", list_id, what="list")
    values = forms.typed("name", "description")
    loaded = load(ListChanges(), values)
    errors = loaded.errors
    if not errors:
        try:
            service.change_list(
                context.session,
                actor=context.actor,
                list_id=wanted,
                seen_version=forms.version(),
                changes=loaded.body,
                now=context.now,
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            return go("web_audiences.list_detail", list_id=list_id, text=gettext("Saved."))
    row = lists.list_in(context.session, wanted, actor=context.actor)
    return _detail(context, row, {**values, "version": request.form.get("version", "")}, errors)


@endpoint(Scope.TENANT, Action.LIST_WRITE)
def delete(context: Context, list_id: str) -> Response:
    """Delete a list; its people stay in the workspace."""
    wanted = path_id("lst", list_id, what="list")
    row = lists.list_in(context.session, wanted, actor=context.actor)
    name = row.name
    try:
        service.delete_list(
            context.session, actor=context.actor, list_id=wanted, seen_version=forms.version(), now=context.now
        )
    except DomainError as error:
        context.session.rollback()
        row = lists.list_in(context.session, wanted, actor=context.actor)
        return _detail(context, row, _values(row), beside(error))
    return go("web_audiences.lists", text=gettext("The list “%(name)s” is deleted.", name=name))


def _values(row: ContactList) -> dict[str, Any]:
    return {"name": row.name, "description": row.description, "version": row.version}


def _detail(context: Context, row: ContactList, values: dict[str, Any], errors: dict[str, str]) -> Response:
    actor, session = context.actor, context.session
    sees = actor.may(Action.CONTACT_READ, row.project_id)
    people, searched = lists.view(session, row).member_count, request.args.get("email", "").strip()
    found = (
        contacts.contacts(session, actor=actor, page=pager.wanted(), list_id=row.list_id, email_key=_key(searched))
        if sees
        else None
    )
    return page(
        "audiences/list.html",
        context,
        status=422 if errors else 200,
        list={"id": show("lst", row.list_id), "name": row.name, "description": row.description, "version": row.version},
        project=choices.project_names(context).get(row.project_id, ""),
        people=people,
        rows=[_person(view) for view in found.rows] if found else [],
        paging=pager.around(found, email=searched) if found else None,
        searched=searched,
        imports=_imports(context, row.list_id),
        values=values,
        errors=errors,
        may_see_people=sees,
        may_write=actor.may(Action.LIST_WRITE, row.project_id),
        people_denied=unless_may(actor, Action.CONTACT_READ, row.project_id),
        denied=unless_may(actor, Action.LIST_WRITE, row.project_id),
    )


def _key(text: str) -> str | None:
    if not text:
        return None
    try:
        return read_address(text).key
    except Unfit:
        return text.casefold()


def _person(view: ContactView) -> dict[str, Any]:
    names = (view.attributes.get(key) for key in ("first_name", "last_name"))
    return {
        "email": view.email or gettext("(no address)"),
        "name": " ".join(str(name) for name in names if name),
        "consents": sorted(view.consents.items()),
        "created_at": view.created_at,
        "href": url_for("web_audiences.contact", contact_id=show("ctc", view.contact_id)),
    }


def _imports(context: Context, list_id: UUID) -> list[dict[str, Any]]:
    found = imports.imports(context.session, actor=context.actor, page=PageRequest(_SHOWN_IMPORTS), list_id=list_id)
    return [
        {
            "file_name": row.file_name or gettext("File without a name"),
            "state": row.state,
            "created_at": row.created_at,
            "href": url_for("web_audiences.import_detail", import_id=show("imp", row.import_id)),
        }
        for row in found.rows
    ]

"""Attributes, lists and contacts by API."""

from functools import partial
from typing import Any, Final
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema

from saas.audiences.queries import contacts as contact_queries
from saas.audiences.queries import lists as list_queries
from saas.audiences.queries.attributes import known_attributes
from saas.audiences.queries.lists import ListView
from saas.audiences.rules.addresses import read_address
from saas.audiences.schemas import (
    AttributeArguments,
    AttributeOut,
    BatchArguments,
    BatchOut,
    ContactOut,
    ContactQuery,
    InProject,
    ListArguments,
    ListChanges,
    ListOut,
    OneContactOut,
)
from saas.audiences.service import attributes, contacts, lists
from saas.audiences.types import Unfit
from saas.http.etags import expected_version, tagged
from saas.http.fields import path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.kernel.paging import Page
from saas.permissions.types import Action

blp = Blueprint("audiences", __name__, description="Attributes, lists, contacts, imports and audiences")
_COLUMNS: Final = tuple(name for name in ListOut().fields if name != "member_count")
_CONTACTS: Final = paged(ContactOut)

_list = partial(path_id, "lst", what="list")
_contact = partial(path_id, "ctc", what="contact")


@blp.route("/attributes", methods=["GET"])
@endpoint(Scope.TENANT, Action.LIST_READ)
@blp.response(200, paged(AttributeOut))
def list_attributes(context: Context) -> Response:
    """List all attributes: the built-in ones first."""
    return page_response(Page(list(known_attributes(context.session).values())), AttributeOut())


@blp.route("/attributes", methods=["POST"])
@endpoint(Scope.TENANT, Action.CONTACT_WRITE)
@blp.arguments(AttributeArguments)
@blp.response(201, AttributeOut)
def register_attribute(context: Context, body: dict[str, Any]) -> Any:
    """Register an attribute of contacts, for the whole workspace."""
    return attributes.register(context.session, actor=context.actor, now=context.now, **body)


@blp.route("/lists", methods=["POST"])
@endpoint(Scope.TENANT, Action.LIST_WRITE)
@blp.arguments(ListArguments)
@blp.response(201, ListOut)
def create_list(context: Context, body: dict[str, Any]) -> Response:
    """Make a list in a project."""
    row = lists.create_list(context.session, actor=context.actor, now=context.now, **body)
    return _show_list(ListView(row, 0), status=201)


@blp.route("/lists", methods=["GET"])
@endpoint(Scope.TENANT, Action.LIST_READ)
@blp.arguments(InProject, location="query")
@blp.response(200, paged(ListOut))
def list_lists(context: Context, args: dict[str, Any]) -> Response:
    """List the lists of your projects, newest first."""
    page = list_queries.lists(
        context.session, actor=context.actor, page=page_request(args), project_id=args["project_id"]
    )
    return page_response(page.map(_list_words), ListOut())


@blp.route("/lists/<list_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.LIST_READ)
@blp.response(200, ListOut)
def get_list(context: Context, list_id: str) -> Response:
    """Show a list and how many people are on it."""
    row = list_queries.list_in(context.session, _list(list_id), actor=context.actor)
    return _show_list(list_queries.view(context.session, row))


@blp.route("/lists/<list_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.LIST_WRITE)
@blp.arguments(ListChanges)
@blp.response(200, ListOut)
def change_list(context: Context, body: dict[str, Any], list_id: str) -> Response:
    """Change a list's name or description. If-Match is required."""
    row = lists.change_list(
        context.session,
        actor=context.actor,
        list_id=_list(list_id),
        seen_version=expected_version(),
        changes=body,
        now=context.now,
    )
    return _show_list(list_queries.view(context.session, row))


@blp.route("/lists/<list_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.LIST_WRITE)
@blp.response(204)
def delete_list(context: Context, list_id: str) -> None:
    """Delete a list that no audience uses. The people stay. If-Match is required."""
    lists.delete_list(
        context.session,
        actor=context.actor,
        list_id=_list(list_id),
        seen_version=expected_version(),
        now=context.now,
    )


@blp.route("/lists/<list_id>/contacts", methods=["GET"])
@endpoint(Scope.TENANT, Action.CONTACT_READ)
@blp.arguments(PageArguments, location="query")
@blp.response(200, _CONTACTS)
def list_members(context: Context, args: dict[str, Any], list_id: str) -> Response:
    """List the people of a list."""
    return _contacts(context, args, list_id=_list(list_id))


@blp.route("/contacts:batch", methods=["POST"])
@endpoint(Scope.TENANT, Action.CONTACT_WRITE)
@blp.arguments(BatchArguments)
@blp.response(200, BatchOut)
def save_contacts(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Create or update up to 1,000 contacts, each by its address; of one address the last one wins.

    Attributes that are not named stay, null empties one. An unsubscribe is never lifted.
    """
    results = contacts.save_batch(
        context.session,
        actor=context.actor,
        contacts=body["contacts"],
        list_ids=body["list_ids"],
        address_hash=context.vault.address_hash,
        now=context.now,
    )
    return {"results": results}


@blp.route("/contacts", methods=["GET"])
@endpoint(Scope.TENANT, Action.CONTACT_READ)
@blp.arguments(ContactQuery, location="query")
@blp.response(200, _CONTACTS)
def list_contacts(context: Context, args: dict[str, Any]) -> Response:
    """List contacts in the order in which they came, or find the one with an address."""
    return _contacts(context, args, list_id=args["list_id"], email=args["email"])


@blp.route("/contacts/<contact_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.CONTACT_READ)
@blp.response(200, OneContactOut)
def get_contact(context: Context, contact_id: str) -> Response:
    """Show a contact with its consents and lists."""
    found = contact_queries.contact_in(context.session, _contact(contact_id), actor=context.actor)
    return tagged(_dump(OneContactOut(), found), found.version)


def _contacts(context: Context, args: dict[str, Any], *, list_id: UUID | None, email: str | None = None) -> Response:
    if list_id is not None:
        list_queries.list_in(context.session, list_id, actor=context.actor)
    page = contact_queries.contacts(
        context.session, actor=context.actor, page=page_request(args), list_id=list_id, email_key=_key(email)
    )
    return page_response(page, ContactOut())


def _key(email: str | None) -> str | None:
    if email is None:
        return None
    try:
        return read_address(email).key
    except Unfit as error:
        raise Invalid.at("/email", str(error)) from None


def _list_words(view: ListView) -> dict[str, Any]:
    return {**{word: getattr(view.row, word) for word in _COLUMNS}, "member_count": view.member_count}


def _show_list(view: ListView, *, status: int = 200) -> Response:
    location = f"/api/v1/lists/{show('lst', view.row.list_id)}" if status == 201 else None
    return tagged(_dump(ListOut(), _list_words(view)), view.row.version, status=status, location=location)


def _dump(schema: Schema, row: object) -> dict[str, Any]:
    found: dict[str, Any] = schema.dump(row)
    return found

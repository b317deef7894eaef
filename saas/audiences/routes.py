"""Attributes, lists, contacts, imports and audiences by API."""

import io
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, Final
from uuid import UUID

from flask import Response, json, request
from flask_smorest import Blueprint
from marshmallow import Schema

from saas.audiences.models import Audience, Import
from saas.audiences.queries import audiences as audience_queries
from saas.audiences.queries import contacts as contact_queries
from saas.audiences.queries import imports as import_queries
from saas.audiences.queries import lists as list_queries
from saas.audiences.queries.attributes import known_attributes
from saas.audiences.queries.lists import ListView
from saas.audiences.rules.addresses import read_address
from saas.audiences.schemas import (
    AttributeArguments,
    AttributeOut,
    AudienceArguments,
    AudienceChanges,
    AudienceOut,
    AudienceQuery,
    BatchArguments,
    BatchOut,
    ContactOut,
    ContactQuery,
    CountArguments,
    CountOut,
    ImportOut,
    ImportQuery,
    InList,
    InProject,
    ListArguments,
    ListChanges,
    ListOut,
    OneContactOut,
)
from saas.audiences.service import attributes, audiences, contacts, imports, lists
from saas.audiences.types import Unfit
from saas.http.etags import expected_version, tagged
from saas.http.fields import path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.kernel.paging import Page
from saas.permissions.types import Action

blp = Blueprint("audiences", __name__, description="Attributes, lists, contacts, imports and audiences")
_UPLOAD: Final = "audiences.start_import"
_CONTACTS: Final = paged(ContactOut)
_ROUND_THE_FILE: Final = 1024 * 1024
_BLOCK: Final = 64 * 1024

_list = partial(path_id, "lst", what="list")
_contact = partial(path_id, "ctc", what="contact")
_import = partial(path_id, "imp", what="import")
_audience = partial(path_id, "aud", what="audience")


@blp.before_request
def lift_the_limit() -> None:
    """Let a file in: before anything looks at the body, because the limit is fixed by the first look."""
    if request.endpoint == _UPLOAD:
        request.max_content_length = shell().settings.import_max_bytes + _ROUND_THE_FILE


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


@blp.route("/imports", methods=["POST"])
@endpoint(Scope.TENANT, Action.CONTACT_WRITE)
@blp.arguments(ImportQuery, location="query")
@blp.response(202, ImportOut)
def start_import(context: Context, args: dict[str, Any]) -> Response:
    """Upload a CSV file, as the body (text/csv) or as the field `file` of a form, and have it read into a list."""
    stream, name = _uploaded()
    row = imports.start_import(
        context.session,
        actor=context.actor,
        list_id=args["list_id"],
        upload=imports.Upload(
            blocks=_blocks(stream),
            file_name=args["file_name"] or name,
            mapping=_mapping(args["mapping"]),
            encoding=args["encoding"],
            delimiter={"\\t": "\t", "tab": "\t"}.get(args["delimiter"], args["delimiter"]),
        ),
        max_bytes=context.settings.import_max_bytes,
        now=context.now,
    )
    return _show_import(row, status=202)


@blp.route("/imports", methods=["GET"])
@endpoint(Scope.TENANT, Action.LIST_READ)
@blp.arguments(InList, location="query")
@blp.response(200, paged(ImportOut))
def list_imports(context: Context, args: dict[str, Any]) -> Response:
    """List imports, newest first."""
    page = import_queries.imports(
        context.session, actor=context.actor, page=page_request(args), list_id=args["list_id"]
    )
    return page_response(page.map(_import_words), ImportOut())


@blp.route("/imports/<import_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.LIST_READ)
@blp.response(200, ImportOut)
def get_import(context: Context, import_id: str) -> Response:
    """Show how far an import is and what it found."""
    return _show_import(import_queries.import_in(context.session, _import(import_id), actor=context.actor))


@blp.route("/imports/<import_id>/errors", methods=["GET"])
@endpoint(Scope.TENANT, Action.CONTACT_READ)
@blp.response(200, {"type": "string", "format": "binary"}, content_type="text/csv")
def download_errors(context: Context, import_id: str) -> Response:
    """Download what could not be used, and why: row, column, value, message, level."""
    found = _import(import_id)
    content = imports.error_file(context.session, actor=context.actor, import_id=found)
    name = f"errors-{show('imp', found)}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, content_type="text/csv; charset=utf-8", headers=headers)


@blp.route("/imports/<import_id>/cancel", methods=["POST"])
@endpoint(Scope.TENANT, Action.CONTACT_WRITE)
@blp.response(200, ImportOut)
def cancel_import(context: Context, import_id: str) -> Response:
    """Stop an import. What is saved already stays."""
    row = imports.cancel_import(context.session, actor=context.actor, import_id=_import(import_id), now=context.now)
    return _show_import(row)


@blp.route("/audiences", methods=["POST"])
@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
@blp.arguments(AudienceArguments)
@blp.response(201, AudienceOut)
def create_audience(context: Context, body: dict[str, Any]) -> Response:
    """Save a rule over a list of the same project."""
    row = audiences.create_audience(context.session, actor=context.actor, now=context.now, **body)
    return _show_audience(row, status=201)


@blp.route("/audiences", methods=["GET"])
@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
@blp.arguments(AudienceQuery, location="query")
@blp.response(200, paged(AudienceOut))
def list_audiences(context: Context, args: dict[str, Any]) -> Response:
    """List audiences, newest first. Private ones are shown to their creator and to administrators only."""
    page = audience_queries.audiences(
        context.session,
        actor=context.actor,
        page=page_request(args),
        project_id=args["project_id"],
        list_id=args["list_id"],
    )
    return page_response(page, AudienceOut())


@blp.route("/audiences/<audience_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
@blp.response(200, AudienceOut)
def get_audience(context: Context, audience_id: str) -> Response:
    """Show an audience."""
    return _show_audience(audience_queries.audience_in(context.session, _audience(audience_id), actor=context.actor))


@blp.route("/audiences/<audience_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
@blp.arguments(AudienceChanges)
@blp.response(200, AudienceOut)
def change_audience(context: Context, body: dict[str, Any], audience_id: str) -> Response:
    """Change an audience's name, list, visibility or rule. If-Match is required."""
    row = audiences.change_audience(
        context.session,
        actor=context.actor,
        audience_id=_audience(audience_id),
        seen_version=expected_version(),
        changes=body,
        now=context.now,
    )
    return _show_audience(row)


@blp.route("/audiences/<audience_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
@blp.response(204)
def delete_audience(context: Context, audience_id: str) -> None:
    """Delete an audience. If-Match is required."""
    audiences.delete_audience(
        context.session,
        actor=context.actor,
        audience_id=_audience(audience_id),
        seen_version=expected_version(),
        now=context.now,
    )


@blp.route("/audiences/<audience_id>/count", methods=["POST"])
@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
@blp.response(200, CountOut)
def count_audience(context: Context, audience_id: str) -> Any:
    """Count an audience's people now."""
    return audiences.count_audience(
        context.session, actor=context.actor, audience_id=_audience(audience_id), now=context.now
    )


@blp.route("/audiences:count", methods=["POST"])
@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
@blp.arguments(CountArguments)
@blp.response(200, CountOut)
def count_rule(context: Context, body: dict[str, Any]) -> Any:
    """Count whom a rule would find, without saving it."""
    return audiences.count_rule(context.session, actor=context.actor, now=context.now, **body)


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


def _uploaded() -> tuple[IO[bytes], str]:
    if request.mimetype == "multipart/form-data":
        file = request.files.get("file")
        if file is None:
            raise Invalid.at("/file", "Send the file in the form's field “file”.")
        return file.stream, _plain(file.filename or "")
    if "Idempotency-Key" in request.headers:
        # The body was read already, to compare it with an earlier one of the same key.
        return io.BytesIO(request.get_data()), ""
    return request.stream, ""


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _plain(name: str) -> str:
    return "".join(char for char in name if char.isprintable())[:200]


def _mapping(text: str | None) -> object:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        raise Invalid.at("/mapping", "The mapping is not JSON.") from None


def _dump(schema: Schema, row: object) -> dict[str, Any]:
    found: dict[str, Any] = schema.dump(row)
    return found


def _list_words(view: ListView) -> dict[str, Any]:
    return {**_columns(view.row), "member_count": view.member_count}


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}


def _show_list(view: ListView, *, status: int = 200) -> Response:
    location = f"/api/v1/lists/{show('lst', view.row.list_id)}" if status == 201 else None
    return tagged(_dump(ListOut(), _list_words(view)), view.row.version, status=status, location=location)


def _import_words(row: Import) -> dict[str, Any]:
    found = {word: row.mapping.get(word) for word in ("encoding", "delimiter")}
    columns = row.mapping.get("columns", [])
    return {**_columns(row), **found, "columns": columns, "has_errors": row.error_file_id is not None}


def _show_import(row: Import, *, status: int = 200) -> Response:
    response = Response(json.dumps(_dump(ImportOut(), _import_words(row))), status, mimetype="application/json")
    if status == 202:
        response.headers["Location"] = f"/api/v1/imports/{show('imp', row.import_id)}"
    return response


def _show_audience(row: Audience, *, status: int = 200) -> Response:
    location = f"/api/v1/audiences/{show('aud', row.audience_id)}" if status == 201 else None
    return tagged(_dump(AudienceOut(), row), row.version, status=status, location=location)

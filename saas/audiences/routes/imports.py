"""Imports by API."""

import io
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, Final

from flask import Response, json, request

from saas.audiences.models import Import
from saas.audiences.queries import imports as queries
from saas.audiences.routes import lists
from saas.audiences.schemas import ImportOut, ImportQuery, InList
from saas.audiences.service import imports
from saas.http.fields import path_id
from saas.http.paging import page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.permissions.types import Action

blp = lists.blp
_UPLOAD: Final = "audiences.start_import"
_ROUND_THE_FILE: Final = 1024 * 1024
_BLOCK: Final = 64 * 1024
_OUT: Final = ImportOut()
_FOUND_OUT: Final = ("encoding", "delimiter")
_COLUMNS: Final = tuple(name for name in _OUT.fields if name not in {*_FOUND_OUT, "columns", "has_errors"})

_import = partial(path_id, "imp", what="import")


@blp.before_request
def lift_the_limit() -> None:
    """Let a file in: before anything looks at the body, because the limit is fixed by the first look."""
    if request.endpoint == _UPLOAD:
        request.max_content_length = shell().settings.import_max_bytes + _ROUND_THE_FILE


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
    page = queries.imports(context.session, actor=context.actor, page=page_request(args), list_id=args["list_id"])
    return page_response(page.map(_import_words), _OUT)


@blp.route("/imports/<import_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.LIST_READ)
@blp.response(200, ImportOut)
def get_import(context: Context, import_id: str) -> Response:
    """Show how far an import is and what it found."""
    return _show_import(queries.import_in(context.session, _import(import_id), actor=context.actor))


@blp.route("/imports/<import_id>/errors", methods=["GET"])
@endpoint(Scope.TENANT, Action.CONTACT_READ)
@blp.response(200, {"type": "string", "format": "binary"}, content_type="text/csv")
def download_errors(context: Context, import_id: str) -> Response:
    """Download what could not be used, and why: row, column, value, message, level."""
    found = _import(import_id)
    content = imports.error_file(context.session, actor=context.actor, import_id=found, now=context.now)
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


def _import_words(row: Import) -> dict[str, Any]:
    found = {word: row.mapping.get(word) for word in _FOUND_OUT}
    columns = row.mapping.get("columns", [])
    return {
        **{word: getattr(row, word) for word in _COLUMNS},
        **found,
        "columns": columns,
        "has_errors": row.error_file_id is not None,
    }


def _show_import(row: Import, *, status: int = 200) -> Response:
    response = Response(json.dumps(_OUT.dump(_import_words(row))), status, mimetype="application/json")
    if status == 202:
        response.headers["Location"] = f"/api/v1/imports/{show('imp', row.import_id)}"
    return response

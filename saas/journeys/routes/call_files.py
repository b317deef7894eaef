"""Files of calls over the API (R5.8)."""

import io
from collections.abc import Iterable, Iterator
from functools import partial
from typing import IO, Any, Final
from uuid import UUID

from flask import Response, json, request
from werkzeug.exceptions import UnsupportedMediaType

from saas.http.fields import path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.journeys import queries
from saas.journeys.models import CallFile
from saas.journeys.routes import trigger
from saas.journeys.rules.lines import MEDIA, as_csv
from saas.journeys.schemas import CallFileOut, CallFileQuery, ErrorsQuery
from saas.journeys.service import call_files as service
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.platform.db import bound_tenant, db, tenant_session
from saas.platform.files import service as files

blp = trigger.blp
_UPLOAD: Final = "trigger.trigger_file"
_ROUND_THE_FILE: Final = 1024 * 1024
_BLOCK: Final = 64 * 1024
_OUT: Final = CallFileOut()
_COLUMNS: Final = tuple(name for name in _OUT.fields if name != "has_errors")

_call_file = partial(path_id, "clf", what="file of calls")


@blp.before_request
def lift_the_limit() -> None:
    """Let a file in: before anything looks at the body, because the limit is fixed by the first look."""
    if request.endpoint == _UPLOAD:
        request.max_content_length = shell().settings.import_max_bytes + _ROUND_THE_FILE


@blp.route("/campaigns/<campaign_id>/trigger-file", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.arguments(CallFileQuery, location="query")
@blp.response(202, CallFileOut)
def trigger_file(context: Context, args: dict[str, Any], campaign_id: str) -> Response:
    """Start a campaign for everybody in a file of JSON Lines, perhaps packed by gzip: each line a recipient of a call.

    The file is the body (application/x-ndjson) or the field `file` of a form. It is answered line by line; the job
    that this answers with says how far it is.
    """
    wanted = path_id("cam", campaign_id, what="campaign")
    row = service.start_call_file(
        context.session,
        actor=context.actor,
        campaign_id=wanted,
        upload=partial(_uploaded, args["file_name"]),
        max_bytes=context.settings.import_max_bytes,
        now=context.now,
    )
    return _show(row, status=202)


@blp.route("/campaigns/<campaign_id>/call-files", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.arguments(PageArguments, location="query")
@blp.response(200, paged(CallFileOut))
def list_call_files(context: Context, args: dict[str, Any], campaign_id: str) -> Response:
    """List a campaign's files of calls, newest first."""
    wanted = path_id("cam", campaign_id, what="campaign")
    page = queries.call_files(context.session, actor=context.actor, campaign_id=wanted, page=page_request(args))
    return page_response(page.map(_words), _OUT)


@blp.route("/call-files/<call_file_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.response(200, CallFileOut)
def get_call_file(context: Context, call_file_id: str) -> Response:
    """Show how far a file of calls is, and how many lines had which answer."""
    return _show(queries.call_file_in(context.session, _call_file(call_file_id), actor=context.actor))


@blp.route("/call-files/<call_file_id>/errors", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.arguments(ErrorsQuery, location="query")
@blp.response(200, {"type": "string", "format": "binary"}, content_type="application/x-ndjson")
def download_call_errors(context: Context, args: dict[str, Any], call_file_id: str) -> Response:
    """Download every line so far that was not accepted: line, recipient, entry_key, status, detail."""
    return errors_answer(context, _call_file(call_file_id), as_table=args["format"] == "csv")


@blp.route("/call-files/<call_file_id>/cancel", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.response(200, CallFileOut)
def cancel_call_file(context: Context, call_file_id: str) -> Response:
    """Stop before the next lines. Who was entered already stays."""
    row = service.cancel_call_file(
        context.session, actor=context.actor, call_file_id=_call_file(call_file_id), now=context.now
    )
    return _show(row)


def errors_answer(context: Context, call_file_id: UUID, *, as_table: bool) -> Response:
    """Return the error file as an answer that is read from the database while it is sent, a part at a time."""
    file_id = service.errors_of(context.session, actor=context.actor, call_file_id=call_file_id, now=context.now)
    content: Iterable[bytes] = _parts(bound_tenant(context.session), file_id)
    kind, end = ("text/csv; charset=utf-8", "csv") if as_table else ("application/x-ndjson", "jsonl")
    name = f"errors-{show('clf', call_file_id)}.{end}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(as_csv(content) if as_table else content, content_type=kind, headers=headers)


def _parts(tenant_id: UUID, file_id: UUID) -> Iterator[bytes]:
    """Read on after the request's own transaction; none stays open between two parts."""
    engine = db.engine  # now: while the answer is sent there is no application any more

    def read() -> Iterator[bytes]:
        with tenant_session(engine, tenant_id) as session:
            for part in files.read(session, file_id):
                session.rollback()
                yield part

    return read()


def _uploaded(name: str) -> service.Upload:
    if request.mimetype == "multipart/form-data":
        file = request.files.get("file")
        if file is None:
            raise Invalid.at("/file", "Send the file in the form's field “file”.")
        return service.Upload(blocks_of(file.stream), name or plain_name(file.filename or ""))
    if request.mimetype not in MEDIA:
        given = f"“{request.mimetype}”" if request.mimetype else "no content type"
        raise UnsupportedMediaType(f"The file came with {given}. Send Content-Type: application/x-ndjson.")
    # With a key, the body was read already, to compare it with an earlier one of the same key.
    kept = "Idempotency-Key" in request.headers
    return service.Upload(blocks_of(io.BytesIO(request.get_data()) if kept else request.stream), name)


def blocks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield an upload in blocks."""
    while block := stream.read(_BLOCK):
        yield block


def plain_name(name: str) -> str:
    """Return a file's name as people may be shown it: without the folders of whoever sent it."""
    return "".join(char for char in name if char.isprintable()).replace("\\", "/").rpartition("/")[2][:200]


def _words(row: CallFile) -> dict[str, Any]:
    return {**{word: getattr(row, word) for word in _COLUMNS}, "has_errors": row.error_file_id is not None}


def _show(row: CallFile, *, status: int = 200) -> Response:
    response = Response(json.dumps(_OUT.dump(_words(row))), status, mimetype="application/json")
    if status == 202:
        response.headers["Location"] = f"/api/v1/call-files/{show('clf', row.call_file_id)}"
    return response

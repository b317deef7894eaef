"""Pages of calls by file: upload one, watch its lines being answered, cancel, download what was not accepted (S36)."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from flask_babel import format_timedelta, gettext

from saas.accounts.queries import accounts
from saas.http.fields import path_id
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.journeys import queries
from saas.journeys.models import CallFile
from saas.journeys.routes.call_files import blocks_of, errors_answer, plain_name
from saas.journeys.service import call_files as service
from saas.journeys.types import Answer, LineAnswer
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.web import pager
from saas.web.audiences.imports import size
from saas.web.campaigns.found import Found, find
from saas.web.shell import go, page

blp = Blueprint("web_calls", __name__, url_prefix="/w/<workspace>")
_MB: Final = 1024 * 1024
_UPLOAD: Final = "web_calls.start_file"
_SECONDS: Final = 60


@blp.before_request
def lift_the_limit() -> None:
    """Let a file in: before anything looks at the body, because the limit is fixed by the first look."""
    if request.endpoint == _UPLOAD:
        request.max_content_length = shell().settings.import_max_bytes + _MB


@blp.get("/campaigns/<campaign_id>/call-files")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def list_files(context: Context, campaign_id: str) -> Response:
    """Show the form for a file, and the files so far."""
    return _list(context, find(context, campaign_id), {})


@blp.post("/campaigns/<campaign_id>/call-files")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def start_file(context: Context, campaign_id: str) -> Response:
    """Take a file and have its lines answered."""
    found, file = find(context, campaign_id), request.files.get("file")
    if file is None or not file.filename:
        return _list(context, found, {"file": gettext("Choose a file.")})
    upload = service.Upload(blocks=blocks_of(file.stream), file_name=plain_name(file.filename) or "calls.jsonl")
    try:
        row = service.start_call_file(
            context.session,
            actor=context.actor,
            campaign_id=found.campaign.campaign_id,
            upload=lambda: upload,
            max_bytes=context.settings.import_max_bytes,
            now=context.now,
        )
    except DomainError as error:
        context.session.rollback()
        return _list(context, find(context, campaign_id), {"file": error.detail})
    return go("web_calls.show_file", call_file_id=show("clf", row.call_file_id))


@blp.get("/call-files/<call_file_id>")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def show_file(context: Context, call_file_id: str) -> Response:
    """Show how far a file is, and how many lines had which answer."""
    return _detail(context, _found(context, call_file_id), "campaigns/call_file.html")


@blp.get("/call-files/<call_file_id>/progress")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def file_progress(context: Context, call_file_id: str) -> Response:
    """Return the part of the page that changes. When the file is answered, the whole page is to be loaded anew."""
    row = _found(context, call_file_id)
    response = _detail(context, row, "campaigns/_call_progress_alone.html")
    if row.state not in service.OPEN:
        response.headers["HX-Refresh"] = "true"
    return response


@blp.get("/call-files/<call_file_id>/errors")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def file_errors(context: Context, call_file_id: str) -> Response:
    """Download every line that was not accepted: as a table, or as JSON Lines."""
    return errors_answer(context, _id(call_file_id), as_table=request.args.get("format") != "jsonl")


@blp.post("/call-files/<call_file_id>/cancel")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def cancel_file(context: Context, call_file_id: str) -> Response:
    """Stop before the next lines; who was entered stays."""
    try:
        service.cancel_call_file(context.session, actor=context.actor, call_file_id=_id(call_file_id), now=context.now)
    except service.CallFileOver as error:
        return go("web_calls.show_file", call_file_id=call_file_id, text=error.detail, kind="warning")
    return go("web_calls.show_file", call_file_id=call_file_id, text=gettext("The rest of the file is not called."))


def _id(text: str) -> UUID:
    return path_id("clf", text, what="file of calls")


def _found(context: Context, call_file_id: str) -> CallFile:
    return queries.call_file_in(context.session, _id(call_file_id), actor=context.actor)


def _list(context: Context, found: Found, errors: dict[str, str]) -> Response:
    files = queries.call_files(
        context.session, actor=context.actor, campaign_id=found.campaign.campaign_id, page=pager.wanted()
    )
    return page(
        "campaigns/call_files.html",
        context,
        status=422 if errors else 200,
        found=found,
        campaign=found.campaign,
        rows=[_shown(row) for row in files.rows],
        paging=pager.around(files),
        errors=errors,
        max_mb=context.settings.import_max_bytes // _MB,
    )


def _detail(context: Context, row: CallFile, template: str) -> Response:
    found = find(context, show("cam", row.campaign_id))
    maker = accounts(context.session, [row.created_by]).get(row.created_by) if row.created_by else None
    lines = _lines(row.counts)
    return page(
        template,
        context,
        found=found,
        campaign=found.campaign,
        job=_shown(row),
        going_on=row.state in service.OPEN,
        size=size,
        took=_took(row.started_at, row.finished_at),
        lines=lines,
        parts=[(value, tint) for _, tint, value, _ in lines],
        parts_label=", ".join(f"{word} {value:,}" for word, _, value, _ in lines),
        has_errors=row.error_file_id is not None,
        made_by=maker.name if maker else "",
    )


def _shown(row: CallFile) -> dict[str, Any]:
    names = ("state", "detail", "size_bytes", "done_bytes", "created_at", "started_at", "finished_at")
    shown = show("clf", row.call_file_id)
    return {
        "id": shown,
        "href": url_for("web_calls.show_file", call_file_id=shown),
        "file_name": row.file_name or str(gettext("File without a name")),
        "counts": row.counts,
        "refused": row.counts["lines"] - row.counts[Answer.ACCEPTED],
        **{name: getattr(row, name) for name in names},
    }


def _lines(counts: dict[str, int]) -> list[tuple[str, str, int, str]]:
    """Return word, tint, number and meaning of what together makes all lines."""
    texts = (
        (Answer.ACCEPTED, gettext("Accepted"), "st-done", gettext("they have entered the campaign")),
        (Answer.DUPLICATE, gettext("Duplicates"), "st-neutral", gettext("they have this entry already")),
        (Answer.UNKNOWN_CONTACT, gettext("Unknown"), "st-paused", gettext("nobody of this name is known here")),
        (Answer.SUPPRESSED, gettext("Suppressed"), "st-paused", gettext("the address is on the suppression list")),
        (Answer.INVALID_CONTEXT, gettext("Wrong data"), "st-failed", gettext("the data does not fit the campaign's")),
        (LineAnswer.INVALID, gettext("Unreadable"), "st-failed", gettext("the line names no recipient")),
        (Answer.TOO_LATE, gettext("Too late"), "st-unknown", gettext("nobody may come any more")),
        (LineAnswer.NOT_ACTIVE, gettext("Campaign over"), "st-unknown", gettext("it ended before the line's turn")),
    )
    return [(str(word), tint, counts.get(key, 0), str(meaning)) for key, word, tint, meaning in texts]


def _took(started: datetime | None, finished: datetime | None) -> str:
    if started is None or finished is None:
        return ""
    seconds = (finished - started).total_seconds()
    if seconds < _SECONDS:
        return str(gettext("%(seconds)s s", seconds=f"{seconds:.1f}"))
    return str(format_timedelta(finished - started, granularity="second"))

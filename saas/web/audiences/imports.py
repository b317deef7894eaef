"""Pages of imports: upload a file, watch it being read, cancel, download what could not be used."""

from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any, Final
from uuid import UUID

from flask import Response, request, url_for
from flask_babel import format_timedelta, gettext

from saas.accounts.queries import accounts
from saas.audiences.models import Import
from saas.audiences.queries import imports, lists
from saas.audiences.queries.attributes import known_attributes
from saas.audiences.rules.encoding import ENCODINGS
from saas.audiences.schemas import ImportQuery
from saas.audiences.service import imports as service
from saas.audiences.types import ImportState
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.web import forms, pager
from saas.web.audiences import choices, words
from saas.web.denied import unless_may, unless_may_somewhere
from saas.web.refusals import beside, load
from saas.web.shell import go, page

_BLOCK: Final = 64 * 1024
_MB: Final = 1024 * 1024
_GOING_ON: Final = frozenset({ImportState.QUEUED.value, ImportState.RUNNING.value})


@endpoint(Scope.TENANT, Action.LIST_READ)
def index(context: Context) -> Response:
    """Show the imports into lists of the person's projects."""
    found = imports.imports(context.session, actor=context.actor, page=pager.wanted())
    names = choices.list_names(context, {row.list_id for row in found.rows})
    rows = [
        {
            "file_name": _name(row),
            "list": names.get(row.list_id, ""),
            "state": row.state,
            "counts": row.counts,
            "created_at": row.created_at,
            "href": url_for("web_audiences.import_detail", import_id=show("imp", row.import_id)),
        }
        for row in found.rows
    ]
    return page(
        "audiences/imports.html",
        context,
        rows=rows,
        paging=pager.around(found),
        may_write=context.actor.may_somewhere(Action.CONTACT_WRITE),
        denied=unless_may_somewhere(context.actor, Action.CONTACT_WRITE),
    )


@endpoint(Scope.TENANT, Action.CONTACT_WRITE)
def new(context: Context) -> Response:
    """Show the form for a file."""
    return _new(context, {"list_id": request.args.get("list_id", "")}, {})


@endpoint(Scope.TENANT, Action.CONTACT_WRITE)
def start(context: Context) -> Response:
    """Take a file and have it read into a list."""
    values = forms.typed("list_id", "encoding", "delimiter")
    loaded = load(ImportQuery(), {name: value for name, value in values.items() if value})
    errors, file = loaded.errors, request.files.get("file")
    if file is None or not file.filename:
        errors = {"file": gettext("Choose a file."), **errors}
    if errors or file is None:
        return _new(context, values, errors)
    try:
        row = _start(context, file.stream, _plain(file.filename or ""), loaded.body)
    except DomainError as error:
        context.session.rollback()
        faults = {"/encoding": "encoding", "/delimiter": "delimiter", "/list_id": "list_id"}
        found = beside(error, fields=faults)
        return _new(context, values, {name or "file": text for name, text in found.items()})
    return go("web_audiences.import_detail", import_id=show("imp", row.import_id))


def _start(context: Context, stream: IO[bytes], name: str, body: dict[str, Any]) -> Import:
    return service.start_import(
        context.session,
        actor=context.actor,
        list_id=body["list_id"],
        upload=service.Upload(
            blocks=_blocks(stream),
            file_name=name or gettext("file.csv"),
            encoding=body["encoding"],
            delimiter={"tab": "\t"}.get(body["delimiter"], body["delimiter"]),
        ),
        max_bytes=context.settings.import_max_bytes,
        now=context.now,
    )


def _new(context: Context, values: dict[str, str], errors: dict[str, str]) -> Response:
    delimiters = [("tab" if sign == "\t" else sign, word) for sign, word in words.DELIMITERS.items()]
    return page(
        "audiences/import_new.html",
        context,
        status=422 if errors else 200,
        values=values,
        errors=errors,
        lists=choices.lists_for(context, Action.CONTACT_WRITE),
        max_mb=context.settings.import_max_bytes // _MB,
        delimiters=delimiters,
        encodings=[(name, name) for name in ENCODINGS],
    )


@endpoint(Scope.TENANT, Action.LIST_READ)
def detail(context: Context, import_id: str) -> Response:
    """Show how far an import is, its counts, its columns."""
    row = imports.import_in(context.session, _id(import_id), actor=context.actor)
    return _detail(context, row, "audiences/import.html")


@endpoint(Scope.TENANT, Action.LIST_READ)
def progress(context: Context, import_id: str) -> Response:
    """Return the part of the page that changes. When the import is over, the whole page is to be loaded anew."""
    row = imports.import_in(context.session, _id(import_id), actor=context.actor)
    response = _detail(context, row, "audiences/_progress_alone.html")
    if row.state not in _GOING_ON:
        response.headers["HX-Refresh"] = "true"
    return response


@endpoint(Scope.TENANT, Action.CONTACT_READ)
def errors(context: Context, import_id: str) -> Response:
    """Download what could not be used, and why."""
    found = _id(import_id)
    content = service.error_file(context.session, actor=context.actor, import_id=found, now=context.now)
    headers = {"Content-Disposition": f'attachment; filename="errors-{show("imp", found)}.csv"'}
    return Response(content, content_type="text/csv; charset=utf-8", headers=headers)


@endpoint(Scope.TENANT, Action.CONTACT_WRITE)
def cancel(context: Context, import_id: str) -> Response:
    """Stop an import; what is saved stays."""
    try:
        service.cancel_import(context.session, actor=context.actor, import_id=_id(import_id), now=context.now)
    except service.AlreadyOver as error:
        return go("web_audiences.import_detail", import_id=import_id, text=error.detail, kind="warning")
    return go("web_audiences.import_detail", import_id=import_id, text=gettext("The import is cancelled."))


def _id(text: str) -> UUID:
    return path_id("imp", text, what="import")


def _detail(context: Context, row: Import, template: str) -> Response:
    session, actor = context.session, context.actor
    into = lists.list_in(session, row.list_id, actor=actor)
    maker = accounts(session, [row.created_by]).get(row.created_by) if row.created_by else None
    lines = _lines(row.counts)
    return page(
        template,
        context,
        job=_shown(row),
        going_on=row.state in _GOING_ON,
        size=size,
        took=_took(row.started_at, row.finished_at),
        lines=lines,
        parts=[(value, tint) for _, tint, value, _ in lines],
        parts_label=", ".join(f"{word} {value:,}" for word, _, value, _ in lines),
        has_errors=row.error_file_id is not None,
        columns=_columns(context, row),
        encoding=row.mapping.get("encoding"),
        delimiter=words.DELIMITERS.get(row.mapping.get("delimiter", "")),
        list_name=into.name,
        list_href=url_for("web_audiences.list_detail", list_id=show("lst", row.list_id)),
        made_by=maker.name if maker else "",
        may_write=actor.may(Action.CONTACT_WRITE, into.project_id),
        may_see_people=actor.may(Action.CONTACT_READ, into.project_id),
        denied=unless_may(actor, Action.CONTACT_WRITE, into.project_id),
    )


def _shown(row: Import) -> dict[str, Any]:
    names = ("state", "failure", "size_bytes", "done_bytes", "created_at", "started_at", "finished_at")
    counts = {**service.NOTHING_YET, **row.counts}
    return {
        "id": show("imp", row.import_id),
        "file_name": _name(row),
        "counts": counts,
        **{name: getattr(row, name) for name in names},
    }


def _name(row: Import) -> str:
    return row.file_name or str(gettext("File without a name"))


def _lines(counts: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    """Return word, tint, number and meaning of what together makes all rows."""
    return [
        (gettext("New people"), "st-done", counts.get("created", 0), gettext("not known in this workspace before")),
        (gettext("Updated"), "st-scheduled", counts.get("updated", 0), gettext("known, and something changed")),
        (gettext("Unchanged"), "st-neutral", counts.get("unchanged", 0), gettext("known, and all is the same")),
        (gettext("Duplicates"), "st-paused", counts.get("duplicates", 0), gettext("their address comes again below")),
        (gettext("Refused"), "st-failed", counts.get("invalid", 0), gettext("the address cannot be used")),
    ]


def _columns(context: Context, row: Import) -> list[dict[str, Any]]:
    known = known_attributes(context.session)
    return [
        {"header": column["header"], "target": words.target(column["target"], known)}
        for column in row.mapping.get("columns", [])
    ]


def _took(started: datetime | None, finished: datetime | None) -> str:
    if started is None or finished is None:
        return ""
    seconds = (finished - started).total_seconds()
    if seconds < 60:
        return str(gettext("%(seconds)s s", seconds=f"{seconds:.1f}"))
    return str(format_timedelta(finished - started, granularity="second"))


def size(number: int) -> str:
    """Return a file's size as people say it."""
    if number >= _MB:
        return str(gettext("%(number)s MB", number=f"{number / _MB:.1f}"))
    return str(gettext("%(number)s kB", number=f"{number / 1024:.1f}"))


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _plain(name: str) -> str:
    return "".join(char for char in name if char.isprintable()).replace("\\", "/").rpartition("/")[2][:200]

"""Pages of audiences: all of them, and the builder for one, which works row by row without script."""

from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Response, request, url_for
from flask_babel import gettext

from saas.audiences.models import Audience
from saas.audiences.queries import audiences, lists
from saas.audiences.queries.attributes import known_attributes
from saas.audiences.schemas import AudienceArguments, AudienceChanges
from saas.audiences.service import audiences as service
from saas.audiences.types import Counted, Known, Visibility
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, Invalid
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.web import forms, pager
from saas.web.audiences import choices, rule_form, words
from saas.web.audiences.drawn import drawn_rows
from saas.web.audiences.rule_form import Row
from saas.web.denied import unless_may, unless_may_somewhere
from saas.web.refusals import beside, load
from saas.web.shell import frame, go, is_fragment, page

_FIELDS: Final = ("name", "list_id", "visibility", "join")


@dataclass(slots=True)
class _Draft:
    """An audience as it stands in the form. Without `rows` its rule stays as it is, `kept`: the form cannot show it."""

    values: dict[str, Any]
    rows: list[Row] | None
    kept: object = None
    errors: dict[str, str] = field(default_factory=dict)
    row_errors: dict[int, str] = field(default_factory=dict)
    count: Counted | None = None


@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
def index(context: Context) -> Response:
    """Show the audiences that the person may see."""
    found = audiences.audiences(context.session, actor=context.actor, page=pager.wanted())
    names = choices.list_names(context, {row.list_id for row in found.rows})
    known = known_attributes(context.session)
    rows = [
        {
            "name": row.name,
            "list": names[row.list_id],
            "private": row.visibility == Visibility.PRIVATE,
            "rule": _sentence(context, row.rule, known),
            "count": row.last_count,
            "counted_at": row.last_counted_at,
            "href": url_for("web_audiences.audience", audience_id=show("aud", row.audience_id)),
        }
        for row in found.rows
    ]
    return page(
        "audiences/audiences.html",
        context,
        rows=rows,
        paging=pager.around(found),
        may_write=context.actor.may_somewhere(Action.AUDIENCE_WRITE),
        denied=unless_may_somewhere(context.actor, Action.AUDIENCE_WRITE),
    )


@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
def new(context: Context) -> Response:
    """Show the builder for a new audience."""
    values = {"name": "", "list_id": request.args.get("list_id", ""), "visibility": "public", "join": rule_form.ALL}
    return _builder(context, None, _Draft(values, [Row()]))


@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
def create(context: Context) -> Response:
    """Change the rows, count, or make the audience: what the pressed button says."""
    draft = _typed(context)
    if not _worked(context, draft):
        saved = _saved(context, None, draft)
        if saved is not None:
            text = gettext("The audience “%(name)s” is made.", name=saved.name)
            return go("web_audiences.audience", audience_id=show("aud", saved.audience_id), text=text)
    return _builder(context, None, draft)


@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
def detail(context: Context, audience_id: str) -> Response:
    """Show an audience; in its builder to who may change it."""
    row = audiences.audience_in(context.session, _id(audience_id), actor=context.actor)
    return _builder(context, row, _of(context, row))


@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
def change(context: Context, audience_id: str) -> Response:
    """Change the rows, count, or save the audience: what the pressed button says."""
    row = audiences.audience_in(context.session, _id(audience_id), actor=context.actor)
    draft = _typed(context, kept=row.rule)
    draft.values["version"] = request.form.get("version", "")
    if not _worked(context, draft):
        saved = _saved(context, row.audience_id, draft)
        if saved is not None:
            return go("web_audiences.audience", audience_id=audience_id, text=gettext("Saved."))
        row = audiences.audience_in(context.session, _id(audience_id), actor=context.actor)
    return _builder(context, row, draft)


@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
def count(context: Context, audience_id: str) -> Response:
    """Count a saved audience now."""
    service.count_audience(context.session, actor=context.actor, audience_id=_id(audience_id), now=context.now)
    return go("web_audiences.audience", audience_id=audience_id)


@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
def delete(context: Context, audience_id: str) -> Response:
    """Delete an audience."""
    row = audiences.audience_in(context.session, _id(audience_id), actor=context.actor)
    name = row.name
    try:
        service.delete_audience(
            context.session, actor=context.actor, audience_id=row.audience_id, seen_version=forms.version(),
            now=context.now,
        )  # fmt: skip
    except DomainError as error:
        context.session.rollback()
        row = audiences.audience_in(context.session, _id(audience_id), actor=context.actor)
        draft = _of(context, row)
        draft.errors = beside(error)
        return _builder(context, row, draft)
    return go("web_audiences.audiences", text=gettext("The audience “%(name)s” is deleted.", name=name))


def _id(text: str) -> UUID:
    return path_id("aud", text, what="audience")


def _zone() -> ZoneInfo:
    return ZoneInfo(frame().zone)


def _typed(context: Context, *, kept: object = None) -> _Draft:
    """Read the form. Its rows get operators that fit what they ask about."""
    values: dict[str, Any] = forms.typed(*_FIELDS)
    if values["join"] not in {rule_form.ALL, rule_form.ANY}:
        values["join"] = rule_form.ALL
    if kept is not None and "kept" in request.form:
        return _Draft(values, None, kept)
    kinds = _kinds(context)
    return _Draft(values, [rule_form.settled(row, kinds) for row in rule_form.rows_of_form(request.form)])


def _of(context: Context, row: Audience) -> _Draft:
    values: dict[str, Any] = {
        "name": row.name, "list_id": show("lst", row.list_id), "visibility": row.visibility, "version": row.version,
        "join": rule_form.ALL,
    }  # fmt: skip
    found = rule_form.form_of(row.rule, kinds=_kinds(context), zone=_zone())
    if found is None:
        return _Draft(values, None, row.rule)
    values["join"] = found[0]
    return _Draft(values, found[1] or [Row()])


def _kinds(context: Context) -> dict[str, Any]:
    return {key: known.kind for key, known in known_attributes(context.session).items()}


def _worked(context: Context, draft: _Draft) -> bool:
    """Do what a button other than Save asks for. False when Save was pressed."""
    word, _, no = request.form.get("do", "save").partition(":")
    if word == "save":
        return False
    rows = draft.rows if draft.rows is not None else []
    if word == "again":
        draft.rows = [Row()]
    elif word == "add" and len(rows) < rule_form.MAX_ROWS:
        rows.append(Row())
    elif word == "remove" and no.isascii() and no.isdecimal() and int(no) < len(rows):
        del rows[int(no)]
    elif word == "count":
        _count(context, draft)
    return True


def _count(context: Context, draft: _Draft) -> None:
    try:
        list_id = path_id("lst", draft.values["list_id"], what="list")
        rule = _rule(context, draft)
        draft.count = service.count_rule(
            context.session, actor=context.actor, list_id=list_id, rule=rule, now=context.now
        )
    except DomainError as error:
        _blame(draft, error)


def _rule(context: Context, draft: _Draft) -> object:
    if draft.rows is None:
        return draft.kept
    return rule_form.rule_of(draft.rows, join=draft.values["join"], kinds=_kinds(context), zone=_zone())


def _saved(context: Context, audience_id: UUID | None, draft: _Draft) -> Audience | None:
    """Save the draft; None when something in it is wrong, which the draft then says."""
    body: dict[str, Any] = {name: draft.values[name] for name in ("name", "list_id", "visibility")}
    if draft.rows is not None:
        body["rule"] = _rule(context, draft)
    try:
        if audience_id is None:
            return _made(context, draft, body)
        loaded = load(AudienceChanges(), body)
        draft.errors = loaded.errors
        if loaded.errors:
            return None
        return service.change_audience(
            context.session, actor=context.actor, audience_id=audience_id, seen_version=forms.version(),
            changes=loaded.body, now=context.now,
        )  # fmt: skip
    except DomainError as error:
        context.session.rollback()
        _blame(draft, error)
        return None


def _made(context: Context, draft: _Draft, body: dict[str, Any]) -> Audience | None:
    list_id = path_id("lst", draft.values["list_id"], what="list")
    into = lists.list_in(context.session, list_id, actor=context.actor)
    loaded = load(AudienceArguments(), {**body, "project_id": show("prj", into.project_id)})
    draft.errors = loaded.errors
    if loaded.errors:
        return None
    return service.create_audience(context.session, actor=context.actor, now=context.now, **loaded.body)


def _blame(draft: _Draft, error: DomainError) -> None:
    """Put a refusal beside the row or field that it is about."""
    if not isinstance(error, Invalid):
        draft.errors = beside(error)
        return
    rule = [fault for fault in error.faults if fault.pointer.startswith("/rule")]
    draft.row_errors, rest = rule_form.faults_by_row(rule, draft.rows or [])
    others = [fault for fault in error.faults if not fault.pointer.startswith("/rule")]
    draft.errors = forms.by_field(others)
    if rest or not error.faults:
        draft.errors[""] = " ".join(rest) or error.detail
    elif draft.row_errors:
        draft.errors["rule"] = gettext("Some conditions cannot be used; see them below.")


def _sentence(context: Context, rule: object, known: dict[str, Known]) -> str | None:
    """Return a rule in words; "" for everybody, None for one that cannot be used as it stands."""
    try:
        return words.sentence(service.read_rule(context.session, rule), known=known, zone=_zone())
    except Invalid:
        return None


def _builder(context: Context, row: Audience | None, draft: _Draft) -> Response:
    actor, known = context.actor, known_attributes(context.session)
    may_write = row is None or actor.may(Action.AUDIENCE_WRITE, row.project_id)
    rule = _rule(context, draft)
    return page(
        "audiences/audience.html",
        context,
        status=422 if draft.errors and request.method == "POST" else 200,
        audience=row and {
            "id": show("aud", row.audience_id), "name": row.name, "visibility": row.visibility,
            "version": row.version, "updated_at": row.updated_at,
        },
        values=draft.values,
        rows=None if draft.rows is None else drawn_rows(draft.rows, draft.row_errors, known=known),
        errors=draft.errors,
        preserve=is_fragment() and request.form.get("do") == "refresh",
        count=_counted(row, draft),
        words=_sentence(context, rule, known),
        list_name=_list_name(context, row, draft),
        lists=choices.lists_for(context, Action.AUDIENCE_WRITE) if may_write else [],
        may_write=may_write,
        denied=None if row is None else unless_may(actor, Action.AUDIENCE_WRITE, row.project_id),
    )  # fmt: skip


def _counted(row: Audience | None, draft: _Draft) -> dict[str, Any] | None:
    if draft.count is not None:
        return {"count": draft.count.count, "ms": draft.count.took_ms, "at": draft.count.counted_at}
    if row is None or row.last_count is None or request.method == "POST":
        return None
    return {"count": row.last_count, "ms": row.last_count_ms, "at": row.last_counted_at}


def _list_name(context: Context, row: Audience | None, draft: _Draft) -> str:
    try:
        list_id = path_id("lst", draft.values["list_id"], what="list")
        return lists.list_in(context.session, list_id, actor=context.actor).name
    except DomainError:
        return "" if row is None else choices.list_names(context, {row.list_id})[row.list_id]

"""The page of categories (M11): one list with what can be done to each, and a form for a new one."""

from typing import Any
from uuid import UUID

from flask import Response, request
from flask_babel import gettext

from saas.campaigns.desk import queries as desk
from saas.campaigns.schemas.desk import CategoryIn, CategoryPatch
from saas.campaigns.service import categories
from saas.campaigns.types import Tone
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.web import forms, pager
from saas.web.campaigns import view
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.shell import go, page


@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def index(context: Context) -> Response:
    """Show the workspace's categories."""
    return _index(context, {"name": "", "tone": Tone.INK.value}, {})


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def create(context: Context) -> Response:
    """Make a category."""
    values = forms.typed("name", "tone")
    loaded = load(CategoryIn(), values)
    errors = loaded.errors
    if not errors:
        try:
            row = categories.create_category(context.session, actor=context.actor, now=context.now, **loaded.body)
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            return go("web_settings.categories", text=gettext("The category “%(name)s” is made.", name=row.name))
    return _index(context, values, errors)


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def change(context: Context, category_id: str) -> Response:
    """Change name or tone of a category, archive it or bring it back."""
    found = desk.category(context.session, _id(category_id))
    body: dict[str, Any] = {name: request.form[name] for name in ("name", "tone") if name in request.form}
    if "archived" in request.form:
        body["archived"] = request.form["archived"] == "yes"
    loaded = load(CategoryPatch(), body)
    if loaded.errors:
        return go("web_settings.categories", text=" ".join(loaded.errors.values()), kind="error")
    try:
        categories.change_category(
            context.session,
            actor=context.actor,
            category_id=found.category_id,
            version=forms.version(),
            changes=loaded.body,
            now=context.now,
        )
    except DomainError as error:
        context.session.rollback()
        return go("web_settings.categories", text=" ".join(beside(error).values()), kind="error")
    return go("web_settings.categories", text=gettext("Saved."))


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def remove(context: Context, category_id: str) -> Response:
    """Delete a category that no campaign has; archive one that is used."""
    found = desk.category(context.session, _id(category_id))
    name = found.name
    kept = categories.remove_category(
        context.session,
        actor=context.actor,
        category_id=found.category_id,
        version=forms.version(),
        now=context.now,
    )
    deleted = gettext("“%(name)s” is deleted.", name=name)
    archived = gettext("Campaigns have “%(name)s”, so it is archived: it stays on them and is not offered.", name=name)
    return go("web_settings.categories", text=deleted if kept is None else archived)


def _index(context: Context, values: dict[str, str], errors: dict[str, str]) -> Response:
    found = desk.categories(context.session, page=pager.wanted())
    uses = desk.uses_of_categories(context.session, actor=context.actor)
    return page(
        "settings/categories.html",
        context,
        status=422 if errors else 200,
        rows=[
            {
                "row": row,
                "id": show("cat", row.category_id),
                "mark": view.category_mark(row),
                "uses": uses.get(row.category_id, 0),
                "used": row.category_id in uses,
            }
            for row in found.rows
        ],
        paging=pager.around(found),
        tones=[(tone.value, view.tone_word(tone)) for tone in Tone],
        values=values,
        errors=errors,
        may_write=context.actor.may(Action.CAMPAIGN_WRITE),
        denied=unless_may(context.actor, Action.CAMPAIGN_WRITE),
    )


def _id(text: str) -> UUID:
    return path_id("cat", text, what="category")

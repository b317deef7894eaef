"""The page of one person."""

from typing import Any
from uuid import UUID

from flask import Response, url_for
from flask_babel import gettext

from saas.audiences.queries import contacts, lists
from saas.audiences.queries.attributes import known_attributes
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import NotFound
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.web.shell import page


@endpoint(Scope.TENANT, Action.CONTACT_READ)
def detail(context: Context, contact_id: str) -> Response:
    """Show what is known about a person: attributes, consents, lists."""
    view = contacts.contact_in(context.session, path_id("ctc", contact_id, what="contact"), actor=context.actor)
    known = known_attributes(context.session)
    attributes = [
        (key, known[key].label if key in known else key, _shown(value))
        for key, value in sorted(view.attributes.items())
    ]
    names = (view.attributes.get(key) for key in ("first_name", "last_name"))
    return page(
        "audiences/contact.html",
        context,
        contact=view,
        shown_id=show("ctc", view.contact_id),
        name=" ".join(str(name) for name in names if name),
        attributes=attributes,
        consents=sorted(view.consents.items()),
        lists=[found for list_id in view.list_ids or () if (found := _list(context, list_id))],
    )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(gettext("yes") if value else gettext("no"))
    return str(value)


def _list(context: Context, list_id: UUID) -> tuple[str, str] | None:
    try:
        row = lists.list_in(context.session, list_id, actor=context.actor)
    except NotFound:
        return None
    return row.name, url_for("web_audiences.list_detail", list_id=show("lst", list_id))

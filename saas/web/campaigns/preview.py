"""One message as one person would get it, alone, for the sandboxed frames of the pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from flask import Response
from flask_babel import gettext
from markupsafe import Markup

from saas.audiences.queries.contacts import contact_in
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.service.resolving import content_of
from saas.campaigns.service.review import rendered_for, rendered_veiled
from saas.channels.types import Purpose
from saas.content.current import renderer
from saas.content.service.letters import merge_row, render_email
from saas.content.types import Rendered, RenderFailure
from saas.http.types import Context
from saas.kernel.errors import NotFound
from saas.permissions.policy import require
from saas.permissions.types import Action
from saas.tenants.queries import workspace

# A message may style itself and show pictures that it carries; nothing else, and nothing from elsewhere.
CSP: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
_FAILURE: Final = Markup(
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    "<style>body{{font:14px/1.5 sans-serif;margin:16px;color:#7a1420;background:#fff}}</style><p>{text}</p>"
)


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose message is shown: nobody's in particular without a contact; `veiled`, with that person's texts masked."""

    contact_id: UUID | None = None
    veiled: bool = False


_EXAMPLES: Final[Mapping[str, object]] = {"text": "…", "number": 1, "boolean": True}


def preview(context: Context, *, campaign: Campaign, row: Revision, step_no: int, whose: Whose) -> Response:
    """Return the HTML part alone. Raises NotFound, LacksRight."""
    if whose.contact_id is not None and not whose.veiled:
        require(context.actor, Action.CONTACT_READ, campaign.project_id)
        contact_in(context.session, whose.contact_id, actor=context.actor)
    if row.document is None:
        return alone(*_of_draft(context, campaign, row, step_no))
    return of_document(context, row=row, step_no=step_no, whose=whose)


def of_document(context: Context, *, row: Revision, step_no: int, whose: Whose) -> Response:
    """Return the HTML part of a submitted revision's message alone. Raises NotFound."""
    about: dict[str, Any] = {
        "row": row,
        "step_no": step_no,
        "contact_id": whose.contact_id,
        "renderer": renderer(),
        "public_url": context.settings.public_url,
        "now": context.now,
    }
    make = rendered_veiled if whose.veiled and whose.contact_id is not None else rendered_for
    sample = make(context.session, **about)
    return alone(sample.html, sample.failure)


def alone(html: str, failure: str | None) -> Response:
    """Return a message's HTML as a response that can do nothing; or the sentence about why there is none."""
    text = html if failure is None else str(_FAILURE.format(title=gettext("No message"), text=failure))
    response = Response(text.encode(), mimetype="text/html")
    response.headers["Content-Security-Policy"] = CSP
    return response


def _of_draft(context: Context, campaign: Campaign, row: Revision, step_no: int) -> tuple[str, str | None]:
    """Render what stands in a draft for nobody in particular; a draft may be wrong, which is told in its place."""
    step, declared = _step(row.draft, step_no), (row.draft.get("payload") or {}).get("fields", [])
    values = merge_row(
        contact={"email": "person@example.org"},
        campaign_name="",
        workspace_name=workspace(context.session).name,
        unsubscribe_url=f"{context.settings.public_url}/u/preview" if campaign.purpose == Purpose.MARKETING else "",
        context={field["key"]: _EXAMPLES[field["kind"]] for field in declared},
    )
    made: Rendered | RenderFailure = render_email(renderer(), content_of(step.get("content") or {}), [values])[0]
    return (made.html, None) if isinstance(made, Rendered) else ("", made.reason)


def _step(draft: Mapping[str, Any], step_no: int) -> Mapping[str, Any]:
    for step in draft.get("steps") or []:
        if step.get("step_no") == step_no:
            return dict(step)
    raise NotFound.of("step")

"""What approvers see and decide, the message alone in a frame, and what waits for them."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext

from saas.campaigns import queries
from saas.campaigns.models import Revision
from saas.campaigns.schemas.campaigns import SignatureIn
from saas.campaigns.schemas.policies import CommentArguments
from saas.campaigns.service import approval, comments, mailed
from saas.campaigns.types import RevisionState
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, Invalid
from saas.kernel.ids import show as show_id
from saas.kernel.paging import MAX_LIMIT, Page, PageRequest
from saas.permissions.types import Action
from saas.tenants import queries as tenants
from saas.web import forms, pager
from saas.web.campaigns import inbox, shown, signed, view
from saas.web.campaigns import preview as alone
from saas.web.campaigns.found import Found, find
from saas.web.shell import go, page

blp = Blueprint("web_review", __name__, url_prefix="/w/<workspace>")

_PER_PAGE: Final = 25
_ALL: Final = PageRequest(MAX_LIMIT)
_LISTS: Final[Mapping[str, Callable[..., Page[inbox.Line]]]] = {
    inbox.Tab.MINE: inbox.asked,
    inbox.Tab.DECIDED: inbox.decided,
}


@blp.get("/approvals")
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def approvals(context: Context) -> Response:
    """Show what waits for this person, what they asked for, or what they decided."""
    found = tenants.projects(context.session, only=context.actor.projects(Action.CAMPAIGN_READ), page=_ALL).rows
    known = {show_id("prj", row.project_id): row.project_id for row in found}
    chosen = request.args.get("project_id", "")
    project_id = known.get(chosen)
    tab = request.args.get("tab", "")
    tab = tab if tab in set(inbox.Tab) else _first_tab(context)
    waiting = inbox.waiting(context, project_id=project_id)
    listed = _LISTS.get(tab)
    rows = listed(context, project_id=project_id, page=pager.wanted(limit=_PER_PAGE)) if listed else None
    return page(
        "campaigns/approvals.html",
        context,
        tab=tab,
        tabs=_tabs(inbox.counts(context, project_id=project_id, waiting_now=waiting), chosen if project_id else None),
        waiting=waiting,
        rows=rows.rows if rows else [],
        paging=pager.around(rows, tab=tab, project_id=chosen if project_id else None) if rows else None,
        projects=[(shown_as, row.name) for shown_as, row in zip(known, found, strict=True)],
        project_id=chosen if project_id else "",
    )


def _first_tab(context: Context) -> str:
    return inbox.Tab.FOR_ME if context.actor.may_somewhere(Action.CAMPAIGN_APPROVE) else inbox.Tab.MINE


def _tabs(counts: Mapping[inbox.Tab, int], project_id: str | None) -> list[tuple[str, str, str, int]]:
    texts = {
        inbox.Tab.FOR_ME: gettext("For me"),
        inbox.Tab.MINE: gettext("Asked by me"),
        inbox.Tab.DECIDED: gettext("Decided by me"),
    }
    return [
        (tab.value, text, url_for("web_review.approvals", tab=tab.value, project_id=project_id), counts[tab])
        for tab, text in texts.items()
    ]


@blp.get("/campaigns/<campaign_id>/review")
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def show(context: Context, campaign_id: str) -> Response:
    """Show exactly what will be sent."""
    found = find(context, campaign_id)
    row = _asked(context, found)
    if row.document is None:
        text = gettext("Revision %(no)s was not submitted yet; there is nothing to review.", no=row.no)
        return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind="info")
    return _show(context, found, row, {}, "", status=200)


@blp.get("/campaigns/<campaign_id>/preview/<int:no>/<int:step_no>")
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def preview(context: Context, campaign_id: str, no: int, step_no: int) -> Response:
    """Show one message alone, for a frame."""
    found = find(context, campaign_id)
    row = queries.revision(context.session, campaign_id=found.campaign.campaign_id, no=no)
    return alone.preview(context, campaign=found.campaign, row=row, step_no=step_no, whose=_whose())


@blp.post("/campaigns/<campaign_id>/revisions/<int:no>/approve")
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
def approve(context: Context, campaign_id: str, no: int) -> Response:
    """Sign exactly what was shown; under the default policy this publishes."""

    def act(seen: dict[str, Any], **about: Any) -> Revision:
        return approval.approve(
            context.session,
            **about,
            seen_hash=seen["content_hash"],
            comment=seen["comment"],
            start=seen.get("start"),
            lead_s=context.settings.publish_lead_s,
        )

    return _decide(context, campaign_id, no, act, _signed_word)


@blp.post("/campaigns/<campaign_id>/revisions/<int:no>/links/<outside_id>/resend")
@endpoint(Scope.TENANT, Action.CAMPAIGN_SUBMIT)
def resend_link(context: Context, campaign_id: str, no: int, outside_id: str) -> Response:
    """Send an outside approver another link; the one before it ends now."""
    found = find(context, campaign_id)
    try:
        link = mailed.send_again(
            context.session,
            actor=context.actor,
            campaign_id=found.campaign.campaign_id,
            no=no,
            outside_id=path_id("out", outside_id, what="outside approver"),
            now=context.now,
        )
        text, kind = gettext("A new link goes to %(name)s. The one before it has ended.", name=link.name), "success"
    except Conflict as error:
        context.session.rollback()
        text, kind = error.detail, "warning"
    return go("web_review.show", campaign_id=found.id, no=no, text=text, kind=kind, _anchor="mailed")


@blp.post("/campaigns/<campaign_id>/comments")
@endpoint(Scope.TENANT, Action.CAMPAIGN_COMMENT)
def comment(context: Context, campaign_id: str) -> Response:
    """Say something about the campaign's newest revision, to all who have to do with it."""
    found = find(context, campaign_id)
    loaded = forms.load(CommentArguments(), forms.typed("text"))
    if loaded.errors:
        text, kind = " ".join(loaded.errors.values()), "error"
    else:
        comments.comment(
            context.session,
            actor=context.actor,
            campaign_id=found.campaign.campaign_id,
            text=loaded.body["text"],
            now=context.now,
        )
        text, kind = gettext("Your comment stands here."), "success"
    return go("web_review.show", campaign_id=found.id, text=text, kind=kind, _anchor="comments")


@blp.post("/campaigns/<campaign_id>/revisions/<int:no>/publish")
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)  # who may publish depends on the revision's policy; the service looks
def publish(context: Context, campaign_id: str, no: int) -> Response:
    """Publish what is approved and waits for it."""

    def act(seen: dict[str, Any], **about: Any) -> Revision:
        lead_s = context.settings.publish_lead_s
        start = seen.get("start")
        return approval.publish(context.session, **about, seen_hash=seen["content_hash"], start=start, lead_s=lead_s)

    return _decide(context, campaign_id, no, act, gettext("Published."))


@blp.post("/campaigns/<campaign_id>/revisions/<int:no>/request-changes")
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
def request_changes(context: Context, campaign_id: str, no: int) -> Response:
    """Send a revision back with a comment."""
    return _refuse(context, campaign_id, no, approval.request_changes, gettext("Sent back with your comment."))


@blp.post("/campaigns/<campaign_id>/revisions/<int:no>/reject")
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
def reject(context: Context, campaign_id: str, no: int) -> Response:
    """Reject a revision for good."""
    return _refuse(context, campaign_id, no, approval.reject, gettext("Rejected with your comment."))


@blp.post("/campaigns/<campaign_id>/revisions/<int:no>/revoke")
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
def revoke(context: Context, campaign_id: str, no: int) -> Response:
    """Take an approval back; a campaign that sends stops."""
    return _refuse(context, campaign_id, no, approval.revoke, gettext("The approval is revoked; the campaign stops."))


def _refuse(context: Context, campaign_id: str, no: int, service: Callable[..., Revision], text: str) -> Response:
    def act(seen: dict[str, Any], **about: Any) -> Revision:
        return service(context.session, **about, seen_hash=seen["content_hash"], comment=seen["comment"])

    return _decide(context, campaign_id, no, act, text)


def _decide(
    context: Context, campaign_id: str, no: int, act: Callable[..., Revision], text: str | Callable[[Revision], str]
) -> Response:
    """Carry a decision out; when it is refused the page comes back with the reason and with what was typed."""
    found = find(context, campaign_id)
    typed = forms.typed("content_hash", "comment")
    start = request.form.get("start", "").strip()
    loaded = forms.load(SignatureIn(), {**typed, "start": start or None})
    if loaded.errors:
        return _refused(context, found, no, typed, " ".join(loaded.errors.values()), status=422)
    try:
        about = {"actor": context.actor, "campaign_id": found.campaign.campaign_id, "no": no, "now": context.now}
        done = act(loaded.body, **about)
    except (Conflict, Invalid) as error:
        context.session.rollback()
        return _refused(context, found, no, typed, error.detail, status=422 if isinstance(error, Invalid) else 409)
    said = text if isinstance(text, str) else text(done)
    return go("web_campaigns.show_campaign", campaign_id=found.id, text=said)


def _signed_word(row: Revision) -> str:
    """Return what a signature has led to."""
    texts = {
        RevisionState.PUBLISHED: gettext("Signed. The campaign is published."),
        RevisionState.APPROVED: gettext("Signed and approved. It waits to be published."),
    }
    return str(texts.get(RevisionState(row.state), gettext("Signed. It waits for the signatures of others.")))


def _refused(context: Context, found: Found, no: int, typed: dict[str, str], text: str, *, status: int) -> Response:
    found = find(context, found.id)
    row = queries.revision(context.session, campaign_id=found.campaign.campaign_id, no=no)
    if row.document is None:
        return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind="error")
    return _show(context, found, row, typed, text, status=status)


def _asked(context: Context, found: Found) -> Revision:
    no = request.args.get("no", "")
    if not no.isascii() or not no.isdecimal() or len(no) > 6:
        return found.revision
    return queries.revision(context.session, campaign_id=found.campaign.campaign_id, no=int(no))


def _whose() -> alone.Whose:
    for name, veiled in (("contact", False), ("veiled", True)):
        asked = request.args.get(name)
        if asked:
            return alone.Whose(path_id("ctc", asked, what="contact"), veiled=veiled)
    return alone.Whose()


def _show(context: Context, found: Found, row: Revision, typed: dict[str, str], error: str, *, status: int) -> Response:
    campaign = found.campaign
    may_ask = context.actor.may(Action.CAMPAIGN_SUBMIT, campaign.project_id)
    sees = context.actor.may(Action.CONTACT_READ, campaign.project_id)

    def frame(no: int, step_no: int, contact_id: UUID | None) -> str:
        who = show_id("ctc", contact_id) if contact_id else None
        seen, veiled = (who, None) if sees else (None, who)
        return url_for("web_review.preview", campaign_id=found.id, no=no, step_no=step_no, contact=seen, veiled=veiled)

    def person(at: int) -> str:
        return f"{url_for('web_review.show', campaign_id=found.id, no=row.no)}&as={at}#message"

    return page(
        "campaigns/review.html",
        context,
        status=status,
        **shown.values(context, campaign, row, frame=frame, person=person),
        **signed.values(context, campaign, row),
        found=found,
        moves=view.moves(context.actor, campaign, row),
        badge=view.revision_badge(campaign, row),
        waits=row.state == RevisionState.IN_REVIEW,
        mailed=mailed.mailed(context.session, actor=context.actor, campaign=campaign, row=row, now=context.now)
        if may_ask
        else [],
        typed=typed,
        error=error,
    )

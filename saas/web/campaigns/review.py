"""What approvers see and decide, the message alone in a frame, and what waits for them."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Damaged
from saas.campaigns.schemas import DecisionIn
from saas.campaigns.service import approval
from saas.campaigns.service import review as reviews
from saas.campaigns.types import RevisionState
from saas.channels import queries as channels
from saas.channels.rules import fingerprint_of
from saas.content.current import renderer
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, Invalid
from saas.permissions.types import Action
from saas.sending.queries import quota
from saas.web import forms, words
from saas.web.campaigns import delivery, view
from saas.web.campaigns import preview as alone
from saas.web.campaigns.found import Found, find
from saas.web.campaigns.waiting import waiting
from saas.web.shell import go, page

blp = Blueprint("web_review", __name__, url_prefix="/w/<workspace>")


class Altered(Conflict):
    """The stored document is not the one that was submitted; nobody can sign it."""

    code = "document_altered"


@blp.get("/approvals")
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
def approvals(context: Context) -> Response:
    """Show what waits for this person's decision."""
    return page("campaigns/approvals.html", context, waiting=waiting(context))


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
    asked = request.args.get("contact")
    contact_id = path_id("ctc", asked, what="contact") if asked else None
    return alone.preview(context, campaign=found.campaign, row=row, step_no=step_no, contact_id=contact_id)


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
            lead_s=context.settings.publish_lead_s,
        )

    return _decide(context, campaign_id, no, act, gettext("Signed. The campaign is published."))


@blp.post("/campaigns/<campaign_id>/revisions/<int:no>/publish")
@endpoint(Scope.TENANT, Action.CAMPAIGN_PUBLISH)
def publish(context: Context, campaign_id: str, no: int) -> Response:
    """Publish what is approved and waits for it."""

    def act(seen: dict[str, Any], **about: Any) -> Revision:
        lead_s = context.settings.publish_lead_s
        return approval.publish(context.session, **about, seen_hash=seen["content_hash"], lead_s=lead_s)

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


def _decide(context: Context, campaign_id: str, no: int, act: Callable[..., Revision], text: str) -> Response:
    """Carry a decision out; when it is refused the page comes back with the reason and with what was typed."""
    found = find(context, campaign_id)
    typed = forms.typed("content_hash", "comment")
    loaded = forms.load(DecisionIn(), typed)
    if loaded.errors:
        return _refused(context, found, no, typed, " ".join(loaded.errors.values()), status=422)
    try:
        about = {"actor": context.actor, "campaign_id": found.campaign.campaign_id, "no": no, "now": context.now}
        act(loaded.body, **about)
    except (Conflict, Invalid) as error:
        context.session.rollback()
        return _refused(context, found, no, typed, error.detail, status=422 if isinstance(error, Invalid) else 409)
    return go("web_campaigns.show_campaign", campaign_id=found.id, text=text)


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


def _show(context: Context, found: Found, row: Revision, typed: dict[str, str], error: str, *, status: int) -> Response:
    shown = _review(context, found, row)
    decided = queries.decisions(context.session, campaign_id=row.campaign_id, no=row.no)
    asked = [row.submitted_by] if row.submitted_by else []
    names = accounts(context.session, [*(d.account_id for d in decided), *asked])
    editors = queries.editors_since_approval(context.session, campaign_id=row.campaign_id, no=row.no)
    writers = accounts(context.session, sorted(editors))
    return page(
        "campaigns/review.html",
        context,
        status=status,
        found=found,
        campaign=found.campaign,
        revision=row,
        review=shown,
        sample=_sample_no(shown),
        sees_people=context.actor.may(Action.CONTACT_READ, found.campaign.project_id),
        moves=view.moves(context.actor, found.campaign, row),
        badge=view.revision_badge(found.campaign, row),
        decisions=[(names[d.account_id].name, d) for d in decided],
        asked_by=names[row.submitted_by].name if row.submitted_by else "",
        editors=sorted(writer.name for writer in writers.values()),
        own=context.actor.account_id in editors,
        sources={step.step_no: step.content["subject"] for step in reviews.document_of(row).steps},
        fingerprint=view.fingerprint(row.content_hash),
        checks=_checks(context, row, shown),
        reason_word=view.reason_word,
        speed_word=delivery.speed_word,
        waves_word=delivery.waves_word,
        cap_word=delivery.cap_word,
        span_word=delivery.span_word,
        lead=view.lead(context.settings.publish_lead_s),
        activity=view.activity(context.session, found.campaign, limit=6),
        waits=row.state == RevisionState.IN_REVIEW,
        typed=typed,
        error=error,
    )


def _review(context: Context, found: Found, row: Revision) -> reviews.Review:
    try:
        return reviews.review(
            context.session,
            actor=context.actor,
            campaign=found.campaign,
            row=row,
            renderer=renderer(),
            public_url=context.settings.public_url,
            lead_s=context.settings.publish_lead_s,
            now=context.now,
        )
    except Damaged:
        raise Altered(
            "The stored document is not the one that was submitted. Nobody can sign it, and nothing of it is sent."
        ) from None


def _sample_no(shown: reviews.Review) -> int:
    """Return which of the sample people is shown."""
    asked, most = request.args.get("as", "0"), max((len(step.samples) for step in shown.steps), default=1)
    return min(int(asked), most - 1) if asked.isascii() and asked.isdecimal() and len(asked) < 4 else 0


def _checks(context: Context, row: Revision, shown: reviews.Review) -> list[tuple[str, str]]:
    """Return what was looked at, as (kind, sentence); what needs attention first."""
    people = [*_check_people(shown), *_check_quota(context, shown)]
    found = [*people, *_check_time(row, shown), *_check_channels(context, row), *_check_messages(shown)]
    return sorted(found, key=lambda check: check[0] == "ok")


def _check_people(shown: reviews.Review) -> list[tuple[str, str]]:
    if shown.count is None:
        return [("ok", gettext("Each call names its people; consent and suppressions are looked at for each of them."))]
    if not shown.reachable:
        return [("warn", gettext("Nobody of the audience could be sent to now."))]
    return [("ok", gettext("Consent, suppressions and addresses are looked at again right before each message."))]


def _check_quota(context: Context, shown: reviews.Review) -> list[tuple[str, str]]:
    """Return a warning where this month's quota is not enough for everybody who could be sent to now."""
    found = quota(context.session, now=context.now)
    if found is None or shown.reachable is None or found.left >= shown.reachable:
        return []
    text = gettext(
        "%(left)s of %(quota)s messages of this month are left, and %(people)s people could be sent to now. "
        "Who goes beyond is skipped, if it is sent this month.",
        left=words.number(found.left),
        quota=words.number(found.messages),
        people=words.number(shown.reachable),
    )
    return [("warn", text)]


def _check_time(row: Revision, shown: reviews.Review) -> list[tuple[str, str]]:
    if row.planned_at is None or row.state != RevisionState.IN_REVIEW:
        return []
    if shown.effective_if_approved_now is None:
        return [("bad", gettext("The planned time has passed. It needs a new time before anybody can sign it."))]
    if shown.effective_if_approved_now > row.planned_at:
        return [("warn", gettext("Signed now, it starts later than planned, because a start needs its lead."))]
    return [("ok", gettext("The planned time lies ahead."))]


def _check_channels(context: Context, row: Revision) -> list[tuple[str, str]]:
    found = []
    for step in reviews.document_of(row).steps:
        live = channels.find(context.session, step.channel_id)
        if live is None or live.archived_at is not None:
            found.append(("bad", gettext("The channel configuration of “%(step)s” is gone.", step=step.name)))
        elif fingerprint_of(live) != step.channel:
            found.append(("bad", gettext("The channel configuration of “%(step)s” has changed since.", step=step.name)))
        else:
            found.append(("ok", gettext("The channel configuration is as it was submitted.")))
    return found


def _check_messages(shown: reviews.Review) -> list[tuple[str, str]]:
    failing = [sample.label for step in shown.steps for sample in step.samples if sample.failure]
    if failing:
        return [("bad", gettext("The message could not be made for %(who)s.", who=", ".join(failing)))]
    return [("ok", gettext("The message could be made for every sample person."))]

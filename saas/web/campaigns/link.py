"""Approval by mail for people without an account (U8): the page behind a mailed link.

The token in the address is the proof; no cookie is set and none is asked, but where the policy wants a code word: a
browser in which it was right keeps a pass for this one address. Looking at the page, by whomever and however often
(mail gateways follow links too), decides nothing and spends nothing: only the form with a typed name does.
"""

from typing import Any, Final, cast
from uuid import UUID

from flask import Blueprint, Response, redirect, request, url_for
from flask_babel import gettext

from saas.accounts.queries import accounts
from saas.accounts.types import LockedOut
from saas.campaigns import queries
from saas.campaigns.models import Revision
from saas.campaigns.rules.links import CODE_MAX, LinkGone, LinkState
from saas.campaigns.rules.schedule import NOW
from saas.campaigns.service import code_word, links
from saas.campaigns.service.links import OpenLink, Spoken
from saas.campaigns.service.requests import situation, waits_for
from saas.campaigns.types import Decision, Publisher, RevisionState
from saas.http.fields import is_plain, path_id
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, DomainError, Invalid, NotFound
from saas.kernel.ids import show as show_id
from saas.tenants.queries import workspace
from saas.tenants.service.brand import brand
from saas.web.campaigns import preview as alone
from saas.web.campaigns import shown
from saas.web.shell import frame as page_frame
from saas.web.shell import page

blp = Blueprint("web_link", __name__)

_COOKIE: Final = "csn_link"
_NAME_MAX: Final = 120
_COMMENT_MAX: Final = 4000
_SPOKEN: Final = {each.value: each for each in (Decision.APPROVE, Decision.REQUEST_CHANGES, Decision.REJECT)}


def _tries() -> str:
    """Say how often somebody may press a button; looking has the limit of every page."""
    return f"{running().settings.sign_in_limit_per_minute} per minute"


@blp.get("/approve/<token>")
@endpoint(Scope.PUBLIC)
def look(context: Context, token: str) -> Response:
    """Show what is to be decided. Changes nothing."""
    try:
        link = links.look(context.session, token=token, held=_held(), now=context.now)
    except LinkGone as gone:
        return _gone(context, token, gone.state)
    return _page(context, token, link)


@blp.get("/approve/<token>/preview/<int:no>/<int:step_no>")
@endpoint(Scope.PUBLIC)
def preview(context: Context, token: str, no: int, step_no: int) -> Response:
    """Show one message alone, for the page's frames: of the revision to decide about, or of the one before it."""
    link = links.look(context.session, token=token, held=_held(), now=context.now)
    if link.revision is None or link.closed:
        raise NotFound.of("revision")
    earlier = queries.last_approved(context.session, campaign_id=link.revision.campaign_id, no=link.revision.no)
    row = next((row for row in (link.revision, earlier) if row is not None and row.no == no), None)
    if row is None:
        raise NotFound.of("revision")
    asked = request.args.get("veiled")
    whose = alone.Whose(path_id("ctc", asked, what="contact"), veiled=True) if asked else alone.Whose()
    return _quiet(alone.of_document(context, row=row, step_no=step_no, whose=whose))


@blp.post("/approve/<token>/code")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC)
def open_by_code(context: Context, token: str) -> Response:
    """Take the code word, and let this browser see what is asked. Decides nothing."""
    typed, cost = request.form.get("code_word", "")[: CODE_MAX * 2], context.settings.password_cost
    try:
        held = code_word.try_code_word(context.session, token=token, code_word=typed, cost=cost, now=context.now)
        if held is None:
            context.session.commit()  # the wrong try is counted although the request is refused
            link = links.look(context.session, token=token, held="", now=context.now)
            return _page(context, token, link, error=str(gettext("This is not the code word.")), status=422)
    except LinkGone as gone:
        context.session.rollback()
        return _gone(context, token, gone.state)
    except LockedOut as locked:
        return _paused(context, token, locked)
    response = cast("Response", redirect(url_for("web_link.look", token=token), code=303))
    response.set_cookie(
        _COOKIE,
        held,
        max_age=code_word.PASS_LASTS,
        path=url_for("web_link.look", token=token),
        secure=context.settings.public_url.startswith("https://"),
        httponly=True,
        samesite="Lax",
    )
    return _quiet(response)


@blp.post("/approve/<token>")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC)
def decide(context: Context, token: str) -> Response:
    """Decide, once; or confirm an address. A refusal brings the page back with what was typed."""
    try:
        link = links.look(context.session, token=token, held=_held(), now=context.now)
        if link.campaign is None:
            links.confirm(context.session, token=token, now=context.now)
            return _told(context, "confirmed")
        spoken = _spoken()
        done = links.decide(
            context.session,
            token=token,
            held=_held(),
            spoken=spoken,
            lead_s=context.settings.publish_lead_s,
            now=context.now,
        )
    except LinkGone as gone:
        context.session.rollback()
        return _gone(context, token, gone.state)
    except (Conflict, Invalid) as error:
        return _refused(context, token, error)
    return _told(context, spoken.decision.value, done.revision)


def _spoken() -> Spoken:
    form = request.form
    decision, name, comment = _SPOKEN.get(form.get("decision", "")), form.get("name", ""), form.get("comment", "")
    if decision is None:
        raise Invalid.at("/decision", str(gettext("Choose one of the buttons.")))
    if len(name) > _NAME_MAX or len(comment) > _COMMENT_MAX or "\0" in comment:
        raise Invalid.at("/comment", str(gettext("This is too long.")))
    if not is_plain(name):
        raise Invalid.at("/name", str(gettext("Type your name in plain letters.")))
    if not name.strip():
        raise Invalid.at("/name", str(gettext("Type your name: it stands under your decision.")))
    if decision is not Decision.APPROVE and not comment.strip():
        raise Invalid.at("/comment", str(gettext("Say what should change, or why.")))
    start = NOW if form.get("start") == NOW and decision is Decision.APPROVE else None
    return Spoken(decision, form.get("content_hash", ""), name, comment, start)


def _held() -> str:
    """Return the pass that this browser keeps for the address, "" for none."""
    return request.cookies.get(_COOKIE, "")


def _refused(context: Context, token: str, error: DomainError) -> Response:
    """Say why nothing was decided, on the page as it stands now; when the link stopped working, that it did."""
    context.session.rollback()
    try:
        link = links.look(context.session, token=token, held=_held(), now=context.now)
    except LinkGone as gone:
        return _gone(context, token, gone.state)
    text = " ".join(fault.message for fault in error.faults) or error.detail
    return _page(context, token, link, error=text, status=422 if isinstance(error, Invalid) else 409)


def _page(context: Context, token: str, link: OpenLink, *, error: str = "", status: int = 200) -> Response:
    place = workspace(context.session)
    page_frame().public_zone = place.time_zone
    look = brand(context.session)
    about = {"token": token, "brand": look, "outside": link.outside, "error": error, "referrer": "no-referrer"}
    if link.closed:
        return _quiet(page("campaigns/link_code.html", context, status=status, **about))
    if link.campaign is None or link.revision is None or link.request is None:
        return _quiet(page("campaigns/link_confirm.html", context, status=status, **about))
    row = link.revision

    def frame(no: int, step_no: int, contact_id: UUID | None) -> str:
        veiled = show_id("ctc", contact_id) if contact_id else None
        return url_for("web_link.preview", token=token, no=no, step_no=step_no, veiled=veiled)

    def person(at: int) -> str:
        return f"{url_for('web_link.look', token=token)}?as={at}#message"

    asked_by = link.request.asked_by
    found = situation(context.session, row, project_id=link.campaign.project_id)
    said = shown.values(context, link.campaign, row, frame=frame, person=person)
    return _quiet(
        page(
            "campaigns/link.html",
            context,
            status=status,
            **said,
            **about,
            late=said["review"].planned_at is not None and said["review"].effective_if_approved_now is None,
            last=found is not None and len(found.standing.counted) + 1 >= found.asked.needed,
            publishes=found is None or found.asked.publisher is Publisher.APPROVAL,
            asker=accounts(context.session, [asked_by])[asked_by].name if asked_by else place.name,
            note=link.request.note,
            expires_at=link.row.expires_at,
            needed=found.asked.needed if found is not None else 1,
            given=len(found.standing.counted) if found is not None else 0,
            may_sign=found is not None and link.outside.outside_id in found.standing.may_decide,
            typed={name: request.form.get(name, "") for name in ("name", "comment", "start")},
        )
    )


def _paused(context: Context, token: str, locked: LockedOut) -> Response:
    """Say that the code word was wrong too often, and how long that lasts."""
    context.session.rollback()
    link = links.look(context.session, token=token, held="", now=context.now)
    response = _page(context, token, link, error=locked.detail, status=429)
    response.headers["Retry-After"] = str(locked.extra["retry_after_s"])
    return response


def _told(context: Context, what: str, row: Revision | None = None) -> Response:
    """Say what was done, and what a signature led to."""
    led_to = _led_to(context, row) if row is not None and what == Decision.APPROVE else ""
    about: dict[str, Any] = {"what": what, "led_to": led_to, "brand": brand(context.session), "referrer": "no-referrer"}
    return _quiet(page("campaigns/link_done.html", context, **about))


def _led_to(context: Context, row: Revision) -> str:
    state = RevisionState(row.state)
    if state is RevisionState.PUBLISHED:
        return str(gettext("It is published with your signature."))
    if state is RevisionState.APPROVED and waits_for(row, context.now) == "start":
        return str(gettext("Its planned time has passed: nothing is sent until a new start is chosen."))
    if state is RevisionState.APPROVED:
        return str(gettext("It is approved, and waits to be published."))
    return str(gettext("It waits for the signatures of others."))


def _gone(context: Context, token: str, state: LinkState | None) -> Response:
    """Say why a link does not work. Who holds one of ours learns whose it was, and nothing of the campaign."""
    about: dict[str, Any] = {"state": state, "referrer": "no-referrer"}
    if state is not None:
        about["brand"] = links.whose(context.session, token=token)
    return _quiet(page("campaigns/link_gone.html", context, status=404 if state is None else 410, **about))


def _quiet(response: Response) -> Response:
    """Keep the token out of caches, of search engines and of the next site's logs."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response

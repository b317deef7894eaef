"""The public addresses in messages: click, image and unsubscribe. No cookie, no CSRF: the token is the proof."""

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.datastructures import Headers

from saas.content.rules.tokens import LENGTH
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.intake.service import links
from saas.intake.types import DeadLink, Standing, Subscription

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

pages = Blueprint("intake", __name__)

PREVIEW: Final = "preview"  # what stands in place of a token in messages that are shown for approval
# One transparent dot (GIF89a).
_PIXEL: Final = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")
_PER_MESSAGE: Final = "120 per minute"
_PAGES: Final = {
    Standing.SUBSCRIBED: "public/unsubscribe.html",
    Standing.UNSUBSCRIBED: "public/unsubscribed.html",
    Standing.NO_SUBSCRIPTION: "public/no_subscription.html",
}


class Redirect(Response):
    """A redirect to exactly the address that was signed; werkzeug would spell some of its characters differently."""

    def __init__(self, url: str) -> None:
        super().__init__(status=302, headers={"Location": url})

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """Return the headers as they go out. Only what is beyond ASCII must be spelled otherwise."""
        headers = super().get_wsgi_headers(environ)
        if self.headers["Location"].isascii():
            headers["Location"] = self.headers["Location"]
        return headers


def _message() -> str:
    """Name what is limited: one message's links. Mail gateways follow those of thousands from one address."""
    token = str((request.view_args or {}).get("token", ""))
    return f"token:{token}" if len(token) == LENGTH else f"address:{request.remote_addr}"


_limited = limiter.limit(_PER_MESSAGE, key_func=_message)


@pages.get("/c/<token>/<int:link_no>")
@_limited
@endpoint(Scope.PUBLIC)
def follow(context: Context, token: str, link_no: int) -> Response:
    """Lead a click to its destination; only a GET is noted (HEAD is asked by programs)."""
    if token == PREVIEW:
        return _page("public/preview.html")
    try:
        destination = links.find(context.session, token=token, link_no=link_no, link_key=context.vault.link_key)
    except DeadLink:
        return _page("public/gone.html", status=404)
    if request.method == "GET":
        links.note_click(
            context.session, destination=destination, user_agent=request.user_agent.string, now=context.now
        )
    return _quiet(Redirect(destination.url))


@pages.get("/o/<token>.gif")
@_limited
@endpoint(Scope.PUBLIC)
def open_image(context: Context, token: str) -> Response:
    """Answer the image of a message. Whoever asks for another one gets the same: nothing is learned by trying."""
    if token != PREVIEW and request.method == "GET":
        with suppress(DeadLink):
            links.note_open(
                context.session,
                token=token,
                user_agent=request.user_agent.string,
                link_key=context.vault.link_key,
                now=context.now,
            )
    return _quiet(Response(_PIXEL, mimetype="image/gif"))


@pages.get("/u/<token>")
@_limited
@endpoint(Scope.PUBLIC)
def ask(context: Context, token: str) -> Response:
    """Show what a person would leave, with one button. Nothing changes: programs open links too."""
    if token == PREVIEW:
        return _page("public/preview.html")
    try:
        found = links.subscription(context.session, token=token, link_key=context.vault.link_key)
    except DeadLink:
        return _page("public/gone.html", status=404)
    return _told(found)


@pages.post("/u/<token>")
@_limited
@endpoint(Scope.PUBLIC)
def leave(context: Context, token: str) -> Response:
    """Unsubscribe, by a mail program's one click (RFC 8058) or by the page's button.

    What the body says is not asked: no reading of it may stand between a person and their wish.
    """
    if token == PREVIEW:
        return _page("public/preview.html")
    try:
        found = links.unsubscribe(context.session, token=token, link_key=context.vault.link_key, now=context.now)
    except DeadLink:
        return _page("public/gone.html", status=404)
    return _told(found)


def _told(found: Subscription) -> Response:
    return _page(_PAGES[found.standing], found=found)


def _page(template: str, *, status: int = 200, found: Subscription | None = None) -> Response:
    return _quiet(make_response(render_template(template, found=found), status))


def _quiet(response: Response) -> Response:
    """Keep the token out of caches, of search engines and of the next site's logs."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response

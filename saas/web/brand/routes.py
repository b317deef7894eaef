"""Logo and colours of a workspace, for its public pages (white label). Public by nature: recipients see them."""

from typing import Final
from uuid import UUID

from flask import Blueprint, Response, make_response

from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import NotFound
from saas.kernel.ids import BadId, parse
from saas.tenants.service import brand as service

blp = Blueprint("web_brand", __name__, url_prefix="/brand/<brand_id>")

_A_DAY_S: Final = 24 * 3600


@blp.get("/style.css")
@endpoint(Scope.PUBLIC)
def style(context: Context, brand_id: str) -> Response:
    """Return the colours as a style sheet; nothing in it where the workspace has none of its own."""
    found = service.public_brand(context.session, _id(brand_id))
    rules = []
    if found.colour:
        rules += [
            f".wl-bar {{ background: {found.colour}; }}",
            f".wl-brand {{ color: {found.colour}; }}",
            f".wl .btn-primary {{ background: {found.colour}; border-color: {found.colour}; color: #ffffff; }}",
        ]
    if found.colour_dark:
        rules.append(f"[data-bs-theme=dark] .wl-brand {{ color: {found.colour_dark}; }}")
    return _kept(make_response("\n".join(rules) + "\n"), "text/css; charset=utf-8")


@blp.get("/logo")
@endpoint(Scope.PUBLIC)
def logo(context: Context, brand_id: str) -> Response:
    """Return the logo, as the type that its content was found to have."""
    service.public_brand(context.session, _id(brand_id))
    kind, content = service.logo(context.session)
    response = _kept(make_response(b"".join(content)), kind)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _kept(response: Response, kind: str) -> Response:
    """Addresses carry the workspace's version, so what they lead to may be kept."""
    response.headers["Content-Type"] = kind
    response.headers["Cache-Control"] = f"public, max-age={_A_DAY_S}"
    return response


def _id(text: str) -> UUID:
    try:
        return parse("wsp", text)
    except BadId:
        raise NotFound("There is no such page.") from None

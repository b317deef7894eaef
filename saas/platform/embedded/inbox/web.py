"""The inbox's API and pages."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from flask import Flask, Response, abort, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape
from werkzeug.exceptions import HTTPException

from saas.platform.embedded.inbox.parsing import content_of, links_in
from saas.platform.embedded.inbox.store import Store
from saas.platform.embedded.inbox.types import Summary

_PAGE: Final = 50
_DEFAULT_LIMIT: Final = 100
_MAX_LIMIT: Final = 1000
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HTML_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_LINK: Final = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_NOT_ITS_END: Final = ".,;:!?)]}"


def create_inbox(store: Store) -> Flask:
    """Return the WSGI application over a store."""
    here = Path(__file__).parent
    app = Flask("inbox", root_path=str(here), static_folder="static", template_folder="templates")
    # A page elsewhere must not read invitations by letting its own name point to this machine.
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost"]
    app.jinja_env.filters["linked"] = linked
    app.after_request(_guard)
    app.register_error_handler(HTTPException, _problem)
    _add_api(app, store)
    _add_pages(app, store)
    return app


def linked(text: str) -> Markup:
    """Return plain text as HTML with its web addresses clickable."""
    pieces: list[Markup] = []
    at = 0
    for match in _LINK.finditer(text):
        address = match[0].rstrip(_NOT_ITS_END)
        pieces.append(escape(text[at : match.start()]))
        pieces.append(Markup('<a href="{0}" rel="noreferrer noopener">{0}</a>').format(address))
        at = match.start() + len(address)
    pieces.append(escape(text[at:]))
    return Markup("").join(pieces)


def _add_api(app: Flask, store: Store) -> None:
    @app.get("/api/messages")
    def messages() -> ResponseReturnValue:
        limit = _number("limit", default=_DEFAULT_LIMIT, least=1, most=_MAX_LIMIT)
        after = _number("after", default=0, least=0, most=None)
        chosen = _matching(
            store.after(after), to=request.args.get("to"), subject=request.args.get("subject", "").casefold()
        )
        found = list(islice(chosen, limit + 1))  # the extra one only tells that there is more
        rows = found[:limit]
        return jsonify(
            data=[row.to_json() for row in rows], next_cursor=str(rows[-1].id) if len(found) > limit else None
        )

    @app.delete("/api/messages")
    def clear() -> ResponseReturnValue:
        store.clear()
        return "", 204

    @app.get("/api/messages/<int:number>")
    def message(number: int) -> ResponseReturnValue:
        raw = _raw(store, number)
        content = content_of(raw)
        return jsonify(headers=content.headers, text=content.text, html=content.html, raw_size=len(raw))

    @app.get("/api/messages/<int:number>/raw")
    def raw(number: int) -> ResponseReturnValue:
        return Response(_raw(store, number), content_type="message/rfc822")

    @app.get("/api/stats")
    def stats() -> ResponseReturnValue:
        return jsonify(store.stats())


def _add_pages(app: Flask, store: Store) -> None:
    @app.get("/")
    def inbox() -> ResponseReturnValue:
        before = _number("before", default=0, least=0, most=None)
        words = request.args.get("q", "").strip()
        newest_first = (row for row in reversed(store.after(0)) if not before or row.id < before)
        found = list(islice((row for row in newest_first if _mentions(row, words.casefold())), _PAGE + 1))
        rows = found[:_PAGE]
        older = url_for("inbox", q=words or None, before=rows[-1].id) if len(found) > _PAGE else None
        return render_template("inbox.html", rows=rows, words=words, older=older, first=not before, stats=store.stats())

    @app.get("/messages/<int:number>")
    def page(number: int) -> ResponseReturnValue:
        content = content_of(_raw(store, number))
        links = links_in(content.html) if content.html else ()
        return render_template("message.html", row=store.summary(number), content=content, links=links)

    @app.get("/messages/<int:number>/html")
    def html(number: int) -> ResponseReturnValue:
        body = content_of(_raw(store, number)).html
        if body is None:
            abort(404)
        answer = Response(body.encode("utf-8", "replace"), content_type="text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = _HTML_POLICY
        return answer

    @app.get("/messages/<int:number>/source")
    def source(number: int) -> ResponseReturnValue:
        return Response(_raw(store, number), content_type="text/plain; charset=utf-8")


def _raw(store: Store, number: int) -> bytes:
    raw = store.raw(number)
    if raw is None:
        abort(404)
    return raw


def _number(name: str, *, default: int, least: int, most: int | None) -> int:
    text = request.args.get(name) or str(default)
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
    if value < least or (most is not None and value > most):
        abort(400, f"{name} must be a whole number from {least}" + (f" to {most}" if most is not None else ""))
    return value


def _matching(rows: list[Summary], *, to: str | None, subject: str) -> Iterator[Summary]:
    address = to.casefold() if to else None
    for row in rows:
        if address is not None and address not in map(str.casefold, row.rcpt_to):
            continue
        if subject in row.subject.casefold():
            yield row


def _mentions(row: Summary, words: str) -> bool:
    return any(words in text.casefold() for text in (row.subject, row.mail_from, *row.rcpt_to))


def _guard(answer: Response) -> Response:
    answer.headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"  # links out of messages carry secrets in their address
    answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _problem(error: HTTPException) -> ResponseReturnValue:
    if request.path.startswith("/api/"):
        answer = jsonify(title=error.name, status=error.code, detail=error.description)
        answer.content_type = "application/problem+json"
        return answer, error.code or 500
    return render_template("error.html", error=error), error.code or 500

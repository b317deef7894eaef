"""Security headers of every answer (security.md M)."""

from typing import Final

from flask import Flask, Response

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def register(app: Flask, *, secure: bool) -> None:
    """Add the headers; a view may have set a stricter policy of its own (message previews do)."""
    wanted = {**_HEADERS, "Content-Security-Policy": CSP, "Cache-Control": "no-store"}
    if secure:
        wanted["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    by_key = tuple((name.lower(), name, value) for name, value in wanted.items())

    @app.after_request
    def _add(response: Response) -> Response:
        given = {name.lower() for name, _ in response.headers}
        for key, name, value in by_key:
            if key not in given:
                response.headers.add(name, value)
        return response

"""Where a webhook may lead: https to the public internet; all else only where the installation allows it."""

import re
from typing import Final
from urllib.parse import urlsplit

from saas.channels.adapters.webhook.types import Target
from saas.kernel.errors import Invalid
from saas.platform import egress

PORTS: Final = (443, 8443)
MAX_URL: Final = 2000

_USABLE: Final = re.compile(r"[!-~]+")
_USUAL_PORT: Final = {"https": 443, "http": 80}


def target_of(url: str, *, allow: tuple[str, ...]) -> Target:
    """Return where an address leads. `allow` is EGRESS_ALLOW: its targets may be named by http, on any port.

    Nothing is looked up here: that is done, and each address checked, when a connection is made. Raises Invalid.
    """
    if len(url) > MAX_URL or not _USABLE.fullmatch(url):
        raise _bad(f"Not an address of up to {MAX_URL} ASCII characters as in https://hooks.northwind.example/in.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad("Not an address as in https://hooks.northwind.example/in.") from None
    if parts.scheme not in _USUAL_PORT or not host:
        raise _bad("An address begins with https:// and names a host.")
    if "@" in parts.netloc or parts.fragment:
        raise _bad("An address holds no user name, no password and no part after #.")
    port = _USUAL_PORT[parts.scheme] if port is None else port
    _check(parts.scheme, host, port, allow)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port, _authority(parts.scheme, host, port), path)


def spelled(target: Target) -> str:
    """Return an address in its one spelling."""
    return f"{'https' if target.is_secure else 'http'}://{target.authority}{target.path}"


def _check(scheme: str, host: str, port: int, allow: tuple[str, ...]) -> None:
    if egress.exempt(host, port, allow=allow):
        return
    if scheme != "https":
        raise _bad("Use https: messages and their signatures may not travel unprotected.")
    if port not in PORTS:
        raise _bad(f"Use one of the ports {', '.join(map(str, PORTS))}.")
    try:
        egress.check_target(host, port, allow=allow, ports=PORTS)
    except egress.Refused:
        raise _bad("Connections to this host are not allowed: it is not on the public internet.") from None


def _authority(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port == _USUAL_PORT[scheme] else f"{shown}:{port}"


def _bad(why: str) -> Invalid:
    return Invalid.at("/url", why)

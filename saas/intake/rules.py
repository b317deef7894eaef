"""Pure decisions of intake: where a click may lead, who clicked, what a public page may show."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit

from saas.intake.types import Agent
from saas.kernel.texts import UNSTORABLE, is_storable

EVENT_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,59}")
MAX_PROPERTIES: Final = 50
MAX_PROPERTY_NAME: Final = 60
MAX_PROPERTY_TEXT: Final = 500
OLDEST: Final = timedelta(days=400)
_AHEAD: Final = timedelta(minutes=5)
_MAX_NUMBER: Final = 1e15

_FOLLOWED: Final = frozenset({"http", "https"})
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")
_MOBILE: Final = re.compile(r"\b(?:android|iphone|ipad|ipod|mobile)\b", re.IGNORECASE)
# Programs that say so: mail gateways that follow links before people do, link previews, crawlers, HTTP libraries.
# On an open, the name of a program in which people read mail; on a click, that of its look ahead.
_OFFICE: Final = "microsoft office|ms-office"
_MACHINE: Final = re.compile(
    r"bot\b|crawler|spider|scanner|preview|prefetch|monitor|headless|phantomjs|facebookexternalhit|whatsapp"
    r"|barracuda|proofpoint|mimecast|ironport|messagelabs|symantec|fireeye|trendmicro|forcepoint|sophos|cloudmark"
    rf"|{_OFFICE}|safelinks|googleimageproxy|yahoomailproxy"
    r"|^(?:curl|wget|libwww|lwp|java|okhttp|apache-httpclient|go-http-client|ruby|php|perl|axios|node|undici)\b"
    r"|python|aiohttp|httpx",
    re.IGNORECASE,
)


_READER: Final = re.compile(_OFFICE, re.IGNORECASE)


def may_lead_to(url: str) -> bool:
    """Say whether a click may lead to this address: http or https, a host, nothing that could end a header."""
    if _UNSAFE.search(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in _FOLLOWED and bool(parts.hostname)
    except ValueError:
        return False


def agent_of(user_agent: str) -> Agent:
    """Return what kind of thing a user agent names itself. Whoever names itself nothing is no browser."""
    if not user_agent.strip() or _MACHINE.search(user_agent):
        return Agent.MACHINE
    return Agent.MOBILE if _MOBILE.search(user_agent) else Agent.DESKTOP


def opened_by(user_agent: str) -> Agent:
    """Return what kind of thing fetched the image of a message. A proxy may do so for a person or for nobody.

    Gmail's and Yahoo's proxies name themselves; Apple's privacy proxy calls itself Mozilla/5.0 and nothing else.
    """
    if user_agent.strip() == "Mozilla/5.0":
        return Agent.MACHINE
    return Agent.DESKTOP if _READER.search(user_agent) else agent_of(user_agent)


def fact_id(kind: str, *parts: int) -> bytes:
    """Return the 16 bytes by which one fact is known, however often it is told."""
    return blake2b("|".join((kind, *map(str, parts))).encode(), digest_size=16).digest()


def masked(email: str) -> str:
    """Return an address that its owner recognises and nobody else can write to: c…e@example.org."""
    local, _, domain = email.rpartition("@")
    ends = (local[:1], local[-1:]) if len(local) > 3 else (local[:1] if len(local) > 1 else "", "")
    return f"{ends[0]}…{ends[1]}@{domain}"


def in_words(topic: str) -> str:
    """Return a topic's key as people read it: product_news becomes product news."""
    return topic.replace("_", " ").strip()


def too_far(at: datetime | None, now: datetime) -> str:
    """Return why an event cannot have happened at a moment, or nothing. None stands for now."""
    if at is None:
        return ""
    if at > now + _AHEAD:
        return "This is more than 5 minutes in the future."
    return f"This is more than {OLDEST.days} days ago." if at < now - OLDEST else ""


def properties_fault(properties: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the property that cannot be kept, and why; None when all can. A name of "" means the object as a whole."""
    if len(properties) > MAX_PROPERTIES:
        return "", f"An event has at most {MAX_PROPERTIES} properties."
    for name, value in properties.items():
        why = _name_fault(name) or _value_fault(value)
        if why:
            return name if is_storable(name) else "", why
    return None


def _name_fault(name: str) -> str:
    if not is_storable(name):
        return UNSTORABLE
    return "" if 1 <= len(name) <= MAX_PROPERTY_NAME else f"A name has 1 to {MAX_PROPERTY_NAME} characters."


def _value_fault(value: object) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, str):
        if not is_storable(value):
            return UNSTORABLE
        return "" if len(value) <= MAX_PROPERTY_TEXT else f"A text has at most {MAX_PROPERTY_TEXT} characters."
    if isinstance(value, int | float):
        # Neither infinity nor what is no number is within.
        return "" if abs(value) <= _MAX_NUMBER else "This number is too large."
    return "Only texts, numbers, true and false can be kept here."

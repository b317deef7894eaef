"""Pure decisions of intake: where a click may lead, who clicked, what a public page may show."""

import re
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit

from saas.intake.types import Agent

_FOLLOWED: Final = frozenset({"http", "https"})
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")
_MOBILE: Final = re.compile(r"\b(?:android|iphone|ipad|ipod|mobile)\b", re.IGNORECASE)
# Programs that say so: mail gateways that follow links before people do, link previews, crawlers, HTTP libraries.
_MACHINE: Final = re.compile(
    r"bot\b|crawler|spider|scanner|preview|prefetch|monitor|headless|phantomjs|facebookexternalhit|whatsapp"
    r"|barracuda|proofpoint|mimecast|ironport|messagelabs|symantec|fireeye|trendmicro|forcepoint|sophos|cloudmark"
    r"|microsoft office|safelinks|ms-office|googleimageproxy|yahoomailproxy"
    r"|^(?:curl|wget|libwww|lwp|java|okhttp|apache-httpclient|go-http-client|ruby|php|perl|axios|node|undici)\b"
    r"|python|aiohttp|httpx",
    re.IGNORECASE,
)


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

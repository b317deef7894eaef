"""Channels' pure decisions: what may be configured, what the fingerprint is, and what a relay's answer means."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import idna
from email_validator import EmailNotValidError, validate_email

from saas.channels.types import (
    About,
    ChannelDraft,
    ChannelKind,
    Identity,
    Outcome,
    OutcomeKind,
    OutcomeScope,
    Security,
    Stage,
    TrialResult,
    Trouble,
)
from saas.kernel.errors import Fault, Invalid
from saas.platform import egress

FINGERPRINT_FIELDS: Final = ("kind", "purpose", "from_name", "from_address", "reply_to", "return_path", "host")
MAX_NAME: Final = 100
MAX_RATE: Final = 1_000_000
MAX_CONNECTIONS: Final = 50
MAX_DNS_NAME: Final = 253
MAX_SECRET: Final = 500
MAX_TEXT: Final = 500

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_ENHANCED: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_NOT_IN_ADDRESS: Final = re.compile(r"[\s<>,;\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_ACCEPTED: Final = OutcomeKind.ACCEPTED
_REFUSED: Final = OutcomeKind.REFUSED
_DEFERRED: Final = OutcomeKind.DEFERRED
_PERSON: Final = OutcomeScope.RECIPIENT
_CHANNEL: Final = OutcomeScope.CHANNEL

# The table of answers (reliability.md 2), first match wins: "code enhanced-code", "-" where the relay gives none.
# 5.1.7 and 5.1.8 are about the sender (RFC 3463), 5.2.2 is a full mailbox also when it comes with 552; the 50x say
# that the relay did not understand us; a bare 554 is how most relays word a policy.
_ANSWERS: Final = (
    (re.compile(r"2\d\d .*"), Outcome(_ACCEPTED)),
    (re.compile(r"421 .*|4\d\d 4\.7\.\d+"), Outcome(_DEFERRED, _CHANNEL, trouble=Trouble.PRESSURE)),
    (re.compile(r"4\d\d .*"), Outcome(_DEFERRED, _PERSON)),
    (re.compile(r"5\d\d 5\.1\.[78]"), Outcome(_REFUSED, _CHANNEL, trouble=Trouble.POLICY)),
    (re.compile(r"5\d\d 5\.1\.\d+"), Outcome(_REFUSED, _PERSON, hard=True)),
    (re.compile(r"53[0458] .*"), Outcome(_REFUSED, _CHANNEL, trouble=Trouble.SIGN_IN)),
    (
        re.compile(r"5\d\d 5\.7\.\d+|554 (?:-|5\.0\.0)|50[0234] .*"),
        Outcome(_REFUSED, _CHANNEL, trouble=Trouble.POLICY),
    ),
    (re.compile(r"5\d\d 5\.(?:2\.3|3\.4|6\.\d+)|552 (?!5\.2\.2$).*"), Outcome(_REFUSED, OutcomeScope.CONTENT)),
    (re.compile(r"5\d\d .*"), Outcome(_REFUSED, _PERSON)),
)

_TROUBLE_AT_SENDER: Final = MappingProxyType({_DEFERRED: Trouble.PRESSURE, _REFUSED: Trouble.POLICY})


def fingerprint_of(row: Identity) -> dict[str, Any]:
    """Return what an approver signs of a configuration. `queries.FINGERPRINT_SQL` makes the same in the database."""
    if row.kind == ChannelKind.WEBHOOK:
        return {"kind": row.kind, "purpose": row.purpose, "url": row.url}
    signed = {field: getattr(row, field) for field in FINGERPRINT_FIELDS}
    if row.dkim_domain is not None:
        signed |= {"dkim_domain": row.dkim_domain, "dkim_selector": row.dkim_selector}
    return signed


def classify(code: int, text: str, *, about: About) -> Outcome:
    """Return what a relay's answer means. `text` may start with an enhanced status code (RFC 3463).

    An answer to MAIL FROM cannot be about the person: the relay does not know them yet. An answer that is neither
    2xx, 4xx nor 5xx leaves open what became of the message.
    """
    words = f"{code} {text}".strip()
    if code == 250:  # the answer that nearly everybody gets
        return Outcome(_ACCEPTED, text=clean(words))
    found = _ENHANCED.match(text)
    enhanced = found[1] if found and found[1][0] == str(code)[0] else "-"
    outcome = next((o for pattern, o in _ANSWERS if pattern.fullmatch(f"{code} {enhanced}")), None)
    if outcome is None:
        return Outcome(OutcomeKind.UNKNOWN, text=clean(words))
    if about is About.SENDER and outcome.scope is _PERSON and outcome.kind is not _ACCEPTED:
        outcome = replace(outcome, scope=_CHANNEL, hard=False, trouble=_TROUBLE_AT_SENDER[outcome.kind])
    return replace(outcome, text=clean(words))


def clean(text: str) -> str:
    """Return a provider's text fit for storing and showing: one line, no control characters, at most 500."""
    if not text.isprintable():  # a quick look first: nearly all texts are, and each answer comes through here
        text = _CONTROL.sub(" ", text)
    return text.strip()[:MAX_TEXT]


def wire_address(address: str) -> str | None:
    """Return an address as it goes into MAIL FROM or RCPT TO, the domain in its xn-- form; None if it is none."""
    local, _, domain = address.rpartition("@")
    if not local or not domain or "@" in local or len(address) > 320 or _NOT_IN_ADDRESS.search(address):
        return None
    return f"{local}@{domain}" if domain.isascii() else _with_ascii_domain(local, domain)


def _with_ascii_domain(local: str, domain: str) -> str | None:
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return None


def checked(draft: ChannelDraft, *, allow: tuple[str, ...], sources: tuple[str, ...] = ()) -> ChannelDraft:
    """Return the configuration in its one spelling. Raises Invalid with all that is wrong.

    `allow` is EGRESS_ALLOW: its targets may have any port, and passwords may travel to them unprotected.
    `sources` is SOURCE_ADDRESSES: the addresses from which this installation may connect.
    """
    faults: list[Fault] = []
    clean_draft = replace(
        draft,
        name=_line("/name", draft.name, faults),
        from_name=_header_text("/from_name", draft.from_name, faults),
        from_address=_address("/from_address", draft.from_address, faults),
        reply_to=_address("/reply_to", draft.reply_to, faults) if draft.reply_to else None,
        return_path=_address("/return_path", draft.return_path, faults) if draft.return_path else None,
        host=_host(draft.host, faults),
        username=draft.username or None,
        source_address=_source(draft.source_address, sources, faults) if draft.source_address else None,
        ehlo_name=_greeting(draft.ehlo_name, faults) if draft.ehlo_name else None,
    )
    _check_secrets(clean_draft, faults)
    if not 1 <= draft.connections <= MAX_CONNECTIONS:
        faults.append(Fault("/connections", f"Must be between 1 and {MAX_CONNECTIONS}."))
    if draft.rate_per_minute is not None and not 1 <= draft.rate_per_minute <= MAX_RATE:
        faults.append(Fault("/rate_per_minute", f"Must be between 1 and {MAX_RATE}, or empty for no limit."))
    if not any(fault.pointer == "/host" for fault in faults):
        _check_target(clean_draft, allow, faults)
    if faults:
        raise Invalid("Some values cannot be used; see errors.", faults=faults)
    return clean_draft


def checked_name(text: str) -> str:
    """Return what a configuration is called. Raises Invalid."""
    faults: list[Fault] = []
    name = _line("/name", text, faults)
    if faults:
        raise Invalid(faults[0].message, faults=faults)
    return name


def is_dns_name(text: str) -> bool:
    """Say whether a text in small letters is a name of letters, digits and hyphens (RFC 1123, 2.1)."""
    return len(text) <= MAX_DNS_NAME and all(map(_DNS_LABEL.fullmatch, text.split(".")))


def leads_elsewhere(before: ChannelDraft, after: ChannelDraft) -> bool:
    """Say whether a stored password would go to another place, or more openly, than it was entered for."""
    return (before.host, before.port, before.security, before.username) != (
        after.host,
        after.port,
        after.security,
        after.username,
    )


def ehlo_name(public_url: str) -> str:
    """Return the name by which we greet relays (RFC 5321, 4.1.3): our domain, or an address literal."""
    host = urlsplit(public_url).hostname or "localhost"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host if host.isascii() else idna.encode(host, uts46=True).decode()
    return _literal(address)


def verdict(outcome: Outcome, stage: Stage, *, host: str) -> TrialResult:
    """Return what is told of a test message. Details stay with us: they would make a port scanner of us."""
    if outcome.kind is OutcomeKind.ACCEPTED:
        return TrialResult(accepted=True, text=f"accepted by {host}")
    if outcome.kind is OutcomeKind.UNKNOWN:
        return TrialResult(accepted=False, text="The server did not answer in time")
    return TrialResult(accepted=False, text=_FAILED_AT[stage])


_FAILED_AT: Final[Mapping[Stage, str]] = {
    Stage.CONNECT: "The server cannot be reached",
    Stage.PROTECT: "The server offers no connection that can be trusted (TLS)",
    Stage.SIGN_IN: "The server refused the sign-in",
    Stage.ENVELOPE: "The server refused the sender or recipient",
    Stage.CONTENT: "The server refused the message",
}


def trial_message(draft: ChannelDraft, *, to: str, now: datetime, message_id: UUID) -> bytes:
    """Return a small test message, CRLF and plain ASCII throughout. `draft` and `to` are checked already."""
    domain = draft.from_address.rpartition("@")[2]
    head = [
        f"From: {_shown(draft.from_name)} <{draft.from_address}>",
        f"To: <{to}>",
        *([f"Reply-To: <{draft.reply_to}>"] if draft.reply_to else []),
        "Subject: Test message from Countersign",
        f"Date: {format_datetime(now)}",
        f"Message-ID: <test.{message_id.hex}@{domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
    ]
    body = [
        "This is a test of a channel configuration in Countersign.",
        "If you can read it, messages leave through this configuration.",
    ]
    return "\r\n".join((*head, "", *body, "")).encode("ascii")


def _shown(name: str) -> str:
    if name.isascii():
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Header(name, "utf-8", maxlinelen=70, header_name="From").encode(linesep="\r\n")


def _line(pointer: str, text: str, faults: list[Fault]) -> str:
    text = text.strip()
    if not 1 <= len(text) <= MAX_NAME:
        faults.append(Fault(pointer, f"Must have 1 to {MAX_NAME} characters."))
    elif _CONTROL.search(text):
        faults.append(Fault(pointer, "Line breaks and other control characters are not allowed here."))
    return text


def _header_text(pointer: str, text: str, faults: list[Fault]) -> str:
    if "=?" in text:  # an encoded word could smuggle in a header (security.md F)
        faults.append(Fault(pointer, "“=?” is not allowed here."))
    return _line(pointer, text, faults)


def _address(pointer: str, text: str, faults: list[Fault]) -> str:
    try:
        found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        faults.append(Fault(pointer, "Not a mail address that relays accept, as in news@northwind.example."))
        return text
    if "=?" in text:
        faults.append(Fault(pointer, "“=?” is not allowed here."))
    return found.ascii_email or text


def _host(text: str, faults: list[Fault]) -> str:
    host = text.strip().lower().removesuffix(".")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        name = ""
    if not name or len(name) > MAX_DNS_NAME or not all(_HOST_LABEL.fullmatch(label) for label in name.split(".")):
        faults.append(Fault("/host", "Not a host name or IP address; leave out scheme, port and user name."))
    return name


def _source(text: str, sources: tuple[str, ...], faults: list[Fault]) -> str:
    try:
        address = str(ipaddress.ip_address(text.strip()))
    except ValueError:
        faults.append(Fault("/source_address", "Not an IP address as in 192.0.2.10 or 2001:db8::10."))
        return text
    if address not in sources:
        known = f"Possible are: {', '.join(sources)}." if sources else "It lists none (setting SOURCE_ADDRESSES)."
        faults.append(Fault("/source_address", f"This installation does not list this address as its own. {known}"))
    return address


def _greeting(text: str, faults: list[Fault]) -> str:
    """Return a name for EHLO (RFC 5321, 4.1.1.1): a host name, or an address literal in its one spelling."""
    name = text.strip().lower().removesuffix(".")
    if name.startswith("[") and name.endswith("]"):
        try:
            address = ipaddress.ip_address(name[1:-1].removeprefix("ipv6:"))
        except ValueError:
            faults.append(Fault("/ehlo_name", "Not an address literal as in [192.0.2.10] or [IPv6:2001:db8::10]."))
            return text
        return _literal(address)
    if not is_dns_name(name) or name.rpartition(".")[2].isdecimal():
        wrong = "Not a host name as in mail.northwind.example; an IP address stands in brackets."
        faults.append(Fault("/ehlo_name", wrong))
    return name


def _literal(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def _check_target(draft: ChannelDraft, allow: tuple[str, ...], faults: list[Fault]) -> None:
    if egress.exempt(draft.host, draft.port, allow=allow):
        return
    if draft.port not in egress.SMTP_PORTS:
        shown = ", ".join(map(str, egress.SMTP_PORTS))
        faults.append(Fault("/port", f"Use one of the ports for mail: {shown}."))
        return
    try:
        egress.check_target(draft.host, draft.port, allow=allow)
    except egress.Refused:
        faults.append(Fault("/host", "Connections to this host are not allowed: it is not on the public internet."))
    if draft.username and draft.security is Security.NONE:
        faults.append(Fault("/security", "A password may not travel unprotected: choose starttls or tls."))


def _check_secrets(draft: ChannelDraft, faults: list[Fault]) -> None:
    for pointer, value in (("/username", draft.username), ("/password", draft.password)):
        if value is not None and (not 1 <= len(value) <= MAX_SECRET or _CONTROL.search(value)):
            faults.append(Fault(pointer, f"Must have 1 to {MAX_SECRET} characters and no control characters."))

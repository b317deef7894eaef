"""Pure rules of accounts: addresses, passwords, lock-outs, codes of the second step, the form of API keys."""

import base64
import hmac
import ipaddress
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha1, sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import quote
from uuid import UUID
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

from saas.accounts.types import PASSWORD_MAX, PASSWORD_MIN, Guarded, MailPurpose
from saas.kernel.errors import Invalid
from saas.notices.types import SystemMail

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY: Final = re.compile(r"csn_live_([0-9A-Za-z]{30})([0-9A-Za-z]{6})")
FREE_TRIES: Final = {Guarded.SOURCE: 5, Guarded.DEVICE: 5, Guarded.ACCOUNT: 50, Guarded.LINK: 5}
MAX_LOCK_S: Final = 900
STEP_S: Final = 30
RECOVERY_CODES: Final = 10
_RECOVERY: Final = re.compile(r"[a-z2-7]{16}")
_NOT_YOU: Final = "If this was not you, set a new password now and look through your sessions."
# Subject, what happened, button, path ({token} where the link works once).
_MAILS: Final = {
    MailPurpose.RESET: (
        "Set a new password",
        "Somebody, we think you, asked for a new password for your account.",
        "Set a new password",
        "/password-reset/{token}",
    ),
    MailPurpose.CONFIRM_EMAIL: (
        "Confirm your address",
        "Your account is to use this address from now on. Open the link to confirm that it is yours.",
        "Confirm this address",
        "/email-change/{token}",
    ),
    MailPurpose.EMAIL_ASKED: (
        "Your address is to be changed",
        "Somebody, we think you, asked for your account to use another address. It changes once that one is confirmed.",
        "Look at your account",
        "/account/profile",
    ),
    MailPurpose.EMAIL_CHANGED: (
        "Your address was changed",
        "Your account uses another address now; you sign in with that one.",
        "Sign in",
        "/sign-in",
    ),
    MailPurpose.PASSWORD_CHANGED: (
        "Your password was changed",
        "Your account has a new password. All other sessions were ended.",
        "Look at your sessions",
        "/account/sessions",
    ),
    MailPurpose.SECOND_STEP_ON: (
        "Your second step is on",
        "Your account asks for a code of your authenticator app at each sign-in from now on.",
        "Look at your account",
        "/account/second-step",
    ),
    MailPurpose.SECOND_STEP_OFF: (
        "Your second step is off",
        "Your account asks for no code at sign-in any more.",
        "Look at your account",
        "/account/second-step",
    ),
    MailPurpose.RECOVERY_USED: (
        "A recovery code was used",
        "Somebody, we think you, signed in with one of your recovery codes. It does not work again.",
        "Look at your account",
        "/account/second-step",
    ),
}
_DEVICE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def address_key(email: str, *, pointer: str = "/email") -> str:
    """Return an address trimmed and case-folded. Raises Invalid with a sentence about what is wrong."""
    try:
        return validate_email(email.strip(), check_deliverability=False).normalized.casefold()
    except EmailNotValidError as error:
        raise Invalid.at(pointer, str(error)) from None


def check_password(password: str, *, email: str, pointer: str = "/password") -> None:
    """Refuse passwords that are too short, too long or the address itself. Raises Invalid."""
    if len(password) < PASSWORD_MIN:
        raise Invalid.at(pointer, f"Use at least {PASSWORD_MIN} characters.")
    if len(password) > PASSWORD_MAX:
        raise Invalid.at(pointer, f"Use at most {PASSWORD_MAX} characters.")
    if password.casefold() == email.casefold() or len(set(password)) < 4:
        raise Invalid.at(pointer, "This password is too easy to guess.")


def locked_until(failed_count: int, now: datetime, *, guarded: Guarded = Guarded.SOURCE) -> datetime | None:
    """Return until when sign-ins are refused after `failed_count` wrong tries in a row (security.md E).

    Tries are counted for an account and the address that they come from; a device that has signed in before has a count
    of its own. So a stranger stops themselves and not the owner. Tries from many addresses together make everybody
    wait who comes from an unknown device. The pause doubles from 30 s to 15 min and then stays.
    """
    over = failed_count - FREE_TRIES[guarded]
    if over < 0:
        return None
    return now + timedelta(seconds=min(MAX_LOCK_S, 30 * 2 ** min(over, 10)))


def guard_key(guarded: Guarded, *, email: str, origin: str = "") -> bytes:
    """Return under which key tries are counted; a hash, so that neither addresses nor sources are kept.

    `email` is what was typed, whether or not there is such an account: a pause tells nothing.
    """
    return sha256("|".join((guarded.value, email.strip().casefold(), origin)).encode()).digest()


def source_of(address: str) -> str:
    """Return the network that counts as one source: an IPv4 address, the /64 of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


def is_device(token: str) -> bool:
    """Say whether a cookie has the form of a device's token."""
    return _DEVICE.fullmatch(token) is not None


def check_zone(name: str, *, pointer: str = "/time_zone") -> None:
    """Refuse what is no IANA zone. Raises Invalid."""
    if name not in _zones():
        raise Invalid.at(pointer, f"“{name}” is not a time zone as in Europe/Oslo.")


def new_secret() -> str:
    """Return a new secret of the second step: 160 bits in base32, as authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: bytes, step: int, *, digits: int = 6) -> str:
    """Return the code of a step (RFC 4226: HMAC-SHA-1, cut to decimal digits)."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), sha1).digest()
    at = digest[-1] & 0x0F
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}d}"


def step_of(now: datetime) -> int:
    """Return the time step that a moment lies in (RFC 6238: 30 s, counted from 1970)."""
    return int(now.timestamp()) // STEP_S


def matching_step(secret: str, code: str, *, now: datetime, last_step: int | None) -> int | None:
    """Return the step whose code this is: the present one or one beside it, and later than the last one used."""
    raw, here = base64.b32decode(secret), step_of(now)
    found = None
    for step in (here - 1, here, here + 1):
        # Every step is compared, so that the time tells nothing.
        if hmac.compare_digest(code_at(raw, step), code) and (last_step is None or step > last_step):
            found = step
    return found


def otpauth_uri(secret: str, *, email: str) -> str:
    """Return what authenticator apps read from a QR code."""
    return f"otpauth://totp/Countersign:{quote(email)}?secret={secret}&issuer=Countersign&digits=6&period={STEP_S}"


def plain_code(typed: str) -> str:
    """Return a code without what people type between its parts."""
    return re.sub(r"[\s-]", "", typed).lower()


def is_totp(code: str) -> bool:
    """Say whether a plain code has the form of an app's code; else it can only be a recovery code."""
    return len(code) == 6 and code.isascii() and code.isdecimal()


def is_recovery(code: str) -> bool:
    """Say whether a plain code has the form of a recovery code."""
    return _RECOVERY.fullmatch(code) is not None


def new_recovery_codes() -> Sequence[str]:
    """Return ten codes of 80 random bits each, in groups of four."""
    plain = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in plain]


def recovery_hash(account_id: UUID, code: str) -> bytes:
    """Return what is kept of a recovery code; bound to its account."""
    return sha256(account_id.bytes + plain_code(code).encode()).digest()


def device_word(user_agent: str) -> str:
    """Return what a session runs on, as far as it says so: "Firefox on Windows"."""
    browsers = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
    systems = (
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "Mac"),
        ("CrOS", "ChromeOS"), ("Linux", "Linux"),
    )  # fmt: skip
    browser = next((word for sign, word in browsers if f"{sign}/" in user_agent), "")
    system = next((word for sign, word in systems if sign in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or user_agent.partition("/")[0][:40].strip()


def new_api_key() -> str:
    """Return a new key: prefix, 30 random characters, 6 of CRC32 (interfaces.md 2.2)."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(30))
    return f"csn_live_{body}{_checksum(body)}"


def is_api_key(text: str) -> bool:
    """Say whether a text has a key's form and checksum; typing errors end here, before the database."""
    match = _KEY.fullmatch(text)
    return match is not None and secrets.compare_digest(_checksum(match[1]), match[2])


def read_networks(texts: Sequence[str], *, pointer: str = "/allowed_ips") -> list[str] | None:
    """Return addresses and networks in their one spelling, None for none. Raises Invalid."""
    found: list[str] = []
    for index, text in enumerate(texts):
        try:
            network = str(ip_network(text.strip(), strict=False))
        except ValueError:
            raise Invalid.at(
                f"{pointer}/{index}", f"“{text}” is not an address or network as in 192.0.2.0/24."
            ) from None
        if network not in found:
            found.append(network)
    return found or None


def is_within(address: str | None, networks: Sequence[str]) -> bool:
    """Say whether a caller's address lies in one of the networks; an IPv4 address written as IPv6 is the same one."""
    try:
        caller = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(caller, IPv6Address) and caller.ipv4_mapped is not None:
        caller = caller.ipv4_mapped
    return any(caller in ip_network(network) for network in networks)


def token_hash(token: str) -> bytes:
    """Return what is stored of a random token (session, invitation, API key)."""
    return sha256(token.encode()).digest()


def is_token(text: str, *, kept: bytes | None) -> bool:
    """Say whether a token is the one whose hash was kept, in the same time whatever is wrong; never where none was."""
    return secrets.compare_digest(bytes(32) if kept is None else kept, token_hash(text))


def new_token() -> str:
    """Return 256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits


def account_mail(purpose: MailPurpose, *, to: str, name: str, public_url: str, token: str, at: datetime) -> SystemMail:
    """Return a mail about an account. `token` goes into links only; `at` is when it was asked for or done."""
    subject, said, button, path = _MAILS[purpose]
    carries = "{token}" in path
    closing = (
        "The link works once, for one hour. If you did not ask for it, you need not do anything."
        if carries
        else f"{at:%d %B %Y, %H:%M} UTC. {_NOT_YOU}"
    )
    url = f"{public_url}{path.format(token=token)}"
    return SystemMail(to, subject, (f"Hello {name},", said), button, url, closing)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())

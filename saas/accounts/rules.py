"""Pure rules of accounts: addresses, passwords, lock-outs, the form of API keys."""

import re
import secrets
import string
import zlib
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from email_validator import EmailNotValidError, validate_email

from saas.accounts.types import PASSWORD_MAX, PASSWORD_MIN
from saas.kernel.errors import Invalid

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY: Final = re.compile(r"csn_live_([0-9A-Za-z]{30})([0-9A-Za-z]{6})")
FREE_TRIES: Final = 5
MAX_LOCK_S: Final = 900


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


def locked_until(failed_count: int, now: datetime) -> datetime | None:
    """Return until when an account refuses sign-ins after `failed_count` wrong passwords in a row.

    The pause doubles from 30 s to 15 min and then stays: a stranger cannot lock the owner out for ever.
    """
    over = failed_count - FREE_TRIES
    if over < 0:
        return None
    return now + timedelta(seconds=min(MAX_LOCK_S, 30 * 2 ** min(over, 10)))


def new_api_key() -> str:
    """Return a new key: prefix, 30 random characters, 6 of CRC32 (interfaces.md 2.2)."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(30))
    return f"csn_live_{body}{_checksum(body)}"


def is_api_key(text: str) -> bool:
    """Say whether a text has a key's form and checksum; typing errors end here, before the database."""
    match = _KEY.fullmatch(text)
    return match is not None and secrets.compare_digest(_checksum(match[1]), match[2])


def token_hash(token: str) -> bytes:
    """Return what is stored of a random token (session, invitation, API key)."""
    return sha256(token.encode()).digest()


def new_token() -> str:
    """Return 256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits

"""The address rule: trimmed, checked by email-validator, compared case-folded."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from saas.audiences.types import Unfit

MAX_CHARS: Final = 254
_PLAIN_LOCAL: Final = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
_SPECIAL: Final = frozenset(CASE_INSENSITIVE_MAILBOX_NAMES)


class Address(NamedTuple):
    """A usable address: as it is written to, and the key under which a workspace knows it once."""

    email: str
    key: str


def read_address(text: str) -> Address:
    """Return the address in a text. Raises Unfit with a sentence about what is wrong.

    email-validator takes about 20 us; an import of a million rows reads each of them twice. Plain local parts at a
    domain seen before take the short way; a property test compares both ways.
    """
    text = text.strip()
    local, _, domain = text.partition("@")
    if len(text) <= MAX_CHARS and len(local) <= 64 and _PLAIN_LOCAL.fullmatch(local) and domain.isascii():
        known = _domain(domain)
        if known and local.lower() not in _SPECIAL:
            email = f"{local}@{known}"
            return Address(email, email.casefold())
    return _read_slowly(text)


def _read_slowly(text: str) -> Address:
    try:
        email = validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise Unfit(str(error)) from None
    return Address(email, email.casefold())


@lru_cache(maxsize=10_000)
def _domain(text: str) -> str | None:
    try:
        found = validate_email(f"a@{text}", check_deliverability=False)
    except EmailNotValidError:
        return None
    # What is shown as Unicode is longer on the wire; its length is checked the slow way.
    return found.domain if found.domain.isascii() else None

"""The address rule: trimmed, checked by email-validator, compared case-folded."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from saas.audiences.types import Unfit

MAX_OCTETS: Final = 254
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
    if len(local) <= 64 and _PLAIN_LOCAL.fullmatch(local) and local.lower() not in _SPECIAL:
        known = _domain(domain)
        if known is not None and len(local) + 1 + known.octets <= MAX_OCTETS:
            email = f"{local}@{known.name}"
            return Address(email, email.casefold())
    return _read_slowly(text)


def _read_slowly(text: str) -> Address:
    try:
        email = validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise Unfit(str(error)) from None
    return Address(email, email.casefold())


class _Domain(NamedTuple):
    """A domain that can be used: as it is shown, and how long its longer form is."""

    name: str
    octets: int


@lru_cache(maxsize=10_000)
def _domain(text: str) -> _Domain | None:
    if len(text) > MAX_OCTETS:
        return None
    try:
        found = validate_email(f"a@{text}", check_deliverability=False)
    except EmailNotValidError:
        return None
    return _Domain(found.domain, max(len(found.ascii_domain), len(found.domain.encode())))

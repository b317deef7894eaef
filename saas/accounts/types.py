"""Words of accounts: refusals of a sign-in, where one comes from, what is mailed about an account."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from saas.kernel.errors import Conflict, NotFound, TooMany, Unauthenticated
from saas.platform.agenda.types import Queue, Work

PASSWORD_MIN: Final = 10
PASSWORD_MAX: Final = 1000  # argon2 of an unbounded text would be a way to keep us busy
LINK_VALID: Final = timedelta(hours=1)
SECOND_STEP_WAITS: Final = timedelta(minutes=10)
ACCOUNT_MAIL: Final = Work("account.mail", Queue.MAINTENANCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a sign-in comes from: network address, the browser's own words, and its device cookie ("" without one)."""

    address: str
    user_agent: str
    device: str = ""


class Guarded(StrEnum):
    """What wrong tries are counted against: for an account a source address, a known device, all the others; a link."""

    SOURCE = "source"
    DEVICE = "device"
    ACCOUNT = "account"
    LINK = "link"


class Refused(StrEnum):
    """Why a sign-in was refused; the caller commits what was counted before it says so."""

    CREDENTIALS = "credentials"
    CODE_WANTED = "code_wanted"
    CODE = "code"


class MailPurpose(StrEnum):
    """What is mailed about an account. The first two carry a link that works once; the others only tell."""

    RESET = "reset"
    CONFIRM_EMAIL = "confirm_email"
    EMAIL_ASKED = "email_asked"
    EMAIL_CHANGED = "email_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  a word, no password
    SECOND_STEP_ON = "second_step_on"
    SECOND_STEP_OFF = "second_step_off"
    RECOVERY_USED = "recovery_used"


class WrongCredentials(Unauthenticated):
    """One answer for an unknown address and a wrong password."""

    code = "wrong_credentials"


class WrongAddress(Unauthenticated):
    """The API key may be used from some addresses only, and this is none of them."""

    code = "address_not_allowed"


class KeyIsOver(Conflict):
    """The API key has ended; there is nothing to put another one in the place of."""

    code = "key_is_over"


class CodeWanted(Unauthenticated):
    """The password is right; the account has a second step, so the sign-in needs its `code` too."""

    code = "code_wanted"


class WrongCode(Unauthenticated):
    """The code of the second step is wrong, was used before, or is too old."""

    code = "wrong_code"


class LockedOut(TooMany):
    """Too many wrong tries; passes by itself."""

    code = "locked_out"


class LinkGone(NotFound):
    """The one answer for a mailed link that is unknown, spent, replaced or too old."""

    code = "link_gone"

    def __init__(self) -> None:
        super().__init__("This link is no longer valid. Ask for a new one.")


class SecondStepIsOn(Conflict):
    """The account has a second step already."""

    code = "second_step_is_on"


class SecondStepIsOff(Conflict):
    """The account has no second step."""

    code = "second_step_is_off"

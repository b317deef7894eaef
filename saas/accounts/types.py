"""Words of accounts."""

from typing import Final

from saas.kernel.errors import TooMany, Unauthenticated

PASSWORD_MIN: Final = 10
PASSWORD_MAX: Final = 1000  # argon2 of an unbounded text would be a way to keep us busy


class WrongCredentials(Unauthenticated):
    """One answer for an unknown address and a wrong password."""

    code = "wrong_credentials"


class LockedOut(TooMany):
    """Too many wrong passwords; passes by itself."""

    code = "locked_out"

"""The browser's side of a session: Flask-Login knows a person by the token of their session row."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import flask
from flask import Response, request
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_wtf.csrf import generate_csrf

from saas.accounts import queries
from saas.accounts.models import Account, AccountSession
from saas.accounts.types import SECOND_STEP_WAITS, Origin
from saas.http.shell import shell
from saas.kernel.ids import BadId, parse, show
from saas.platform.db import db

_DEVICE_FOR: Final = timedelta(days=365)
_WAITING: Final = "second_step"

login = LoginManager()


class Person(UserMixin):
    """What Flask-Login keeps of who is signed in."""

    def __init__(self, account: Account, token: str, row: AccountSession | None = None) -> None:
        self.account = account
        self.token = token
        self.row = row

    def get_id(self) -> str:
        """Return the session's token: the cookie that holds it is signed, the row behind it can be revoked."""
        return self.token


@login.user_loader
def _load(token: str) -> Person | None:
    found = queries.session_of_token(db.session(), token, shell().clock.now())
    return None if found is None else Person(found[0], token, found[1])


def start(account: Account, token: str) -> str:
    """Put a new session into the cookie, dropping whatever an earlier one held. Return the CSRF token."""
    flask.session.clear()
    flask.session.permanent = True
    login_user(Person(account, token))
    return str(generate_csrf())


def end() -> str | None:
    """Empty the cookie. Return the token of the session that was signed in."""
    token = current_token()
    flask.session.clear()
    return token


def current_token() -> str | None:
    """Return the token of the session that is signed in."""
    return current_user.token if current_user.is_authenticated else None


def csrf_token() -> str:
    """Return the CSRF token of the present cookie."""
    return str(generate_csrf())


def origin() -> Origin:
    """Return where this request comes from."""
    return Origin(
        address=request.remote_addr or "",
        user_agent=request.user_agent.string,
        device=request.cookies.get(_device_cookie(), ""),
    )


def keep_device(token: str) -> None:
    """Have the answer set the device cookie: it opens nothing, and keeps strangers' wrong tries from pausing us."""
    secure = shell().settings.public_url.startswith("https://")

    @flask.after_this_request
    def _set(response: Response) -> Response:
        response.set_cookie(_device_cookie(), token, max_age=_DEVICE_FOR, secure=secure, httponly=True, samesite="Lax")
        return response


def wait_for_code(account_id: UUID, *, epoch: int, wanted: str, now: datetime) -> None:
    """Remember in the signed cookie that the password was right, for ten minutes and while `epoch` holds."""
    flask.session.clear()
    flask.session[_WAITING] = [show("acc", account_id), epoch, now.isoformat(), wanted]


def waiting_for_code(now: datetime) -> tuple[UUID, int, str] | None:
    """Return whose code is waited for, their epoch, and where they wanted to go."""
    try:
        account, epoch, since, wanted = flask.session[_WAITING]
        if datetime.fromisoformat(since) + SECOND_STEP_WAITS <= now:
            return None
        return parse("acc", account), int(epoch), str(wanted)
    except (KeyError, TypeError, ValueError, BadId):
        return None


def _device_cookie() -> str:
    return "__Host-csn_device" if shell().settings.public_url.startswith("https://") else "csn_device"

"""The browser's side of a session: Flask-Login knows a person by the token of their session row."""

import flask
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_wtf.csrf import generate_csrf

from saas.accounts import queries
from saas.accounts.models import Account
from saas.http.shell import shell
from saas.platform.db import db

login = LoginManager()


class Person(UserMixin):
    """What Flask-Login keeps of who is signed in."""

    def __init__(self, account: Account, token: str) -> None:
        self.account = account
        self.token = token

    def get_id(self) -> str:
        """Return the session's token: the cookie that holds it is signed, the row behind it can be revoked."""
        return self.token


@login.user_loader
def _load(token: str) -> Person | None:
    account = queries.account_of_token(db.session(), token, shell().clock.now())
    return None if account is None else Person(account, token)


def start(account: Account, token: str) -> str:
    """Put a new session into the cookie, dropping whatever an earlier one held. Return the CSRF token."""
    flask.session.clear()
    flask.session.permanent = True
    login_user(Person(account, token))
    return str(generate_csrf())


def end() -> str | None:
    """Empty the cookie. Return the token of the session that was signed in."""
    token = current_user.token if current_user.is_authenticated else None
    flask.session.clear()
    return token


def csrf_token() -> str:
    """Return the CSRF token of the present cookie."""
    return str(generate_csrf())

"""What people change about how they sign in: their password, by reset or with the present one; their address."""

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.accounts import queries
from saas.accounts.models import Account
from saas.accounts.service import guard, mails, people
from saas.accounts.types import LinkGone, MailPurpose


def change_password(session: Session, account: Account, *, password: str, cost: int, now: datetime) -> None:
    """Set another password; ends all sessions. The caller has seen the present one. Raises Invalid."""
    people.set_password(session, account, password, cost=cost)
    mails.tell(session, account, MailPurpose.PASSWORD_CHANGED, now=now)


def reset_password(session: Session, *, token: str, password: str, cost: int, now: datetime) -> Account:
    """Set a password by a mailed link, which is spent; ends all sessions, and no browser is known any more.

    A weak password spends nothing. A second step stays: the person signs in with it afterwards. Raises LinkGone,
    Invalid.
    """
    row, account = mails.link(session, token=token, purpose=MailPurpose.RESET, now=now)
    session.refresh(account, with_for_update=True)
    people.set_password(session, account, password, cost=cost)
    mails.spend(session, row, account, now=now)
    guard.forget_devices(session, account.account_id)
    mails.tell(session, account, MailPurpose.PASSWORD_CHANGED, now=now)
    return account


def confirm_email(session: Session, *, token: str, now: datetime) -> Account:
    """Take the address that a mailed link has proven; the old one hears of it. Raises LinkGone."""
    row, account = mails.link(session, token=token, purpose=MailPurpose.CONFIRM_EMAIL, now=now)
    mails.spend(session, row, account, now=now)
    if queries.account_at(session, row.email) is not None:
        raise LinkGone
    old, account.email = account.email, row.email
    try:
        session.flush()
    except IntegrityError:  # somebody else took it at the same moment
        raise LinkGone from None
    mails.tell(session, account, MailPurpose.EMAIL_CHANGED, now=now, email=old)
    return account

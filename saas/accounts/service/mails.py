"""Mails about an account: links that work once (reset, new address), and word of what was changed.

Asking for a reset does the same for every address; whether there is an account is only looked up by the job that mails.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts import queries
from saas.accounts.models import Account, AccountMail
from saas.accounts.rules import account_mail, address_key, new_token, token_hash
from saas.accounts.types import ACCOUNT_MAIL, LINK_VALID, LinkGone, MailPurpose
from saas.kernel.errors import Invalid
from saas.kernel.ids import uuid7
from saas.notices.rules import ascii_address
from saas.notices.service import mail as post
from saas.platform.agenda.service import arm_for_installation
from saas.platform.settings import Settings

KEPT: Final = timedelta(days=1)
_MOST_RESETS: Final = 3  # mails an hour to one address, however often somebody asks
_LINKS: Final = frozenset({MailPurpose.RESET, MailPurpose.CONFIRM_EMAIL})


def ask_reset(session: Session, *, email: str, now: datetime) -> None:
    """Ask for a link that sets a new password; for an address without an account nothing comes. Raises Invalid."""
    key = address_key(email)
    ascii_address(key)
    _put(session, purpose=MailPurpose.RESET, email=key, account_id=None, now=now)


def ask_email(session: Session, account: Account, *, email: str, now: datetime) -> None:
    """Ask for another address: it must be confirmed there, and the present one hears of it. Raises Invalid."""
    key = address_key(email)
    ascii_address(key)
    if key == account.email:
        raise Invalid.at("/email", "This is your address already.")
    _end_links(session, account.account_id, MailPurpose.CONFIRM_EMAIL, now)
    _put(session, purpose=MailPurpose.CONFIRM_EMAIL, email=key, account_id=account.account_id, now=now)
    tell(session, account, MailPurpose.EMAIL_ASKED, now=now)


def tell(session: Session, account: Account, purpose: MailPurpose, *, now: datetime, email: str | None = None) -> None:
    """Have somebody told of a change to their account, at their address or at `email`."""
    _put(session, purpose=purpose, email=email or account.email, account_id=account.account_id, now=now)


def link(session: Session, *, token: str, purpose: MailPurpose, now: datetime) -> tuple[AccountMail, Account]:
    """Return mail and account of a link that works. Looking spends nothing. Raises LinkGone."""
    row = session.scalars(
        sa.select(AccountMail).where(
            AccountMail.token_hash == token_hash(token),
            AccountMail.purpose == purpose.value,
            AccountMail.used_at.is_(None),
            AccountMail.expires_at > now,
        )
    ).one_or_none()
    account = session.get(Account, row.account_id) if row is not None and row.account_id is not None else None
    if row is None or account is None or account.suspended_at is not None:
        raise LinkGone
    if purpose is MailPurpose.RESET and account.email != row.email:
        raise LinkGone
    return row, account


def spend(session: Session, row: AccountMail, account: Account, *, now: datetime) -> None:
    """Use a link, and with it all others of its purpose. Raises LinkGone when somebody else was quicker."""
    mine = session.scalar(
        sa.update(AccountMail)
        .where(AccountMail.mail_id == row.mail_id, AccountMail.used_at.is_(None))
        .values(used_at=now)
        .returning(AccountMail.mail_id)
    )
    if mine is None:
        raise LinkGone
    _end_links(session, account.account_id, MailPurpose(row.purpose), now)


def send(session: Session, *, mail_id: UUID, settings: Settings, now: datetime) -> None:
    """Send a mail about an account, with a fresh token if it carries a link. Raises MailNotSent.

    The mail goes out before the commit: should that fail, the next try sends another link, and only that one works.
    """
    row = session.get(AccountMail, mail_id, with_for_update=True)
    if row is None or row.sent_at is not None or row.used_at is not None:
        return
    account = _addressee(session, row, now)
    if account is None or row.asked_at <= now - KEPT:
        session.delete(row)
        return
    token, carries = new_token(), MailPurpose(row.purpose) in _LINKS
    row.account_id, row.sent_at = account.account_id, now
    if carries:
        row.token_hash, row.expires_at = token_hash(token), now + LINK_VALID
    session.flush()
    mail = account_mail(
        MailPurpose(row.purpose),
        to=row.email,
        name=account.name,
        public_url=settings.public_url,
        token=token,
        at=row.asked_at,
    )
    # The second of two links is the one that works, so no mailbox may take it for the first.
    post.send(mail, settings=settings, now=now, mail_id=None if carries else row.mail_id)


def forget_mails(session: Session, *, now: datetime, limit: int) -> int:
    """Delete mails that were asked for a day ago; none of their links works any more. Returns how many those were."""
    over = sa.select(AccountMail.mail_id).where(AccountMail.asked_at <= now - KEPT).limit(limit)
    gone = session.scalars(
        sa.delete(AccountMail).where(AccountMail.mail_id.in_(over)).returning(AccountMail.mail_id),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())


def _put(session: Session, *, purpose: MailPurpose, email: str, account_id: UUID | None, now: datetime) -> None:
    row = AccountMail(mail_id=uuid7(), account_id=account_id, purpose=purpose.value, email=email, asked_at=now)
    session.add(row)
    session.flush()
    arm_for_installation(session, work=ACCOUNT_MAIL, subject=row.mail_id, due_at=now)


def _addressee(session: Session, row: AccountMail, now: datetime) -> Account | None:
    """Return whom a mail is about; None when nothing is to be sent."""
    taken = queries.account_at(session, row.email)
    if row.purpose == MailPurpose.RESET:
        found = None if _too_many(session, row, now) else taken
    else:
        found = session.get(Account, row.account_id) if row.account_id is not None else None
        if row.purpose == MailPurpose.CONFIRM_EMAIL and taken is not None:
            return None
    return None if found is None or found.suspended_at is not None else found


def _too_many(session: Session, row: AccountMail, now: datetime) -> bool:
    lately = session.scalar(
        sa.select(sa.func.count())
        .select_from(AccountMail)
        .where(
            AccountMail.email == row.email,
            AccountMail.purpose == MailPurpose.RESET.value,
            AccountMail.sent_at > now - timedelta(hours=1),
        )
    )
    return (lately or 0) >= _MOST_RESETS


def _end_links(session: Session, account_id: UUID, purpose: MailPurpose, now: datetime) -> None:
    session.execute(
        sa.update(AccountMail)
        .where(
            AccountMail.account_id == account_id,
            AccountMail.purpose == purpose.value,
            AccountMail.used_at.is_(None),
        )
        .values(used_at=now),
        execution_options={"synchronize_session": "fetch"},
    )

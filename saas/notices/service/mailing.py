"""Mail notices: one at once, or a day's together. A mail that the server refuses is tried again by the agenda.

Each mail has its own row there, so one that cannot be sent keeps no other waiting. It is noted in the transaction that
sends it; should the commit fail, it goes out again under the same Message-ID.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.kernel.ids import show
from saas.notices import queries
from saas.notices.models import Notice
from saas.notices.rules import digest_mail, notice_mail
from saas.notices.service import mail as post
from saas.notices.types import MailLogo, MailMode, NoticeKind, SystemMail, Told
from saas.platform.db import bound_tenant
from saas.platform.files import service as files
from saas.platform.settings import Settings

TRIED_FOR: Final = timedelta(days=3)
_DIGEST: Final = 500


def mail_one(session: Session, *, notice_id: UUID, settings: Settings, now: datetime) -> None:
    """Mail one notice, unless it was read, mailed or given up meanwhile. Raises MailNotSent."""
    row = session.get(Notice, (bound_tenant(session), notice_id), with_for_update=True)
    if row is None or not _waits(row):
        return
    reader = queries.readers(session, [row.account_id]).get(row.account_id)
    if reader is None or not _wanted(session, row) or row.made_at <= now - TRIED_FOR:
        row.mail = MailMode.OFF.value
        return
    place = queries.place(session)
    mail = notice_mail(_told(row), to=reader.email, workspace=place.name, public_url=settings.public_url)
    mail = _dressed(session, mail, place)
    row.mailed_at = now
    session.flush()
    post.send(mail, settings=settings, now=now, mail_id=row.notice_id)


def mail_digest(session: Session, *, account_id: UUID, settings: Settings, now: datetime) -> None:
    """Mail what a person has not read of the day's notices; nothing when there is nothing. Raises MailNotSent."""
    rows = _waiting(session, account_id)
    reader = queries.readers(session, [account_id]).get(account_id)
    wanted = [row for row in rows if reader is not None and row.read_at is None and _wanted(session, row)]
    for row in rows:
        row.mail = row.mail if row in wanted and row.made_at > now - TRIED_FOR else MailMode.OFF.value
    told = [row for row in wanted if row.mail != MailMode.OFF]
    if not told or reader is None:
        return
    for row in told:
        row.mailed_at = now
    session.flush()
    place = queries.place(session)
    mail = digest_mail(
        [_told(row) for row in told],
        to=reader.email,
        workspace=place.name,
        public_url=settings.public_url,
        path=f"/w/{show('wsp', bound_tenant(session))}/notices",
    )
    mail = _dressed(session, mail, place)
    post.send(mail, settings=settings, now=now, mail_id=told[-1].notice_id)


def _dressed(session: Session, mail: SystemMail, place: queries.Place) -> SystemMail:
    """Return a mail in the looks of its workspace."""
    logo = None
    if place.logo_id is not None:
        stored = files.info(session, place.logo_id)
        logo = MailLogo(stored.content_type, b"".join(files.read(session, place.logo_id)))
    return replace(mail, heading=place.name, colour=place.brand_colour, logo=logo)


def _waiting(session: Session, account_id: UUID) -> Sequence[Notice]:
    found = (
        sa.select(Notice)
        .where(
            Notice.tenant_id == bound_tenant(session),
            Notice.account_id == account_id,
            Notice.mail == MailMode.DAILY.value,
            Notice.mailed_at.is_(None),
        )
        .order_by(Notice.notice_id)
        .limit(_DIGEST)
        .with_for_update()
    )
    return session.scalars(found).all()


def _waits(row: Notice) -> bool:
    return row.mail == MailMode.AT_ONCE and row.mailed_at is None and row.read_at is None


def _wanted(session: Session, row: Notice) -> bool:
    wish = queries.wishes(session, [row.account_id], NoticeKind(row.kind))[row.account_id]
    return wish.mail is not MailMode.OFF


def _told(row: Notice) -> Told:
    return Told(row.title, row.text, row.path, row.made_at)

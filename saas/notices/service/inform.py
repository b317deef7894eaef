"""Tell people something: a notice under their bell, and a mail if they want one."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from saas.kernel.ids import uuid7
from saas.notices import queries
from saas.notices.models import Notice
from saas.notices.rules import next_digest
from saas.notices.types import NOTICE_DIGEST, NOTICE_MAIL, MailMode, NoticeKind, Reader
from saas.platform.agenda.service import arm
from saas.platform.db import bound_tenant
from saas.platform.rehearsal import is_thrown_away


def inform(
    session: Session,
    *,
    kind: NoticeKind,
    to: Collection[UUID],
    subject: str,
    title: str,
    text: str,
    path: str,
    now: datetime,
) -> None:
    """Tell accounts something about the bound workspace, each as they wish; who has no role here is left out.

    subject: the shown id of what it is about (cam_…). title: one line that says what happened; text: a sentence or two
    more, or nothing. path: the page to look at ("/w/wsp_…/campaigns/cam_…"). What is only rehearsed is told to nobody.
    """
    if is_thrown_away(session):
        return
    readers = queries.readers(session, to)
    wishes = queries.wishes(session, list(readers), kind)
    for account_id in sorted(readers):
        wish = wishes[account_id]
        if not wish.in_app and wish.mail is MailMode.OFF:
            continue
        row = Notice(
            tenant_id=bound_tenant(session),
            notice_id=uuid7(),
            account_id=account_id,
            kind=kind.value,
            subject=subject,
            title=title,
            text=text,
            path=path,
            in_app=wish.in_app,
            mail=wish.mail.value,
            made_at=now,
        )
        session.add(row)
        _arm(session, row, readers[account_id], now)
    session.flush()


def _arm(session: Session, row: Notice, reader: Reader, now: datetime) -> None:
    if row.mail == MailMode.AT_ONCE:
        arm(session, work=NOTICE_MAIL, subject=row.notice_id, due_at=now)
    elif row.mail == MailMode.DAILY:
        zone = reader.time_zone or queries.place(session).time_zone
        due_at = next_digest(now, hour=reader.digest_hour, zone=zone)
        arm(session, work=NOTICE_DIGEST, subject=row.account_id, due_at=due_at)

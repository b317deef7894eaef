"""Alerts that somebody has to look at, notices to one person, and what each person wants to be told."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.notices.types import DIGEST_HOUR, MailMode, NoticeKind
from saas.platform.db import Model, TenantScoped


class Alert(TenantScoped, Model):
    """Something is wrong since `raised_at`; at most one open alert for each kind and subject.

    subject: the shown id of what it is about (cam_…, chn_…); facts: ids, counts and times, no names or addresses.
    """

    __tablename__ = "alert"

    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    facts: Mapped[dict[str, Any]]
    raised_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]

    __table_args__ = (
        sa.Index(
            "uq_alert_open", "tenant_id", "kind", "subject", unique=True, postgresql_where=sa.text("cleared_at IS NULL")
        ),
        sa.Index("ix_alert_raised", "tenant_id", "raised_at"),
    )


class Notice(TenantScoped, Model):
    """One thing that one person is told.

    subject: the shown id of what it is about (cam_…); path: the page to look at. in_app: listed under the bell. mail:
    how it is to be mailed (`off` also once its mail is no longer wanted); mailed_at: when the server took that mail.
    """

    __tablename__ = "notice"

    notice_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    kind: Mapped[str]
    subject: Mapped[str]
    title: Mapped[str]
    text: Mapped[str]
    path: Mapped[str]
    in_app: Mapped[bool]
    mail: Mapped[str]
    made_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
    mailed_at: Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint(f"mail IN ({', '.join(repr(mode.value) for mode in MailMode)})", name="mail_known"),
        sa.Index("ix_notice_account", "tenant_id", "account_id", "notice_id"),
        sa.Index("ix_notice_unread", "tenant_id", "account_id", postgresql_where=sa.text("read_at IS NULL AND in_app")),
        sa.Index(
            "ix_notice_digest",
            "tenant_id",
            "account_id",
            postgresql_where=sa.text("mail = 'daily' AND mailed_at IS NULL"),
        ),
    )


class NoticeWish(Model):
    """What a person wants of one kind of notice, in all their workspaces. Without a row: `DEFAULT_WISHES`."""

    __tablename__ = "notice_wish"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    in_app: Mapped[bool]
    mail: Mapped[str]

    __table_args__ = (
        sa.CheckConstraint(f"kind IN ({', '.join(repr(kind.value) for kind in NoticeKind)})", name="kind_known"),
        sa.CheckConstraint(f"mail IN ({', '.join(repr(mode.value) for mode in MailMode)})", name="mail_known"),
    )


class NoticeDigest(Model):
    """The hour of the day, in the person's time zone, at which the day's notices are mailed together."""

    __tablename__ = "notice_digest"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[int] = mapped_column(server_default=sa.text(str(DIGEST_HOUR)))

    __table_args__ = (sa.CheckConstraint("hour BETWEEN 0 AND 23", name="hour_of_day"),)

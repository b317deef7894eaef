"""What a person wants to be told, in all their workspaces."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.notices.models import NoticeDigest, NoticeWish
from saas.notices.types import NoticeKind, Wish


def choose(
    session: Session, *, account_id: UUID, wishes: Mapping[NoticeKind, Wish], digest_hour: int | None = None
) -> None:
    """Keep a person's wishes for the named kinds, and the hour (0 to 23, in their time zone) of their digest."""
    for kind in sorted(wishes):
        fresh = {"in_app": wishes[kind].in_app, "mail": wishes[kind].mail.value}
        row = insert(NoticeWish).values(account_id=account_id, kind=kind.value, **fresh)
        session.execute(row.on_conflict_do_update(index_elements=["account_id", "kind"], set_=fresh))
    if digest_hour is not None:
        hour = insert(NoticeDigest).values(account_id=account_id, hour=digest_hour)
        session.execute(hour.on_conflict_do_update(index_elements=["account_id"], set_={"hour": digest_hour}))

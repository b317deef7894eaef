"""Lock a campaign for work that is due, without waiting for long: whoever does it holds the work's row on the agenda.

People, and other work, hold the campaign's row first and arm the agenda then: they wait for that row. Who waited for
the campaign meanwhile would wait for them for ever, until the database ended one of the two.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.platform.db import bound_tenant

SOON: Final = timedelta(milliseconds=50)  # when to come again for a campaign that others hold
# Shorter than PostgreSQL looks for who waits for whom (deadlock_timeout, 1 s). Waiting comes before those who come to
# share the row later, so that a campaign which is being sent does not keep its next step from beginning.
_PATIENCE: Final = "200ms"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_WAIT: Final = sa.text("SELECT set_config('lock_timeout', :limit, true)")


class InUse(Exception):
    """Others hold the campaign's row. Leave the work due (`SOON`), so that they get on, and come again."""


def campaign_to_change(session: Session, campaign_id: UUID) -> Campaign | None:
    """Return a campaign locked for a change of its state, None when there is none. Raises InUse."""
    wanted = _wanted(session, campaign_id)
    found = _first(session, wanted.with_for_update(skip_locked=True))
    if found is not None:
        return found
    limit = session.scalar(sa.text("SELECT current_setting('lock_timeout')"))
    try:
        with session.begin_nested():
            session.execute(_WAIT, {"limit": _PATIENCE})
            found = _first(session, wanted.with_for_update())
            session.execute(_WAIT, {"limit": limit})
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise InUse from None
        raise
    return found


def campaign_as_it_stands(session: Session, campaign_id: UUID) -> Campaign | None:
    """Return a campaign whose state nobody may change until the commit, None when there is none. Raises InUse."""
    wanted = _wanted(session, campaign_id)
    found = _first(session, wanted.with_for_update(read=True, skip_locked=True))
    if found is None and _first(session, wanted) is not None:
        raise InUse
    return found


def _wanted(session: Session, campaign_id: UUID) -> sa.Select[Campaign]:
    return sa.select(Campaign).where(Campaign.tenant_id == bound_tenant(session), Campaign.campaign_id == campaign_id)


def _first(session: Session, found: sa.Select[Campaign]) -> Campaign | None:
    return session.scalars(found, execution_options={"populate_existing": True}).first()

"""The sweep of a workspace, once an hour: what was kept long enough goes (ledger.md, retention)."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa
import structlog

from saas.http.idempotency import forget_answers
from saas.journeys.service.retention import forget_context
from saas.journeys.service.zones import mark_version, rules_version
from saas.platform.agenda.types import Picked, Piece
from saas.platform.files.service import remove_expired
from saas.sending.service.retention import forget_merge
from saas.tenants.models import Workspace
from saas.tenants.service.quotas import forget_calls

EVERY: Final = timedelta(hours=1)
BATCH: Final = 10_000
_FILES: Final = 100  # of many rows of 1 MiB each

log = structlog.get_logger()


def sweep(picked: Picked) -> Piece:
    """Remove one batch of each, after the workspace's own retention where it has one.

    Come again at once while there is more, else in an hour. So often it is also looked whether zones have new rules.
    """
    session, now = picked.session, picked.now
    mark_version(session, version=rules_version(), now=now)
    days = session.scalar(sa.select(Workspace.retention_days).where(Workspace.tenant_id == picked.tenant_id))
    kept = {} if days is None else {"kept": timedelta(days=days)}
    done = {
        "files": remove_expired(session, now=now, limit=_FILES),
        "answers": forget_answers(session, now=now, limit=BATCH),
        "contexts": forget_context(session, now=now, limit=BATCH, **kept),
        "merges": forget_merge(session, now=now, limit=BATCH, **kept),
        "calls": forget_calls(session, now=now),
    }
    if any(done.values()):
        log.info("retention.swept", tenant=str(picked.tenant_id), **done)
    more = done["files"] == _FILES or BATCH in done.values()
    return Piece(units=0, again_at=now if more else now + EVERY)

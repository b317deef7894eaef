"""`GET /metrics` in Prometheus' text form: counts of the whole installation, no ids, no names."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

import sqlalchemy as sa
from flask import Flask, Response, abort, request
from sqlalchemy.orm import Session

from saas.http.shell import shell
from saas.notices.queries import open_counts
from saas.notices.types import AlertKind
from saas.platform.agenda.types import Queue
from saas.platform.db import db, tenant_session
from saas.platform.seal.service import is_sealed
from saas.sending.models import Sender
from saas.sending.types import FENCE_S
from saas.tenants.models import Tenant

_DUE: Final = sa.text(
    "SELECT queue, count(*) FROM agenda WHERE due_at <= :now AND (taken_until IS NULL OR taken_until <= :now)"
    " GROUP BY queue"
)


def register(app: Flask) -> None:
    """Add the page. Without METRICS_TOKEN there is none."""
    app.add_url_rule("/metrics", "metrics", metrics, methods=["GET"])


def metrics() -> Response:
    """Answer who brings the token."""
    token = shell().settings.metrics_token
    if not token:
        abort(404)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not compare_digest(given.encode(), token.encode()):
        return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    return Response("".join(_lines(shell().clock.now())), mimetype="text/plain; version=0.0.4")


def _lines(now: datetime) -> Iterator[str]:
    with Session(db.engine) as session:
        due = _counted(session.execute(_DUE, {"now": now}))
        alive = sa.select(Sender.queue, sa.func.count()).where(Sender.beat_at > now - timedelta(seconds=FENCE_S))
        senders = _counted(session.execute(alive.group_by(Sender.queue)))
        sealed = is_sealed(session)
        tenants = session.scalars(sa.select(Tenant.tenant_id)).all()
    alerts: Counter[AlertKind] = Counter()
    for tenant_id in tenants:  # each in a transaction of its own: no policy ever sees several
        with tenant_session(db.engine, tenant_id) as session:
            alerts.update(open_counts(session))
    yield from _gauge("alerts_open", "Open alerts by kind.", "kind", {kind.value: alerts[kind] for kind in AlertKind})
    yield from _gauge("agenda_due", "Due work by queue.", "queue", {queue.value: due[queue] for queue in Queue})
    sending = (Queue.TRANSACTIONAL, Queue.BULK)
    yield from _gauge(
        "senders_alive", "Senders that beat.", "queue", {queue.value: senders[queue] for queue in sending}
    )
    yield from _gauge("sealed", "Whether the seal is on.", "seal", {"environment": int(sealed)})


def _counted(rows: Iterable[Any]) -> Counter[str]:
    return Counter({queue: count for queue, count in rows})  # noqa: C416  rows are no pairs to mypy


def _gauge(name: str, text: str, label: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"# HELP countersign_{name} {text}\n# TYPE countersign_{name} gauge\n"
    yield from (f'countersign_{name}{{{label}="{key}"}} {value}\n' for key, value in values.items())

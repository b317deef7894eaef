"""Raise and clear alerts: at most one is open for each kind and subject, however often it is raised."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.kernel.ids import show, uuid7
from saas.notices.models import Alert
from saas.notices.types import AlertKind
from saas.platform.db import bound_tenant

_OPEN: Final = sa.text("cleared_at IS NULL")

log = structlog.get_logger()


def raise_alert(
    session: Session,
    *,
    kind: AlertKind,
    subject: str,
    text: str,
    facts: Mapping[str, Any] | None = None,
    project_id: UUID | None = None,
    now: datetime,
) -> bool:
    """Raise an alert unless it is open already; its text and facts are those of the first time. True when it is new.

    subject: the shown id of what it is about (cam_…, chn_…). text: a sentence for people; text and facts hold no names
    and addresses. project_id: who may not read campaigns there does not see the alert; None is for everybody.
    """
    known = dict(facts or {}) | ({"project_id": show("prj", project_id)} if project_id else {})
    row = insert(Alert).values(
        tenant_id=bound_tenant(session),
        alert_id=uuid7(),
        kind=kind.value,
        subject=subject,
        text=text,
        facts=known,
        raised_at=now,
        cleared_at=None,
    )
    unless_open = row.on_conflict_do_nothing(
        index_elements=[Alert.tenant_id, Alert.kind, Alert.subject], index_where=_OPEN
    )
    if session.scalar(unless_open.returning(Alert.alert_id)) is None:
        return False
    log.warning(
        "alert.raised", kind=kind.value, subject=subject, tenant=str(bound_tenant(session)), text=text, facts=known
    )
    return True


def clear_alert(session: Session, *, kind: AlertKind, subject: str, now: datetime) -> bool:
    """Clear an open alert: what was wrong has passed. False when none is open."""
    found = session.scalar(
        sa.update(Alert)
        .where(
            Alert.tenant_id == bound_tenant(session),
            Alert.kind == kind.value,
            Alert.subject == subject,
            Alert.cleared_at.is_(None),
        )
        .values(cleared_at=now)
        .returning(Alert.alert_id)
    )
    if found is None:
        return False
    log.info("alert.cleared", kind=kind.value, subject=subject, tenant=str(bound_tenant(session)))
    return True

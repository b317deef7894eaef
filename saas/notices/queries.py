"""Read alerts; always in the bound workspace, and of campaigns only in projects that the actor may see."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.kernel.ids import show
from saas.kernel.paging import Page, PageRequest, cut
from saas.notices.models import Alert
from saas.notices.types import AlertKind
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


def alerts(session: Session, *, actor: Actor, is_open: bool | None, page: PageRequest) -> Page[Alert]:
    """Return alerts, newest first: the open ones, the cleared ones, or (None) both."""
    wanted = _visible(session, actor)
    if is_open is not None:
        wanted = wanted.where(Alert.cleared_at.is_(None) if is_open else Alert.cleared_at.is_not(None))
    if page.after is not None:
        raised_at, alert_id = page.after
        before = sa.tuple_(sa.literal(datetime.fromisoformat(raised_at)), sa.literal(UUID(alert_id)))
        wanted = wanted.where(sa.tuple_(Alert.raised_at, Alert.alert_id) < before)
    rows = session.scalars(wanted.order_by(Alert.raised_at.desc(), Alert.alert_id.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (row.raised_at.isoformat(), str(row.alert_id)))


def open_alerts(session: Session, *, actor: Actor) -> Sequence[Alert]:
    """Return all open alerts that the actor may see, newest first."""
    found = _visible(session, actor).where(Alert.cleared_at.is_(None))
    return session.scalars(found.order_by(Alert.raised_at.desc(), Alert.alert_id.desc())).all()


def open_subjects(session: Session, kinds: Collection[AlertKind]) -> set[tuple[AlertKind, str]]:
    """Return kind and subject of what is open, for whoever decides what to clear."""
    rows = session.execute(
        sa.select(Alert.kind, Alert.subject).where(
            Alert.tenant_id == bound_tenant(session),
            Alert.cleared_at.is_(None),
            Alert.kind.in_([kind.value for kind in kinds]),
        )
    )
    return {(AlertKind(kind), subject) for kind, subject in rows}


def open_counts(session: Session) -> Mapping[AlertKind, int]:
    """Count the open alerts of the bound workspace by kind, for metrics."""
    rows = session.execute(
        sa.select(Alert.kind, sa.func.count())
        .where(Alert.tenant_id == bound_tenant(session), Alert.cleared_at.is_(None))
        .group_by(Alert.kind)
    )
    return {AlertKind(kind): count for kind, count in rows}


def _visible(session: Session, actor: Actor) -> sa.Select[Alert]:
    found = sa.select(Alert).where(Alert.tenant_id == bound_tenant(session))
    projects = actor.projects(Action.CAMPAIGN_READ)
    if projects is None:
        return found
    project = Alert.facts["project_id"].astext
    return found.where(sa.or_(project.is_(None), project.in_([show("prj", each) for each in projects])))

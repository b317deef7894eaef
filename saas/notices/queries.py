"""Read alerts and notices; always in the bound workspace, and of campaigns only in projects that the actor may see."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.kernel.ids import show
from saas.kernel.paging import Page, PageRequest, cut
from saas.notices.models import Alert, Notice, NoticeDigest, NoticeWish
from saas.notices.types import DEFAULT_WISHES, DIGEST_HOUR, AlertKind, MailMode, NoticeKind, Reader, Wish
from saas.permissions.queries import roles_for
from saas.permissions.rules import rights_of
from saas.permissions.types import Action, Actor, ActorKind, Role
from saas.platform.db import bound_tenant

# People and workspaces belong to floors above; read here is only where and when to reach somebody.
_ACCOUNT: Final = sa.table(
    "account",
    sa.column("account_id", sa.Uuid()),
    sa.column("email", sa.Text()),
    sa.column("time_zone", sa.Text()),
    sa.column("suspended_at", sa.DateTime(timezone=True)),
)
_TENANT: Final = sa.table("tenant", sa.column("tenant_id", sa.Uuid()), sa.column("agency_id", sa.Uuid()))
_WORKSPACE: Final = sa.table(
    "workspace",
    sa.column("tenant_id", sa.Uuid()),
    sa.column("name", sa.Text()),
    sa.column("time_zone", sa.Text()),
    sa.column("brand_colour", sa.Text()),
    sa.column("logo_id", sa.Uuid()),
)
MANY: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """The bound workspace, as far as a mail names it."""

    name: str
    time_zone: str
    brand_colour: str | None
    logo_id: UUID | None


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


def notices(session: Session, *, actor: Actor, unread: bool | None, page: PageRequest) -> Page[Notice]:
    """Return the actor's own notices, newest first: unread ones, read ones, or (None) both. A key has none."""
    wanted = own(session, actor)
    if unread is not None:
        wanted = wanted.where(Notice.read_at.is_(None) if unread else Notice.read_at.is_not(None))
    if page.after is not None:
        wanted = wanted.where(Notice.notice_id < UUID(page.after[0]))
    rows = session.scalars(wanted.order_by(Notice.notice_id.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.notice_id),))


def unread_count(session: Session, *, actor: Actor) -> int:
    """Count the actor's unread notices, up to MANY."""
    some = own(session, actor).where(Notice.read_at.is_(None)).with_only_columns(Notice.notice_id).limit(MANY)
    return session.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0


def own(session: Session, actor: Actor) -> sa.Select[Notice]:
    """Return the notices listed under a person's bell; a key is no person and has none."""
    found = sa.select(Notice).where(Notice.tenant_id == bound_tenant(session), Notice.in_app)
    return found.where(Notice.account_id == actor.account_id if actor.kind is ActorKind.PERSON else sa.false())


def readers(session: Session, ids: Collection[UUID]) -> dict[UUID, Reader]:
    """Return those of the accounts that may be told of the bound workspace: they can sign in and have a role here."""
    rows = session.execute(
        sa.select(_ACCOUNT.c.account_id, _ACCOUNT.c.email, _ACCOUNT.c.time_zone, NoticeDigest.hour)
        .select_from(_ACCOUNT)
        .outerjoin(NoticeDigest, NoticeDigest.account_id == _ACCOUNT.c.account_id)
        .where(_ACCOUNT.c.account_id.in_(set(ids)), _ACCOUNT.c.suspended_at.is_(None))
    ).all()
    agency_id = session.scalar(sa.select(_TENANT.c.agency_id).where(_TENANT.c.tenant_id == bound_tenant(session)))
    return {
        row.account_id: Reader(row.account_id, row.email, row.time_zone, DIGEST_HOUR if row.hour is None else row.hour)
        for row in rows
        if agency_id is not None and _may_enter(session, row.account_id, agency_id)
    }


def _may_enter(session: Session, account_id: UUID, agency_id: UUID) -> bool:
    tenant_id = bound_tenant(session)
    roles: Sequence[tuple[Role, UUID | None]] = roles_for(
        session, account_id=account_id, tenant_id=tenant_id, agency_id=agency_id
    )
    return any(right.action is Action.WORKSPACE_READ for right in rights_of(tenant_id, roles))


def wishes(session: Session, accounts: Collection[UUID], kind: NoticeKind) -> dict[UUID, Wish]:
    """Return what each of these people wants of a kind."""
    rows = session.scalars(
        sa.select(NoticeWish).where(NoticeWish.account_id.in_(accounts), NoticeWish.kind == kind.value)
    )
    chosen = {row.account_id: Wish(row.in_app, MailMode(row.mail)) for row in rows}
    return {account_id: chosen.get(account_id, DEFAULT_WISHES[kind]) for account_id in accounts}


def wishes_of(session: Session, account_id: UUID) -> dict[NoticeKind, Wish]:
    """Return what a person wants of each kind."""
    rows = session.scalars(sa.select(NoticeWish).where(NoticeWish.account_id == account_id))
    chosen = {NoticeKind(row.kind): Wish(row.in_app, MailMode(row.mail)) for row in rows}
    return {kind: chosen.get(kind, DEFAULT_WISHES[kind]) for kind in NoticeKind}


def digest_hour_of(session: Session, account_id: UUID) -> int:
    """Return the hour of a person's digest."""
    found = session.scalar(sa.select(NoticeDigest.hour).where(NoticeDigest.account_id == account_id))
    return DIGEST_HOUR if found is None else found


def place(session: Session) -> Place:
    """Return name, time zone and looks of the bound workspace."""
    columns = _WORKSPACE.c
    wanted = sa.select(columns.name, columns.time_zone, columns.brand_colour, columns.logo_id)
    row = session.execute(wanted.where(_WORKSPACE.c.tenant_id == bound_tenant(session))).one()
    return Place(row.name, row.time_zone, row.brand_colour, row.logo_id)

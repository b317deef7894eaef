"""Reads of channel configurations. Archived ones are missing, except where a function says otherwise."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.channels.models import ChannelConfiguration
from saas.channels.types import ChannelDraft, ChannelKind, Purpose, Security
from saas.kernel.errors import NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.ledger.models import Run
from saas.ledger.types import RunState
from saas.permissions.models import RoleGrant
from saas.platform.db import bound_tenant
from saas.tenants.models import Tenant

# What an approver signed, computed from the live row; `ch` is the alias of channel_configuration. The same object as
# rules.fingerprint_of makes (a test compares). What signs the mails is part of it only where something does, so that
# documents from before there was DKIM keep their fingerprint.
FINGERPRINT_SQL: Final = (
    "(CASE WHEN ch.kind = 'webhook' THEN jsonb_build_object('kind', ch.kind, 'purpose', ch.purpose, 'url', ch.url)"
    " ELSE jsonb_build_object('kind', ch.kind, 'purpose', ch.purpose, 'from_name', ch.from_name,"
    " 'from_address', ch.from_address, 'reply_to', ch.reply_to, 'return_path', ch.return_path, 'host', ch.host)"
    " || CASE WHEN ch.dkim_domain IS NULL THEN jsonb_build_object() ELSE"
    " jsonb_build_object('dkim_domain', ch.dkim_domain, 'dkim_selector', ch.dkim_selector) END END)"
)

_UNFINISHED: Final = (RunState.PLANNED, RunState.RUNNING, RunState.HELD)


def find(session: Session, channel_id: UUID) -> ChannelConfiguration | None:
    """Return a configuration, archived ones included; None if there is none."""
    return session.get(ChannelConfiguration, (bound_tenant(session), channel_id))


def channel(session: Session, channel_id: UUID) -> ChannelConfiguration:
    """Return a configuration in use. Raises NotFound."""
    return _live(find(session, channel_id))


def channel_for_update(session: Session, channel_id: UUID) -> ChannelConfiguration:
    """Return a configuration in use, locked until the transaction ends. Raises NotFound."""
    key = (bound_tenant(session), channel_id)
    return _live(session.get(ChannelConfiguration, key, with_for_update=True, populate_existing=True))


def channels(
    session: Session, page: PageRequest, *, purpose: Purpose | None = None, kind: ChannelKind | None = None
) -> Page[ChannelConfiguration]:
    """Return the configurations in use, oldest first."""
    table = ChannelConfiguration
    wanted = sa.select(table).where(table.tenant_id == bound_tenant(session), table.archived_at.is_(None))
    if purpose is not None:
        wanted = wanted.where(table.purpose == purpose.value)
    if kind is not None:
        wanted = wanted.where(table.kind == kind.value)
    if page.after is not None:
        wanted = wanted.where(table.channel_id > UUID(page.after[0]))
    rows = session.scalars(wanted.order_by(table.channel_id).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.channel_id),))


def has_unfinished_run(session: Session, channel_id: UUID) -> bool:
    """Say whether a run that is not over sends through this configuration."""
    wanted = sa.select(Run.run_id).where(
        Run.tenant_id == bound_tenant(session),
        Run.channel_id == channel_id,
        Run.state.in_([state.value for state in _UNFINISHED]),
    )
    return session.scalar(wanted.limit(1)) is not None


def is_member_address(session: Session, address: str) -> bool:
    """Say whether an address is that of somebody with a role in the bound workspace, or of an owner of its agency."""
    tenant_id = bound_tenant(session)
    wanted = (
        sa.select(Account.account_id)
        .join(RoleGrant, RoleGrant.account_id == Account.account_id)
        .join(Tenant, Tenant.agency_id == RoleGrant.agency_id)
        .where(
            Tenant.tenant_id == tenant_id,
            sa.or_(RoleGrant.tenant_id == tenant_id, RoleGrant.tenant_id.is_(None)),
            Account.email == address.strip().casefold(),
            Account.suspended_at.is_(None),
        )
    )
    return session.scalar(wanted.limit(1)) is not None


def of_kind(row: ChannelConfiguration, kind: ChannelKind) -> ChannelConfiguration:
    """Return a configuration if it is of a kind; one of another kind is none of those asked for. Raises NotFound."""
    if row.kind != kind.value:
        raise NotFound.of(f"{_WORDS[kind]} configuration")
    return row


_WORDS: Final = {ChannelKind.SMTP: "mail server", ChannelKind.WEBHOOK: "webhook"}


def draft_of(row: ChannelConfiguration) -> ChannelDraft:
    """Return what people said about a mail server, without its password. Raises NotFound for another kind."""
    of_kind(row, ChannelKind.SMTP)
    return ChannelDraft(
        name=row.name,
        purpose=Purpose(row.purpose),
        from_name=row.from_name or "",
        from_address=row.from_address or "",
        reply_to=row.reply_to,
        return_path=row.return_path,
        host=row.host or "",
        port=row.port or 0,
        security=Security(row.security or Security.NONE),
        username=row.username,
        rate_per_minute=row.rate_per_minute,
        connections=row.connections,
        source_address=row.source_address,
        ehlo_name=row.ehlo_name,
    )


def _live(row: ChannelConfiguration | None) -> ChannelConfiguration:
    if row is None or row.archived_at is not None:
        raise NotFound.of("channel configuration")
    return row

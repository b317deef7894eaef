"""What all channel configurations have in common: names, versions, the places of secrets, and their end."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.channels import queries
from saas.channels.models import ChannelConfiguration
from saas.channels.types import ChannelInUse, NameTaken
from saas.kernel.errors import Stale
from saas.kernel.ids import show
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.secrets.service import Place

InUse: TypeAlias = Callable[[Session, UUID], bool]

_in_use: list[InUse] = [queries.has_unfinished_run]


def keep_while(check: InUse) -> None:
    """Refuse to archive configurations for which this says yes; for packages above that refer to them."""
    if check not in _in_use:
        _in_use.append(check)


def archive(session: Session, *, actor: Actor, channel_id: UUID, expected: int, now: datetime) -> None:
    """Take a configuration out of use; what was sent through it still names it, its secrets are forgotten.

    Raises ChannelInUse, Stale, NotFound, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    row = expected_version(session, channel_id, expected)
    if any(check(session, channel_id) for check in _in_use):
        raise ChannelInUse("Campaigns that are not over send through this channel configuration.")
    row.archived_at = row.updated_at = now
    row.password_sealed = None
    row.hook_secret_sealed = row.hook_former_sealed = row.hook_former_until = None
    row.dkim_domain = row.dkim_selector = row.dkim_record = row.dkim_key_sealed = None
    row.version += 1
    session.flush()
    audit.append(session, actor=actor, action="channel.archived", subject=shown(row), now=now)


def expected_version(session: Session, channel_id: UUID, expected: int) -> ChannelConfiguration:
    """Return a configuration in use, locked, if it is still the one that was read. Raises Stale, NotFound."""
    row = queries.channel_for_update(session, channel_id)
    if row.version != expected:
        raise Stale("Somebody changed this since you read it. Read it again and repeat your change.")
    return row


def flush_named(session: Session, name: str) -> None:
    """Write a configuration of this name. Raises NameTaken."""
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(f"There is, or was, a channel configuration named “{name}”.") from None


def place(channel_id: UUID, column: str = "password") -> Place:
    """Return where a secret of a configuration lives."""
    return Place("channel_configuration", channel_id, column)


def shown(row: ChannelConfiguration) -> str:
    """Return the id that people see."""
    return show("chn", row.channel_id)

"""Channel configurations: make, change, archive, test; and the adapter that sends through one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.channels import queries, rules
from saas.channels.adapters.smtp.adapter import SmtpAdapter
from saas.channels.models import ChannelConfiguration
from saas.channels.types import (
    ChannelDraft,
    ChannelInUse,
    ChannelKind,
    NameTaken,
    Outcome,
    OutcomeKind,
    Outgoing,
    PasswordNeeded,
    Purpose,
    Security,
    SmtpSettings,
    Timeouts,
    TrialResult,
)
from saas.kernel.errors import Fault, Invalid, Stale
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require, require_somewhere
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.platform.secrets.service import Place, Vault

_FIELDS: Final = (
    "name", "from_name", "from_address", "reply_to", "return_path", "host", "port", "security", "username",
    "rate_per_minute",
)  # fmt: skip
_TRIAL: Final = Timeouts(connect_s=10, reply_s=10, answer_s=10, total_s=20)

InUse: TypeAlias = Callable[[Session, UUID], bool]

log = structlog.get_logger()
_in_use: list[InUse] = [queries.has_unfinished_run]


def keep_while(check: InUse) -> None:
    """Refuse to archive configurations for which this says yes; for packages above that refer to them."""
    if check not in _in_use:
        _in_use.append(check)


def create(
    session: Session, *, actor: Actor, draft: ChannelDraft, vault: Vault, allow: tuple[str, ...], now: datetime
) -> ChannelConfiguration:
    """Make a configuration. `allow` is EGRESS_ALLOW. Raises Invalid, NameTaken, LacksRight."""
    require(actor, Action.CHANNEL_WRITE)
    draft = rules.checked(draft, allow=allow)
    _check_pair(draft, has_password=draft.password is not None)
    row = ChannelConfiguration(
        tenant_id=bound_tenant(session),
        channel_id=uuid7(),
        kind=ChannelKind.SMTP.value,
        purpose=draft.purpose.value,
        password_sealed=None,
        created_at=now,
        updated_at=now,
        version=1,
    )
    _write(row, draft)
    if draft.password is not None:
        row.password_sealed = vault.seal(session, draft.password, place=_place(row.channel_id), now=now)
    session.add(row)
    _flush(session, draft.name)
    facts = {"kind": row.kind, "purpose": row.purpose, "security": row.security}
    audit.append(session, actor=actor, action="channel.created", subject=_shown(row), now=now, facts=facts)
    return row


def change(
    session: Session,
    *,
    actor: Actor,
    channel_id: UUID,
    expected: int,
    values: Mapping[str, Any],
    vault: Vault,
    allow: tuple[str, ...],
    now: datetime,
) -> ChannelConfiguration:
    """Change the fields named in `values` (those of ChannelDraft but purpose). `expected` is the version that was read.

    A stored password stays as long as host, port, security and username stay; else it has to be given again, so that
    nobody can have it sent to a server of theirs. `password` None removes it.
    Raises Invalid, PasswordNeeded, NameTaken, Stale, NotFound, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    row = _expected(session, channel_id, expected)
    before = draft_of(row)
    after = rules.checked(replace(before, **values), allow=allow)
    keeps = row.password_sealed is not None and "password" not in values and after.username is not None
    if keeps and rules.leads_elsewhere(before, after):
        raise PasswordNeeded(
            "The password was stored for another host, port, protection or user name.",
            faults=[Fault("/password", "Enter the password again.")],
        )
    _check_pair(after, has_password=keeps or after.password is not None)
    changed = [field for field in _FIELDS if getattr(before, field) != getattr(after, field)]
    _write(row, after)
    if after.password is not None:
        row.password_sealed = vault.seal(session, after.password, place=_place(channel_id), now=now)
        changed.append("password")
    elif not keeps and row.password_sealed is not None:
        row.password_sealed = None
        changed.append("password")
    if changed:
        row.version, row.updated_at = row.version + 1, now
        _flush(session, after.name)
        facts = {"changed": changed}
        audit.append(session, actor=actor, action="channel.changed", subject=_shown(row), now=now, facts=facts)
    return row


def archive(session: Session, *, actor: Actor, channel_id: UUID, expected: int, now: datetime) -> None:
    """Take a configuration out of use; what was sent through it still names it, its password is forgotten.

    Raises ChannelInUse, Stale, NotFound, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    row = _expected(session, channel_id, expected)
    if any(check(session, channel_id) for check in _in_use):
        raise ChannelInUse("Campaigns that are not over send through this channel configuration.")
    row.archived_at = row.updated_at = now
    row.password_sealed = None
    row.version += 1
    session.flush()
    audit.append(session, actor=actor, action="channel.archived", subject=_shown(row), now=now)


def open_adapter(
    session: Session,
    *,
    channel: ChannelConfiguration,
    vault: Vault,
    allow: tuple[str, ...],
    ehlo_name: str,
    timeouts: Timeouts | None = None,
) -> SmtpAdapter:
    """Return what sends through a configuration; it connects at the first message. Raises Unreadable."""
    password = None
    if channel.password_sealed is not None:
        password = vault.open(session, channel.password_sealed, place=_place(channel.channel_id))
    settings = SmtpSettings(
        channel_id=channel.channel_id,
        host=channel.host,
        port=channel.port,
        security=Security(channel.security),
        username=channel.username,
        password=password,
    )
    return SmtpAdapter(settings, allow=allow, ehlo_name=ehlo_name, timeouts=timeouts)


def send_trial(
    session: Session,
    *,
    actor: Actor,
    channel_id: UUID,
    to: str,
    vault: Vault,
    allow: tuple[str, ...],
    ehlo_name: str,
    now: datetime,
) -> TrialResult:
    """Send a small real message to a member of the workspace and note how it went. Takes up to about 30 s.

    Raises Invalid, NotFound, LacksRight.
    """
    require_somewhere(actor, Action.CHANNEL_TEST)
    row = queries.channel(session, channel_id)
    address = rules.wire_address(to.strip())
    # Members only: otherwise this would be a way to write to strangers (security.md K).
    if address is None or not address.isascii() or not queries.is_member_address(session, to):
        raise Invalid.at("/to", "A test goes to your own address or to that of another member of this workspace.")
    content = rules.trial_message(draft_of(row), to=address, now=now, message_id=uuid7())
    adapter = open_adapter(session, channel=row, vault=vault, allow=allow, ehlo_name=ehlo_name, timeouts=_TRIAL)
    watch = _Trial()
    try:
        adapter.deliver(iter([Outgoing(0, row.return_path or row.from_address, address, content)]), watch=watch)
        stage = adapter.stage
    finally:
        adapter.close()
    result = rules.verdict(watch.outcome, stage, host=row.host)
    row.last_test_at = now
    row.last_test_error = None if result.accepted else result.text
    session.flush()
    log.info("channel.tested", channel=_shown(row), accepted=result.accepted, stage=stage.value)
    facts = {"accepted": result.accepted, "stage": stage.value}
    audit.append(session, actor=actor, action="channel.tested", subject=_shown(row), now=now, facts=facts)
    return result


def draft_of(row: ChannelConfiguration) -> ChannelDraft:
    """Return what people said about a configuration, without its password."""
    return ChannelDraft(
        name=row.name,
        purpose=Purpose(row.purpose),
        from_name=row.from_name,
        from_address=row.from_address,
        reply_to=row.reply_to,
        return_path=row.return_path,
        host=row.host,
        port=row.port,
        security=Security(row.security),
        username=row.username,
        rate_per_minute=row.rate_per_minute,
    )


class _Trial:
    """The watch over a single test message."""

    def __init__(self) -> None:
        self.outcome = Outcome(OutcomeKind.UNKNOWN)

    def may_go_on(self, _index: int) -> bool:
        """Nobody stops a test."""
        return True

    def offered(self, index: int) -> None:
        """Nothing to note: a test has no ledger."""

    def settled(self, _index: int, outcome: Outcome) -> None:
        """Keep the answer."""
        self.outcome = outcome


def _expected(session: Session, channel_id: UUID, expected: int) -> ChannelConfiguration:
    row = queries.channel_for_update(session, channel_id)
    if row.version != expected:
        raise Stale("Somebody changed this since you read it. Read it again and repeat your change.")
    return row


def _write(row: ChannelConfiguration, draft: ChannelDraft) -> None:
    for field in _FIELDS:
        value = getattr(draft, field)
        setattr(row, field, value.value if isinstance(value, Security) else value)


def _check_pair(draft: ChannelDraft, *, has_password: bool) -> None:
    if draft.username is not None and not has_password:
        raise Invalid.at("/password", "A user name needs its password.")
    if draft.username is None and has_password:
        raise Invalid.at("/username", "A password needs its user name.")


def _flush(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(f"There is, or was, a channel configuration named “{name}”.") from None


def _place(channel_id: UUID) -> Place:
    return Place("channel_configuration", channel_id, "password")


def _shown(row: ChannelConfiguration) -> str:
    return show("chn", row.channel_id)

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
from saas.channels.adapters.smtp import dkim
from saas.channels.adapters.smtp.adapter import SmtpAdapter
from saas.channels.models import ChannelConfiguration
from saas.channels.types import (
    ChannelDraft,
    ChannelInUse,
    ChannelKind,
    DkimAlgorithm,
    DkimKey,
    NameTaken,
    Outcome,
    OutcomeKind,
    Outgoing,
    PasswordNeeded,
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
    "rate_per_minute", "connections", "source_address", "ehlo_name",
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
    session: Session,
    *,
    actor: Actor,
    draft: ChannelDraft,
    vault: Vault,
    allow: tuple[str, ...],
    sources: tuple[str, ...] = (),
    now: datetime,
) -> ChannelConfiguration:
    """Make a configuration. `allow` is EGRESS_ALLOW, `sources` SOURCE_ADDRESSES.

    Raises Invalid, NameTaken, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    draft = rules.checked(draft, allow=allow, sources=sources)
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
    sources: tuple[str, ...] = (),
    now: datetime,
) -> ChannelConfiguration:
    """Change the fields named in `values` (those of ChannelDraft but purpose). `expected` is the version that was read.

    A stored password stays as long as host, port, security and username stay; else it has to be given again, so that
    nobody can have it sent to a server of theirs. `password` None removes it.
    Raises Invalid, PasswordNeeded, NameTaken, Stale, NotFound, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    row = _expected(session, channel_id, expected)
    before = queries.draft_of(row)
    after = rules.checked(replace(before, **values), allow=allow, sources=sources)
    if row.dkim_domain is not None and not dkim.aligned(row.dkim_domain, after.from_address):
        text = f"Mails are signed for {row.dkim_domain}: keep an address of it, or remove the DKIM key first."
        raise Invalid.at("/from_address", text)
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
    """Take a configuration out of use; what was sent through it still names it, its secrets are forgotten.

    Raises ChannelInUse, Stale, NotFound, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    row = _expected(session, channel_id, expected)
    if any(check(session, channel_id) for check in _in_use):
        raise ChannelInUse("Campaigns that are not over send through this channel configuration.")
    row.archived_at = row.updated_at = now
    row.password_sealed = None
    row.dkim_domain = row.dkim_selector = row.dkim_record = row.dkim_key_sealed = None
    row.version += 1
    session.flush()
    audit.append(session, actor=actor, action="channel.archived", subject=_shown(row), now=now)


def make_dkim(
    session: Session,
    *,
    actor: Actor,
    channel_id: UUID,
    domain: str,
    selector: str,
    algorithm: DkimAlgorithm,
    vault: Vault,
    now: datetime,
) -> ChannelConfiguration:
    """Make a key with which mails are signed from now on, in place of the present one; it is sealed and never shown.

    Raises Invalid, NotFound, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    row = queries.channel_for_update(session, channel_id)
    domain, selector = dkim.checked(domain=domain, selector=selector, from_address=row.from_address)
    if (domain, selector) == (row.dkim_domain, row.dkim_selector):
        # The record of a name is replaced only after what was signed with the old key has been read.
        raise Invalid.at("/selector", "The present key has this selector. Choose another one for a new key.")
    private, record = dkim.new_key(algorithm)
    sealed = vault.seal(session, private.decode(), place=_place(channel_id, "dkim_key"), now=now)
    row.dkim_domain, row.dkim_selector, row.dkim_record, row.dkim_key_sealed = domain, selector, record, sealed
    row.version, row.updated_at = row.version + 1, now
    session.flush()
    facts = {"domain": domain, "selector": selector, "algorithm": algorithm.value}
    audit.append(session, actor=actor, action="channel.dkim_made", subject=_shown(row), now=now, facts=facts)
    return row


def remove_dkim(session: Session, *, actor: Actor, channel_id: UUID, expected: int, now: datetime) -> None:
    """Sign no mails any longer and forget the key. Raises Stale, NotFound, LacksRight."""
    require(actor, Action.CHANNEL_WRITE)
    row = _expected(session, channel_id, expected)
    if row.dkim_domain is None:
        return
    facts = {"domain": row.dkim_domain, "selector": row.dkim_selector}
    row.dkim_domain = row.dkim_selector = row.dkim_record = row.dkim_key_sealed = None
    row.version, row.updated_at = row.version + 1, now
    session.flush()
    audit.append(session, actor=actor, action="channel.dkim_removed", subject=_shown(row), now=now, facts=facts)


def dkim_of(session: Session, *, channel: ChannelConfiguration, vault: Vault) -> DkimKey | None:
    """Return what mails of a configuration are signed with, None for nothing. Raises Unreadable."""
    if channel.dkim_domain is None or channel.dkim_selector is None or channel.dkim_key_sealed is None:
        return None
    private = vault.open(session, channel.dkim_key_sealed, place=_place(channel.channel_id, "dkim_key"))
    return DkimKey(channel.dkim_domain, channel.dkim_selector, private.encode())


def open_adapter(
    session: Session,
    *,
    channel: ChannelConfiguration,
    vault: Vault,
    allow: tuple[str, ...],
    ehlo_name: str,
    timeouts: Timeouts | None = None,
) -> SmtpAdapter:
    """Return what sends through a configuration; it connects at the first message. Raises Unreadable.

    `ehlo_name` is the installation's; a configuration's own goes before it.
    """
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
        connections=channel.connections,
        source_address=channel.source_address,
    )
    return SmtpAdapter(settings, allow=allow, ehlo_name=channel.ehlo_name or ehlo_name, timeouts=timeouts)


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
    content = rules.trial_message(queries.draft_of(row), to=address, now=now, message_id=uuid7())
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


def _place(channel_id: UUID, column: str = "password") -> Place:
    return Place("channel_configuration", channel_id, column)


def _shown(row: ChannelConfiguration) -> str:
    return show("chn", row.channel_id)

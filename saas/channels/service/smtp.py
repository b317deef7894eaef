"""Channel configurations of mail servers: make, change, sign, test."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.channels import queries, rules
from saas.channels.adapters.smtp import dkim
from saas.channels.models import ChannelConfiguration
from saas.channels.service.adapters import smtp_adapter
from saas.channels.service.configurations import expected_version, flush_named, place, shown
from saas.channels.types import (
    ChannelDraft,
    ChannelKind,
    DkimAlgorithm,
    Outcome,
    OutcomeKind,
    Outgoing,
    PasswordNeeded,
    Security,
    Timeouts,
    TrialResult,
)
from saas.kernel.errors import Fault, Invalid
from saas.kernel.ids import uuid7
from saas.permissions.policy import require, require_somewhere
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.platform.secrets.service import Vault

_FIELDS: Final = (
    "name", "from_name", "from_address", "reply_to", "return_path", "host", "port", "security", "username",
    "rate_per_minute", "connections", "source_address", "ehlo_name",
)  # fmt: skip
_TRIAL: Final = Timeouts(connect_s=10, reply_s=10, answer_s=10, total_s=20)

log = structlog.get_logger()


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
        row.password_sealed = vault.seal(session, draft.password, place=place(row.channel_id), now=now)
    session.add(row)
    flush_named(session, draft.name)
    facts = {"kind": row.kind, "purpose": row.purpose, "security": row.security}
    audit.append(session, actor=actor, action="channel.created", subject=shown(row), now=now, facts=facts)
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
    row = expected_version(session, channel_id, expected)
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
        row.password_sealed = vault.seal(session, after.password, place=place(channel_id), now=now)
        changed.append("password")
    elif not keeps and row.password_sealed is not None:
        row.password_sealed = None
        changed.append("password")
    if changed:
        row.version, row.updated_at = row.version + 1, now
        flush_named(session, after.name)
        facts = {"changed": changed}
        audit.append(session, actor=actor, action="channel.changed", subject=shown(row), now=now, facts=facts)
    return row


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
    from_address = queries.draft_of(row).from_address
    domain, selector = dkim.checked(domain=domain, selector=selector, from_address=from_address)
    if (domain, selector) == (row.dkim_domain, row.dkim_selector):
        # The record of a name is replaced only after what was signed with the old key has been read.
        raise Invalid.at("/selector", "The present key has this selector. Choose another one for a new key.")
    private, record = dkim.new_key(algorithm)
    sealed = vault.seal(session, private.decode(), place=place(channel_id, "dkim_key"), now=now)
    row.dkim_domain, row.dkim_selector, row.dkim_record, row.dkim_key_sealed = domain, selector, record, sealed
    row.version, row.updated_at = row.version + 1, now
    session.flush()
    facts = {"domain": domain, "selector": selector, "algorithm": algorithm.value}
    audit.append(session, actor=actor, action="channel.dkim_made", subject=shown(row), now=now, facts=facts)
    return row


def remove_dkim(session: Session, *, actor: Actor, channel_id: UUID, expected: int, now: datetime) -> None:
    """Sign no mails any longer and forget the key. Raises Stale, NotFound, LacksRight."""
    require(actor, Action.CHANNEL_WRITE)
    row = expected_version(session, channel_id, expected)
    if row.dkim_domain is None:
        return
    facts = {"domain": row.dkim_domain, "selector": row.dkim_selector}
    row.dkim_domain = row.dkim_selector = row.dkim_record = row.dkim_key_sealed = None
    row.version, row.updated_at = row.version + 1, now
    session.flush()
    audit.append(session, actor=actor, action="channel.dkim_removed", subject=shown(row), now=now, facts=facts)


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
    draft = queries.draft_of(row)
    address = rules.wire_address(to.strip())
    # Members only: otherwise this would be a way to write to strangers (security.md K).
    if address is None or not address.isascii() or not queries.is_member_address(session, to):
        raise Invalid.at("/to", "A test goes to your own address or to that of another member of this workspace.")
    content = rules.trial_message(draft, to=address, now=now, message_id=uuid7())
    adapter = smtp_adapter(session, channel=row, vault=vault, allow=allow, ehlo_name=ehlo_name, timeouts=_TRIAL)
    watch = _Trial()
    try:
        adapter.deliver(iter([Outgoing(0, draft.return_path or draft.from_address, address, content)]), watch=watch)
        stage = adapter.stage
    finally:
        adapter.close()
    result = rules.verdict(watch.outcome, stage, host=draft.host)
    row.last_test_at = now
    row.last_test_error = None if result.accepted else result.text
    session.flush()
    log.info("channel.tested", channel=shown(row), accepted=result.accepted, stage=stage.value)
    facts = {"accepted": result.accepted, "stage": stage.value}
    audit.append(session, actor=actor, action="channel.tested", subject=shown(row), now=now, facts=facts)
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


def _write(row: ChannelConfiguration, draft: ChannelDraft) -> None:
    for field in _FIELDS:
        value = getattr(draft, field)
        setattr(row, field, value.value if isinstance(value, Security) else value)


def _check_pair(draft: ChannelDraft, *, has_password: bool) -> None:
    if draft.username is not None and not has_password:
        raise Invalid.at("/password", "A user name needs its password.")
    if draft.username is None and has_password:
        raise Invalid.at("/username", "A password needs its user name.")

"""Webhooks: make, change, rotate their secret, ping; and what steps of a flow call."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.channels import queries
from saas.channels.adapters.webhook import signing
from saas.channels.adapters.webhook.target import spelled, target_of
from saas.channels.adapters.webhook.types import Answer, HookDraft, HookSecret, NoAnswer, Patience
from saas.channels.adapters.webhook.wire import call
from saas.channels.models import ChannelConfiguration
from saas.channels.rules import MAX_RATE, checked_name
from saas.channels.service.adapters import hook_secrets
from saas.channels.service.configurations import expected_version, flush_named, place, shown
from saas.channels.types import ChannelKind, Purpose, TrialResult
from saas.kernel.errors import DomainError, Invalid
from saas.kernel.ids import uuid7
from saas.permissions.policy import require, require_somewhere
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.platform.secrets.service import Vault

MAX_OVERLAP_HOURS: Final = 7 * 24
_FIELDS: Final = ("name", "url", "rate_per_minute")
_PING: Final = Patience(connect_s=10, answer_s=10, most=0)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a webhook leads, and what its messages are signed with."""

    url: str
    secrets: tuple[HookSecret, ...]

    def call(
        self, body: bytes, *, message_id: str, at: datetime, allow: tuple[str, ...], patience: Patience | None = None
    ) -> Answer:
        """Post JSON, signed, and return the answer; `at` is the present moment. Raises what `wire.call` raises.

        Waits for the receiver: to be called while no transaction is open, unless for a single call.
        """
        secrets, patience = self.secrets, patience or Patience()
        return call(self.url, body, secrets=secrets, message_id=message_id, at=at, allow=allow, patience=patience)


def create(
    session: Session, *, actor: Actor, draft: HookDraft, vault: Vault, allow: tuple[str, ...], now: datetime
) -> tuple[ChannelConfiguration, str]:
    """Make a webhook. Returns it with its signing secret, which nobody is shown again. `allow` is EGRESS_ALLOW.

    Raises Invalid, NameTaken, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    draft = _checked(draft, allow)
    row = ChannelConfiguration(
        tenant_id=bound_tenant(session),
        channel_id=uuid7(),
        kind=ChannelKind.WEBHOOK.value,
        purpose=draft.purpose.value,
        created_at=now,
        updated_at=now,
        version=1,
    )
    _write(row, draft)
    secret = signing.new_secret()
    row.hook_secret_sealed = _sealed(session, row, secret, vault, now)
    session.add(row)
    flush_named(session, draft.name)
    facts = {"kind": row.kind, "purpose": row.purpose}
    audit.append(session, actor=actor, action="channel.created", subject=shown(row), now=now, facts=facts)
    return row, secret


def change(
    session: Session,
    *,
    actor: Actor,
    channel_id: UUID,
    expected: int,
    values: Mapping[str, Any],
    allow: tuple[str, ...],
    now: datetime,
) -> ChannelConfiguration:
    """Change the fields named in `values` (those of HookDraft but purpose). `expected` is the version that was read.

    The secret stays: it proves who sends, and opens nothing. Raises Invalid, NameTaken, Stale, NotFound, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    row = queries.of_kind(expected_version(session, channel_id, expected), ChannelKind.WEBHOOK)
    before = draft_of(row)
    after = _checked(replace(before, **values), allow)
    changed = [field for field in _FIELDS if getattr(before, field) != getattr(after, field)]
    if changed:
        _write(row, after)
        row.version, row.updated_at = row.version + 1, now
        flush_named(session, after.name)
        facts = {"changed": changed}
        audit.append(session, actor=actor, action="channel.changed", subject=shown(row), now=now, facts=facts)
    return row


def rotate(
    session: Session, *, actor: Actor, channel_id: UUID, overlap_hours: int, vault: Vault, now: datetime
) -> tuple[ChannelConfiguration, str]:
    """Put a new secret in the place of the present one, which signs beside it for some hours more (0: ends at once).

    One that was rotated before and still signs ends now. Raises Invalid, NotFound, LacksRight.
    """
    require(actor, Action.CHANNEL_WRITE)
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise Invalid.at("/overlap_hours", f"Must be between 0 and {MAX_OVERLAP_HOURS}.")
    row = queries.of_kind(queries.channel_for_update(session, channel_id), ChannelKind.WEBHOOK)
    row.hook_former_sealed = row.hook_secret_sealed if overlap_hours else None
    row.hook_former_until = now + timedelta(hours=overlap_hours) if overlap_hours else None
    secret = signing.new_secret()
    row.hook_secret_sealed = _sealed(session, row, secret, vault, now)
    row.version, row.updated_at = row.version + 1, now
    session.flush()
    facts = {"overlap_hours": overlap_hours}
    audit.append(session, actor=actor, action="channel.secret_rotated", subject=shown(row), now=now, facts=facts)
    return row, secret


def ping(
    session: Session, *, actor: Actor, channel_id: UUID, vault: Vault, allow: tuple[str, ...], now: datetime
) -> TrialResult:
    """Post a signed `ping` and note how it went. Takes up to 30 s or so. Raises NotFound, LacksRight."""
    require_somewhere(actor, Action.CHANNEL_TEST)
    row = queries.of_kind(queries.channel(session, channel_id), ChannelKind.WEBHOOK)
    body = json.dumps({"type": "ping", "timestamp": now.isoformat()}).encode()
    message_id = f"ping_{uuid7().hex}"
    try:
        receiver = receiver_of(session, channel=row, vault=vault)
        answer = receiver.call(body, message_id=message_id, at=now, allow=allow, patience=_PING)
    except NoAnswer:
        result = TrialResult(accepted=False, text="The receiver did not answer in time")
    except DomainError:
        result = TrialResult(accepted=False, text="The receiver cannot be reached")
    else:
        # The status alone: what stands in the answer is for whoever runs the receiver.
        result = TrialResult(accepted=200 <= answer.status < 300, text=f"The receiver answered {answer.status}")
    row.last_test_at = now
    row.last_test_error = None if result.accepted else result.text
    session.flush()
    log.info("channel.tested", channel=shown(row), accepted=result.accepted)
    facts = {"accepted": result.accepted}
    audit.append(session, actor=actor, action="channel.tested", subject=shown(row), now=now, facts=facts)
    return result


def receiver_of(session: Session, *, channel: ChannelConfiguration, vault: Vault) -> Receiver:
    """Return all that calls through a webhook need of the database. Raises Unreadable, NotFound for another kind."""
    queries.of_kind(channel, ChannelKind.WEBHOOK)
    return Receiver(channel.url or "", hook_secrets(session, channel=channel, vault=vault))


def draft_of(row: ChannelConfiguration) -> HookDraft:
    """Return what people said about a webhook."""
    return HookDraft(
        name=row.name, purpose=Purpose(row.purpose), url=row.url or "", rate_per_minute=row.rate_per_minute
    )


def _checked(draft: HookDraft, allow: tuple[str, ...]) -> HookDraft:
    rate = draft.rate_per_minute
    if rate is not None and not 1 <= rate <= MAX_RATE:
        raise Invalid.at("/rate_per_minute", f"Must be between 1 and {MAX_RATE}, or empty for no limit.")
    return replace(draft, name=checked_name(draft.name), url=spelled(target_of(draft.url.strip(), allow=allow)))


def _write(row: ChannelConfiguration, draft: HookDraft) -> None:
    for field in _FIELDS:
        setattr(row, field, getattr(draft, field))


def _sealed(session: Session, row: ChannelConfiguration, secret: str, vault: Vault, now: datetime) -> bytes:
    return vault.seal(session, secret, place=place(row.channel_id, "hook_secret"), now=now)

"""The adapter that sends through a configuration, whatever its kind, and what its messages are signed with."""

from sqlalchemy.orm import Session

from saas.channels import queries
from saas.channels.adapters.smtp.adapter import SmtpAdapter
from saas.channels.adapters.webhook.adapter import WebhookAdapter
from saas.channels.adapters.webhook.types import HookSecret
from saas.channels.models import ChannelConfiguration
from saas.channels.service.configurations import place
from saas.channels.types import Adapter, ChannelKind, DkimKey, SmtpSettings, Timeouts
from saas.kernel.clock import Clock
from saas.platform.secrets.service import Vault


def open_adapter(
    session: Session,
    *,
    channel: ChannelConfiguration,
    vault: Vault,
    allow: tuple[str, ...],
    ehlo_name: str,
    clock: Clock,
) -> Adapter:
    """Return what sends through a configuration; it connects at the first message. Raises Unreadable.

    `ehlo_name` is the installation's; a configuration's own goes before it.
    """
    if channel.kind == ChannelKind.WEBHOOK:
        secrets = hook_secrets(session, channel=channel, vault=vault)
        return WebhookAdapter(channel.url or "", secrets=secrets, allow=allow, clock=clock)
    return smtp_adapter(session, channel=channel, vault=vault, allow=allow, ehlo_name=ehlo_name)


def smtp_adapter(
    session: Session,
    *,
    channel: ChannelConfiguration,
    vault: Vault,
    allow: tuple[str, ...],
    ehlo_name: str,
    timeouts: Timeouts | None = None,
) -> SmtpAdapter:
    """Return what sends through a mail server. Raises Unreadable, NotFound for another kind."""
    draft = queries.draft_of(channel)
    password = None
    if channel.password_sealed is not None:
        password = vault.open(session, channel.password_sealed, place=place(channel.channel_id))
    settings = SmtpSettings(
        channel_id=channel.channel_id,
        host=draft.host,
        port=draft.port,
        security=draft.security,
        username=draft.username,
        password=password,
        connections=draft.connections,
        source_address=draft.source_address,
    )
    return SmtpAdapter(settings, allow=allow, ehlo_name=draft.ehlo_name or ehlo_name, timeouts=timeouts)


def hook_secrets(session: Session, *, channel: ChannelConfiguration, vault: Vault) -> tuple[HookSecret, ...]:
    """Return what messages of a webhook are signed with, the present secret first. Raises Unreadable."""
    found = []
    if channel.hook_secret_sealed is not None:
        text = vault.open(session, channel.hook_secret_sealed, place=place(channel.channel_id, "hook_secret"))
        found.append(HookSecret(text))
    if channel.hook_former_sealed is not None:
        text = vault.open(session, channel.hook_former_sealed, place=place(channel.channel_id, "hook_secret"))
        found.append(HookSecret(text, channel.hook_former_until))
    return tuple(found)


def dkim_of(session: Session, *, channel: ChannelConfiguration, vault: Vault) -> DkimKey | None:
    """Return what mails of a configuration are signed with, None for nothing. Raises Unreadable."""
    if channel.dkim_domain is None or channel.dkim_selector is None or channel.dkim_key_sealed is None:
        return None
    private = vault.open(session, channel.dkim_key_sealed, place=place(channel.channel_id, "dkim_key"))
    return DkimKey(channel.dkim_domain, channel.dkim_selector, private.encode())

"""Pure rules of workspaces and invitations."""

import base64
import binascii
import secrets
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID
from zoneinfo import available_timezones

from saas.kernel.errors import Invalid
from saas.notices.types import SystemMail
from saas.permissions.types import Role
from saas.tenants.types import InvitationState

MAX_CAP: Final = 1_000
MAX_CAP_DAYS: Final = 90
_TOKEN_BYTES: Final = 64
_ROLE_WORDS: Final = {
    Role.ADMIN: "an administrator: all of its campaigns, its channels and its members",
    Role.APPROVER: "an approver: you decide which campaigns may leave",
    Role.MANAGER: "a manager: you build campaigns and ask for their approval",
    Role.VIEWER: "a viewer: you read campaigns and reports",
}


def new_token(tenant_id: UUID, invitation_id: UUID) -> str:
    """Return a link's token: both ids, so that it can be found, and 256 random bits, so that it cannot be guessed."""
    raw = tenant_id.bytes + invitation_id.bytes + secrets.token_bytes(32)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_token(text: str) -> tuple[UUID, UUID] | None:
    """Return tenant and invitation of a token; None for what is not one. Says nothing about its being valid."""
    if len(text) != 86:
        return None
    try:
        raw = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return (UUID(bytes=raw[:16]), UUID(bytes=raw[16:32])) if len(raw) == _TOKEN_BYTES else None


def state_of(
    *,
    sent_at: datetime | None,
    expires_at: datetime,
    accepted_at: datetime | None,
    revoked_at: datetime | None,
    now: datetime,
) -> InvitationState:
    """Return where an invitation stands."""
    if accepted_at is not None:
        return InvitationState.ACCEPTED
    if revoked_at is not None:
        return InvitationState.REVOKED
    if expires_at <= now:
        return InvitationState.EXPIRED
    return InvitationState.PENDING if sent_at is None else InvitationState.SENT


def invitation_mail(
    *, to: str, name: str, inviter: str, workspace: str, role: Role, url: str, expires_at: datetime
) -> SystemMail:
    """Return the mail that carries an invitation's link."""
    greeting = f"Hello {name}," if name else "Hello,"
    return SystemMail(
        to=to,
        subject=f"{inviter} invites you to {workspace}",
        paragraphs=(
            greeting,
            f"{inviter} invites you to the workspace {workspace} as {_ROLE_WORDS[role]}.",
        ),
        button="Accept the invitation",
        url=url,
        closing=(
            f"The link works once, until {expires_at:%d %B %Y, %H:%M} UTC. "
            "If you did not expect this mail, you need not do anything."
        ),
    )


def check_time_zone(name: str, *, pointer: str = "/time_zone") -> None:
    """Refuse what is no IANA zone. Raises Invalid."""
    if name not in _zones():
        raise Invalid.at(pointer, f"“{name}” is not a time zone as in Europe/Oslo.")


def check_cap(messages: int | None, days: int | None) -> None:
    """Refuse half a frequency cap. Raises Invalid. Zero messages is a cap: nobody gets any marketing."""
    if (messages is None) != (days is None):
        pointer, missing = ("/cap_messages", "messages") if messages is None else ("/cap_days", "days")
        raise Invalid.at(pointer, f"A frequency cap needs both: say how many {missing}, or leave both out.")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())

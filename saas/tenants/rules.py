"""Pure rules of workspaces and invitations."""

import base64
import binascii
import re
import secrets
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID
from zoneinfo import available_timezones

from saas.kernel.errors import Invalid
from saas.kernel.transitions import TransitionTable
from saas.notices.types import MailLogo, SystemMail
from saas.permissions.types import Role, WorkspaceState
from saas.tenants.types import InvitationState, WorkspaceMove

WORKSPACE: Final = TransitionTable[WorkspaceState, WorkspaceMove](
    {
        (WorkspaceState.ACTIVE, WorkspaceMove.SUSPEND): WorkspaceState.SUSPENDED,
        (WorkspaceState.SUSPENDED, WorkspaceMove.ACTIVATE): WorkspaceState.ACTIVE,
        (WorkspaceState.SUSPENDED, WorkspaceMove.ARCHIVE): WorkspaceState.ARCHIVED,
        (WorkspaceState.ARCHIVED, WorkspaceMove.RESTORE): WorkspaceState.SUSPENDED,
    }
)
# The surfaces of public pages that a workspace's colours stand on, light and dark (frontend/styles/tokens.css).
_LIGHT: Final = "#ffffff"
_DARK: Final = "#1a1d24"
LEAST_CONTRAST: Final = 4.5
LOGO_BYTES: Final = 256 * 1024
LOGO_SIDE: Final = 4000
SLUG_MOST: Final = 40
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_JPEG_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC3})
MAX_CAP: Final = 1_000
MAX_CAP_DAYS: Final = 90
TIME_OF_DAY: Final = r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z"
_TOKEN_BYTES: Final = 64
_ROLE_WORDS: Final = {
    Role.ADMIN: "an administrator: all of its campaigns, its channels and its members",
    Role.APPROVER: "an approver: you decide which campaigns may leave",
    Role.MANAGER: "a manager: you build campaigns and ask for their approval",
    Role.VIEWER: "a viewer: you read campaigns and reports",
}
_STAFF_WORDS: Final = {
    Role.AGENCY_OWNER: "an owner: all of its workspaces and its staff",
    Role.AGENCY_ADMIN: "an administrator: you set up the workspaces that you are given",
    Role.AGENCY_MEMBER: "a member: you work in the workspaces that you are given",
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


def new_staff_token(invitation_id: UUID) -> str:
    """Return the token of a link to an agency's staff: its id, and 256 random bits."""
    return base64.urlsafe_b64encode(invitation_id.bytes + secrets.token_bytes(32)).decode()


def read_staff_token(text: str) -> UUID | None:
    """Return the invitation that a token names; None for what is not one. Says nothing about its being valid."""
    if len(text) != 64:
        return None
    try:
        return UUID(bytes=base64.b64decode(text, altchars=b"-_", validate=True)[:16])
    except (binascii.Error, ValueError):
        return None


class Lines:
    """The lines of one batch of invitations so far, counted from 1, with the address and the place of each."""

    def __init__(self) -> None:
        self._count = 0
        self._seen: dict[tuple[str, UUID | None], int] = {}

    def go_on(self) -> None:
        """Count one more line."""
        self._count += 1

    def take(self, email: str, project_id: UUID | None = None) -> None:
        """Note what the newest line says. Raises Invalid when an earlier one has the same address and place."""
        first = self._seen.setdefault((email, project_id), self._count)
        if first != self._count:
            raise Invalid.at("/email", f"This address stands in line {first} already.")


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
    *,
    to: str,
    name: str,
    inviter: str,
    workspace: str,
    role: Role,
    url: str,
    expires_at: datetime,
    look: tuple[str | None, MailLogo | None] = (None, None),
) -> SystemMail:
    """Return the mail that carries an invitation's link. look: colour and logo of the workspace."""
    greeting = f"Hello {name}," if name else "Hello,"
    return SystemMail(
        to=to,
        subject=f"{inviter} invites you to {workspace}",
        paragraphs=(
            greeting,
            f"{inviter} invites you to the workspace {workspace} as {_ROLE_WORDS[role]}.",
        ),
        heading=workspace,
        colour=look[0],
        logo=look[1],
        button="Accept the invitation",
        url=url,
        closing=(
            f"The link works once, until {expires_at:%d %B %Y, %H:%M} UTC. "
            "If you did not expect this mail, you need not do anything."
        ),
    )


def staff_mail(
    *, to: str, name: str, inviter: str, agency: str, role: Role, url: str, expires_at: datetime
) -> SystemMail:
    """Return the mail that carries the link of an invitation to an agency's staff."""
    greeting = f"Hello {name}," if name else "Hello,"
    return SystemMail(
        to=to,
        subject=f"{inviter} invites you to {agency}",
        paragraphs=(greeting, f"{inviter} invites you to the agency {agency} as {_STAFF_WORDS[role]}."),
        button="Accept the invitation",
        url=url,
        closing=(
            f"The link works once, until {expires_at:%d %B %Y, %H:%M} UTC. "
            "If you did not expect this mail, you need not do anything."
        ),
    )


def may_enter(standing: WorkspaceState, roles: Iterable[tuple[Role, UUID | None]]) -> bool:
    """Say whether somebody with these roles enters a workspace; an archived one only the agency's owners and admins."""
    held = {role for role, _ in roles}
    if standing is WorkspaceState.ARCHIVED:
        return bool(held & {Role.AGENCY_OWNER, Role.AGENCY_ADMIN})
    return bool(held)


def slug_of(name: str) -> str:
    """Return a short name made of a name: small letters, digits and hyphens; "workspace" where nothing is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_MOST].strip("-")
    return found or "workspace"


def check_colour(colour: str | None, *, on_dark: bool, pointer: str) -> None:
    """Refuse a colour that could not be read on its ground (WCAG 2.2, 4.5 to 1). Raises Invalid."""
    if colour is None:
        return
    found = contrast(colour, _DARK if on_dark else _LIGHT)
    if found < LEAST_CONTRAST:
        way = "a lighter" if on_dark else "a darker"
        where = "dark pages" if on_dark else "white pages, and white words on it"
        text = (
            f"On {where} this colour has a contrast of {found:.1f} to 1; {LEAST_CONTRAST} is needed. Choose {way} one."
        )
        raise Invalid.at(pointer, text)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (#rrggbb) as WCAG 2 defines it, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def image_type(content: bytes, *, pointer: str = "/logo") -> str:
    """Return the type of a logo by its content. Raises Invalid for what is no PNG or JPEG of a sensible size."""
    size = _png_size(content) if content.startswith(_PNG) else _jpeg_size(content)
    if size is None:
        raise Invalid.at(pointer, "A logo is a PNG or JPEG image.")
    if not all(1 <= side <= LOGO_SIDE for side in size):
        raise Invalid.at(pointer, f"A logo is at most {LOGO_SIDE} pixels wide and high.")
    return "image/png" if content.startswith(_PNG) else "image/jpeg"


def _png_size(content: bytes) -> tuple[int, int] | None:
    """Return the sides that the first chunk of a PNG names; its end must be there too."""
    if content[12:16] != b"IHDR" or len(content) < 33 or b"IEND" not in content[-16:]:
        return None
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Return the sides that a JPEG's frame names: its segments are walked through one by one."""
    at = 2 if content.startswith(_JPEG) and content.rstrip(b"\0").endswith(b"\xff\xd9") else len(content)
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if marker in _JPEG_FRAMES:
            return int.from_bytes(content[at + 7 : at + 9]), int.from_bytes(content[at + 5 : at + 7])
        at += 2 + length
    return None


def check_time_zone(name: str, *, pointer: str = "/time_zone") -> None:
    """Refuse what is no IANA zone. Raises Invalid."""
    if name not in _zones():
        raise Invalid.at(pointer, f"“{name}” is not a time zone as in Europe/Oslo.")


def check_cap(messages: int | None, days: int | None) -> None:
    """Refuse half a frequency cap. Raises Invalid. Zero messages is a cap: nobody gets any marketing."""
    if (messages is None) != (days is None):
        pointer, missing = ("/cap_messages", "messages") if messages is None else ("/cap_days", "days")
        raise Invalid.at(pointer, f"A frequency cap needs both: say how many {missing}, or leave both out.")


def check_quiet(start: str | None, end: str | None) -> None:
    """Refuse half of quiet hours, and those that never or always are. Raises Invalid."""
    if (start is None) != (end is None):
        pointer, missing = ("/quiet_from", "begin") if start is None else ("/quiet_until", "end")
        raise Invalid.at(pointer, f"Quiet hours need both: say when they {missing}, or leave both out.")
    if start is not None and start == end:
        raise Invalid.at("/quiet_until", "Quiet hours end at another time than they begin.")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())

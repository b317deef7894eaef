"""Links by which people without an account decide: their tokens, their state, their mails (U8). Pure."""

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from saas.campaigns.types import RequestState
from saas.kernel.errors import Conflict, DomainError, Invalid, Kind
from saas.kernel.moments import in_zone
from saas.notices.types import SystemMail

_RANDOM: Final = 32
_BYTES: Final = 16 + 16 + _RANDOM
_LENGTH: Final = 86
SUBJECT_MAX: Final = 120
CODE_MIN: Final = 8
CODE_MAX: Final = 200
_LEAST_DIFFERENT: Final = 4


class LinkState(StrEnum):
    """Where a mailed link stands."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"
    CHANGED = "changed"  # what it was about is not what stands there now
    DECIDED = "decided"  # others decided meanwhile
    UNLISTED = "unlisted"  # the address may not sign here any more
    REPLACED = "replaced"  # a newer link was made in its place


class LinkGone(DomainError):
    """A mailed link that does not work, or no longer; `state` says why, None where it never did."""

    kind = Kind.NOT_FOUND
    code = "link_gone"

    def __init__(self, state: LinkState | None = None) -> None:
        super().__init__("This link does not work any more.")
        self.state = state


class CodeWordWanted(Conflict):
    """The policy asks whoever follows this link for their code word; nothing is decided before."""

    code = "code_word_wanted"


class CodeWordMissing(Invalid):
    """A policy asks for the code word of an outside approver who was given none; `errors` says where."""

    code = "code_word_missing"


def new_token(tenant_id: UUID, link_id: UUID) -> str:
    """Return a link's token: both ids, so that it can be found, and 256 random bits, so that it cannot be guessed."""
    raw = tenant_id.bytes + link_id.bytes + secrets.token_bytes(_RANDOM)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_token(text: str) -> tuple[UUID, UUID] | None:
    """Return tenant and link of a token; None for what is not one. Says nothing about its being valid."""
    if len(text) != _LENGTH or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return (UUID(bytes=raw[:16]), UUID(bytes=raw[16:32])) if len(raw) == _BYTES else None


def hash_of(token: str) -> bytes:
    """Return what is stored of a token."""
    return sha256(token.encode()).digest()


def state_of(
    *,
    used_at: datetime | None,
    replaced_at: datetime | None,
    expires_at: datetime,
    listed: bool,
    content_hash: str | None,
    present_hash: str | None,
    request: RequestState | None,
    now: datetime,
) -> LinkState:
    """Return where a link stands. content_hash: what it is bound to; present_hash: of the revision as it stands now.

    What is over for the link itself comes first: an old link says nothing about what became of the campaign.
    """
    ends = (
        (used_at is not None, LinkState.USED),
        (not listed, LinkState.UNLISTED),
        (replaced_at is not None, LinkState.REPLACED),
        (expires_at <= now, LinkState.EXPIRED),
        (request in _DECIDED, LinkState.DECIDED),
        (
            content_hash is not None and (content_hash != present_hash or request is not RequestState.OPEN),
            LinkState.CHANGED,
        ),
    )
    return next((state for holds, state in ends if holds), LinkState.OPEN)


_DECIDED: Final = frozenset({RequestState.APPROVED, RequestState.REJECTED, RequestState.CHANGES_REQUESTED})


def is_held(held: str, *, pass_hash: bytes | None, pass_until: datetime | None, now: datetime) -> bool:
    """Say whether what a browser holds is the pass that the code word opened there, and still counts."""
    same = secrets.compare_digest(pass_hash if pass_hash is not None else bytes(32), hash_of(held))
    return same and pass_until is not None and pass_until > now


def check_code_word(text: str, *, email: str, name: str, pointer: str = "/code_word") -> str:
    """Return a code word without the blanks around it. Raises Invalid for what is too short, too long or plain."""
    word = text.strip()
    if len(word) < CODE_MIN:
        raise Invalid.at(pointer, f"Use at least {CODE_MIN} characters.")
    if len(word) > CODE_MAX:
        raise Invalid.at(pointer, f"Use at most {CODE_MAX} characters.")
    if word.casefold() in {email.casefold(), name.casefold()} or len(set(word)) < _LEAST_DIFFERENT:
        raise Invalid.at(pointer, "This code word is too easy to guess.")
    return word


@dataclass(frozen=True, slots=True)
class Ask:
    """What a mail asks approval for: by whom and where, which revision of what, with which words, starting when.

    late: the start has passed already. again: the mail stands in the place of an earlier one. code_word: the page asks
    for one, which no mail says.
    """

    asker: str
    workspace: str
    campaign: str
    no: int
    note: str
    start: datetime | None
    zone: str
    late: bool = False
    again: bool = False
    code_word: bool = False


def approval_mail(ask: Ask, *, to: str, name: str, url: str, expires_at: datetime) -> SystemMail:
    """Return the mail that asks an outside approver. It carries nothing of the message: the page shows it."""
    return SystemMail(
        to=to,
        subject=f"{ask.workspace}: your approval is wanted for {ask.campaign}"[:SUBJECT_MAX],
        paragraphs=(
            f"Hello {name},",
            f"{ask.asker} asks you to approve “{ask.campaign}” of {ask.workspace}, revision {ask.no}. {_when(ask)}",
            *(("This link stands in the place of the one that we sent before, which works no longer.",) * ask.again),
            *((f"{ask.asker} wrote: “{ask.note}”",) if ask.note else ()),
            *(("The page asks for the code word that you were told, not by mail.",) * ask.code_word),
            "The page shows what would be sent, to whom and when. You decide there; opening it decides nothing.",
        ),
        button="Look at it and decide",
        url=url,
        closing=(
            f"The link is for {to} only and works once, until {_said(expires_at, ask.zone)}. If anything of the "
            "campaign changes it stops working. Keep it to yourself: whoever has it can decide as you."
        ),
    )


def confirmation_mail(*, to: str, name: str, workspace: str, url: str, expires_at: datetime) -> SystemMail:
    """Return the mail that asks a new outside approver whether the address is theirs."""
    return SystemMail(
        to=to,
        subject=f"{workspace}: may we ask you for approvals at this address?"[:SUBJECT_MAX],
        paragraphs=(
            f"Hello {name},",
            f"{workspace} lists you as somebody whose approval campaigns may need before they are sent.",
            "Confirm that this address is yours; then requests for approval reach you here.",
        ),
        button="Confirm this address",
        url=url,
        closing=(
            f"The link works until {expires_at:%d %B %Y, %H:%M} UTC. "
            "If you did not expect this mail, you need not do anything."
        ),
    )


def _when(ask: Ask) -> str:
    if ask.start is None:
        return "It would be sent whenever it is called."
    start = _said(ask.start, ask.zone)
    if ask.late:
        return f"It was to start {start}. That has passed: approved now, it waits until a new start is chosen."
    return f"It would start {start}."


def _said(moment: datetime, zone: str) -> str:
    return f"{in_zone(moment, ZoneInfo(zone)):%a %d %b %Y %H:%M} ({zone})"

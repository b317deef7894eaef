"""Words of tenants: states of invitations, what lists show, refusals."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from saas.kernel.errors import Conflict, NotFound
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue, Work

INVITATION_MAIL: Final = Work("notice.invitation", Queue.MAINTENANCE)


class InvitationState(StrEnum):
    """Where an invitation stands. `pending`: its mail has not left yet."""

    PENDING = "pending"
    SENT = "sent"
    EXPIRED = "expired"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


class Outcome(StrEnum):
    """What became of one line of a request to invite."""

    INVITED = "invited"
    UPDATED = "updated"
    ALREADY_MEMBER = "already_member"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """One person to invite, to the workspace or to a project of it."""

    email: str
    role: Role
    name: str = ""
    project_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to one line; `detail` says why nobody was invited."""

    email: str
    role: Role
    outcome: Outcome
    state: InvitationState | None = None
    invitation_id: UUID | None = None
    expires_at: datetime | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvitation:
    """What the bearer of an invitation's link may know of it before accepting."""

    email: str
    name: str
    role: Role
    workspace_name: str
    has_password: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person's role in the workspace or in a project of it."""

    grant_id: UUID
    account_id: UUID
    name: str
    email: str
    role: str
    project_id: UUID | None
    granted_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A workspace that a person may enter, and as what."""

    tenant_id: UUID
    agency_id: UUID
    roles: tuple[tuple[Role, UUID | None], ...]


class NameTaken(Conflict):
    """The name is in use in this place."""

    code = "name_taken"


class LastAdmin(Conflict):
    """The workspace would be left without an administrator."""

    code = "last_admin"

    def __init__(self) -> None:
        super().__init__("This is the workspace's last administrator. Make somebody else administrator first.")


class InvitationClosed(Conflict):
    """The invitation was accepted or withdrawn already."""

    code = "invitation_closed"


class InvitationGone(NotFound):
    """The one answer for a link that is unknown, spent, replaced, withdrawn or too old."""

    code = "invitation_gone"

    def __init__(self) -> None:
        super().__init__("This invitation is no longer valid. Ask for a new one.")

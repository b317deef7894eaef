"""Words of tenants: states of invitations, what lists show, refusals."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from saas.kernel.errors import Conflict, NotFound, TooMany
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue, Work

INVITATION_MAIL: Final = Work("notice.invitation", Queue.MAINTENANCE)
STAFF_INVITATION_MAIL: Final = Work("notice.staff_invitation", Queue.MAINTENANCE)  # an agency's: of no tenant


class WorkspaceMove(StrEnum):
    """What can happen to a workspace as a whole."""

    SUSPEND = "suspend"
    ACTIVATE = "activate"
    ARCHIVE = "archive"
    RESTORE = "restore"


class AccessState(StrEnum):
    """Where a request for access stands."""

    OPEN = "open"
    GRANTED = "granted"
    DECLINED = "declined"


class KeyChoice(StrEnum):
    """What becomes of a key whose maker leaves (R14): it ends, it goes on as it is, or it is replaced by a new one."""

    REVOKE = "revoke"
    KEEP = "keep"
    ROTATE = "rotate"


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
    """One person to invite, to the workspace or to a project of it.

    email: an address, or the name of somebody whom the inviter could pick. account_id: who was picked.
    """

    email: str
    role: Role
    account_id: UUID | None = None
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
    has_second_step: bool


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
class DecidedKey:
    """What became of a key of somebody who left; `key` is the text of the one that replaces it, shown this once."""

    key_id: UUID
    name: str
    last4: str
    choice: KeyChoice
    replaced_by: UUID | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A workspace that a person may enter, and as what."""

    tenant_id: UUID
    agency_id: UUID
    roles: tuple[tuple[Role, UUID | None], ...]
    state: str
    slug: str
    api_calls_per_day: int | None
    api_calls_per_month: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A person of an agency's staff, and the workspaces that they reach by it (owners reach all)."""

    account_id: UUID
    name: str
    email: str
    role: Role
    granted_at: datetime
    last_seen_at: datetime | None
    reach: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Somebody who can be picked: of the agency's staff, or a member of a workspace whose members one may see."""

    account_id: UUID
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Brand:
    """What a workspace looks like to the people it writes to. Empty colours are the product's own."""

    tenant_id: UUID
    name: str
    colour: str | None
    colour_dark: str | None
    has_logo: bool
    version: int


class NameTaken(Conflict):
    """The name is in use in this place."""

    code = "name_taken"


class LastAdmin(Conflict):
    """The workspace would be left without an administrator."""

    code = "last_admin"

    def __init__(self) -> None:
        super().__init__("This is the workspace's last administrator. Make somebody else administrator first.")


class LastOwner(Conflict):
    """The agency would be left without an owner."""

    code = "last_owner"

    def __init__(self) -> None:
        super().__init__("This is the agency's last owner. Make somebody else owner first.")


class KeysUndecided(Conflict):
    """A member leaves whose API keys still work: say for each what becomes of it (`api_keys` lists them)."""

    code = "keys_undecided"


class NoSuchMove(Conflict):
    """The workspace is not in a state from which this can happen; `allowed_transitions` says what can."""

    code = "workspace_not_there"


class QuotaReached(Conflict):
    """A quota of the workspace is used up."""

    code = "quota_reached"


class CallsUsedUp(TooMany):
    """The workspace's API keys made as many calls as its quota allows."""

    code = "api_quota_reached"


class AskedAlready(Conflict):
    """This was asked for and answered a short while ago."""

    code = "asked_already"


class AlreadyAnswered(Conflict):
    """Somebody has answered this request for access."""

    code = "already_answered"


class InvitationClosed(Conflict):
    """The invitation was accepted or withdrawn already."""

    code = "invitation_closed"


class InvitationGone(NotFound):
    """The one answer for a link that is unknown, spent, replaced, withdrawn or too old."""

    code = "invitation_gone"

    def __init__(self) -> None:
        super().__init__("This invitation is no longer valid. Ask for a new one.")

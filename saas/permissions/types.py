"""Words of permissions: roles, actions, rights, and the actor every service is called with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from saas.kernel.errors import Conflict, Forbidden


class Role(StrEnum):
    """What a person is in a workspace or project (product R14, A9), or in the agency itself."""

    ADMIN = "admin"
    APPROVER = "approver"
    MANAGER = "manager"
    VIEWER = "viewer"
    AGENCY_OWNER = "agency_owner"
    AGENCY_ADMIN = "agency_admin"
    AGENCY_MEMBER = "agency_member"


CAMPAIGN_ROLES = (Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER)
STAFF_ROLES = (Role.AGENCY_OWNER, Role.AGENCY_ADMIN, Role.AGENCY_MEMBER)


class Action(StrEnum):
    """Everything that can be allowed. Scopes of API keys use the same words."""

    WORKSPACE_CREATE = "workspace:create"
    WORKSPACE_READ = "workspace:read"
    WORKSPACE_WRITE = "workspace:write"
    PROJECT_READ = "project:read"
    PROJECT_WRITE = "project:write"
    MEMBER_READ = "member:read"
    MEMBER_WRITE = "member:write"
    KEY_READ = "key:read"
    KEY_WRITE = "key:write"
    CHANNEL_READ = "channel:read"
    CHANNEL_WRITE = "channel:write"
    CHANNEL_TEST = "channel:test"
    CONTACT_READ = "contact:read"
    CONTACT_WRITE = "contact:write"
    LIST_READ = "list:read"
    LIST_WRITE = "list:write"
    AUDIENCE_READ = "audience:read"
    AUDIENCE_WRITE = "audience:write"
    CAMPAIGN_READ = "campaign:read"
    CAMPAIGN_WRITE = "campaign:write"
    CAMPAIGN_SUBMIT = "campaign:submit"
    CAMPAIGN_APPROVE = "campaign:approve"
    CAMPAIGN_PUBLISH = "campaign:publish"
    CAMPAIGN_CONTROL = "campaign:control"
    CAMPAIGN_TRIGGER = "campaign:trigger"
    REPORT_READ = "report:read"
    AUDIT_READ = "audit:read"
    POLICY_WRITE = "policy:write"
    CAMPAIGN_COMMENT = "campaign:comment"
    WORKSPACE_STATE = "workspace:state"
    AGENCY_READ = "agency:read"
    AGENCY_WRITE = "agency:write"
    EVENT_WRITE = "event:write"


class Right(NamedTuple):
    """One action somewhere: in a project, or in the whole workspace when `project_id` is None."""

    tenant_id: UUID
    project_id: UUID | None
    action: Action


class WorkspaceState(StrEnum):
    """How a workspace stands. Suspended: nothing is sent or changed, all can be read. Archived: out of sight (A9)."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class CallQuota:
    """How many calls all keys of a workspace together may make by day and by calendar month (UTC); None is no limit."""

    per_day: int | None
    per_month: int | None


class ActorKind(StrEnum):
    """Who acts."""

    PERSON = "person"
    KEY = "key"
    SYSTEM = "system"
    OUTSIDE = "outside"  # an approver without an account, by a mailed link (U8)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts and what they may do, read from the database for this request.

    account_id: the person; for a key, the person who made it (who counts as editor of what the key edits, R13).
    tenant_id: the workspace whose rights are loaded, None outside of one.
    agencies: those in which the person may make workspaces. agency_rights: what they may do in which agency.
    standing: the state of the workspace that was entered. quota: how often its keys may call, None is no limit.
    """

    kind: ActorKind
    account_id: UUID | None
    name: str
    tenant_id: UUID | None = None
    key_id: UUID | None = None
    outside_id: UUID | None = None
    email: str = ""
    roles: tuple[tuple[Role, UUID | None], ...] = ()
    rights: frozenset[Right] = field(default=frozenset(), repr=False)
    agencies: frozenset[UUID] = frozenset()
    agency_rights: frozenset[tuple[UUID, Action]] = field(default=frozenset(), repr=False)
    standing: WorkspaceState = WorkspaceState.ACTIVE
    quota: CallQuota | None = None

    def may(self, action: Action, project_id: UUID | None = None) -> bool:
        """Say whether the action is allowed in a project (by a project's or a workspace-wide right)."""
        if self.tenant_id is None:
            return False
        wide = Right(self.tenant_id, None, action) in self.rights
        return wide or (project_id is not None and Right(self.tenant_id, project_id, action) in self.rights)

    def may_in_agency(self, action: Action, agency_id: UUID) -> bool:
        """Say whether the action is allowed in an agency."""
        return (agency_id, action) in self.agency_rights

    def may_somewhere(self, action: Action) -> bool:
        """Say whether the action is allowed in at least one project of the workspace."""
        return any(right.action is action and right.tenant_id == self.tenant_id for right in self.rights)

    def projects(self, action: Action) -> frozenset[UUID] | None:
        """Return the projects in which the action is allowed; None means all of the workspace."""
        if self.may(action):
            return None
        found = (r.project_id for r in self.rights if r.action is action and r.tenant_id == self.tenant_id)
        return frozenset(project for project in found if project is not None)


SYSTEM = Actor(ActorKind.SYSTEM, None, "Countersign")


class WorkspaceAtRest(Conflict):
    """The workspace is suspended or archived: nothing is sent or changed until its agency decides otherwise."""

    code = "workspace_at_rest"


class LacksRight(Forbidden):
    """The page and the API say which right is missing and which roles have it (A10)."""

    code = "lacks_right"

    def __init__(self, action: Action, roles: Sequence[Role]) -> None:
        who = ", ".join(role.value for role in roles)
        super().__init__(
            f"This needs the right {action.value}, which these roles have: {who}.",
            action=action.value,
            roles=[role.value for role in roles],
        )

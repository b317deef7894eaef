"""Words of permissions: roles, actions, rights, and the actor every service is called with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from saas.kernel.errors import Forbidden


class Role(StrEnum):
    """What a person is in a workspace or project (product R14, A9), or in the agency itself."""

    ADMIN = "admin"
    APPROVER = "approver"
    MANAGER = "manager"
    VIEWER = "viewer"
    AGENCY_OWNER = "agency_owner"


CAMPAIGN_ROLES = (Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER)


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


class Right(NamedTuple):
    """One action somewhere: in a project, or in the whole workspace when `project_id` is None."""

    tenant_id: UUID
    project_id: UUID | None
    action: Action


class ActorKind(StrEnum):
    """Who acts."""

    PERSON = "person"
    KEY = "key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts and what they may do, read from the database for this request.

    account_id: the person; for a key, the person who made it (who counts as editor of what the key edits, R13).
    tenant_id: the workspace whose rights are loaded, None outside of one.
    """

    kind: ActorKind
    account_id: UUID | None
    name: str
    tenant_id: UUID | None = None
    key_id: UUID | None = None
    email: str = ""
    roles: tuple[tuple[Role, UUID | None], ...] = ()
    rights: frozenset[Right] = field(default=frozenset(), repr=False)
    agencies: frozenset[UUID] = frozenset()

    def may(self, action: Action, project_id: UUID | None = None) -> bool:
        """Say whether the action is allowed in a project (by a project's or a workspace-wide right)."""
        if self.tenant_id is None:
            return False
        wide = Right(self.tenant_id, None, action) in self.rights
        return wide or (project_id is not None and Right(self.tenant_id, project_id, action) in self.rights)

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

"""The matrix: which role may do which action. docs/permissions.md is drawn from it (a test compares)."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final
from uuid import UUID

from saas.permissions.types import STAFF_ROLES, Action, Right, Role

_LOOK: Final = frozenset(
    {
        Action.WORKSPACE_READ,
        Action.PROJECT_READ,
        Action.CHANNEL_READ,
        Action.LIST_READ,
        Action.AUDIENCE_READ,
        Action.CAMPAIGN_READ,
        Action.REPORT_READ,
    }
)
_STAFF: Final = _LOOK | {Action.MEMBER_READ, Action.CONTACT_READ}
_EDIT: Final = frozenset(
    {
        Action.CONTACT_WRITE,
        Action.LIST_WRITE,
        Action.AUDIENCE_WRITE,
        Action.CAMPAIGN_WRITE,
        Action.CAMPAIGN_SUBMIT,
        Action.CHANNEL_TEST,
        Action.EVENT_WRITE,
    }
)
_GOVERN: Final = frozenset(
    {
        Action.WORKSPACE_READ,
        Action.WORKSPACE_WRITE,
        Action.PROJECT_READ,
        Action.PROJECT_WRITE,
        Action.MEMBER_READ,
        Action.MEMBER_WRITE,
        Action.KEY_READ,
        Action.KEY_WRITE,
        Action.AUDIT_READ,
    }
)

_RUN_AGENCY: Final = frozenset(
    {Action.WORKSPACE_CREATE, Action.WORKSPACE_STATE, Action.AGENCY_READ, Action.AGENCY_WRITE}
)

ROLE_ACTIONS: Final[Mapping[Role, frozenset[Action]]] = MappingProxyType(
    {
        # All of a workspace, and no exemption from four eyes: who edited may not approve (R14).
        Role.ADMIN: _GOVERN
        | _STAFF
        | _EDIT
        | {
            Action.CHANNEL_WRITE,
            Action.CAMPAIGN_APPROVE,
            Action.CAMPAIGN_PUBLISH,
            Action.CAMPAIGN_CONTROL,
            Action.CAMPAIGN_TRIGGER,
            Action.CAMPAIGN_COMMENT,
            Action.POLICY_WRITE,
        },
        # Sees all, signs, stops; may edit, and then no longer approve that revision (R14).
        Role.APPROVER: _STAFF
        | {
            Action.CAMPAIGN_APPROVE,
            Action.CAMPAIGN_PUBLISH,
            Action.CAMPAIGN_CONTROL,
            Action.CAMPAIGN_WRITE,
            Action.CAMPAIGN_COMMENT,
            Action.AUDIT_READ,
        },
        # Builds, asks, stops; never publishes where a policy applies (R14).
        Role.MANAGER: _STAFF
        | _EDIT
        | {Action.CAMPAIGN_CONTROL, Action.CAMPAIGN_TRIGGER, Action.CAMPAIGN_COMMENT, Action.KEY_READ},
        # Reads campaigns and reports; personal data stays masked (R14).
        Role.VIEWER: _LOOK,
        # Sets workspaces up and hands out roles in them without holding one (security.md, last section).
        Role.AGENCY_OWNER: _GOVERN | _RUN_AGENCY,
        # The same in the workspaces that they were given.
        Role.AGENCY_ADMIN: _GOVERN | _RUN_AGENCY,
        # Sees who works here, and the words of workspaces that they were given; no campaign without a role.
        Role.AGENCY_MEMBER: frozenset({Action.WORKSPACE_READ, Action.PROJECT_READ, Action.AGENCY_READ}),
    }
)

# What an API key can never do, whatever its role (R14): sign, speak for a person, publish, hand out rights.
NEVER_BY_KEY: Final = frozenset(
    {
        Action.CAMPAIGN_APPROVE,
        Action.CAMPAIGN_PUBLISH,
        Action.MEMBER_WRITE,
        Action.KEY_WRITE,
        Action.WORKSPACE_CREATE,
        Action.WORKSPACE_WRITE,
        Action.POLICY_WRITE,
        Action.CAMPAIGN_COMMENT,
        Action.WORKSPACE_STATE,
        Action.AGENCY_READ,
        Action.AGENCY_WRITE,
    }
)

# Who may hand out which roles.
GRANTABLE: Final[Mapping[Role, frozenset[Role]]] = MappingProxyType(
    {
        Role.ADMIN: frozenset({Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER}),
        Role.AGENCY_OWNER: frozenset({Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER}),
        Role.AGENCY_ADMIN: frozenset({Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER}),
    }
)


# Who may make whom staff, change and remove them: an agency's administrators only its members.
STAFF_GRANTABLE: Final[Mapping[Role, frozenset[Role]]] = MappingProxyType(
    {
        Role.AGENCY_OWNER: frozenset(STAFF_ROLES),
        Role.AGENCY_ADMIN: frozenset({Role.AGENCY_MEMBER}),
    }
)


def roles_with(action: Action) -> tuple[Role, ...]:
    """Return the roles that have an action, in the matrix's order."""
    return tuple(role for role, actions in ROLE_ACTIONS.items() if action in actions)


def rights_of(tenant_id: UUID, roles: Iterable[tuple[Role, UUID | None]]) -> frozenset[Right]:
    """Expand roles (each workspace-wide or for a project) into rights."""
    return frozenset(Right(tenant_id, project, action) for role, project in roles for action in ROLE_ACTIONS[role])


def rights_of_key(tenant_id: UUID, *, role: Role, project_id: UUID | None, scopes: Iterable[str]) -> frozenset[Right]:
    """Return a key's rights: its role's, narrowed by its scopes, without what no key may do."""
    allowed = (ROLE_ACTIONS[role] - NEVER_BY_KEY) & frozenset(Action(scope) for scope in scopes)
    return frozenset(Right(tenant_id, project_id, action) for action in allowed)


def agency_rights_of(roles: Iterable[tuple[UUID, Role]]) -> frozenset[tuple[UUID, Action]]:
    """Expand the roles that somebody holds in agencies into what they may do there."""
    return frozenset((agency_id, action) for agency_id, role in roles for action in ROLE_ACTIONS[role])


def may_appoint(own: Role | None, wanted: Role) -> bool:
    """Say whether somebody with this role in an agency may make another one what is wanted."""
    return own is not None and wanted in STAFF_GRANTABLE.get(own, ())


def may_grant(own: Iterable[Role], wanted: Role) -> bool:
    """Say whether somebody with these roles may give the wanted one."""
    return any(wanted in GRANTABLE.get(role, ()) for role in own)


def as_table() -> str:
    """Return the matrix as a Markdown table; docs/permissions.md carries exactly this text."""
    roles = tuple(ROLE_ACTIONS)
    head = ("Right", *(role.value for role in roles), "API key")
    rows = [
        (f"`{action.value}`", *("yes" if action in ROLE_ACTIONS[role] else "–" for role in roles), _by_key(action))
        for action in Action
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _by_key(action: Action) -> str:
    return "never" if action in NEVER_BY_KEY else "by scope"

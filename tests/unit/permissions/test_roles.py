"""The matrix against an oracle written by hand from product R14 and security.md, and against the docs."""

from pathlib import Path
from uuid import uuid4

import pytest

from saas.permissions.policy import require, require_grant
from saas.permissions.rules import NEVER_BY_KEY, ROLE_ACTIONS, as_table, rights_of, rights_of_key
from saas.permissions.types import CAMPAIGN_ROLES, Action, Actor, ActorKind, LacksRight, Role

# Columns: administrator, approver, manager, viewer; agency owner, agency administrator, agency member; API key (x: may;
# k: a key may by scope).
ORACLE = """
workspace:create    .  .  .  .  x  x  .  .
workspace:read      x  x  x  x  x  x  x  k
workspace:write     x  .  .  .  x  x  .  .
project:read        x  x  x  x  x  x  x  k
project:write       x  .  .  .  x  x  .  k
member:read         x  x  x  .  x  x  .  k
member:write        x  .  .  .  x  x  .  .
key:read            x  .  x  .  x  x  .  k
key:write           x  .  .  .  x  x  .  .
channel:read        x  x  x  x  .  .  .  k
channel:write       x  .  .  .  .  .  .  k
channel:test        x  .  x  .  .  .  .  k
contact:read        x  x  x  .  .  .  .  k
contact:write       x  .  x  .  .  .  .  k
list:read           x  x  x  x  .  .  .  k
list:write          x  .  x  .  .  .  .  k
audience:read       x  x  x  x  .  .  .  k
audience:write      x  .  x  .  .  .  .  k
campaign:read       x  x  x  x  .  .  .  k
campaign:write      x  x  x  .  .  .  .  k
campaign:submit     x  .  x  .  .  .  .  k
campaign:approve    x  x  .  .  .  .  .  .
campaign:publish    x  x  .  .  .  .  .  .
campaign:control    x  x  x  .  .  .  .  k
campaign:trigger    x  .  x  .  .  .  .  k
report:read         x  x  x  x  .  .  .  k
audit:read          x  x  .  .  x  x  .  k
policy:write        x  .  .  .  .  .  .  .
campaign:comment    x  x  x  .  .  .  .  .
workspace:state     .  .  .  .  x  x  .  .
agency:read         .  .  .  .  x  x  x  .
agency:write        .  .  .  .  x  x  .  .
event:write         x  .  x  .  .  .  .  k
"""
COLUMNS = (
    Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER, Role.AGENCY_OWNER, Role.AGENCY_ADMIN, Role.AGENCY_MEMBER,
)  # fmt: skip
LINES = {line.split()[0]: line.split()[1:] for line in ORACLE.strip().splitlines()}


def test_oracle_names_every_action_and_role():
    assert set(LINES) == {action.value for action in Action}
    assert set(COLUMNS) == set(Role) == set(ROLE_ACTIONS)


@pytest.mark.parametrize("action", Action, ids=str)
def test_who_may(action):
    tenant = uuid4()
    *people, key = LINES[action.value]
    for role, sign in zip(COLUMNS, people, strict=True):
        actor = person(tenant, (role, None))
        assert actor.may(action) is (sign == "x"), (role, action)
        if sign == "x":
            require(actor, action)
        else:
            with pytest.raises(LacksRight) as refusal:
                require(actor, action)
            assert refusal.value.extra["action"] == action.value
            assert role.value not in refusal.value.extra["roles"]
    held = [
        role for role in CAMPAIGN_ROLES
        if rights_of_key(tenant, role=role, project_id=None, scopes=[action.value])
    ]  # fmt: skip
    assert bool(held) is (key == "k")
    assert (action in NEVER_BY_KEY) is (key == ".")


@pytest.mark.parametrize("action", Action, ids=str)
def test_a_right_in_a_project_is_none_elsewhere(action):
    tenant, own, other = uuid4(), uuid4(), uuid4()
    for role in CAMPAIGN_ROLES:
        actor = person(tenant, (role, own))
        has = action in ROLE_ACTIONS[role]
        assert actor.may(action, own) is has
        assert not actor.may(action, other)
        assert not actor.may(action)
        assert actor.projects(action) == (frozenset({own}) if has else frozenset())


@pytest.mark.parametrize(
    ("own", "wanted", "allowed"),
    [
        (Role.ADMIN, Role.ADMIN, True),
        (Role.ADMIN, Role.APPROVER, True),
        (Role.ADMIN, Role.MANAGER, True),
        (Role.ADMIN, Role.VIEWER, True),
        (Role.ADMIN, Role.AGENCY_OWNER, False),
        (Role.AGENCY_OWNER, Role.ADMIN, True),
        (Role.AGENCY_OWNER, Role.VIEWER, True),
        (Role.AGENCY_OWNER, Role.AGENCY_OWNER, False),
        (Role.AGENCY_ADMIN, Role.ADMIN, True),
        (Role.AGENCY_ADMIN, Role.AGENCY_MEMBER, False),
        (Role.AGENCY_MEMBER, Role.VIEWER, False),
        (Role.APPROVER, Role.VIEWER, False),
        (Role.MANAGER, Role.VIEWER, False),
        (Role.VIEWER, Role.VIEWER, False),
    ],
)
def test_who_hands_out_what(own, wanted, allowed):
    tenant, project, elsewhere = uuid4(), uuid4(), uuid4()
    assert may_grant(person(tenant, (own, None)), wanted, None) is allowed
    assert may_grant(person(tenant, (own, None)), wanted, project) is allowed
    if own in CAMPAIGN_ROLES:
        assert may_grant(person(tenant, (own, project)), wanted, project) is allowed
        assert not may_grant(person(tenant, (own, project)), wanted, None)
        assert not may_grant(person(tenant, (own, project)), wanted, elsewhere)


def test_docs_show_the_matrix_as_it_is():
    page = Path(__file__).parents[3] / "docs" / "permissions.md"
    assert as_table() in page.read_text(encoding="utf-8")


def person(tenant, *roles):
    return Actor(ActorKind.PERSON, uuid4(), "A", tenant_id=tenant, roles=roles, rights=rights_of(tenant, roles))


def may_grant(actor, role, project):
    try:
        require_grant(actor, role, project)
    except LacksRight:
        return False
    return True

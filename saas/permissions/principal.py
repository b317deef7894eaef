"""The bridge to Flask-Principal (dependencies.md 1a): identities are built for each request, never kept in a cookie."""

from flask_principal import Identity, Permission

from saas.permissions.types import Action, Actor, Right


def identity_of(actor: Actor) -> Identity:
    """Return the identity that provides exactly the actor's rights."""
    identity = Identity(actor.key_id or actor.account_id, auth_type=actor.kind.value)
    identity.actor = actor
    identity.provides.update(actor.rights)
    return identity


def permission(actor: Actor, action: Action) -> Permission:
    """Return the permission for an action anywhere in the actor's workspace.

    Its needs are every right that would do; an empty set of needs would allow everybody, so it gets one that
    nobody has: the workspace-wide right itself.
    """
    if actor.tenant_id is None:
        msg = "a permission is asked for outside of a workspace"
        raise ValueError(msg)
    held = {r for r in actor.rights if r.action is action and r.tenant_id == actor.tenant_id}
    return Permission(Right(actor.tenant_id, None, action), *held)

"""How a workspace stands: active, suspended, archived (A9). What is at rest can be read; nothing is sent or changed."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.kernel.ids import show
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor, WorkspaceState
from saas.platform.db import bound_tenant
from saas.tenants.models import Tenant
from saas.tenants.rules import WORKSPACE
from saas.tenants.types import NoSuchMove, WorkspaceMove


def move(session: Session, *, actor: Actor, move: WorkspaceMove, now: datetime) -> WorkspaceState:
    """Suspend, activate, archive or restore the bound workspace. Raises LacksRight, NoSuchMove.

    A claim reads this state, and a sender looks at it between two messages, as at a campaign that is stopped.
    """
    require(actor, Action.WORKSPACE_STATE)
    row = session.get_one(Tenant, bound_tenant(session), with_for_update={"key_share": True}, populate_existing=True)
    state = WorkspaceState(row.state)
    after = WORKSPACE.after(state, move)
    if after is None:
        allowed = [possible.value for possible in WORKSPACE.moves(state)]
        raise NoSuchMove(f"This workspace is {state.value}.", allowed_transitions=allowed)
    row.state, row.state_at = after.value, now
    session.flush()
    facts = {"from": state.value, "to": after.value}
    subject = show("wsp", row.tenant_id)
    audit.append(session, actor=actor, action="workspace.moved", subject=subject, now=now, facts=facts)
    return after


def is_active(session: Session) -> bool:
    """Say whether the bound workspace is active: whether anything may be sent or changed in it."""
    found = session.scalar(sa.select(Tenant.state).where(Tenant.tenant_id == bound_tenant(session)))
    return found == WorkspaceState.ACTIVE

"""What the system behind a sendgate may do by the addresses that its webhook was given, without any key (R6)."""

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from saas.content.types import BadToken, Purpose
from saas.journeys.rules import handed
from saas.journeys.rules.handed import Handed
from saas.kernel.errors import NotFound
from saas.kernel.ids import show
from saas.ledger.models import Gate
from saas.permissions.types import WorkspaceAtRest
from saas.platform.db import bind
from saas.tenants.service.standing import is_active

_ADDRESSES: Final = (
    ("messages_url", Purpose.GATE_PEOPLE, "messages"),
    ("decisions_url", Purpose.GATE_DECIDE, "decisions"),
    ("finish_url", Purpose.GATE_FINISH, "finish"),
)


class GateLinkGone(NotFound):
    """An address of a gate that never was one, or whose time is over. One wording for all of it."""

    code = "gate_link_gone"

    def __init__(self) -> None:
        super().__init__("This address does not work, or no longer.")


def addresses(gate: Gate, *, public_url: str, link_key: bytes) -> dict[str, str]:
    """Return where the system behind a gate reads its people, decides about them and releases them."""
    named = Handed(gate.tenant_id, gate.gate_id)
    return {
        name: f"{public_url}/api/v1/gate-links/{handed.make(link_key, named, purpose=purpose)}/{tail}"
        for name, purpose, tail in _ADDRESSES
    }


def gate_behind(session: Session, *, token: str, purpose: Purpose, link_key: bytes, now: datetime) -> Gate:
    """Return the gate at which a token allows one thing, and bind the session to its workspace.

    Raises GateLinkGone, and WorkspaceAtRest: a workspace at rest hands out nobody, and takes no word.
    """
    try:
        found = handed.proven(token, purpose=purpose, master=link_key)
    except BadToken:
        raise GateLinkGone from None
    bind(session, found.tenant_id)
    row = session.get(Gate, (found.tenant_id, found.gate_id))
    if row is None or not handed.holds(purpose, deadline=row.deadline_at, now=now):
        raise GateLinkGone
    if not is_active(session):
        raise WorkspaceAtRest(f"The workspace of gate {show('gat', row.gate_id)} is at rest. Try again later.")
    return row

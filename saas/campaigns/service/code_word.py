"""The code word of approvers without an account (U8): a second factor that links ask for where the policy says so.

An administrator sets it and tells it by another way than mail. Wrong tries are counted for each approver, whatever
link they come by; after some of them none is taken for a while, longer each time and never for good, as sign-ins do.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.rules import new_token
from saas.accounts.service import guard
from saas.accounts.service.people import hasher
from saas.audit import service as audit
from saas.campaigns.models import ApprovalLink, OutsideApprover
from saas.campaigns.rules.links import LinkGone, check_code_word, hash_of
from saas.campaigns.service import links
from saas.kernel.errors import NotFound
from saas.kernel.ids import show
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

PASS_LASTS: Final = timedelta(hours=2)


def set_code_word(
    session: Session, *, actor: Actor, outside_id: UUID, code_word: str, cost: int, now: datetime
) -> OutsideApprover:
    """Set or change an outside approver's code word; browsers in which the old one was right have to ask again.

    Raises NotFound, LacksRight, Invalid.
    """
    row = session.get(OutsideApprover, (bound_tenant(session), outside_id), with_for_update=True)
    if row is None or row.revoked_at is not None:
        raise NotFound.of("outside approver")
    require(actor, Action.POLICY_WRITE)
    row.code_hash = hasher(cost).hash(check_code_word(code_word, email=row.email, name=row.name))
    row.code_set_at = now
    session.execute(
        sa.update(ApprovalLink)
        .where(ApprovalLink.tenant_id == row.tenant_id, ApprovalLink.outside_id == outside_id)
        .values(pass_hash=None, pass_until=None),
        execution_options={"synchronize_session": "fetch"},
    )
    session.flush()
    subject = show("out", outside_id)
    audit.append(session, actor=actor, action="outside_approver.code_set", subject=subject, now=now)
    return row


def try_code_word(session: Session, *, token: str, code_word: str, cost: int, now: datetime) -> str | None:
    """Open a link by its code word. Returns the pass that the browser keeps; None for a wrong one.

    When it was wrong the try is counted: the caller commits it before saying so. Raises LinkGone, LockedOut.
    """
    link = links.look(session, token=token, held="", now=now)
    if not link.closed:
        raise LinkGone  # this link asks for none
    counted = guard.enter_by_link(session, outside_id=link.outside.outside_id, now=now)
    known = link.outside.code_hash
    right = hasher(cost).verify(code_word.strip()[:1000], known) if known is not None else False
    if not right:
        guard.count_wrong(session, counted, now)
        _tell(session, link, "approval_link.code_wrong", now)
        return None
    guard.forgive(session, counted)
    held = new_token()
    row = session.get_one(ApprovalLink, (link.row.tenant_id, link.row.link_id), with_for_update=True)
    row.pass_hash, row.pass_until = hash_of(held), now + PASS_LASTS
    session.flush()
    _tell(session, link, "approval_link.code_right", now)
    return held


def _tell(session: Session, link: links.OpenLink, action: str, now: datetime) -> None:
    if link.campaign is not None and link.revision is not None:
        facts = {"outside": show("out", link.outside.outside_id), "revision": link.revision.no}
        subject = show("cam", link.campaign.campaign_id)
        actor = links.actor_of(link.outside, link.campaign)
        audit.append(session, actor=actor, action=action, subject=subject, now=now, facts=facts)

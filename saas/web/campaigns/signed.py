"""Where an approval stands, as the review says it: who signed, who still may, what was said."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from flask_babel import gettext
from sqlalchemy.orm import Session

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.models import Approval, ApprovalLink, Campaign, Revision
from saas.campaigns.rules.standing import Missing
from saas.campaigns.service.comments import comments
from saas.campaigns.service.requests import Situation, outside_names, situation
from saas.campaigns.types import Publisher, RequestState
from saas.http.types import Context
from saas.permissions.types import Action
from saas.platform.db import bound_tenant
from saas.web import words

_NAMED: Final = 5
_HISTORY: Final = 20


def values(context: Context, campaign: Campaign, row: Revision) -> dict[str, Any]:
    """Return what the review says about signatures, decisions and comments."""
    session = context.session
    found = situation(session, row, project_id=campaign.project_id)
    decided = queries.decisions(session, campaign_id=row.campaign_id, no=row.no)
    earlier = _earlier(context, row)
    said = comments(session, row.campaign_id)
    editors = queries.editors_since_approval(session, campaign_id=row.campaign_id, no=row.no)
    people = {
        *editors,
        *(d.account_id for d in (*decided, *earlier)),
        *(each.account_id for each in said),
        row.submitted_by,
    }
    names = {key: account.name for key, account in accounts(session, [each for each in people if each]).items()}
    names |= outside_names(session, [d.outside_id for d in (*decided, *earlier) if d.outside_id])
    names |= _signed_as(session, names, [*decided, *earlier])
    counted = set(found.standing.counted) if found is not None else set()
    me = context.actor.account_id
    return {
        "decisions": [
            (names.get(d.approval_id) or names.get(d.account_id or d.outside_id or d.approval_id, ""), d)
            for d in decided
        ],
        "history": [
            (names.get(d.approval_id) or names.get(d.account_id or d.outside_id or d.approval_id, ""), d)
            for d in earlier
        ],
        "counted": counted,
        "needed": found.asked.needed if found is not None else 1,
        "given": len(counted),
        "missing": _missing(context, campaign, found),
        "can_sign": can_sign(context, campaign, found),
        "may_sign": found is not None and me in found.standing.may_decide,
        "publishes": found is None or found.asked.publisher is Publisher.APPROVAL,
        "last": found is not None and len(counted) + 1 >= found.asked.needed,
        "rule": found.asked.rule if found is not None and found.request.policy_id else "",
        "note": found.request.note if found is not None else "",
        "deadline": found.request.deadline if found is not None else None,
        "asked_by": names.get(row.submitted_by, "") if row.submitted_by else "",
        "editors": sorted(names[each] for each in editors if each in names),
        "own": me in editors,
        "comments": [(names.get(each.account_id, ""), each) for each in said],
        "may_comment": context.actor.may(Action.CAMPAIGN_COMMENT, campaign.project_id) and me is not None,
    }


def _signed_as(session: Session, names: Mapping[UUID, str], decided: Iterable[Approval]) -> dict[UUID, str]:
    """Return, by decision, who is listed and the name that they typed under it."""
    mine = {(each.outside_id, each.request_id): each.approval_id for each in decided if each.outside_id}
    used = sa.select(ApprovalLink).where(
        ApprovalLink.tenant_id == bound_tenant(session),
        ApprovalLink.request_id.in_([request for _, request in mine if request]),
        ApprovalLink.signed_as.is_not(None),
    )
    return {
        mine[row.outside_id, row.request_id]: str(
            gettext("%(name)s (signed as “%(typed)s”)", name=names.get(row.outside_id, ""), typed=row.signed_as)
        )
        for row in session.scalars(used)
        if (row.outside_id, row.request_id) in mine and row.signed_as != names.get(row.outside_id)
    }


def can_sign(context: Context, campaign: Campaign, found: Situation | None) -> list[str] | None:
    """Return who can sign an open request now, by name; None for those who may not see the members (A10)."""
    is_open = found is not None and found.request.state == RequestState.OPEN
    return names_of(context, campaign, found.standing.may_decide if found is not None and is_open else ())


def names_of(context: Context, campaign: Campaign, ids: Collection[UUID]) -> list[str] | None:
    """Return the names of people and outside approvers; None for those who may not see the members (A10)."""
    if not context.actor.may(Action.MEMBER_READ, campaign.project_id):
        return None
    people = [row.name for row in accounts(context.session, list(ids)).values()]
    return sorted([*people, *outside_names(context.session, ids).values()])


def _earlier(context: Context, row: Revision) -> Sequence[Approval]:
    """Return what was decided about other revisions of the campaign, newest first."""
    found = sa.select(Approval).where(
        Approval.tenant_id == row.tenant_id, Approval.campaign_id == row.campaign_id, Approval.revision_no != row.no
    )
    return context.session.scalars(found.order_by(Approval.at.desc()).limit(_HISTORY)).all()


def _missing(context: Context, campaign: Campaign, found: Situation | None) -> list[tuple[int, str]]:
    """Return for each stage that lacks signatures how many, and whose they could be; nobody once it is settled."""
    if found is None or found.request.settled_at is not None:
        return []
    return [(each.count, _whose(context, campaign, each)) for each in found.standing.missing]


def _whose(context: Context, campaign: Campaign, missing: Missing) -> str:
    if not context.actor.may(Action.MEMBER_READ, campaign.project_id):
        return str(gettext("an approver"))
    ids: Sequence[UUID] = sorted(missing.candidates)
    names = [account.name for account in accounts(context.session, ids).values()]
    names += outside_names(context.session, ids).values()
    more = [gettext("%(num)d more", num=len(names) - _NAMED)] if len(names) > _NAMED else []
    return words.listed([*sorted(names)[:_NAMED], *more]) or str(gettext("nobody who may sign"))

"""Make campaigns and edit their drafts. Whoever edits is written down: they may not sign what they wrote (R13)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision, RevisionEditor
from saas.campaigns.rules.draft import EMPTY, tidy
from saas.campaigns.rules.flow.edits import carried_over
from saas.campaigns.rules.lifecycle import (
    REVISION,
    NotAllowed,
    campaign_after,
    campaign_before,
    revision_after,
    revision_moves,
)
from saas.campaigns.service.live_edit import begun_now, require_changeable
from saas.campaigns.service.requests import void
from saas.campaigns.service.rest import refuse_taken, rest_of
from saas.campaigns.service.telling import tell
from saas.campaigns.types import CampaignKind, CampaignMove, CampaignState, RevisionMove, RevisionState
from saas.channels.types import Purpose
from saas.kernel.errors import Conflict, Invalid, NotFound, require_version
from saas.kernel.ids import show, uuid7
from saas.notices.types import NoticeKind
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.tenants.service.workspaces import project_in


class RevisionOpen(Conflict):
    """There is a revision being worked on already; a campaign has at most one."""

    code = "revision_open"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a campaign begins with: a draft, and how the audit chain tells where it came from."""

    action: str
    draft: Mapping[str, Any]
    facts: Mapping[str, Any]


def create(
    session: Session,
    *,
    actor: Actor,
    project_id: UUID,
    name: str,
    description: str,
    kind: CampaignKind,
    purpose: Purpose,
    tags: Sequence[str] = (),
    begun: Begun | None = None,
    now: datetime,
) -> Campaign:
    """Make a campaign with a first revision, which follows its project. Raises NotFound, LacksRight, Invalid.

    begun: what its draft is, None for an empty one.
    """
    project_in(session, project_id)
    if not (actor.may(Action.PROJECT_READ, project_id) or actor.may(Action.CAMPAIGN_WRITE, project_id)):
        raise NotFound.of("project")
    require(actor, Action.CAMPAIGN_WRITE, project_id)
    check_purpose(kind, purpose)
    row = Campaign(
        tenant_id=bound_tenant(session),
        campaign_id=uuid7(),
        project_id=project_id,
        name=name.strip(),
        description=description,
        kind=kind.value,
        purpose=purpose.value,
        tags=tidy(tags),
        state=CampaignState.DRAFT.value,
        stop_epoch=0,
        created_by=actor.account_id,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    session.flush()
    start = begun or Begun("campaign.created", _empty(purpose), {})
    _add_revision(session, row, no=1, draft=start.draft, actor=actor, now=now)
    facts = {"kind": kind.value, "purpose": purpose.value, **start.facts}
    audit.append(session, actor=actor, action=start.action, subject=_subject(row), now=now, facts=facts)
    return row


def check_purpose(kind: CampaignKind, purpose: Purpose) -> None:
    """Refuse a purpose that campaigns of a kind cannot have. Raises Invalid."""
    if kind is CampaignKind.DATED and purpose is Purpose.TRANSACTIONAL:
        raise Invalid.at("/purpose", "Transactional messages answer a call; a dated campaign is marketing.")


def _empty(purpose: Purpose) -> dict[str, Any]:
    return {**EMPTY, **({"topic": "newsletter"} if purpose is Purpose.MARKETING else {})}


def rename(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    version: int,
    name: str,
    description: str,
    tags: Sequence[str] | None = None,
    now: datetime,
) -> Campaign:
    """Change the words about a campaign; they are not part of what is signed.

    tags None leaves them; policies look at those of the submission (U3).
    """
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_WRITE, row.project_id)
    require_version(row.version, version)
    before = (row.name, row.description, row.tags)
    row.name, row.description, row.updated_at = name.strip(), description, now
    if tags is not None:
        row.tags = tidy(tags)
    row.version += 1
    session.flush()
    _note_words(session, actor=actor, row=row, before=before, now=now)
    return row


def _note_words(
    session: Session, *, actor: Actor, row: Campaign, before: tuple[str, str, Sequence[str]], now: datetime
) -> None:
    """Write down which words about a campaign changed, each by its own word; none for what is as it was."""
    name, description, tags = before
    if row.name != name:
        audit.append(session, actor=actor, action="campaign.renamed", subject=_subject(row), now=now)
    changed = {"description": row.description != description, "tags": list(row.tags) != list(tags)}
    facts = {"changed": [what for what, differs in changed.items() if differs]}
    if facts["changed"]:
        audit.append(session, actor=actor, action="campaign.described", subject=_subject(row), now=now, facts=facts)


def save(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    no: int,
    version: int,
    draft: Mapping[str, Any],
    now: datetime,
) -> Revision:
    """Save a draft. In review it is locked; an approval that was given becomes void.

    Raises NotFound, LacksRight, NotAllowed, AlreadyStarted, Stale.
    """
    campaign = queries.campaign(session, actor=actor, campaign_id=campaign_id)
    row = queries.revision_for_update(session, campaign_id=campaign_id, no=no)
    require(actor, Action.CAMPAIGN_WRITE, campaign.project_id)
    require_changeable(session, campaign)
    state = RevisionState(row.state)
    if state is not RevisionState.EDITING:
        row.state = _reopened(state).value
    require_version(row.version, version)
    if state is RevisionState.APPROVED:
        _void(session, campaign, row, actor, now)
    row.draft = dict(draft)
    row.document, row.content_hash, row.audience_count, row.planned_at = None, None, None, None
    row.updated_at, row.version = now, row.version + 1
    session.flush()
    _note_editor(session, row, actor, now)
    audit.append(
        session, actor=actor, action="revision.edited", subject=_subject(campaign), now=now, facts={"revision": no}
    )
    return row


def new_revision(session: Session, *, actor: Actor, campaign_id: UUID, now: datetime) -> Revision:
    """Open the next revision, copied from the newest. Raises RevisionOpen, NotAllowed, AlreadyStarted."""
    campaign = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_WRITE, campaign.project_id)
    require_changeable(session, campaign)
    newest = queries.revisions(session, campaign_id)[0]
    if RevisionState(newest.state) in _OPEN:
        raise RevisionOpen(f"Revision {newest.no} is {newest.state}; work goes on there.", revision=newest.no)
    row = _add_revision(session, campaign, no=newest.no + 1, draft=newest.draft, actor=actor, now=now)
    facts = {"revision": row.no, "copied_from": newest.no}
    audit.append(session, actor=actor, action="revision.created", subject=_subject(campaign), now=now, facts=facts)
    return row


def carry_over(session: Session, *, actor: Actor, campaign_id: UUID, no: int, now: datetime) -> Revision:
    """Take back what a stale draft changes of steps that have begun, and keep all else of it (R9, S58).

    An approval that it had is void, because it is another thing now. Raises NotFound, LacksRight, NotAllowed.
    """
    campaign = queries.campaign(session, actor=actor, campaign_id=campaign_id)
    row = queries.revision_for_update(session, campaign_id=campaign_id, no=no)
    published = queries.published(session, campaign_id)
    if published is None:
        raise NotAllowed("Nothing is published yet; there is nothing to carry over.", state=row.state)
    draft = carried_over(published.draft, row.draft, begun=begun_now(session, campaign))
    return save(session, actor=actor, campaign_id=campaign_id, no=no, version=row.version, draft=draft, now=now)


def send_to_rest(session: Session, *, actor: Actor, campaign_id: UUID, now: datetime) -> Campaign:
    """Make a draft out of a stopped campaign for those whom it has not served yet (U11).

    What is wrong is mended there; it is approved as any other. Raises NotFound, LacksRight, NotAllowed, RestTaken.
    """
    stopped = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    if (
        CampaignState(stopped.state) is not CampaignState.STOPPED
        or CampaignKind(stopped.kind) is not CampaignKind.DATED
    ):
        text = "Only a campaign with dates that was stopped has a rest to be sent to."
        raise NotAllowed(text, state=stopped.state, allowed_transitions=[])
    require(actor, Action.CAMPAIGN_WRITE, stopped.project_id)
    refuse_taken(session, actor=actor, earlier=campaign_id, own=None)
    newest = queries.revisions(session, campaign_id)[0]
    row = create(
        session,
        actor=actor,
        project_id=stopped.project_id,
        name=f"{stopped.name[:180]} (the rest)",
        description=stopped.description,
        kind=CampaignKind(stopped.kind),
        purpose=Purpose(stopped.purpose),
        tags=stopped.tags,
        now=now,
    )
    steps = [{**step, "at": None, "latest": None} for step in newest.draft.get("steps") or ()]
    draft = {**newest.draft, "audience": {"rest_of": show("cam", campaign_id)}, "steps": steps, "recurrence": None}
    save(session, actor=actor, campaign_id=row.campaign_id, no=1, version=1, draft=draft, now=now)
    return row


def archive(session: Session, *, actor: Actor, campaign_id: UUID, now: datetime) -> Campaign:
    """Put a draft or a final campaign away."""
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_WRITE, row.project_id)
    before = CampaignState(row.state)
    row.state = campaign_after(before, CampaignMove.ARCHIVE).value
    row.archived_from = before.value
    row.updated_at, row.version = now, row.version + 1
    session.flush()
    audit.append(session, actor=actor, action="campaign.archived", subject=_subject(row), now=now)
    return row


def restore(session: Session, *, actor: Actor, campaign_id: UUID, now: datetime) -> Campaign:
    """Bring an archived campaign back to the state that it had. Raises NotFound, LacksRight, NotAllowed, RestTaken."""
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_WRITE, row.project_id)
    kept = CampaignState(row.archived_from) if row.archived_from else None
    earlier = rest_of(queries.revisions(session, campaign_id)[0].draft)
    if kept is CampaignState.DRAFT and earlier is not None:
        refuse_taken(session, actor=actor, earlier=earlier, own=campaign_id)
    row.state = campaign_before(CampaignState(row.state), CampaignMove.RESTORE, kept).value
    row.archived_from = None
    row.updated_at, row.version = now, row.version + 1
    session.flush()
    facts = {"state": row.state}
    audit.append(session, actor=actor, action="campaign.restored", subject=_subject(row), now=now, facts=facts)
    return row


_OPEN = frozenset(
    {RevisionState.EDITING, RevisionState.IN_REVIEW, RevisionState.CHANGES_REQUESTED, RevisionState.APPROVED}
)


def _reopened(state: RevisionState) -> RevisionState:
    if REVISION.after(state, RevisionMove.EDIT) is None:
        moves = [m.value for m in revision_moves(state)]
        raise NotAllowed(f"This revision is {state.value} and locked.", state=state.value, allowed_transitions=moves)
    return revision_after(state, RevisionMove.EDIT)


def _add_revision(
    session: Session, campaign: Campaign, *, no: int, draft: Mapping[str, Any], actor: Actor, now: datetime
) -> Revision:
    row = Revision(
        tenant_id=campaign.tenant_id,
        campaign_id=campaign.campaign_id,
        no=no,
        state=RevisionState.EDITING.value,
        draft=dict(draft),
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    session.flush()
    _note_editor(session, row, actor, now)
    return row


def _note_editor(session: Session, row: Revision, actor: Actor, now: datetime) -> None:
    # For a key this is the person who made it: a key is no way around four eyes.
    if actor.account_id is not None:
        session.execute(
            insert(RevisionEditor)
            .values(
                tenant_id=row.tenant_id,
                campaign_id=row.campaign_id,
                no=row.no,
                account_id=actor.account_id,
                at=now,
            )
            .on_conflict_do_nothing()
        )


def _void(session: Session, campaign: Campaign, row: Revision, actor: Actor, now: datetime) -> None:
    void(session, row, now)
    signers = {each.account_id for each in queries.decisions(session, campaign_id=row.campaign_id, no=row.no)}
    text = f"{actor.name} changed revision {row.no} after it was signed. Its approval is void."
    tell(session, NoticeKind.APPROVAL_DECIDED, campaign, signers - {actor.account_id}, text, now=now)


def _subject(campaign: Campaign) -> str:
    return show("cam", campaign.campaign_id)

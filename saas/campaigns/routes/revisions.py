"""Revisions and their approval over the API."""

import json
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.routes.campaigns import campaign_in
from saas.campaigns.rules.changes import changed_in_bytes
from saas.campaigns.rules.document import canonical
from saas.campaigns.rules.lifecycle import revision_moves
from saas.campaigns.schemas.campaigns import (
    ConfirmationIn,
    DecisionIn,
    DraftIn,
    Nothing,
    RevisionOut,
    SignatureIn,
    SubmissionIn,
)
from saas.campaigns.schemas.review import ChangesOut, ReviewOut
from saas.campaigns.service import approval, changes, confirmation, draft, live_edit, requests, review, submission
from saas.campaigns.types import RequestState, RevisionState
from saas.content.current import renderer
from saas.http.etags import expected_version, versioned
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.ids import show
from saas.permissions.types import Action

blp = Blueprint("revisions", __name__, description="What a campaign does, and who signed it")


@blp.route("/campaigns/<campaign_id>/revisions", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.response(200, RevisionOut(many=True))
def list_revisions(context: Context, campaign_id: str) -> list[dict[str, Any]]:
    """List all revisions of a campaign, newest first."""
    row = campaign_in(context, campaign_id)
    found = queries.revisions(context.session, row.campaign_id)
    return [revision_view(context, row, revision) for revision in found]


@blp.route("/campaigns/<campaign_id>/revisions", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(Nothing)
@blp.alt_response(201, schema=RevisionOut, success=True)
def create_revision(context: Context, body: dict[str, Any], campaign_id: str) -> Response:  # noqa: ARG001  empty
    """Open the next revision, copied from the newest."""
    row = campaign_in(context, campaign_id)
    made = draft.new_revision(context.session, actor=context.actor, campaign_id=row.campaign_id, now=context.now)
    return _revision(context, row, made, status=201)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.alt_response(200, schema=RevisionOut, success=True)
def get_revision(context: Context, campaign_id: str, no: int) -> Response:
    """Return one revision with its decisions and with what still stops a submission."""
    row = campaign_in(context, campaign_id)
    return _revision(context, row, queries.revision(context.session, campaign_id=row.campaign_id, no=no))


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>", methods=["PUT"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(DraftIn)
@blp.alt_response(200, schema=RevisionOut, success=True)
def save_draft(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Save the draft of a revision; incomplete is fine, `checks` tells what is missing."""
    row = campaign_in(context, campaign_id)
    saved = draft.save(
        context.session,
        actor=context.actor,
        campaign_id=row.campaign_id,
        no=no,
        version=expected_version(),
        draft=body["draft"],
        now=context.now,
    )
    return _revision(context, row, saved)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/carry-over", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(Nothing)
@blp.alt_response(200, schema=RevisionOut, success=True)
def carry_over(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:  # noqa: ARG001  empty
    """Keep of a draft that came too late what is still possible: steps that have begun are as they were published."""
    row = campaign_in(context, campaign_id)
    kept = draft.carry_over(context.session, actor=context.actor, campaign_id=row.campaign_id, no=no, now=context.now)
    return _revision(context, row, kept)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/submit", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_SUBMIT)
@blp.arguments(SubmissionIn)
@blp.alt_response(200, schema=RevisionOut, success=True)
def submit(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Ask for approval: resolves everything into one document and locks it; the note goes to those who are asked."""
    row = campaign_in(context, campaign_id)
    sent = submission.submit(
        context.session,
        actor=context.actor,
        campaign_id=row.campaign_id,
        no=no,
        version=None,
        renderer=renderer(),
        note=body["note"],
        now=context.now,
    )
    return _revision(context, row, sent)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/withdraw", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_SUBMIT)
@blp.arguments(Nothing)
@blp.alt_response(200, schema=RevisionOut, success=True)
def withdraw(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:  # noqa: ARG001  empty
    """Take a revision back out of review."""
    row = campaign_in(context, campaign_id)
    taken = approval.withdraw(context.session, actor=context.actor, campaign_id=row.campaign_id, no=no, now=context.now)
    return _revision(context, row, taken)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/approve", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
@blp.arguments(SignatureIn)
@blp.alt_response(200, schema=RevisionOut, success=True)
def approve(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Sign exactly the hash that was shown; the last signature approves, and publishes where the policy says so."""
    row = campaign_in(context, campaign_id)
    signed = approval.approve(
        context.session,
        actor=context.actor,
        campaign_id=row.campaign_id,
        no=no,
        seen_hash=body["content_hash"],
        comment=body["comment"],
        start=body["start"],
        lead_s=context.settings.publish_lead_s,
        now=context.now,
    )
    return _revision(context, row, signed)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/publish", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)  # who may publish depends on the revision's policy; the service looks
@blp.arguments(SignatureIn)
@blp.alt_response(200, schema=RevisionOut, success=True)
def publish(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Publish an approved revision, once its time has passed with a new start."""
    row = campaign_in(context, campaign_id)
    done = approval.publish(
        context.session,
        actor=context.actor,
        campaign_id=row.campaign_id,
        no=no,
        seen_hash=body["content_hash"],
        start=body["start"],
        lead_s=context.settings.publish_lead_s,
        now=context.now,
    )
    return _revision(context, row, done)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/request-changes", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
@blp.arguments(DecisionIn)
@blp.alt_response(200, schema=RevisionOut, success=True)
def request_changes(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Send a revision back with a comment."""
    return _decide(context, approval.request_changes, body, campaign_id, no)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/reject", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
@blp.arguments(DecisionIn)
@blp.alt_response(200, schema=RevisionOut, success=True)
def reject(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Reject a revision for good, with a comment."""
    return _decide(context, approval.reject, body, campaign_id, no)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/revoke", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
@blp.arguments(DecisionIn)
@blp.alt_response(200, schema=RevisionOut, success=True)
def revoke(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Take an approval back; a campaign that sends stops."""
    return _decide(context, approval.revoke, body, campaign_id, no)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/confirm", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
@blp.arguments(ConfirmationIn)
@blp.alt_response(200, schema=RevisionOut, success=True)
def confirm(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Send a held campaign anyway: its audience or its rule has changed, or you sign in somebody's place."""
    row = campaign_in(context, campaign_id)
    done = confirmation.confirm(
        context.session,
        actor=context.actor,
        campaign_id=row.campaign_id,
        no=no,
        seen_hash=body["content_hash"],
        people=body["people"],
        comment=body["comment"],
        now=context.now,
    )
    return _revision(context, row, done)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/review", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.response(200, ReviewOut)
def get_review(context: Context, campaign_id: str, no: int) -> review.Review:
    """Show exactly what will be sent: count, sample people, rendered messages, time."""
    row = campaign_in(context, campaign_id)
    return review.review(
        context.session,
        actor=context.actor,
        campaign=row,
        row=queries.revision(context.session, campaign_id=row.campaign_id, no=no),
        renderer=renderer(),
        public_url=context.settings.public_url,
        lead_s=context.settings.publish_lead_s,
        now=context.now,
    )


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/changes", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.response(200, ChangesOut)
def get_changes(context: Context, campaign_id: str, no: int) -> changes.Changes:
    """Show what a revision changes since the one that was approved last, and who enters and leaves by it."""
    row = campaign_in(context, campaign_id)
    revision = queries.revision(context.session, campaign_id=row.campaign_id, no=no)
    return changes.changes(context.session, actor=context.actor, campaign=row, row=revision)


def revision_view(context: Context, campaign: Campaign, row: Revision) -> dict[str, Any]:
    """Return a revision as the API shows it."""
    session, state = context.session, RevisionState(row.state)
    decided = queries.decisions(session, campaign_id=row.campaign_id, no=row.no)
    names = accounts(session, [each.account_id for each in decided if each.account_id])
    outside = requests.outside_names(session, [each.outside_id for each in decided if each.outside_id])
    editors = queries.editors_since_approval(session, campaign_id=row.campaign_id, no=row.no)
    columns = {name: getattr(row, name) for name in RevisionOut().fields if hasattr(row, name)}
    return columns | {
        "document": json.loads(row.document) if row.document else None,
        "editors": sorted(editors),
        "decisions": [
            {name: getattr(d, name) for name in ("account_id", "decision", "content_hash", "comment", "at")}
            | {"name": names[d.account_id].name if d.account_id else outside.get(d.outside_id or d.approval_id, "")}
            for d in decided
        ],
        "approval": _approval(context, campaign, row),
        "changed_since_signed": _changed(context, campaign, row),
        "checks": _checks(context, campaign, row, state),
        "allowed_moves": [move.value for move in revision_moves(state)],
    }


def _approval(context: Context, campaign: Campaign, row: Revision) -> dict[str, Any] | None:
    found = requests.situation(context.session, row, project_id=campaign.project_id)
    if found is None:
        return None
    request, standing = found.request, found.standing
    is_open = request.state == RequestState.OPEN
    return {
        "state": request.state,
        "rule": found.asked.rule,
        "requirement": request.requirement,
        "asked_by": request.asked_by,
        "asked_at": request.asked_at,
        "note": request.note,
        "deadline": request.deadline,
        "signed": len(standing.counted),
        "needed": found.asked.needed,
        "missing": [
            {"place": each.place, "count": each.count, "candidates": _people(each.candidates, found)}
            for each in standing.missing
        ],
        "may_decide": _people(standing.may_decide, found) if is_open else [],
        "waits_for": requests.waits_for(row, context.now),
    }


def _people(ids: AbstractSet[UUID], found: requests.Situation) -> list[str]:
    return [show("acc" if each in found.people.roles else "out", each) for each in sorted(ids)]


def _changed(context: Context, campaign: Campaign, row: Revision) -> list[str] | None:
    """Return what differs from what was signed last, None where nothing was or the draft is not complete."""
    now = row.document
    if now is None and RevisionState(row.state) in _EDITABLE:
        found = submission.proposed(
            context.session, campaign=campaign, row=row, renderer=renderer(), actor=context.actor, now=context.now
        )
        now = canonical(found) if found is not None else None
    before = requests.signed_before(context.session, row)
    return None if before is None or now is None else [part.value for part in changed_in_bytes(before, now)]


_EDITABLE = frozenset({RevisionState.EDITING, RevisionState.CHANGES_REQUESTED})
_WAITING = frozenset({RevisionState.IN_REVIEW, RevisionState.APPROVED})


def _checks(context: Context, campaign: Campaign, row: Revision, state: RevisionState) -> Any:
    """Return what stops a draft, or where a submitted revision came too late."""
    if state in _WAITING:
        return live_edit.too_late(context.session, campaign, row)
    if state not in _EDITABLE:
        return []
    return submission.checks(
        context.session, campaign=campaign, row=row, renderer=renderer(), actor=context.actor, now=context.now
    )


def _revision(context: Context, campaign: Campaign, row: Revision, *, status: int = 200) -> Response:
    return versioned(RevisionOut().dump(revision_view(context, campaign, row)), row.version, status=status)


def _decide(
    context: Context, act: Callable[..., Revision], body: dict[str, Any], campaign_id: str, no: int
) -> Response:
    row = campaign_in(context, campaign_id)
    decided = act(
        context.session,
        actor=context.actor,
        campaign_id=row.campaign_id,
        no=no,
        seen_hash=body["content_hash"],
        comment=body["comment"],
        now=context.now,
    )
    return _revision(context, row, decided)

"""Approval policies, their replay and outside approvers over the API (U3, U8)."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from saas.campaigns.schemas.campaigns import Nothing
from saas.campaigns.schemas.policies import (
    CodeWordIn,
    OutsideIn,
    OutsideOut,
    PolicyIn,
    PolicyOut,
    ReplayIn,
    ReplayOut,
)
from saas.campaigns.service import code_word as code_words
from saas.campaigns.service import mailed, policies
from saas.http.etags import expected_version, versioned
from saas.http.ids import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action

blp = Blueprint("policies", __name__, description="Who has to approve what")
_SECOND = 2


@blp.route("/approval-policy", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.alt_response(200, schema=PolicyOut, success=True)
def get_policy(context: Context) -> Response:
    """Return the workspace's rules; version 0 and no rules where there are none yet."""
    return _policy(context, None)


@blp.route("/approval-policy", methods=["PUT"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.arguments(PolicyIn)
@blp.alt_response(200, schema=PolicyOut, success=True)
def put_policy(context: Context, body: dict[str, Any]) -> Response:
    """Write the next version of the workspace's rules. Requests that are open keep what they were asked for."""
    return _save(context, None, body)


@blp.route("/projects/<project_id>/approval-policy", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.alt_response(200, schema=PolicyOut, success=True)
def get_project_policy(context: Context, project_id: str) -> Response:
    """Return a project's own rules, which stand before the workspace's."""
    return _policy(context, path_id("prj", project_id, "project"))


@blp.route("/projects/<project_id>/approval-policy", methods=["PUT"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.arguments(PolicyIn)
@blp.alt_response(200, schema=PolicyOut, success=True)
def put_project_policy(context: Context, body: dict[str, Any], project_id: str) -> Response:
    """Write the next version of a project's rules."""
    return _save(context, path_id("prj", project_id, "project"), body)


@blp.route("/approval-policy/replay", methods=["POST"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.arguments(ReplayIn)
@blp.response(200, ReplayOut)
def replay_policy(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Say what the last submissions would have needed under these rules; nothing is changed."""
    return replayed(context, None, body)


@blp.route("/projects/<project_id>/approval-policy/replay", methods=["POST"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.arguments(ReplayIn)
@blp.response(200, ReplayOut)
def replay_project_policy(context: Context, body: dict[str, Any], project_id: str) -> dict[str, Any]:
    """Say what the last submissions of a project would have needed under these rules of its own."""
    return replayed(context, path_id("prj", project_id, "project"), body)


@blp.route("/outside-approvers", methods=["GET"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.response(200, OutsideOut(many=True))
def list_outside(context: Context) -> Any:
    """List the people without an account who may be asked to approve by mail."""
    return policies.outside_approvers(context.session)


@blp.route("/outside-approvers", methods=["POST"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.arguments(OutsideIn)
@blp.response(201, OutsideOut)
def add_outside(context: Context, body: dict[str, Any]) -> Any:
    """List an outside approver; they count once their address is confirmed."""
    cost = context.settings.password_cost
    return policies.list_outside(context.session, actor=context.actor, cost=cost, now=context.now, **body)


@blp.route("/outside-approvers/<outside_id>/code-word", methods=["PUT"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.arguments(CodeWordIn)
@blp.response(200, OutsideOut)
def set_code_word(context: Context, body: dict[str, Any], outside_id: str) -> Any:
    """Set or change the code word of an outside approver; it is kept as a hash and never shown."""
    return code_words.set_code_word(
        context.session,
        actor=context.actor,
        outside_id=path_id("out", outside_id, "outside approver"),
        cost=context.settings.password_cost,
        now=context.now,
        **body,
    )


@blp.route("/outside-approvers/<outside_id>/resend", methods=["POST"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.arguments(Nothing)
@blp.response(200, OutsideOut)
def confirm_again(context: Context, body: dict[str, Any], outside_id: str) -> Any:  # noqa: ARG001  empty
    """Send the mail again by which an outside approver confirms their address; the link before it ends now."""
    found = path_id("out", outside_id, "outside approver")
    return mailed.confirm_again(context.session, actor=context.actor, outside_id=found, now=context.now)


@blp.route("/outside-approvers/<outside_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.POLICY_WRITE)
@blp.arguments(Nothing)
@blp.response(204)
def revoke_outside(context: Context, body: dict[str, Any], outside_id: str) -> None:  # noqa: ARG001  empty
    """Take an outside approver off the list; what they signed no longer counts."""
    found = path_id("out", outside_id, "outside approver")
    policies.revoke_outside(context.session, actor=context.actor, outside_id=found, now=context.now)


def replayed(context: Context, project_id: UUID | None, body: dict[str, Any]) -> dict[str, Any]:
    """Return a replay as the API shows it."""
    found = policies.replay(context.session, actor=context.actor, project_id=project_id, **body)
    needed = [each.needed for each in found]
    return {
        "looked_at": len(found),
        "second_approver": sum(each.would_ask >= _SECOND for each in needed),
        "more": sum(each.would_ask > each.asked for each in needed),
        "fewer": sum(each.would_ask < each.asked for each in needed),
        "submissions": [
            {
                "campaign_id": each.campaign_id,
                "name": each.name,
                "revision_no": each.revision_no,
                "asked_at": each.asked_at,
                "needed": each.needed.asked,
                "would_need": each.needed.would_ask,
                "rule": each.needed.rule,
            }
            for each in found
        ],
    }


def _policy(context: Context, project_id: UUID | None) -> Response:
    row = policies.current(context.session, actor=context.actor, project_id=project_id)
    empty: dict[str, Any] = {"project_id": project_id, "version": 0, "rules": [], "made_by": None, "made_at": None}
    version = row.version if row is not None else policies.NO_VERSION
    return versioned(PolicyOut().dump(row if row is not None else empty), version)


def _save(context: Context, project_id: UUID | None, body: dict[str, Any]) -> Response:
    row = policies.save(
        context.session,
        actor=context.actor,
        project_id=project_id,
        rules=body["rules"],
        version=expected_version(),
        now=context.now,
    )
    return versioned(PolicyOut().dump(row), row.version)

"""Reports and the audit chain over the API."""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any, Final

import sqlalchemy as sa
from flask import Response, json
from flask_smorest import Blueprint

from saas.audit import queries as chains
from saas.audit import service as audit
from saas.audit.queries import Wanted
from saas.audit.rules import entry_line, key_print, public_key, signing_key
from saas.audit.types import Range
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.http.ids import path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.clock import Clock
from saas.kernel.ids import show
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import db, tenant_session
from saas.reports import policy, queries
from saas.reports.schemas.reports import (
    ActivityOut,
    AuditArguments,
    AuditEntryOut,
    AuditKeyOut,
    FlowOut,
    PeopleArguments,
    PersonOut,
    RangeArguments,
    ReportOut,
)
from saas.reports.service.flows import flow_report

NDJSON: Final = "application/x-ndjson"

blp = Blueprint("reports", __name__, description="What became of campaigns")
log = Blueprint("audit", __name__, description="Who did what, in a chain that shows if it was changed")


class Revoked(RuntimeError):
    """Whoever was reading an export has lost the right to it; the stream breaks off, and the file does not verify."""


@blp.route("/campaigns/<campaign_id>/report", methods=["GET"])
@endpoint(Scope.TENANT, Action.REPORT_READ)
@blp.alt_response(200, schema=ReportOut, success=True)
def report(context: Context, campaign_id: str) -> Response:
    """Return a campaign's numbers: they balance, and each person is in one state at each step; where people stand."""
    campaign = _campaign(context, campaign_id)
    found = queries.campaign_report(context.session, campaign)
    flow = flow_report(context.session, campaign, numbers={step.run_id: step.numbers for step in found.steps})
    body = ReportOut(exclude=["flow"]).dump(found) | {"flow": FlowOut().dump(flow) if flow is not None else None}
    return Response(json.dumps(body), mimetype="application/json")


@blp.route("/campaigns/<campaign_id>/people", methods=["GET"])
@endpoint(Scope.TENANT, Action.REPORT_READ)
@blp.arguments(PeopleArguments, location="query")
@blp.alt_response(200, schema=paged(PersonOut), success=True)
def people(context: Context, args: dict[str, Any], campaign_id: str) -> Response:
    """List the people behind a number, and those who wait at a step. Addresses are masked without contact:read."""
    found = queries.people(
        context.session,
        actor=context.actor,
        campaign=_campaign(context, campaign_id),
        state=args["state"].value if args["state"] else None,
        reason=args["reason"],
        email=args["email"],
        step_no=args["step"],
        page=page_request(args),
    )
    return page_response(found, PersonOut())


@blp.route("/campaigns/<campaign_id>/activity", methods=["GET"])
@endpoint(Scope.TENANT, Action.REPORT_READ)
@blp.arguments(PageArguments, location="query")
@blp.alt_response(200, schema=paged(ActivityOut), success=True)
def activity(context: Context, args: dict[str, Any], campaign_id: str) -> Response:
    """List what happened to a campaign, newest first."""
    wanted = Wanted(subject=show("cam", _campaign(context, campaign_id).campaign_id))
    found = queries.activity(context.session, wanted=wanted, sight=None, page=page_request(args))
    return page_response(found, ActivityOut())


@log.route("/audit", methods=["GET"])
@endpoint(Scope.TENANT, Action.AUDIT_READ)
@log.arguments(AuditArguments, location="query")
@log.alt_response(200, schema=paged(AuditEntryOut), success=True)
def entries(context: Context, args: dict[str, Any]) -> Response:
    """List entries of the audit chain, newest first; who has the right in some projects sees what is about those."""
    page = page_request({"limit": args.pop("limit"), "after": args.pop("after")})
    sight = policy.sight(context.session, context.actor)
    return page_response(
        queries.activity(context.session, wanted=Wanted(**args), sight=sight, page=page), AuditEntryOut()
    )


@log.route("/audit/export", methods=["GET"])
@endpoint(Scope.TENANT, Action.AUDIT_READ)
@log.arguments(RangeArguments, location="query")
@log.response(200, {"type": "string", "format": "binary"}, content_type=NDJSON)
def export(context: Context, args: dict[str, Any]) -> Response:
    """Download the audit chain, or a range of it, as JSON Lines with a signed head. It leaves an entry of its own.

    `saas audit verify FILE` checks it without any connection.
    """
    return exported(context, **args)


@log.route("/audit/key", methods=["GET"])
@endpoint(Scope.PUBLIC)
@log.response(200, AuditKeyOut)
def key(context: Context) -> Response:
    """Show the public key that signs heads and exports of this installation."""
    published = public_key(signing_key(context.vault.audit_seed))
    body = {"algorithm": "Ed25519", "public_key": published, "fingerprint": key_print(published)}
    return Response(json.dumps(AuditKeyOut().dump(body)), mimetype="application/json")


def exported(context: Context, *, since: datetime | None, until: datetime | None) -> Response:
    """Return the stream of an export. It breaks off when whoever reads it loses the right. Raises LacksRight."""
    head, found = audit.start_export(
        context.session, actor=context.actor, since=since, until=until, seed=context.vault.audit_seed, now=context.now
    )
    name = f"audit-{show('wsp', found.tenant_id)}-{found.before[0] + 1}-{found.head[0]}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    lines = _stream(db.engine, shell().clock, context.actor, found)
    return Response(chain([head], lines), content_type=NDJSON, headers=headers)


def _stream(engine: sa.Engine, clock: Clock, actor: Actor, found: Range) -> Iterator[str]:
    """Yield an export's lines, in a session of its own: the request's is over by then."""
    with tenant_session(engine, found.tenant_id) as session:
        for links in chains.links(session, found=found):
            if not policy.may_still_read(session, actor, now=clock.now()):
                raise Revoked
            session.rollback()  # who reads slowly keeps no connection from others
            yield "".join(entry_line(*link) for link in links)


def _campaign(context: Context, campaign_id: str) -> Campaign:
    found = campaigns.campaign(
        context.session, actor=context.actor, campaign_id=path_id("cam", campaign_id, "campaign")
    )
    require(context.actor, Action.REPORT_READ, found.project_id)
    return found

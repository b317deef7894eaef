"""The trigger over the API (R5)."""

from typing import Any

from flask_smorest import Blueprint

from saas.http.ids import path_id
from saas.http.problem import request_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.journeys.schemas import TriggerIn, TriggerOut
from saas.journeys.service import trigger as service
from saas.journeys.types import Recipient
from saas.kernel.errors import Fault, Invalid
from saas.kernel.ids import uuid7
from saas.permissions.types import Action

blp = Blueprint("trigger", __name__, description="Start campaigns by a call")


@blp.route("/campaigns/<campaign_id>/trigger", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.arguments(TriggerIn)
@blp.response(202, TriggerOut)
def trigger(context: Context, body: dict[str, Any], campaign_id: str) -> dict[str, Any]:
    """Start a campaign for up to 1,000 people, each with their own context; one result for each."""
    recipients = _recipients(body["recipients"])
    wanted = path_id("cam", campaign_id, "campaign")
    if body["dry_run"]:
        results = service.rehearse(
            context.session, actor=context.actor, campaign_id=wanted, recipients=recipients, now=context.now
        )
    else:
        results = service.trigger(
            context.session,
            actor=context.actor,
            campaign_id=wanted,
            call_id=uuid7().hex,  # not the request id: callers may choose that one, and choose it twice
            recipients=recipients,
            now=context.now,
        )
    return {"request_id": request_id(), "dry_run": body["dry_run"], "results": results}


def _recipients(rows: list[dict[str, Any]]) -> list[Recipient]:
    faults = [
        Fault(f"/recipients/{index}", "Name the contact by exactly one of contact_id, email, external_id.")
        for index, row in enumerate(rows)
        if sum(key in row for key in ("contact_id", "email", "external_id")) != 1
    ]
    if faults:
        raise Invalid("Some recipients are not named well; see errors.", faults=faults)
    return [
        Recipient(
            index=index,
            contact_id=row.get("contact_id"),
            email_key=row["email"].strip().casefold() if "email" in row else None,
            external_id=row.get("external_id"),
            entry_key=row["entry_key"],
            context=row["context"],
        )
        for index, row in enumerate(rows)
    ]

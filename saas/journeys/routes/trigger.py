"""The trigger over the API (R5)."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from saas.content.current import renderer
from saas.http.ids import path_id
from saas.http.problem import request_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.journeys.schemas import ExpectationOut, TriggerIn, TriggerOut
from saas.journeys.service import trigger as service
from saas.journeys.service.expecting import Expectation, Looks, expectations
from saas.journeys.types import Recipient, Result, Way
from saas.kernel.errors import Fault, Invalid
from saas.kernel.ids import uuid7
from saas.permissions.types import Action

blp = Blueprint("trigger", __name__, description="Start campaigns by a call")


@blp.route("/campaigns/<campaign_id>/trigger", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.arguments(TriggerIn())  # an object: of a class, one would be made for every call
@blp.response(202, TriggerOut)
def trigger(context: Context, body: dict[str, Any], campaign_id: str) -> Response:
    """Start a campaign for up to 1,000 people, each with their own context; one result for each."""
    recipients = _recipients(body["recipients"])
    wanted = path_id("cam", campaign_id, "campaign")
    if body["dry_run"]:
        results = service.rehearse(
            context.session, actor=context.actor, campaign_id=wanted, recipients=recipients, now=context.now
        )
        return _answer(results, dry_run=True, expected=_expected(context, wanted, recipients, results))
    results = service.trigger(
        context.session,
        actor=context.actor,
        campaign_id=wanted,
        call_id=uuid7().hex,  # not the request id: callers may choose that one, and choose it twice
        recipients=recipients,
        now=context.now,
    )
    return _answer(results, dry_run=False, expected={})


def _answer(results: list[Result], *, dry_run: bool, expected: Mapping[int, Expectation]) -> Response:
    """Answer a call. Written out here: of a thousand results the schema would look each field up by name."""
    shown = [_shown(each) | _looked_ahead(expected.get(each.index)) for each in results]
    answer = {"request_id": request_id(), "dry_run": dry_run, "results": shown}
    return Response(json.dumps(answer), status=202, mimetype="application/json")


def _shown(result: Result) -> dict[str, Any]:
    return {"index": result.index, "status": result.status, "entry_key": result.entry_key, "detail": result.detail}


def _looked_ahead(one: Expectation | None) -> dict[str, Any]:
    return {} if one is None else {"expected": ExpectationOut().dump(one)}


def _expected(
    context: Context, campaign_id: UUID, recipients: list[Recipient], results: list[Result]
) -> Mapping[int, Expectation]:
    looks = Looks(renderer(), context.settings.public_url, context.now)
    return expectations(
        context.session,
        actor=context.actor,
        campaign_id=campaign_id,
        recipients=recipients,
        results=results,
        looks=looks,
    )


def _recipients(rows: list[dict[str, Any]]) -> list[Recipient]:
    found, faults = [], []
    for index, row in enumerate(rows):
        ways = [way for way in Way if way in row]
        if len(ways) == 1:
            found.append(_recipient(index, ways[0], row))
        else:
            pointer = f"/recipients/{index}"
            faults.append(Fault(pointer, "Name the contact by exactly one of contact_id, email, external_id."))
    if faults:
        raise Invalid("Some recipients are not named well; see errors.", faults=faults)
    return found


def _recipient(index: int, way: Way, row: dict[str, Any]) -> Recipient:
    name = str(row[way])
    if way is Way.EMAIL:
        name = name.strip().casefold()
    return Recipient(index, way, name, row["entry_key"], row["context"])

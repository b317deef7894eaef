"""Events by API: what clients' other systems tell about people."""

import json
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.intake.schemas import WAYS, EventsIn, EventsOut
from saas.intake.service.events import record
from saas.intake.types import Happening
from saas.permissions.types import Action

blp = Blueprint("events", __name__, description="Events: what people did elsewhere")


@blp.route("/events", methods=["POST"])
@endpoint(Scope.TENANT, Action.EVENT_WRITE)
@blp.arguments(EventsIn())
@blp.response(200, EventsOut)
def record_events(context: Context, body: dict[str, Any]) -> Response:
    """Tell up to 1,000 events; one result for each: accepted, duplicate or unknown_contact.

    An event with an id of yours is one fact, however often it is told of the same person and name. Steps that wait for
    an event look at once.
    """
    happenings = [_happening(index, row) for index, row in enumerate(body["events"])]
    results = record(context.session, actor=context.actor, happenings=happenings, now=context.now)
    # Written out here, as for calls: of a thousand results the schema would look each field up by name.
    answer = {"results": [{"index": each.index, "status": each.status.value} for each in results]}
    return Response(json.dumps(answer), status=200, mimetype="application/json")


def _happening(index: int, row: dict[str, Any]) -> Happening:
    way = next(way for way in WAYS if way in row)
    who = str(row[way])
    if way == "email":
        who = who.strip().casefold()
    return Happening(index, row["name"], way, who, row["occurred_at"], row["id"], row["properties"])

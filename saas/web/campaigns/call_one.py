"""Call a campaign for one person by hand, rehearsed first or at once; and the call as a system would make it (U13)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, Response, request
from flask_babel import gettext

from saas.content.current import renderer
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.journeys.schemas import TriggerIn
from saas.journeys.service import trigger as service
from saas.journeys.service.expecting import Expectation, Looks, expectations
from saas.journeys.service.terms import NotAccepting
from saas.journeys.types import Answer, Recipient, Result, Way
from saas.kernel.ids import uuid7
from saas.permissions.types import Action
from saas.reports.rules.reasons import reason_in_words
from saas.reports.service.examples import NotCalled, declared, example_call
from saas.web import forms, refusals
from saas.web.campaigns.found import Found, find
from saas.web.shell import page

blp = Blueprint("web_call", __name__, url_prefix="/w/<workspace>")
_CONTACT: Final = "ctc_"
_YES: Final = frozenset({"yes", "true", "1"})


@blp.get("/campaigns/<campaign_id>/call")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def ask_call(context: Context, campaign_id: str) -> Response:
    """Show the form for one person, and the call as a system would make it."""
    return _page(context, find(context, campaign_id), {})


@blp.post("/campaigns/<campaign_id>/call")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def call(context: Context, campaign_id: str) -> Response:
    """Call for one person; with `do=rehearse` say what would become of it."""
    found = find(context, campaign_id)
    fields = declared(context.session, found.campaign.campaign_id)
    loaded = refusals.load(TriggerIn(), {"recipients": [_recipient(fields)]}, fields=_places(fields))
    errors = loaded.errors
    result, expected = None, None
    if not errors:
        recipient = _named(loaded.body["recipients"][0])
        try:
            result, expected = _called(context, found, recipient)
        except NotAccepting as error:
            context.session.rollback()
            errors = {"": error.detail}
    return _page(context, find(context, campaign_id), errors, result=result, expected=expected)


def _called(context: Context, found: Found, recipient: Recipient) -> tuple[Result, Expectation | None]:
    session, actor, campaign_id = context.session, context.actor, found.campaign.campaign_id
    if request.form.get("do") != "rehearse":
        results = service.trigger(
            session,
            actor=actor,
            campaign_id=campaign_id,
            call_id=uuid7().hex,
            recipients=[recipient],
            now=context.now,
        )
        return results[0], None
    results = service.rehearse(session, actor=actor, campaign_id=campaign_id, recipients=[recipient], now=context.now)
    looks = Looks(renderer(), context.settings.public_url, context.now)
    seen = expectations(
        session, actor=actor, campaign_id=campaign_id, recipients=[recipient], results=results, looks=looks
    )
    return results[0], seen.get(0)


def _recipient(fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    person = request.form.get("person", "").strip()
    way = Way.EMAIL if "@" in person else Way.CONTACT_ID if person.startswith(_CONTACT) else Way.EXTERNAL_ID
    values = {field["key"]: _value(request.form.get(f"field_{field['key']}", ""), field["kind"]) for field in fields}
    return {
        way.value: person,
        "entry_key": request.form.get("entry_key", "").strip(),
        "context": {key: value for key, value in values.items() if value is not None},
    }


def _value(text: str, kind: str) -> str | float | bool | None:
    """Return a field of the call as its kind says; None where nothing was typed."""
    if not text.strip():
        return None
    if kind == "boolean":
        return text.strip().casefold() in _YES
    if kind == "number":
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text  # the call's own rules say what is wrong
    return text.replace("\r\n", "\n")


def _named(row: Mapping[str, Any]) -> Recipient:
    way = next(way for way in Way if way in row)
    name = str(row[way])
    return Recipient(0, way, name.strip().casefold() if way is Way.EMAIL else name, row["entry_key"], row["context"])


def _places(fields: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    at = "/recipients/0"
    ways = {f"{at}/{way.value}": "person" for way in Way}
    return {**ways, f"{at}/entry_key": "entry_key", **{f"{at}/context/{f['key']}": f"field_{f['key']}" for f in fields}}


def _page(
    context: Context,
    found: Found,
    errors: Mapping[str, str],
    *,
    result: Result | None = None,
    expected: Expectation | None = None,
) -> Response:
    session, campaign_id = context.session, found.campaign.campaign_id
    try:
        example = example_call(
            session, actor=context.actor, campaign_id=campaign_id, public_url=context.settings.public_url
        )
    except NotCalled:
        example = None
    return page(
        "campaigns/call.html",
        context,
        status=422 if errors else 200,
        found=found,
        campaign=found.campaign,
        fields=declared(session, campaign_id),
        values=forms.typed(),
        errors=errors,
        example=example,
        result=result,
        rehearsed=request.form.get("do") == "rehearse",
        expected=expected,
        accepted=result is not None and result.status == Answer.ACCEPTED,
        answer_word=_answer_word,
        reason_word=reason_in_words,
    )


def _answer_word(status: str) -> str:
    texts = {
        Answer.ACCEPTED: gettext("Accepted"),
        Answer.DUPLICATE: gettext("They have this entry already"),
        Answer.UNKNOWN_CONTACT: gettext("Nobody of this name is known here"),
        Answer.SUPPRESSED: gettext("The address is on the suppression list"),
        Answer.INVALID_CONTEXT: gettext("The data does not fit the campaign’s"),
        Answer.TOO_LATE: gettext("Nobody may come any more"),
    }
    return str(texts[Answer(status)])

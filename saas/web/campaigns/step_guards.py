"""Where a step is put, and what stands against changing one: places that are gone, what has begun (S60, S61)."""

from collections.abc import Mapping
from typing import Any, Final

from flask import Response
from flask_babel import gettext

from saas.campaigns.steps.registry import KINDS
from saas.http.types import Context
from saas.web.campaigns import flow_edits, live
from saas.web.campaigns.found import Found
from saas.web.campaigns.outline import START
from saas.web.shell import go

OTHER: Final = "beside"  # instead of a place: at once with a message


def asked(found: Found, given: Mapping[str, str]) -> tuple[str, int | None]:
    """Return where a step is put: a place, or the message that it is sent at once with."""
    beside = given.get(OTHER, "")
    if beside.isascii() and beside.isdecimal() and len(beside) < 6:
        step = flow_edits.step_in(found.revision.draft, int(beside))
        kind = KINDS.get((step or {}).get("kind", ""))
        if kind is not None and kind.sends:
            return "", int(beside)
    return given.get("place") or START, None


def no_place(context: Context, found: Found, place: str, beside: int | None) -> Response | None:
    """Return the way back where nothing can be put: a place that is gone, or before a step that has begun (S60)."""
    held = live.locks(context, found)
    if beside is not None:
        return stays(context, found, beside)
    if place not in dict(flow_edits.places(found.revision.draft)):
        return go("web_draft.edit", campaign_id=found.id, text=gettext("That place is gone."), kind="warning")
    if place in held.shut:
        text = gettext("People stand there now: what comes next keeps its place. Put the step behind it.")
        return go("web_draft.edit", campaign_id=found.id, text=text, kind="warning")
    return None


def stays(context: Context, found: Found, step_no: int) -> Response | None:
    """Return the way back from a step that keeps its place: it has begun, or people come there next."""
    return fixed(context, found, step_no) or _placed(context, found, step_no)


def fixed(context: Context, found: Found, step_no: int) -> Response | None:
    """Return the way back from a step that has begun."""
    if step_no not in live.locks(context, found).begun:
        return None
    text = gettext("Step %(no)s has begun; it stays as it is.", no=step_no)
    return go("web_draft.edit", campaign_id=found.id, text=text, kind="info", _anchor=f"step-{step_no}")


def _placed(context: Context, found: Found, step_no: int) -> Response | None:
    if step_no not in live.locks(context, found).placed:
        return None
    text = gettext("People come to step %(no)s next; it stays where it is, and can be changed.", no=step_no)
    return go("web_draft.edit", campaign_id=found.id, text=text, kind="info", _anchor=f"step-{step_no}")


def unknown(found: Found, step: Mapping[str, Any]) -> Response | None:
    """Return the way back from a step that has no form: the API keeps kinds that there are not."""
    if step.get("kind") in KINDS:
        return None
    text = gettext("There is no such kind of step. Take it out, or change it by the API.")
    return go("web_draft.edit", campaign_id=found.id, text=text, kind="warning", _anchor=f"step-{step['step_no']}")

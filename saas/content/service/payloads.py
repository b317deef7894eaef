"""Bodies of webhooks: a template that makes JSON, rendered in the jail as mail is.

The steps: `check_payload` when a draft is submitted, `compile_payload` once per step, `Payload.write` for a chunk of
people. Values stand within JSON: a text in a template's string can end neither the string nor the object around it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Final, NoReturn

from saas.content.jail.renderer import Renderer
from saas.content.rules import templates
from saas.content.types import Addressee, CheckedPayload, Flaw, Plan, RenderFailure, TemplateError
from saas.kernel.errors import Fault

MAX_BODY: Final = 256 * 1024  # bytes of one person's body
_NAME: Final = "body"
_NO_JSON: Final = RenderFailure("body: what the template makes is no JSON")
_TOO_LONG: Final = RenderFailure(f"body: it became longer than {MAX_BODY // 1024} KB")


def check_payload(
    renderer: Renderer, body: str, *, known: frozenset[str], samples: Sequence[Mapping[str, Any]] = ()
) -> CheckedPayload:
    """Return a body that may be sent, with the variables it reads.

    known: the variables that there are (`templates.judge`); samples: rows as `payload_row` makes them, for each of
    which the template must make JSON. Raises TemplateError; the pointer is /body, the message names line and column.
    """
    if not body.strip():
        raise _error("A webhook needs a body.")
    if templates.too_large(body):
        raise _error(f"This is over the limit of {templates.MAX_SOURCE_BYTES // 1024} KB.")
    verdict = templates.judge(renderer.survey({_NAME: body})[_NAME], known=known)
    if verdict.flaws:
        raise TemplateError(_said(verdict.flaws[0]), faults=[Fault("/body", _said(flaw)) for flaw in verdict.flaws])
    for made in _rendered(renderer, body, samples):
        if isinstance(made, RenderFailure):
            raise _error(f"{made.reason.removeprefix('body: ').capitalize()}, for at least one sample person.")
    return CheckedPayload(body, verdict.used)


def payload_row(
    *, contact: Mapping[str, object], context: Mapping[str, object], workspace_name: str
) -> dict[str, object]:
    """Return one person's values as templates of bodies read them."""
    return {"contact": dict(contact), "context": dict(context), "workspace": {"name": workspace_name}}


def compile_payload(renderer: Renderer, body: str, *, workspace_name: str) -> "Payload":
    """Return a body, to be written for any number of people. One that can't be read fails for each person."""
    return Payload(renderer, body, workspace_name)


class Payload:
    """A webhook's body; several threads may write it at the same time. Written like a letter."""

    def __init__(self, renderer: Renderer, body: str, workspace_name: str) -> None:
        self._renderer = renderer
        self._body = body
        self._workspace_name = workspace_name

    def write(self, people: Sequence[Addressee], *, date: datetime) -> Iterator[bytes | RenderFailure]:
        """Yield each person's body, or why there is none; in order, lazily. Raises Unavailable without a renderer."""
        del date  # a mail has one; what a body says of time, its template says
        return _rendered(self._renderer, self._body, [self._row(person) for person in people])

    def _row(self, person: Addressee) -> dict[str, object]:
        return payload_row(contact=person.contact, context=person.context, workspace_name=self._workspace_name)


def _rendered(renderer: Renderer, body: str, rows: Sequence[Mapping[str, object]]) -> Iterator[bytes | RenderFailure]:
    plan = renderer.plan({_NAME: body})[_NAME]
    if isinstance(plan, RenderFailure):
        yield from [plan] * len(rows)
        return
    with closing(renderer.fill({_NAME: body}, {_NAME: plan}, [(row, False) for row in rows])) as filled:
        for made in filled:
            yield made if isinstance(made, RenderFailure) else _joined(plan, made[0])


def _joined(plan: Plan, holes: Sequence[str]) -> bytes | RenderFailure:
    pieces = [*plan.literals]
    for at, text in enumerate(holes):
        pieces[at] += text
    try:
        made = "".join(pieces).strip().encode()
        json.loads(made, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NO_JSON
    return made if len(made) <= MAX_BODY else _TOO_LONG


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)  # NaN and Infinity, which Python takes and nobody else does


def _said(flaw: Flaw) -> str:
    return f"line {flaw.line}, column {flaw.column}: {flaw.message}"


def _error(text: str) -> TemplateError:
    return TemplateError(text, faults=[Fault("/body", text)])

"""Checking and rendering of messages. Preview and sending call the same `render_email`.

The steps: `check_email` when a draft is saved, `links.track` once per revision (or not, where nothing is tracked),
`render_email` for a chunk of people, `compose` for each of them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from saas.content.jail.renderer import Renderer
from saas.content.rules import headers, links, markup, templates
from saas.content.rules.links import CLICK_VARIABLE
from saas.content.rules.message import build
from saas.content.rules.plain import text_from_html
from saas.content.types import (
    Addressing,
    BadHeader,
    CheckedEmail,
    EmailContent,
    Flaw,
    Rendered,
    RenderFailure,
    TemplateError,
)
from saas.kernel.errors import Fault

UNSUBSCRIBE_VARIABLE: Final = "unsubscribe_url"
_EMPTY: Final[Mapping[str, object]] = MappingProxyType({})
# A line break in somebody's name becomes a space in a subject; other control characters fail that person's message.
_LINE_ENDS: Final = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROL_IN_LINE: Final = "".join(map(chr, (*range(32), 127)))


def check_email(renderer: Renderer, content: EmailContent, *, known: frozenset[str], marketing: bool) -> CheckedEmail:
    """Return the content completed (text part), with what it reads and its tracked links.

    `known` names the variables that there are (`templates.judge`). Raises TemplateError with a fault for each thing
    that is wrong; the pointer names the part, the message the line and column.
    """
    _refuse(_blank_or_too_large(content))
    derived = not content.text.strip()
    if derived:
        content = replace(content, text=text_from_html(content.html))
    verdicts = {
        name: templates.judge(survey, known=known) for name, survey in renderer.survey(_sources(content)).items()
    }
    _refuse(_at(name, flaw) for name, verdict in verdicts.items() for flaw in verdict.flaws)
    _refuse(_misplaced(content, marketing=marketing, derived=derived))
    used = frozenset[str]().union(*(verdict.used for verdict in verdicts.values()))
    return CheckedEmail(content, used, links.track(content).links.urls)


def merge_row(
    *,
    contact: Mapping[str, object],
    campaign_name: str,
    workspace_name: str,
    unsubscribe_url: str,
    click_url: str = "",
    context: Mapping[str, object] = _EMPTY,
) -> dict[str, object]:
    """Return one person's values as `render_email` takes them. `click_url` is `<click base>/<click token>`."""
    return {
        "contact": dict(contact),
        "context": dict(context),
        "campaign": {"name": campaign_name},
        "workspace": {"name": workspace_name},
        UNSUBSCRIBE_VARIABLE: unsubscribe_url,
        CLICK_VARIABLE: click_url,
    }


def render_email(
    renderer: Renderer, content: EmailContent, rows: Sequence[Mapping[str, object]]
) -> list[Rendered | RenderFailure]:
    """Return each person's message, in the order of `rows`. One person's failure doesn't touch the others."""
    sources = {"subject": content.subject, "html": markup.with_preheader(content), "text": content.text}
    return [_fit(made) for made in renderer.render(sources, rows)]


def compose(rendered: Rendered, *, addressing: Addressing) -> bytes | RenderFailure:
    """Return the message for the wire, or why this person's can't be made."""
    try:
        return build(rendered, addressing)
    except BadHeader as error:
        return RenderFailure(error.detail)


def _fit(made: dict[str, str] | RenderFailure) -> Rendered | RenderFailure:
    """Judge what only shows once values stand in it (a merge value may hold encoded line breaks or an address)."""
    if isinstance(made, RenderFailure):
        return made
    subject = _LINE_ENDS.sub(" ", made["subject"]).strip()
    if not subject:
        return RenderFailure("subject: it is empty")
    if links.forbidden_href(made["html"]):
        return RenderFailure("html: a link has an address that is not allowed")
    try:
        headers.guard_value(subject)
    except BadHeader as error:
        return RenderFailure(f"subject: {error.detail}")
    return Rendered(subject, made["html"], made["text"])


def _sources(content: EmailContent) -> dict[str, str]:
    named = {
        "subject": content.subject,
        "preheader": content.preheader,
        "html": content.html,
        "text": content.text,
    }
    return {name: source for name, source in named.items() if source}


def _blank_or_too_large(content: EmailContent) -> Iterator[Fault]:
    if not content.subject.strip():
        yield Fault("/subject", "A message needs a subject.")
    if not content.html.strip():
        yield Fault("/html", "A message needs content.")
    for name, source in _sources(content).items():
        if templates.too_large(source):
            yield Fault(f"/{name}", f"This is over the limit of {templates.MAX_SOURCE_BYTES // 1024} KB.")


def _misplaced(content: EmailContent, *, marketing: bool, derived: bool) -> Iterator[Fault]:
    """Yield what is wrong with sources that are sound as templates."""
    fixed = "".join(piece for piece, liquid in markup.pieces(content.subject) if not liquid)
    if any(char in _CONTROL_IN_LINE for char in fixed):
        yield Fault("/subject", "A subject is a single line.")
    yield from (_at("html", flaw) for flaw in links.flaws(content.html))
    if not content.text.strip():
        yield Fault("/text", "No text can be derived from the HTML part; write the text part.")
    if marketing:
        why = "Marketing messages must show {{ unsubscribe_url }}"
        hint = " (the derived text has none; write the text part)." if derived else "."
        yield from (
            Fault(f"/{name}", why + (hint if name == "text" else ".")) for name in markup.missing_unsubscribe(content)
        )


def _at(name: str, flaw: Flaw) -> Fault:
    return Fault(f"/{name}", f"line {flaw.line}, column {flaw.column}: {flaw.message}")


def _refuse(faults: Iterator[Fault]) -> None:
    found = tuple(faults)
    if found:
        raise TemplateError(found[0].message, faults=found)

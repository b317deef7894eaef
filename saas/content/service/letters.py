"""Checking and writing of messages. Preview and sending take the same path: one script, filled for each person.

The steps: `check_email` when a draft is saved, `links.track` once per revision (or not, where nothing is tracked),
`compile_letter` once per letter, `Letter.write` for a chunk of people. `render_email` shows a draft's words.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from saas.content.jail.renderer import WINDOW, Renderer
from saas.content.rules import links, markup, quoted, templates
from saas.content.rules.links import CLICK_VARIABLE, OPEN_VARIABLE
from saas.content.rules.natives import Odd
from saas.content.rules.plain import text_from_html
from saas.content.rules.skeleton import Skeleton, subject_line
from saas.content.rules.words import MAX_TEXT, UNSENDABLE, Fill, Unsendable, Words
from saas.content.types import (
    Addressee,
    BadHeader,
    CheckedEmail,
    EmailContent,
    FailureKind,
    Flaw,
    Letterhead,
    Plan,
    Rendered,
    RenderFailure,
    TemplateError,
)
from saas.kernel import fault
from saas.kernel.errors import Fault

UNSUBSCRIBE_VARIABLE: Final = "unsubscribe_url"
_EMPTY: Final[Mapping[str, object]] = MappingProxyType({})
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
    open_url: str = "",
    context: Mapping[str, object] = _EMPTY,
) -> dict[str, object]:
    """Return one person's values as `render_email` takes them. `click_url` is `<click base>/<click token>`.

    open_url: the address of the image that tells of opens.
    """
    return {
        "contact": dict(contact),
        "context": dict(context),
        "campaign": {"name": campaign_name},
        "workspace": {"name": workspace_name},
        UNSUBSCRIBE_VARIABLE: unsubscribe_url,
        CLICK_VARIABLE: click_url,
        OPEN_VARIABLE: open_url,
    }


def compile_letter(
    renderer: Renderer, content: EmailContent, letterhead: Letterhead, *, campaign_name: str, workspace_name: str
) -> "Letter":
    """Return a letter, taken apart once, to be written to any number of people. Raises Unavailable.

    Content that can't be parsed, or a letterhead that may not stand in headers, makes a letter that fails for each
    person.
    """
    shared = {"campaign": {"name": campaign_name}, "workspace": {"name": workspace_name}}
    return Letter(Script(renderer, content), letterhead, shared)


def render_email(
    renderer: Renderer, content: EmailContent, rows: Sequence[Mapping[str, object]]
) -> list[Rendered | RenderFailure]:
    """Return what each person would see, in the order of `rows` (`merge_row`): a letter's words without its envelope.

    One person's failure doesn't touch the others.
    """
    script = Script(renderer, content)
    return [_shown(script, fill) for fill in script.fills(rows)]


class Script:
    """An email's words, taken apart, and the renderer that knows the rest. Raises Unavailable."""

    def __init__(self, renderer: Renderer, content: EmailContent) -> None:
        self._renderer = renderer
        self._sources = {"subject": content.subject, "html": markup.with_preheader(content), "text": content.text}
        plans = renderer.plan(self._sources)
        self._plans = {name: plan for name, plan in plans.items() if isinstance(plan, Plan)}
        failures = [plan for plan in plans.values() if isinstance(plan, RenderFailure)]
        self.words: Words | RenderFailure = failures[0] if failures else Words(self._plans)

    def fills(self, rows: Sequence[Mapping[str, object]]) -> Generator[Fill | RenderFailure, None, None]:
        """Yield what each person's values put into the holes, in order, lazily. Raises Unavailable."""
        for start in range(0, len(rows), WINDOW):
            yield from self._window(rows[start : start + WINDOW])

    def _window(self, rows: Sequence[Mapping[str, object]]) -> Generator[Fill | RenderFailure, None, None]:
        if isinstance(self.words, RenderFailure):
            yield from [self.words] * len(rows)
            return
        read = [_read(self.words, row) for row in rows]
        needs = self.words.needs_liquid
        asked = [(row, values is None) for row, values in zip(rows, read, strict=True) if needs or values is None]
        with closing(self._renderer.fill(self._sources, self._plans, asked)) as answers:
            for values in read:
                if values is not None and not needs:
                    yield Fill(values, _NOTHING)
                    continue
                made = next(answers)
                if isinstance(made, RenderFailure):
                    yield made
                else:
                    yield Fill(values or [], dict(zip(self._sources, made, strict=True)), all_filled=values is None)


class Letter:
    """A message compiled once; several threads may write it at the same time."""

    def __init__(self, script: Script, letterhead: Letterhead, shared: Mapping[str, object]) -> None:
        self._script = script
        self._letterhead = letterhead
        self._shared = shared
        self._made = _skeleton(script.words, letterhead)

    def preview(self, person: Addressee, *, date: datetime) -> Rendered | RenderFailure:
        """Return subject, HTML and text of the message that `write` makes."""
        (message,) = self.write([person], date=date)
        if isinstance(message, RenderFailure):
            return message
        (fill,) = self._script.fills([self._row(person)])
        return _shown(self._script, fill)

    def write(self, people: Sequence[Addressee], *, date: datetime) -> Iterator[bytes | RenderFailure]:
        """Yield each person's message for the wire, or why there is none; in order, lazily.

        It has CRLF line ends, and no line begins with a dot: that is looked at here, where it takes hardly any time,
        since what is the same for everybody is looked at once.

        Raises Unavailable when there is no renderer for somebody whose message needs one.
        """
        if isinstance(self._made, RenderFailure):
            yield from [self._made] * len(people)
            return
        skeleton, words = self._made
        pieces, signer = skeleton.pieces(date), self._letterhead.signer
        if not quoted.are_wire_lines(pieces[::2]):
            yield from [RenderFailure(UNSENDABLE)] * len(people)
            return
        with closing(self._script.fills([self._row(person) for person in people])) as fills:
            for person, fill in zip(people, fills, strict=True):
                made = fill if isinstance(fill, RenderFailure) else _message(skeleton, words, pieces, person, fill)
                fault.point("render.after")
                yield signer.sign(made) if signer and isinstance(made, bytes) else made

    def _row(self, person: Addressee) -> dict[str, object]:
        return {
            "contact": person.contact if type(person.contact) is dict else dict(person.contact),
            "context": person.context if type(person.context) is dict else dict(person.context),
            UNSUBSCRIBE_VARIABLE: person.unsubscribe_url,
            CLICK_VARIABLE: person.click_url,
            OPEN_VARIABLE: person.open_url,
            **self._shared,
        }


_NOTHING: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


def _skeleton(words: Words | RenderFailure, letterhead: Letterhead) -> tuple[Skeleton, Words] | RenderFailure:
    if isinstance(words, RenderFailure):
        return words
    try:
        return Skeleton(letterhead, text=words.literals("text"), html=words.literals("html")), words
    except BadHeader as error:
        return RenderFailure(error.detail, FailureKind.HEADER)
    except UnicodeEncodeError:
        return RenderFailure(UNSENDABLE)


def _message(
    skeleton: Skeleton, words: Words, pieces: list[bytes], person: Addressee, fill: Fill
) -> bytes | RenderFailure:
    """Return one person's message; `pieces` are the skeleton's, whose gaps are overwritten."""
    try:
        subject = _subject_line(words.subject(fill))
        words.judge(fill)
        head = skeleton.headers(
            to=person.to, subject=subject, message_id=person.message_id, unsubscribe_url=person.unsubscribe_url
        )
        own = [head, *skeleton.gaps(words, fill)]
        if not quoted.are_wire_lines(own):
            return RenderFailure(UNSENDABLE)
        pieces[1::2] = own
        message = b"".join(pieces)
        if len(message) > MAX_TEXT:
            words.weigh(fill)
    except Unsendable as error:
        return error.failure
    except BadHeader as error:
        return RenderFailure(error.detail, FailureKind.HEADER)
    except UnicodeEncodeError:
        return RenderFailure(UNSENDABLE)
    return message


def _subject_line(subject: str) -> str:
    try:
        return subject_line(subject)
    except BadHeader as error:
        raise Unsendable(f"subject: {error.detail}") from None


def _shown(script: Script, fill: Fill | RenderFailure) -> Rendered | RenderFailure:
    if isinstance(script.words, RenderFailure) or isinstance(fill, RenderFailure):
        return fill if isinstance(fill, RenderFailure) else RenderFailure(UNSENDABLE)
    try:
        return script.words.rendered(fill)
    except Unsendable as error:
        return error.failure


def _read(words: Words, row: Mapping[str, object]) -> list[str] | None:
    """Return what the native holes show to a person; None where Liquid must decide."""
    try:
        return words.read(row)
    except Odd:
        return None


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

"""A letter's words: what is literal, what a person's values fill, and what must be so before anything is sent."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from saas.content.rules import headers, links, quoted
from saas.content.rules.natives import Reader, Row, escaped, reader
from saas.content.rules.places import harmless, places
from saas.content.types import BadHeader, Native, Plan, Rendered, RenderFailure

PARTS: Final = ("subject", "html", "text")
MAX_TEXT: Final = 2_000_000  # bytes of one part, as in the jail
UNSENDABLE: Final = "a value holds characters that can't be sent"

# A line break in somebody's name becomes a space in a subject; other control characters fail that person's message.
_LINE_ENDS: Final = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_PLAINLY_ALLOWED: Final = ("https://", "http://", "mailto:", "tel:", "#")


class Unsendable(Exception):
    """One person's message can't be made; `failure` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.failure = RenderFailure(reason)


@dataclass(slots=True)
class Fill:
    """What stands in one person's holes.

    values: what the native holes read, each once; not yet escaped. `filled`: what Liquid made, by part. `all_filled`:
    Liquid made all of the holes, not just those that need it; then there are no values.
    """

    values: list[str]
    filled: Mapping[str, Sequence[str]]
    all_filled: bool = False


class Words:
    """The three parts of a letter, taken apart."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self._plans = plans
        natives = list(dict.fromkeys(hole for name in PARTS for hole in plans[name].holes if hole is not None))
        self._readers: list[Reader] = [reader(native) for native in natives]
        self.order = {name: _order(plans[name], natives) for name in PARTS}
        self.needs_liquid = any(hole is None for name in PARTS for hole in plans[name].holes)
        where = places(plans["html"].literals)
        liquid = {at for at, hole in enumerate(plans["html"].holes) if hole is None}
        self._always_judge = where.unsure or not liquid <= where.texts
        self._addresses = [] if self._always_judge else [self.order["html"][hole] for hole in where.links]

    def literals(self, name: str) -> Sequence[str]:
        """Return the literals of a part."""
        return self._plans[name].literals

    def read(self, row: Row) -> list[str]:
        """Return what the native holes show to one person. Raises Odd."""
        return [read(row) for read in self._readers]

    def holes(self, name: str, fill: Fill) -> list[str]:
        """Return what stands in each hole of a part, in order, escaped where it must be."""
        made = list(fill.filled.get(name, ()))
        if fill.all_filled:
            return made
        change = escaped if name == "html" else str
        values, count = fill.values, len(fill.values)
        return [quoted.line_ends(change(values[at])) if at < count else made[at - count] for at in self.order[name]]

    def shown(self, name: str, fill: Fill) -> str:
        """Return a part as this person gets it."""
        out = list(self.literals(name))
        for at, value in enumerate(self.holes(name, fill)):
            out[at] += value
        return "".join(out)

    def subject(self, fill: Fill) -> str:
        """Return the subject. Raises Unsendable; what may not stand in a header is refused where it is spelled."""
        subject = _LINE_ENDS.sub(" ", self.shown("subject", fill)).strip()
        if not subject:
            raise Unsendable("subject: it is empty")
        return subject

    def judge(self, fill: Fill) -> None:
        """Refuse an address that is not allowed, wherever it came from. Raises Unsendable."""
        if not self._plainly_harmless(fill) and links.forbidden_href(self.shown("html", fill)):
            raise Unsendable("html: a link has an address that is not allowed")

    def _plainly_harmless(self, fill: Fill) -> bool:
        return (
            not (fill.all_filled or self._always_judge)
            and all(fill.values[at].startswith(_PLAINLY_ALLOWED) for at in self._addresses)
            and all(map(harmless, fill.filled.get("html", ())))
        )

    def weigh(self, fill: Fill) -> None:
        """Refuse what grew too long. Raises Unsendable."""
        for name in PARTS:
            if len(self.shown(name, fill).encode(errors="replace")) > MAX_TEXT:
                raise Unsendable(f"{name}: it became too long")

    def rendered(self, fill: Fill) -> Rendered:
        """Return the message as people see it. Raises Unsendable."""
        subject = self.subject(fill)
        self.judge(fill)
        self.weigh(fill)
        try:
            headers.guard_value(subject)
        except BadHeader as error:
            raise Unsendable(f"subject: {error.detail}") from None
        html, text = self.shown("html", fill), self.shown("text", fill)
        try:
            (html + text).encode()
        except UnicodeEncodeError:
            raise Unsendable(UNSENDABLE) from None
        return Rendered(subject, html, text)


def _order(plan: Plan, natives: Sequence[Native]) -> list[int]:
    """Return for each hole where its value stands: among the natives' values, or after them among Liquid's."""
    numbers = {native: number for number, native in enumerate(natives)}
    filled = len(natives)
    order = []
    for hole in plan.holes:
        if hole is None:
            order.append(filled)
            filled += 1
        else:
            order.append(numbers[hole])
    return order

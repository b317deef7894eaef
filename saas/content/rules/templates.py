"""Which templates may be saved. Parsing happens in the jail; here what the parser found is judged."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from saas.content.rules.links import CLICK_VARIABLE, OPEN_VARIABLE
from saas.content.types import Flaw, Survey, Use

MAX_SOURCE_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """The variables that a source reads, and all that is wrong with it."""

    used: frozenset[str]
    flaws: tuple[Flaw, ...]


def too_large(source: str) -> bool:
    """Return whether a source is over the limit of 128 KB. A lone surrogate, which no UTF-8 can hold, counts three."""
    return len(source) > MAX_SOURCE_BYTES or len(source.encode(errors="surrogatepass")) > MAX_SOURCE_BYTES


def judge(survey: Survey, *, known: frozenset[str]) -> Verdict:
    """Compare what a template reads with what there is.

    `known` holds whole names (`unsubscribe_url`), fields (`contact.email`) and open namespaces (`context.*`). A field
    that is a list or an object may be walked further: `context.order.total` reads `context.order`.
    """
    roots = frozenset(name.partition(".")[0] for name in known) | {CLICK_VARIABLE, OPEN_VARIABLE}
    used: set[str] = set()
    flaws = [*survey.flaws, *_shadowing(survey, roots)]
    for use in survey.uses:
        name = _name(use, known)
        root, dot, _ = name.partition(".")
        if name in known or (dot and f"{root}.*" in known):
            used.add(name)
        else:
            flaws.append(Flaw(use.line, use.column, _unknown(name, known)))
    return Verdict(frozenset(used), tuple(flaws))


def _name(use: Use, known: frozenset[str]) -> str:
    """Return the part of a path that must be known, or '' when it is computed or incomplete."""
    if not isinstance(use.path[0], str):
        return ""
    if use.path[0] in known or len(use.path) == 1:
        return use.path[0]
    return f"{use.path[0]}.{use.path[1]}" if isinstance(use.path[1], str) else ""


def _shadowing(survey: Survey, roots: frozenset[str]) -> Iterator[Flaw]:
    for bound in survey.binds:
        if bound.path[0] in roots:
            yield Flaw(bound.line, bound.column, f"“{bound.path[0]}” has a fixed meaning; choose another name.")


def _unknown(name: str, known: frozenset[str]) -> str:
    if not name:
        return "A field must be named, as in contact.first_name; its name can't be computed."
    if any(field.startswith(f"{name}.") for field in known):
        return f"Say which field of “{name}” is meant, as in {name}.…"
    near = get_close_matches(name, known, n=1)
    return f"There is no variable “{name[:100]}”." + (f" Is {near[0]} meant?" if near else "")

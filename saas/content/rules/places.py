"""Where the holes of an HTML source stand, as browsers read it, to know which values could become a link.

A value is escaped, so in text and in a quoted attribute it stays what it is. What remains is the beginning of an
address, and the places that nobody should use: attribute names, unquoted values, comments. Where the source is not
plain enough to be sure, `unsure` is true and each person's finished HTML is to be judged (`links.forbidden_href`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from saas.content.rules.links import forbidden_href

# Possessive repeats stand behind single characters only: before 3.11.5, Python forgets now and then where a group that
# is repeated so began (gh-106052). What follows such a group excludes what it could give back, so nothing is slower.
_HOLE: Final = "\ue000"
_SPACE: Final = r"[ \t\n\f\r]"
_GAP: Final = r"[ \t\n\f\r/]"
_ATTRIBUTE: Final = re.compile(
    rf"""{_GAP}*+([^\s"'<>/={_HOLE}]++)"""
    rf"""(?:{_SPACE}*+={_SPACE}*+(?:"([^"]*)"|'([^']*)'|[^\s"'=<>`{_HOLE}]++))?"""
)
_TAG: Final = re.compile(rf"""<([A-Za-z][^\s"'<>/={_HOLE}]*+)((?:{_ATTRIBUTE.pattern})*){_GAP}*+>""")
_LINKING: Final = frozenset({"href", "src", "xlink:href", "action", "formaction"})
_DECIDED: Final = re.compile(r"[:/?#]")  # no scheme can begin after one of these
_QUIET: Final = frozenset({"style", "title"})  # raw text in which an escaped value can do nothing
_RAW: Final = _QUIET | {"script", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"}
_FOREIGN: Final = ("<svg", "<math")  # within them, tags are read by other rules

# Text and tags without attributes that are read as tags everywhere.
_BARE: Final = re.compile(
    rf"[^<]*+(?:</?(?!(?:{'|'.join(sorted(_RAW))}|svg|math)\b)[A-Za-z][A-Za-z0-9]*+ ?/?>[^<]*+)*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Places:
    """The holes, by position, that an address begins with, and those in plain text; whether more must be judged."""

    links: frozenset[int] = frozenset()
    texts: frozenset[int] = frozenset()
    unsure: bool = False


class _Unsure(Exception):
    """The source is not plain enough."""


def places(literals: Sequence[str]) -> Places:
    """Return what the holes between these literals may do."""
    masked = _HOLE.join(each.replace(_HOLE, " ") for each in literals)
    lowered = masked.lower()
    if forbidden_href(masked) or len(lowered) != len(masked) or any(each in lowered for each in _FOREIGN):
        return Places(unsure=True)
    links: set[int] = set()
    texts: set[int] = set()
    at = passed = 0
    try:
        for start, end, addresses in _markup(masked, lowered):
            before = passed + masked.count(_HOLE, at, start)
            texts.update(range(passed, before))
            links.update(before + masked.count(_HOLE, start, each) for each in addresses)
            at, passed = end, before + masked.count(_HOLE, start, end)
    except _Unsure:
        return Places(unsure=True)
    texts.update(range(passed, len(literals) - 1))
    return Places(frozenset(links), frozenset(texts))


def harmless(html: str) -> bool:
    """Return whether finished HTML that stands in plain text can bring no address but an allowed one.

    It must leave its surroundings what they are, too: all that it opens is closed.
    """
    return _BARE.fullmatch(html) is not None or not places((html,)).unsure


def _markup(masked: str, lowered: str) -> Iterator[tuple[int, int, list[int]]]:
    """Yield (start, end, where holes begin an address) of each tag and what is like one. Raises _Unsure."""
    at = 0
    while (at := masked.find("<", at)) >= 0:
        after = masked[at + 1 : at + 2]
        if after.isascii() and after.isalpha():
            tag = _TAG.match(masked, at)
            if tag is None:
                raise _Unsure
            end = _after_raw_text(masked, lowered, tag)
            yield at, end, list(_addresses(tag))
        elif after in {"", "!", "/", "?", _HOLE}:
            end = masked.find("-->" if masked.startswith("<!--", at) else ">", at + 2)
            if end < 0 or _HOLE in masked[at:end]:
                raise _Unsure
            yield at, end, []
        else:
            end = at + 1
        at = end


def _after_raw_text(masked: str, lowered: str, tag: re.Match[str]) -> int:
    """Return where text goes on after a tag: after the raw text of such elements."""
    name = tag[1].lower()
    if name not in _RAW:
        return tag.end()
    end = lowered.find(f"</{name}", tag.end())
    if end < 0 or (name not in _QUIET and _HOLE in masked[tag.end() : end]):
        raise _Unsure
    return end


def _addresses(tag: re.Match[str]) -> Iterator[int]:
    for attribute in _ATTRIBUTE.finditer(tag[2]):
        group = attribute.lastindex or 1
        if group == 1 or attribute[1].lower() not in _LINKING or _HOLE not in attribute[group]:
            continue
        before = attribute[group].partition(_HOLE)[0]
        if not before:
            yield tag.start(2) + attribute.start(group)
        elif not _DECIDED.search(before):
            raise _Unsure

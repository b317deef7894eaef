"""The sample pack (U15): a few people who together show everything that a message can look like.

A facet is one thing that can differ between people: a language, one outcome of a condition in the texts, a branch of
the audience's rule, an attribute that somebody lacks. The pack is chosen so that each facet that anybody holds is
shown by somebody, by as few people as a greedy choice finds; the same facts give the same people.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from saas.content.rules import markup

MAX_PEOPLE: Final = 12
MAX_FACETS: Final = 80
MAX_LANGUAGES: Final = 20
LANGUAGE: Final = "language"

_TAG: Final = re.compile(r"\{%-?\s*(if|elsif|unless|case|when)\b(.*?)-?%\}", re.DOTALL)
_STRING: Final = r"\"[^\"]*\"|'[^']*'"
_PIECE: Final = re.compile(rf"{_STRING}|==|!=|<>|<=|>=|[<>,]|[^\s\"',=<>!]+")
_PATH: Final = re.compile(r"contact\.([a-z][a-z0-9_]*)(?:\.size)?")
_NUMBER: Final = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")
_JOINTS: Final = frozenset({"and", "or"})
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False}
_NOTHING: Final = frozenset({"nil", "null", "blank", "empty"})
_OUTSIDE_ATTRIBUTES: Final = frozenset({"email"})  # whoever can be sent to has one

Key = TypeVar("Key")


class Ask(StrEnum):
    """What a condition asks of an attribute."""

    IS_SET = "is_set"  # Liquid's plain `if`: there, and not false
    EQUALS = "equals"
    CONTAINS = "contains"
    LESS = "less"
    AT_MOST = "at_most"
    MORE = "more"
    AT_LEAST = "at_least"


class FacetKind(StrEnum):
    """What can differ between people."""

    LANGUAGE = "language"
    CONDITION = "condition"
    BRANCH = "branch"
    MISSING = "missing"


_OPS: Final[Mapping[str, Ask]] = {
    "==": Ask.EQUALS,
    "!=": Ask.EQUALS,
    "<>": Ask.EQUALS,
    "contains": Ask.CONTAINS,
    "<": Ask.LESS,
    "<=": Ask.AT_MOST,
    ">": Ask.MORE,
    ">=": Ask.AT_LEAST,
}
_NUMERIC: Final = frozenset({Ask.LESS, Ask.AT_MOST, Ask.MORE, Ask.AT_LEAST})


@dataclass(frozen=True, slots=True)
class Condition:
    """A question that a template asks of one attribute."""

    attribute: str
    ask: Ask
    value: str | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Facet:
    """One thing that can differ. `value`: a language, or what a condition compares with; `rule`: a branch, as JSON."""

    kind: FacetKind
    attribute: str = ""
    ask: Ask | None = None
    value: str | float | bool | None = None
    holds: bool = True
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who is in the pack, by key, and the facets that they are there for."""

    key: Any
    why: tuple[Facet, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """The pack. `nobody`: facets that nobody holds; `left_out`: those for which there was no place."""

    people: tuple[Chosen, ...]
    nobody: tuple[Facet, ...]
    left_out: tuple[Facet, ...]


def facets(
    *, sources: Iterable[str], used: Iterable[str], rule: Mapping[str, Any] | None, languages: Sequence[str | None]
) -> tuple[Facet, ...]:
    """Return all that can differ: what the texts and the rule ask, in an order that does not change.

    sources: templates; used: attributes that they read; languages: those of the audience, None for people without one.
    """
    asked = list(dict.fromkeys(one for source in sources for one in conditions(source)))
    lacks = sorted({*used, *_attributes(rule)} - _OUTSIDE_ATTRIBUTES)
    found = [
        *(Facet(FacetKind.LANGUAGE, LANGUAGE, value=language) for language in languages),
        *(Facet(FacetKind.CONDITION, one.attribute, one.ask, one.value, holds) for one in asked for holds in _BOTH),
        *(Facet(FacetKind.BRANCH, rule=text) for text in dict.fromkeys(_branches(rule))),
        *(Facet(FacetKind.MISSING, name) for name in lacks),
    ]
    return tuple(found[:MAX_FACETS])


_BOTH: Final = (True, False)


def conditions(source: str) -> Iterator[Condition]:
    """Yield the questions that a template asks of a person's attributes; those that can't be told are left out."""
    subject: str | None = None
    for start, end in markup.spans(source):
        tag = _TAG.fullmatch(source[start:end])
        if tag is None:
            continue
        pieces = _PIECE.findall(tag[2])
        if tag[1] == "case":
            subject = _attribute(pieces[0]) if len(pieces) == 1 else None
        elif tag[1] == "when":
            yield from _whens(subject, pieces)
        else:
            yield from _atoms(pieces)


def holds(condition: Condition, value: object) -> bool:
    """Say how Liquid answers for a person's value; None where they have none."""
    if condition.ask is Ask.IS_SET:
        return value is not None and value is not False
    if condition.ask is Ask.EQUALS:
        return _kind(value) == _kind(condition.value) and value == condition.value
    if condition.ask is Ask.CONTAINS:
        return isinstance(value, str) and str(condition.value) in value
    if not _is_number(value):
        return False
    return _compare(condition.ask, value, condition.value)


def choose(
    held: Mapping[Key, frozenset[Facet]], wanted: Sequence[Facet], *, nobody: Sequence[Facet] = (), most: int
) -> Pack:
    """Choose at most so many people who together hold what can be held. `held` says which facets each of them holds."""
    rank = {facet: no for no, facet in enumerate(wanted)}
    open_ = {facet for facet in wanted if any(facet in facts for facts in held.values())}
    order = sorted(held, key=str)
    people: list[Chosen] = []
    while open_ and len(people) < most:
        best = max(order, key=lambda key: (len(held[key] & open_), -order.index(key)))
        people.append(Chosen(best, tuple(sorted(held[best] & open_, key=rank.__getitem__))))
        open_ -= held[best]
    return Pack(tuple(people), tuple(nobody), tuple(sorted(open_, key=rank.__getitem__)))


def _whens(subject: str | None, pieces: Sequence[str]) -> Iterator[Condition]:
    if subject is None:
        return
    for piece in pieces:
        value = _literal(piece)  # a comma and an “or” are no values
        if value is not None:
            yield Condition(subject, Ask.EQUALS, value)


def _atoms(pieces: Sequence[str]) -> Iterator[Condition]:
    atom: list[str] = []
    for piece in (*pieces, "and"):
        if piece in _JOINTS:
            yield from _atom(atom)
            atom = []
        else:
            atom.append(piece)


def _atom(atom: Sequence[str]) -> Iterator[Condition]:
    attribute = _attribute(atom[0]) if atom else None
    if attribute is None:
        return
    if len(atom) == 1:
        yield Condition(attribute, Ask.IS_SET)
    if len(atom) != 3 or atom[1] not in _OPS:
        return
    ask, value = _OPS[atom[1]], _literal(atom[2])
    if atom[2] in _NOTHING and ask is Ask.EQUALS:
        yield Condition(attribute, Ask.IS_SET)
    elif value is not None and (ask not in _NUMERIC or _is_number(value)):
        yield Condition(attribute, ask, value)


def _attribute(piece: str) -> str | None:
    found = _PATH.fullmatch(piece)
    if found is None or found[0].endswith(".size") or found[1] in _OUTSIDE_ATTRIBUTES:
        return None
    return found[1]


def _literal(piece: str) -> str | float | bool | None:
    if piece[0] in "\"'" and len(piece) > 1:
        return piece[1:-1]
    if _NUMBER.fullmatch(piece):
        return float(piece) if "." in piece else int(piece)
    found = _WORDS.get(piece)
    return bool(found) if found is not None else None


def _compare(ask: Ask, value: Any, other: Any) -> bool:
    found = {
        Ask.LESS: value < other,
        Ask.AT_MOST: value <= other,
        Ask.MORE: value > other,
        Ask.AT_LEAST: value >= other,
    }
    return bool(found[ask])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    return "number" if _is_number(value) else type(value).__name__


def _attributes(rule: Mapping[str, Any] | None) -> Iterator[str]:
    for node, _inside_any in _nodes(rule, inside_any=False):
        if "attribute" in node:
            yield str(node["attribute"])


def _branches(rule: Mapping[str, Any] | None) -> Iterator[str]:
    for node, inside_any in _nodes(rule, inside_any=False):
        if inside_any:
            yield json.dumps(node, sort_keys=True, ensure_ascii=False)


def _nodes(rule: Mapping[str, Any] | None, *, inside_any: bool) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield each part of a rule, and whether it is one of several ways into the audience."""
    if not rule:
        return
    yield rule, inside_any
    for word in ("all", "any"):
        several = word == "any" and len(rule.get(word, ())) > 1
        for part in rule.get(word, ()):
            yield from _nodes(part, inside_any=several)
    if isinstance(rule.get("not"), Mapping):
        yield from _nodes(rule["not"], inside_any=False)

"""What the child answers, taken apart. It is not trusted: nothing but plain, bounded values goes on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from saas.content.jail.process import DIED
from saas.content.rules.natives import DEFAULT, SIMPLE
from saas.content.types import Flaw, Native, Plan, RenderFailure, Survey, Use

_MAX_REASON: Final = 200
_MAX_WORDS: Final = 300


def as_plan(answer: object) -> Plan | RenderFailure:
    """Return a plan, or why there is none."""
    match answer:
        case {"literals": list(literals), "holes": list(holes)} if len(literals) == len(holes) + 1:
            natives = [_native(hole) for hole in holes]
            if all(isinstance(text, str) for text in literals):
                return Plan(tuple(literals), tuple(natives))
    return _failure(answer)


def as_fill(answer: object, counts: Sequence[int]) -> list[list[str]] | RenderFailure:
    """Return what stands in the holes of each part, or why there is nothing. `counts` says how many each part has."""
    if (
        isinstance(answer, list)
        and [len(part) if isinstance(part, list) else -1 for part in answer] == list(counts)
        and all(isinstance(text, str) for part in answer for text in part)
    ):
        return answer
    return _failure(answer)


def as_survey(answer: object) -> Survey:
    """Return a survey; a source on which the child hung or died has a flaw that says so."""
    if isinstance(answer, RenderFailure):
        return Survey(flaws=(Flaw(1, 1, f"The template can't be read: {answer.reason}."),))
    found = _mapping(answer)
    return Survey(
        flaws=tuple(
            Flaw(line, column, str(words)[:_MAX_WORDS]) for line, column, words in _triples(found.get("flaws"))
        ),
        uses=tuple(Use(tuple(path), line, column) for line, column, path in _triples(found.get("uses")) if path),
        binds=tuple(Use(tuple(path), line, column) for line, column, path in _triples(found.get("binds")) if path),
    )


def _native(hole: object) -> Native | None:
    """Return a hole that the sender fills by itself. What it would not know is Liquid's."""
    match hole:
        case {"path": [str(), *_] as path, "filters": list(filters)}:
            named = tuple((name, argument) for name, argument in _pairs(filters) if name == DEFAULT or name in SIMPLE)
            if len(named) == len(filters) and all(isinstance(step, str) for step in path):
                return Native(tuple(path), named)
    return None


def _pairs(filters: Sequence[object]) -> Iterator[tuple[str, str]]:
    for each in filters:
        match each:
            case [str(name), str(argument)]:
                yield name, argument


def _failure(answer: object) -> RenderFailure:
    if isinstance(answer, RenderFailure):
        return answer
    return RenderFailure(str(_mapping(answer).get("failed", DIED))[:_MAX_REASON])


def _mapping(answer: object) -> Mapping[str, object]:
    return answer if isinstance(answer, dict) else {}


def _triples(value: object) -> Iterator[tuple[int, int, Sequence[object]]]:
    for each in value if isinstance(value, list) else []:
        match each:
            case [int(line), int(column), str() | list() as rest]:
                yield line, column, rest

"""The holes that need no Liquid: a plain field, perhaps through simple filters, exactly as Liquid would show it.

What Liquid would treat in a way of its own (lists, objects, very long texts, unusual rows) is left to it: `Odd`.
"""

from collections.abc import Callable, Mapping
from typing import Final

from saas.content.types import Native

Row = Mapping[str, object]
Reader = Callable[[Row], str]

SIMPLE: Final[Mapping[str, Callable[[str], str]]] = {
    "upcase": str.upper,
    "downcase": str.lower,
    "capitalize": str.capitalize,
    "strip": str.strip,
}
DEFAULT: Final = "default"
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_LONG: Final = 60_000  # Liquid's filters are capped at 200,000 characters, and changing case can triple a text


class Odd(Exception):
    """Liquid must decide what this person's value shows."""


class Unescaped(str):
    """A text that the template itself holds (the argument of `default`): in HTML it stands as it is."""

    __slots__ = ()


def reader(hole: Native) -> Reader:
    """Return what reads a hole from a row. It raises Odd."""
    find = _finder(hole.path)
    if not hole.filters:
        return _shown(find)
    steps = [(SIMPLE.get(name), _fallback(hole.filters, at)) for at, (name, _) in enumerate(hole.filters)]

    def read(row: Row) -> str:
        value = find(row)
        if type(value) not in _SCALARS or (type(value) is str and len(value) > _LONG):
            raise Odd
        for change, fallback in steps:
            if change is not None:
                value = change(value if type(value) is str else _as_text(value))
            elif value is None or value is False or value == "":
                return fallback
        return value if type(value) is str else _plain(value)

    return read


def escaped(value: str) -> str:
    """Return a value as it stands in HTML: escaped as Liquid escapes, unless it came from the template."""
    if type(value) is Unescaped:
        return str(value)
    value = value.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")
    return value.replace("'", "&#39;").replace('"', "&#34;")


def _finder(path: tuple[str, ...]) -> Callable[[Row], object]:
    return _field(*path) if len(path) == 2 else _walk(path)


def _field(root: str, key: str) -> Callable[[Row], object]:
    def find(row: Row) -> object:
        try:
            return row[root].get(key)  # type: ignore[attr-defined]  # what is no mapping is odd
        except (KeyError, AttributeError):
            raise Odd from None

    return find


def _walk(path: tuple[str, ...]) -> Callable[[Row], object]:
    def find(row: Row) -> object:
        value: object = row
        for depth, key in enumerate(path):
            if type(value) in _SCALARS:
                return None  # there is nothing in it
            if type(value) is not dict or (not depth and key not in value):
                raise Odd
            value = value.get(key)
        return value

    return find


def _shown(find: Callable[[Row], object]) -> Reader:
    def read(row: Row) -> str:
        value = find(row)
        return value if type(value) is str else _plain(value)

    return read


def _plain(value: object) -> str:
    """Return a value as an output shows it."""
    if value is None:
        return ""
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return _digits(value)
    raise Odd


def _as_text(value: object) -> str:
    """Return a value as a filter takes it, which says True where an output says true."""
    return "" if value is None else _digits(value)


def _digits(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # a number of thousands of digits
        raise Odd from None


def _fallback(filters: tuple[tuple[str, str], ...], at: int) -> str:
    """Return what shows when the `default` at this place is taken: its argument through the rest of the filters."""
    name, text = filters[at]
    if name != DEFAULT:
        return ""
    for name, argument in filters[at + 1 :]:
        if name != DEFAULT:
            text = SIMPLE[name](text)
        elif not text:
            text = argument
    return Unescaped(text)

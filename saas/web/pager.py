"""Forward and back in lists: the API's signed cursors, and in the URL the way that led here."""

from dataclasses import dataclass
from typing import Any, Final

from flask import request, url_for

from saas.http.paging import next_cursor, page_request
from saas.kernel.paging import Page, PageRequest

_FIRST: Final = "0"  # stands in the way for the first page, which has no cursor
_REMEMBERED: Final = 20


@dataclass(frozen=True, slots=True)
class Paging:
    """The addresses before and behind a page; None at an end."""

    back: str | None
    on: str | None

    @property
    def needed(self) -> bool:
        """Say whether the list has more than one page."""
        return bool(self.back or self.on)


def wanted(*, limit: int = 50) -> PageRequest:
    """Return which page the URL asks for. Raises Invalid for a cursor that is not ours."""
    return page_request({"limit": limit, "after": request.args.get("after") or None})


def around(page: Page[Any], **kept: str | None) -> Paging:
    """Return the addresses around a page. `kept` are further words of the query, e.g. a filter."""
    here, way = request.args.get("after") or _FIRST, [part for part in request.args.get("way", "").split("~") if part]
    cursor = next_cursor(page)
    on = None if cursor is None else _address(cursor, [*way, here][-_REMEMBERED:], kept)
    if here == _FIRST:
        return Paging(None, on)
    return Paging(_address(way[-1] if way else _FIRST, way[:-1], kept), on)


def _address(after: str, way: list[str], kept: dict[str, str | None]) -> str:
    values: dict[str, Any] = {**(request.view_args or {}), **{name: value for name, value in kept.items() if value}}
    if after != _FIRST:
        values |= {"after": after, "way": "~".join(way) or None}
    return url_for(request.endpoint or "", **values)

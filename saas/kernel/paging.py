"""Cursor pages (interfaces.md 2.5): keyset, never OFFSET."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a caller asked for: at most `limit` rows after the key `after` (the last row's sort key)."""

    limit: int = DEFAULT_LIMIT
    after: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of one page; `next_key` is the sort key to go on after, None on the last page."""

    rows: Sequence[T]
    next_key: tuple[str, ...] | None = None

    def map(self, change: Callable[[T], U]) -> "Page[U]":
        """Return the same page with every row changed."""
        return Page([change(row) for row in self.rows], self.next_key)


def cut(rows: Sequence[T], *, limit: int, key: Callable[[T], tuple[str, ...]]) -> Page[T]:
    """Make a page of rows fetched with `limit + 1`: the extra row only tells that there is more."""
    if len(rows) <= limit:
        return Page(rows)
    return Page(rows[:limit], key(rows[limit - 1]))

"""docs/errors.md as a page: the `type` of every problem document leads to a line of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from markupsafe import Markup, escape

PAGE: Final = Path(__file__).parents[3] / "docs" / "errors.md"
_ROW: Final = re.compile(r'^\| <a id="(?P<code>[a-z_]+)"></a>`[a-z_]+` \| (?P<status>\w+) \| (?P<meaning>.+) \|$')
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_CODE: Final = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A line of the page: a code, the status that it comes with, what it means."""

    code: str
    status: str
    meaning: Markup


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    title: str
    codes: Sequence[ErrorCode]


@dataclass(frozen=True, slots=True)
class ErrorCodes:
    """The whole page: what it says before the tables, and those."""

    opening: Markup
    sections: Sequence[Section]


@cache
def error_codes() -> ErrorCodes:
    """Return what docs/errors.md says."""
    opening, *parts = PAGE.read_text(encoding="utf-8").split("\n## ")
    return ErrorCodes(_plain(opening.partition("\n")[2].strip()), [_section(part) for part in parts])


def _section(text: str) -> Section:
    title, _, rest = text.partition("\n")
    rows = filter(None, map(_ROW.match, rest.splitlines()))
    return Section(title, [ErrorCode(row["code"], row["status"], _plain(row["meaning"])) for row in rows])


def _plain(text: str) -> Markup:
    """Return a piece of Markdown as HTML: words in code, links as their words."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(_LINK.sub(r"\1", text)))))  # noqa: S704  escaped, and ours

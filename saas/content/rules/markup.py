"""Where Liquid stands inside a source, found without parsing it.

Every scan here is linear: a construct that is opened and never closed ends it, as there is nothing more to find.
The delimiters follow Liquid's own lexer: the first closing one counts, even inside a string.
"""

import html
import re
from collections.abc import Iterator
from typing import Final

from saas.content.types import EmailContent

MASK: Final = "\ue000"

_OPEN: Final = re.compile(r"\{\{|\{%-?\s*(raw|comment|doc)\b|\{%")
_CLOSE_BLOCK: Final = {name: re.compile(r"\{%-?\s*end" + name + r"\s*-?%\}") for name in ("raw", "comment", "doc")}
_UNSUBSCRIBE: Final = re.compile(r"\{\{-?\s*unsubscribe_url\s*(?:\||-?\}\})")
_BODY: Final = re.compile(r"<body\b[^<>]*>", re.IGNORECASE)


def spans(source: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each output, tag and whole raw, comment or doc block."""
    at = 0
    while opened := _OPEN.search(source, at):
        at = _end(source, opened)
        if at < 0:
            return
        yield opened.start(), at


def mask(source: str) -> str:
    """Return the source with all Liquid blotted out by as many `MASK` characters, so that offsets stay."""
    return "".join(MASK * len(piece) if liquid else piece for piece, liquid in pieces(source))


def pieces(source: str) -> Iterator[tuple[str, bool]]:
    """Yield (text, is Liquid) from start to end; joined, they are the source."""
    at = 0
    for start, end in spans(source):
        yield source[at:start], False
        yield source[start:end], True
        at = end
    yield source[at:], False


_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)  # nobody sees what stands in a comment


def missing_unsubscribe(content: EmailContent) -> tuple[str, ...]:
    """Return the parts, of html and text, that don't show `{{ unsubscribe_url }}`."""
    parts = {"html": content.html, "text": content.text}
    return tuple(name for name, source in parts.items() if not _shows_unsubscribe(source))


def with_preheader(content: EmailContent) -> str:
    """Return the HTML source with the preheader as its first, hidden words. The preheader is text, not HTML."""
    if not content.preheader:
        return content.html
    words = "".join(piece if liquid else html.escape(piece) for piece, liquid in pieces(content.preheader))
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{words}</div>'
    body = _BODY.search(mask(content.html))
    at = body.end() if body else 0
    return content.html[:at] + hidden + content.html[at:]


def _shows_unsubscribe(source: str) -> bool:
    hidden = [found.span() for found in _COMMENT.finditer(mask(source))]
    shown = (start for start, _ in spans(source) if not any(opens <= start < ends for opens, ends in hidden))
    return any(_UNSUBSCRIBE.match(source, start) for start in shown)


def _end(source: str, opened: re.Match[str]) -> int:
    if opened[1]:
        closed = _CLOSE_BLOCK[opened[1]].search(source, opened.end())
        return closed.end() if closed else -1
    closer = "}}" if opened[0] == "{{" else "%}"
    at = source.find(closer, opened.end())
    return at + 2 if at >= 0 else -1

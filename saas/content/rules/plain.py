"""The text part of a message that was written as HTML only."""

import re
from typing import Final

from inscriptis import get_text
from inscriptis.model.config import ParserConfig

from saas.content.rules import markup

_PLACE: Final = re.compile("\ue001([0-9]+)\ue002")
_CONFIG: Final = ParserConfig(display_links=True)


def text_from_html(source: str) -> str:
    """Return an HTML source as text, links as `[words](address)`. Liquid stays as it is and where it is.

    Liquid that only stood in what a text doesn't show (styles, the head, attributes) goes with it.
    """
    kept: list[str] = []
    out: list[str] = []
    for piece, liquid in markup.pieces(_without_places(source)):
        if liquid:
            out.append(f"\ue001{len(kept)}\ue002")
            kept.append(piece)
        else:
            out.append(piece)
    text = get_text("".join(out), _CONFIG)
    lines = (line.rstrip() for line in _PLACE.sub(lambda place: kept[int(place[1])], text).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _without_places(source: str) -> str:
    return source.replace("\ue001", "").replace("\ue002", "")

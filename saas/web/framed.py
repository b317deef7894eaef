"""How high the frame of a message is: its sandbox runs no script, so it follows the message's length."""

import re
from typing import Final

_BLOCKS: Final = re.compile(r"<(?:p|div|tr|li|h[1-6]|br|hr|blockquote)\b", re.IGNORECASE)
_IMAGES: Final = re.compile(r"<img\b(?![^<>]*\bwidth=\"1\")", re.IGNORECASE)  # not the dot that tells of opens
_TAGS: Final = re.compile(r"<[^<>]*>")
# In rem. The frame's heights stand in frontend/styles/pages.css; what is longer than the last one scrolls.
_LINE: Final = 1.5
_BLOCK: Final = 1.2
_IMAGE: Final = 10.0
_MARGIN: Final = 2.0
_IN_A_LINE: Final = 60
_SMALL: Final = 16.0
_MEDIUM: Final = 26.0


def mail_size(html: str) -> str:
    """Return the frame's class for a message's HTML or its source: "" for a short one, "mail-m", "mail-l"."""
    start = html.lower().find("<body")
    body = html[max(start, 0) :]
    blocks, text = len(_BLOCKS.findall(body)), " ".join(_TAGS.sub(" ", body).split())
    lines = max(blocks, 1) + len(text) // _IN_A_LINE
    high = _MARGIN + lines * _LINE + blocks * _BLOCK + len(_IMAGES.findall(body)) * _IMAGE
    if high <= _SMALL:
        return ""
    return "mail-m" if high <= _MEDIUM else "mail-l"

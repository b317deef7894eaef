"""Texts that PostgreSQL can store: without NUL and without lone surrogates, which JSON can carry."""

import re
from typing import Final

UNSTORABLE_CHARACTERS: Final = re.compile("[\0\ud800-\udfff]")
UNSTORABLE: Final = "NUL and broken characters are not allowed here."


def is_storable(text: str) -> bool:
    """Say whether a text can be stored."""
    return not UNSTORABLE_CHARACTERS.search(text)

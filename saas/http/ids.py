"""Ids in URLs: a malformed one is as missing as an unknown one."""

from uuid import UUID

from saas.kernel.errors import NotFound
from saas.kernel.ids import BadId, parse


def path_id(prefix: str, text: str, what: str) -> UUID:
    """Return the id in a URL. Raises NotFound, in the words used for each missing thing."""
    try:
        return parse(prefix, text)
    except BadId:
        raise NotFound.of(what) from None

"""A service's refusal as messages of a form."""

from collections.abc import Mapping
from typing import Final

from saas.kernel.errors import DomainError, Forbidden, NotFound
from saas.web import forms

_NAME_TAKEN: Final = "name_taken"


def beside(error: DomainError, *, fields: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a refusal as {field: message}; a taken name stands beside the name.

    What no change of the form would help, a missing right or a missing thing, is raised again and gets its own page.
    """
    if isinstance(error, Forbidden | NotFound):
        raise error
    if error.code == _NAME_TAKEN:
        return {"name": error.detail}
    return forms.errors_of(error, fields=fields)

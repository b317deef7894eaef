"""What a form's schema and a service refuse, as messages beside the fields that say what to enter."""

from collections.abc import Mapping
from typing import Any, Final

from flask_babel import gettext
from marshmallow import Schema

from saas.kernel.errors import DomainError, Forbidden, NotFound
from saas.web import forms

_NAME_TAKEN: Final = "name_taken"
_NO_INTEGER: Final = "Not a valid integer."  # marshmallow's own words
_NULL: Final = "Field may not be null."


def load(schema: Schema, values: Mapping[str, Any], *, fields: Mapping[str, str] | None = None) -> forms.Loaded:
    """Read a form through a schema of the API; of an empty field it is only said that it is empty."""
    loaded = forms.load(schema, values, fields=fields)
    return forms.Loaded(loaded.body, {name: _plain(text, values.get(name)) for name, text in loaded.errors.items()})


def _plain(text: str, value: object) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        return str(gettext("Fill this in."))
    return in_words(text)


def in_words(text: str) -> str:
    """Return a schema's message as people say it."""
    return str({_NO_INTEGER: gettext("Write a whole number."), _NULL: gettext("Fill this in.")}.get(text, text))


def beside(error: DomainError, *, fields: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a refusal as {field: message}; a taken name stands beside the name.

    What no change of the form would help, a missing right or a missing thing, is raised again and gets its own page.
    """
    if isinstance(error, Forbidden | NotFound):
        raise error
    if error.code == _NAME_TAKEN:
        return {"name": error.detail}
    return forms.errors_of(error, fields=fields)

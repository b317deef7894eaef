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
_MISSING: Final = "Missing data for required field."


def load(schema: Schema, values: Mapping[str, Any], *, fields: Mapping[str, str] | None = None) -> forms.Loaded:
    """Read a form through a schema of the API; of an empty field it is only said that it is empty."""
    loaded = forms.load(schema, values, fields=fields)
    return forms.Loaded(loaded.body, {name: _plain(text, values, name) for name, text in loaded.errors.items()})


def _plain(text: str, values: Mapping[str, Any], name: str) -> str:
    try:
        value = _at(values, name)
    except (KeyError, IndexError, ValueError, TypeError):
        return in_words(text)  # the name of an input that shows several values
    if value is None or (isinstance(value, str) and not value.strip()):
        return str(gettext("Fill this in."))
    return in_words(text)


def _at(values: Mapping[str, Any], name: str) -> Any:
    """Return the value that a name stands for, as `forms.field_of` writes it: `rules.0.name`. Raises where none is."""
    if name in values:
        return values[name]
    found: Any = values
    for part in name.split("."):
        found = found[int(part)] if isinstance(found, list | tuple) else found[part]
    return found


def in_words(text: str) -> str:
    """Return a schema's message as people say it."""
    fill = gettext("Fill this in.")
    return str({_NO_INTEGER: gettext("Write a whole number."), _NULL: fill, _MISSING: fill}.get(text, text))


def beside(error: DomainError, *, fields: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a refusal as {field: message}; a taken name stands beside the name.

    What no change of the form would help, a missing right or a missing thing, is raised again and gets its own page.
    """
    if isinstance(error, Forbidden | NotFound):
        raise error
    if error.code == _NAME_TAKEN:
        return {"name": error.detail}
    return forms.errors_of(error, fields=fields)

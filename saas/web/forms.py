"""Forms of pages: the same marshmallow schemas as the API, messages beside their fields, nothing typed is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import request
from flask_babel import gettext
from marshmallow import Schema, ValidationError

from saas.kernel.errors import DomainError, Fault, Stale

# Fields of our forms that no schema knows.
CARRIED: Final = frozenset({"csrf_token", "version", "next"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A form as a schema read it; `body` means something only when there are no `errors`."""

    body: dict[str, Any]
    errors: dict[str, str]


def typed(*names: str) -> dict[str, str]:
    """Return what was typed, as it was typed; all fields of the form, or those named (missing ones as "")."""
    if names:
        return {name: request.form.get(name, "") for name in names}
    return {name: value for name, value in request.form.items() if name not in CARRIED}


def load(schema: Schema, values: Mapping[str, Any], *, fields: Mapping[str, str] | None = None) -> Loaded:
    """Read values through a schema of the API. `fields` as in `errors_of`."""
    try:
        return Loaded(dict(schema.load(dict(values))), {})
    except ValidationError as error:
        return Loaded({}, by_field(_faults(error.messages), fields))


def read(schema: Schema, values: Any) -> tuple[dict[str, Any], list[Fault]]:
    """Read what was uploaded through a schema of the API: its body, or the faults with their JSON pointers."""
    try:
        return dict(schema.load(values)), []
    except ValidationError as error:
        return {}, _faults(error.messages)


def errors_of(error: DomainError, *, fields: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a refusal as {field: message}; what belongs to no field stands under "".

    `fields` maps JSON pointers to names of the form's inputs, the longest matching one wins; without it the pointer's
    parts are joined by dots (`/email` -> `email`).
    """
    if not error.faults:
        return {"": error.detail}
    return by_field(error.faults, fields)


def by_field(faults: Sequence[Fault], fields: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return faults as {field: message}, several about one field joined."""
    found: dict[str, str] = {}
    for fault in faults:
        name = field_of(fault.pointer, fields)
        found[name] = f"{found[name]} {fault.message}" if name in found else fault.message
    return found


def field_of(pointer: str, fields: Mapping[str, str] | None = None) -> str:
    """Return the name of the input that a JSON pointer is about, "" for none."""
    if fields is None:
        return pointer.strip("/").replace("/", ".")
    matching = [known for known in fields if pointer == known or pointer.startswith(f"{known}/")]
    return fields[max(matching, key=len)] if matching else ""


def version() -> int:
    """Return the version that the form was made from (its hidden field `version`). Raises Stale."""
    text = request.form.get("version", "")
    if not text.isascii() or not text.isdecimal():
        raise Stale(str(gettext("This form does not say which version it was made from. Load the page again.")))
    return int(text)


def whole(text: str) -> int | str | None:
    """Return a number that was typed, with or without spaces between its digits; None for nothing, else the text.

    A text is left to the schema, which says what is wrong with it.
    """
    digits = text.replace(" ", "").replace("\u00a0", "").replace("\u202f", "")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 12 else text.strip() or None


def _faults(messages: Any, pointer: str = "") -> list[Fault]:
    if isinstance(messages, Mapping):
        inside = ((f"{pointer}/{key}" if key != "_schema" else pointer, value) for key, value in messages.items())
        return [fault for place, value in inside for fault in _faults(value, place)]
    texts = messages if isinstance(messages, list | tuple) else [messages]
    return [Fault(pointer, str(text)) for text in texts]

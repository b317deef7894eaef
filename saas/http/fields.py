"""marshmallow fields and base schema of the API: typed ids, strict objects, times in UTC."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields

from saas.kernel.errors import NotFound
from saas.kernel.ids import BadId, parse, show
from saas.kernel.moments import OUT_OF_YEARS, in_zone, is_given
from saas.kernel.texts import UNSTORABLE, is_storable

_DIRECTIONS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTROLS: Final = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_NESTED: Final = 32
_LARGEST: Final = 10.0**18
_UNSEEN: Final = dict.fromkeys((0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, *range(0x200B, 0x2010)))


class Strict(Schema):
    """Base of all schemas: unknown fields are refused, order is kept."""

    class Meta:
        """marshmallow's options."""

        unknown = RAISE


class Id(fields.Field[UUID]):
    """An id in its public form (`cam_…`)."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        metadata = {"example": f"{prefix}_01h00000000000000000000000", **kwargs.pop("metadata", {})}
        super().__init__(metadata=metadata, **kwargs)
        self.prefix = prefix

    def _serialize(self, value: UUID | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return None if value is None else show(self.prefix, value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> UUID:  # noqa: ARG002
        try:
            return parse(self.prefix, value if isinstance(value, str) else "")
        except BadId:
            raise ValidationError(f"Not an id of the form {self.prefix}_… .") from None


class Keyed(fields.Dict):
    """An object with names of the caller's own; what is wrong stands at its name, so that the pointer leads there."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[Any, Any]:
        try:
            given: dict[Any, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        except ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            places = {name: found.get("key") or found["value"] for name, found in error.messages.items()}
            raise ValidationError(places) from None
        return given


class Moment(fields.Field[datetime]):
    """A moment, RFC 3339, given out in UTC with a Z; taken only in the years that people may give."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return None if value is None else in_zone(value, UTC).isoformat().replace("+00:00", "Z")

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:  # noqa: ARG002
        try:
            found = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValidationError("Not a date and time as in 2026-11-30T09:00:00Z.") from None
        if not is_given(found):
            raise ValidationError(OUT_OF_YEARS)
        if found.tzinfo is None:
            raise ValidationError("Add the zone, as in 2026-11-30T09:00:00Z.")
        return found.astimezone(UTC)


def without_controls(text: str) -> None:
    """Validate that a one-line text has no control characters (NUL, line ends)."""
    if _CONTROLS.search(text):
        raise ValidationError("Control characters are not allowed here.")
    if _DIRECTIONS.search(text):
        # They make a name read otherwise than it is written; here people sign what they read.
        raise ValidationError("Characters that turn the direction of writing are not allowed here.")


def is_plain(text: str) -> bool:
    """Say whether `without_controls` would take a text."""
    return not _CONTROLS.search(text) and not _DIRECTIONS.search(text)


def without_nul(text: str) -> None:
    """Validate that a long text has no NUL and no lone surrogate, which PostgreSQL cannot store."""
    if not is_storable(text):
        raise ValidationError(UNSTORABLE)


def plain_value(value: object) -> None:
    """Validate that a value of any kind is a text, a number, yes or no, or nothing, and can be stored."""
    if not (value is None or isinstance(value, str | int | float)):
        raise ValidationError("Not a text, a number, true, false or null.")
    _storable_leaf(value)


def storable_json(value: object) -> None:
    """Validate that JSON of any shape can be stored: its texts and numbers, and not nested without end."""
    level = [value]
    for _ in range(_MAX_NESTED):
        deeper: list[object] = []
        for each in level:
            if isinstance(each, Mapping):
                deeper += [*each.keys(), *each.values()]
            elif isinstance(each, list):
                deeper += each
            else:
                _storable_leaf(each)
        level = deeper
        if not level:
            return
    raise ValidationError(f"This is nested more than {_MAX_NESTED} deep.")


def _storable_leaf(value: object) -> None:
    if isinstance(value, str) and not is_storable(value):
        raise ValidationError(UNSTORABLE)
    if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:  # neither is what is no number
        raise ValidationError("This number is too large.")


def not_blank(text: str) -> None:
    """Validate that a text has more than spaces."""
    if not text.translate(_UNSEEN).strip():
        raise ValidationError("Write something here.")


def path_id(prefix: str, text: str, *, what: str) -> UUID:
    """Return the id that a URL names. Raises NotFound for what is no id, in the words for an id of nothing."""
    try:
        return parse(prefix, text)
    except BadId:
        raise NotFound.of(what) from None

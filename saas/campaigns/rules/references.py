"""What a draft names by id: lists, audiences, channels, campaigns. Found and replaced whatever the kind of step."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from saas.kernel.ids import BadId, parse

# The keys under which drafts hold ids (docs/flow.md), with the ids' prefixes.
KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {"audience_id": "aud", "list_id": "lst", "channel_id": "chn", "campaign_id": "cam"}
)
_LEFT_OUT: Final = "audience_id"
# Texts of messages and values of rules are nobody's references, whatever keys they hold.
_CLOSED: Final = frozenset({"content", "rule", "payload", "body"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A place of a draft that names something: where, and what."""

    pointer: str
    prefix: str
    text: str

    @property
    def id(self) -> UUID | None:
        """Return the id, None for a text that is none."""
        try:
            return parse(self.prefix, self.text)
        except BadId:
            return None


def references(draft: Mapping[str, Any]) -> list[Reference]:
    """Return everything that a draft names, in its order."""
    return list(_walk(draft, ""))


def replaced(draft: Mapping[str, Any], say: Callable[[Reference], str | None]) -> dict[str, Any]:
    """Return a draft in which each reference is what `say` makes of it; None leaves its place empty.

    An audience's place is empty when it is left out, any other when it is null: as drafts are saved (docs/flow.md).
    """
    found = _replaced(draft, "", say)
    chosen = found.get("audience")
    if isinstance(chosen, Mapping) and not any(chosen.values()):
        found["audience"] = None
    return dict(found)


def _walk(value: Any, pointer: str) -> Iterator[Reference]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in KEYS and isinstance(inner, str):
                yield Reference(f"{pointer}/{key}", KEYS[key], inner)
            elif key not in _CLOSED:
                yield from _walk(inner, f"{pointer}/{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _walk(inner, f"{pointer}/{at}")


def _replaced(value: Any, pointer: str, say: Callable[[Reference], str | None]) -> Any:
    if isinstance(value, Mapping):
        found = {key: _inside(key, inner, f"{pointer}/{key}", say) for key, inner in value.items()}
        return {
            key: inner for key, inner in found.items() if inner is not None or key != _LEFT_OUT or value[key] is None
        }
    if isinstance(value, list):
        return [_replaced(inner, f"{pointer}/{at}", say) for at, inner in enumerate(value)]
    return value


def _inside(key: str, value: Any, pointer: str, say: Callable[[Reference], str | None]) -> Any:
    if key in KEYS and isinstance(value, str):
        return say(Reference(pointer, KEYS[key], value))
    return value if key in _CLOSED else _replaced(value, pointer, say)

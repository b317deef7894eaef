"""Read the contacts of a batch: each one is right or wrong by itself."""

from collections.abc import Mapping
from typing import Any, Final

from saas.audiences.rules.addresses import read_address
from saas.audiences.rules.attributes import CHECKS, MAX_JSON_BYTES, TOPIC, as_json, too_large
from saas.audiences.rules.rows import Person
from saas.audiences.types import AttributeKind, Unfit
from saas.kernel.errors import Fault

_MAX_TOPICS: Final = 20


def read_contact(given: Mapping[str, Any], *, row: int, kinds: Mapping[str, AttributeKind]) -> Person | list[Fault]:
    """Return a contact as it will be saved, or what is wrong with it; pointers begin at the contact.

    Attributes that are not named stay; null or an empty text empties one. A consent that is false is withdrawn.
    """
    faults: list[Fault] = []
    email = key = ""
    try:
        email, key = read_address(given["email"])
    except Unfit as error:
        faults.append(Fault("/email", str(error)))
    attributes = given.get("attributes") or {}
    values = _values(attributes, kinds, faults)
    consents = _consents(given.get("consents") or {}, faults)
    text = as_json(values)
    if too_large(text):
        faults.append(Fault("/attributes", f"All values together are longer than {MAX_JSON_BYTES} bytes."))
    if faults:
        return faults
    return Person(
        row=row,
        email=email,
        key=key,
        external_id=(given.get("external_id") or "").strip() or None,
        attributes=text,
        given=tuple(topic for topic, word in consents.items() if word),
        withdrawn=tuple(topic for topic, word in consents.items() if not word),
        touched=tuple(attributes),
    )


def _values(attributes: Mapping[str, Any], kinds: Mapping[str, AttributeKind], faults: list[Fault]) -> dict[str, Any]:
    values = {}
    for name, value in attributes.items():
        kind = kinds.get(name)
        if kind is None:
            faults.append(Fault(f"/attributes/{_escape(name)}", "There is no such attribute. Register it first."))
            continue
        try:
            found = None if value is None else CHECKS[kind](value)
        except Unfit as error:
            faults.append(Fault(f"/attributes/{_escape(name)}", str(error)))
            continue
        if found not in {None, ""}:
            values[name] = found
    return values


def _consents(given: Mapping[str, Any], faults: list[Fault]) -> dict[str, bool]:
    if len(given) > _MAX_TOPICS:
        faults.append(Fault("/consents", f"At most {_MAX_TOPICS} topics at a time."))
        return {}
    for topic, word in given.items():
        if not TOPIC.fullmatch(topic) or not isinstance(word, bool):
            message = "A topic is small letters, digits and _, and its value true or false."
            faults.append(Fault(f"/consents/{_escape(topic)}", message))
    return dict(given)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")

"""Who takes part in a simulation and what happens to them, as rows of a form (U14)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from saas.audiences.types import AttributeKind
from saas.kernel.errors import Fault
from saas.kernel.moments import in_zone
from saas.reports.rules.scenario import What, moment_in
from saas.web.forms import whole

MOST: Final = 20  # rows of each; who wants more uses the API or the command
PERSON: Final = ("name", "contact", "consent", "hindrance", "attributes", "context", "entry_key", "enters_at")
EVENT: Final = ("person", "what", "step", "word", "after", "at", "set")
_HINDRANCES: Final[Mapping[str, Mapping[str, bool]]] = {
    "suppressed": {"suppressed": True},
    "unreachable": {"reachable": False},
    "unlisted": {"listed": False},
}
_NO: Final = "never"


@dataclass(slots=True)
class Rows:
    """The form as it was typed. at, until: wall times. errors: by the input's name, `person_1_name`."""

    at: str = ""
    until: str = ""
    people: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, str]] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What a form is read by: the campaign's zone, kinds of attributes and of a call's fields; contacts by address."""

    zone: str
    attributes: Mapping[str, AttributeKind]
    payload: Mapping[str, str]
    contact: Callable[[str], str | None]


def typed(form: MultiDict[str, str]) -> Rows:
    """Return the rows as they were typed; empty ones are left out."""
    rows = Rows(form.get("at", "").strip(), form.get("until", "").strip())
    rows.people = _rows(form, "person", PERSON)
    rows.events = _rows(form, "event", EVENT)
    return rows


def reworked(rows: Rows, do: str) -> bool:
    """Do what a button of the rows asks for. False where it is not about rows."""
    word, _, no = do.partition(":")
    lists = {"person": rows.people, "event": rows.events}
    verb, _, what = word.partition("_")
    if verb not in {"add", "remove"} or what not in lists:
        return False
    found = lists[what]
    if verb == "add" and len(found) < MOST:
        found.append(dict.fromkeys(PERSON if what == "person" else EVENT, ""))
    elif verb == "remove" and no.isascii() and no.isdecimal() and int(no) < len(found):
        del found[int(no)]
    return True


def body_of(rows: Rows, known: Known) -> dict[str, Any]:
    """Return the rows as the API takes a simulation; what cannot be read is among the rows' errors."""
    return {
        **times_of(rows, known.zone),
        "people": [_person(row, no, rows, known) for no, row in enumerate(rows.people)],
        "events": [_event(row, no, rows, known) for no, row in enumerate(rows.events)],
    }


def times_of(rows: Rows, zone: str) -> dict[str, Any]:
    """Return when the clock begins and stops."""
    return {name: _moment(getattr(rows, name), name, rows, zone) for name in ("at", "until")}


def place_of(pointer: str) -> str:
    """Return the input that a fault of the scenario is about: "/people/0/name" is `person_1_name`."""
    parts = pointer.strip("/").split("/")
    if len(parts) < 3 or parts[0] not in {"people", "events"} or not parts[1].isdecimal():
        return parts[0] if parts[0] in {"at", "until"} else ""
    kind, last = ("person", parts[2]) if parts[0] == "people" else ("event", parts[2])
    named = {"contact_id": "contact", "after_minutes": "after"}.get(last, last)
    if kind == "event" and named == "attributes":
        named = "set"
    return f"{kind}_{int(parts[1]) + 1}_{named}"


def by_place(faults: Sequence[Fault]) -> dict[str, str]:
    """Return faults of a scenario by input."""
    found: dict[str, str] = {}
    for fault in faults:
        name = place_of(fault.pointer)
        found[name] = f"{found[name]} {fault.message}" if name in found else fault.message
    return found


def _rows(form: MultiDict[str, str], kind: str, names: tuple[str, ...]) -> list[dict[str, str]]:
    columns = {name: form.getlist(f"{kind}_{name}") for name in names}
    count = min(max((len(column) for column in columns.values()), default=0), MOST)
    return [
        {name: column[no].strip().replace("\r\n", "\n") if no < len(column) else "" for name, column in columns.items()}
        for no in range(count)
    ]


def _person(row: Mapping[str, str], no: int, rows: Rows, known: Known) -> dict[str, Any]:
    at = f"person_{no + 1}"
    if not row["name"]:
        rows.errors[f"{at}_name"] = str(gettext("Fill this in."))
    found: dict[str, Any] = {
        "name": row["name"],
        "consent": None if row["consent"] == _NO else row["consent"] or "given",
        "attributes": _values(row["attributes"], f"{at}_attributes", rows, known.attributes),
        "context": _values(row["context"], f"{at}_context", rows, known.payload),
        "entry_key": row["entry_key"],
        "enters_at": _moment(row["enters_at"], f"{at}_enters_at", rows, known.zone),
        **_HINDRANCES.get(row["hindrance"], {}),
    }
    if row["contact"]:
        found["contact_id"] = known.contact(row["contact"])
        if found["contact_id"] is None:
            rows.errors[f"{at}_contact"] = str(gettext("Nobody has this address."))
    return found


def _event(row: Mapping[str, str], no: int, rows: Rows, known: Known) -> dict[str, Any]:
    at = f"event_{no + 1}"
    if not row["person"]:
        rows.errors[f"{at}_person"] = str(gettext("Fill this in."))
    return {
        "person": row["person"],
        "what": row["what"] or What.OPENED.value,
        "step": whole(row["step"]),
        "word": row["word"],
        "at": _moment(row["at"], f"{at}_at", rows, known.zone),
        "after_minutes": whole(row["after"]) if not row["at"] else None,
        "attributes": _values(row["set"], f"{at}_set", rows, known.attributes),
    }


def _moment(text: str, name: str, rows: Rows, zone: str) -> str | None:
    if not text:
        return None
    found = moment_in(text, zone)
    if found is None:
        rows.errors[name] = str(gettext("Write a date and time as in 2026-12-01T09:00."))
        return None
    return in_zone(found, ZoneInfo("UTC")).isoformat()


def _values(text: str, name: str, rows: Rows, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Read lines of `key = value`; what a key holds says how its value is meant."""
    found = {}
    for line in (line for line in text.splitlines() if line.strip()):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not key:
            rows.errors[name] = str(gettext("One value a line, as in city = Oslo."))
            continue
        found[key] = _value(value, kinds.get(key, ""))
    return found


def _value(text: str, kind: str) -> str | float | bool | None:
    if not text:
        return None
    if kind == AttributeKind.BOOLEAN:
        return text.casefold() in {"yes", "true", "1"}
    if kind == AttributeKind.NUMBER:
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text
    return text

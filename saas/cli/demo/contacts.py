"""The file of contacts that the demo imports, and what must come of it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from saas.cli.shell import ROOT

LEAST: Final = 250
_SHARED: Final = ROOT.parent / "shared" / "data" / "contacts-10k"
_BUNDLED: Final = Path(__file__).parents[1] / "data" / "contacts-2k"

_HEADER: Final = (
    "E-mail", "First name", "Last name", "Phone", "Country", "Language", "Time zone", "City", "Birthday", "Plan",
    "Lifetime value", "Orders", "Signed up", "Newsletter",
)  # fmt: skip
_FIRST: Final = ("Aksel", "Bettina", "Céline", "Dmitri", "Elif", "Fatou", "Giulia", "Hideo", "Ilse", "João", "Kaisa")
_LAST: Final = ("Andersen", "Bauer", "Côté", "Delacroix", "Eriksen", "Fischer", "García", "Haugen", "Ito")
_PLACES: Final = (
    ("NO", "nb", "Europe/Oslo", "Bergen"), ("FR", "fr", "Europe/Paris", "Lyon"), ("GB", "en", "Europe/London", "Leeds"),
    ("PL", "pl", "Europe/Warsaw", "Gdańsk"), ("JP", "ja", "Asia/Tokyo", "東京"),
)  # fmt: skip
_PLANS: Final = ("free", "basic", "pro ", "PRO")
_NOT_ADDRESSES: Final = ("no-at-sign.example.com", "two@@example.com", "space in@example.com", "")


@dataclass(frozen=True, slots=True)
class ContactsFile:
    """A CSV file and its expected counts."""

    name: str
    content: bytes
    expected: Mapping[str, int]


def contacts_file(people: int | None) -> ContactsFile:
    """Return a made-up file of so many rows, else the large file where there is one, else the bundled one."""
    if people is not None:
        return made_up(people)
    found = _SHARED if _SHARED.with_suffix(".csv").exists() else _BUNDLED
    expected: dict[str, Any] = json.loads(found.with_name(f"{found.name}.expected.json").read_text(encoding="utf-8"))
    return ContactsFile(f"{found.name}.csv", found.with_suffix(".csv").read_bytes(), expected)


def made_up(rows: int) -> ContactsFile:
    """Return a file of so many rows: some without an address, some that come again with other values."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_HEADER)
    last: dict[str, tuple[str, ...]] = {}
    invalid = duplicates = 0
    for row in _rows(rows):
        writer.writerow(row)
        address = row[0].strip().casefold()
        if "@" not in address or "@@" in address or " " in address:
            invalid += 1
            continue
        duplicates += address in last
        last[address] = row
    people = [dict(zip(_HEADER, row, strict=True)) for row in last.values()]
    yes = [person for person in people if person["Newsletter"] in {"yes", "TRUE", "1"}]
    expected = {
        "rows": rows,
        "invalid_email_rows": invalid,
        "duplicate_rows": duplicates,
        "contacts": len(last),
        "newsletter_yes_contacts": len(yes),
        "newsletter_yes_and_orders_ge_10": sum(int(person["Orders"]) >= 10 for person in yes),
        "language_fr_contacts": sum(person["Language"] == "fr" for person in people),
        "plan_pro_contacts_trimmed_casefold": sum(person["Plan"].strip().casefold() == "pro" for person in people),
    }
    return ContactsFile(f"contacts-{rows}.csv", text.getvalue().encode(), expected)


def _rows(rows: int) -> Iterator[tuple[str, ...]]:
    for number in range(rows):
        first, surname = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
        yield (
            _address(number),
            first,
            surname,
            "",
            *_PLACES[number % len(_PLACES)],
            f"19{50 + number % 50}-0{1 + number % 9}-1{number % 10}",
            _PLANS[number % len(_PLANS)],
            f"{number * 7 % 5000}.50",
            str(number * 3 % 50),
            "2024-05-01T09:00:00Z",
            ("yes", "no", "TRUE", "1")[number % 4],
        )


def _address(number: int) -> str:
    if number % 53 == 52:
        return _NOT_ADDRESSES[number % len(_NOT_ADDRESSES)]
    if number % 29 == 28:
        return f"  Walker{number - 3}@Mail.Example.com "  # somebody of three rows before, written in another way
    return f"walker{number}@mail.example.com"

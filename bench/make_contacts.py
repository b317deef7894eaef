"""Make a file of made-up contacts with everything that real files bring, and the counts that an import must find.

    python bench/make_contacts.py 2000 saas/cli/data/contacts-2k.csv

The same number of rows always makes the same file. The counts are found the plain way, with the csv module and
email-validator, so that they can judge the product's own reader.
"""

import csv
import io
import json
import sys
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar

from email_validator import EmailNotValidError, validate_email

T = TypeVar("T")
HEADER: Final = (
    "E-mail", "First name", "Last name", "Phone", "Country", "Language", "Time zone", "City", "Birthday", "Plan",
    "Lifetime value", "Orders", "Signed up", "Newsletter",
)  # fmt: skip
PEOPLE: Final = (
    ("GB", "en", "Europe/London", ("Alison", "Kate", "Sally", "Catherine"), ("Taylor", "Barrett", "Price", "Jones")),
    ("FR", "fr", "Europe/Paris", ("Camille", "Élodie", "Benoît", "Zoé"), ("Vaillant", "Lefèvre", "Noël", "Perrin")),
    ("DE", "de", "Europe/Berlin", ("Torben", "Jürgen", "Anastasia", "Käthe"), ("Römer", "Schaaf", "Groß", "Mentzel")),
    ("PL", "pl", "Europe/Warsaw", ("Aniela", "Łucja", "Melania", "Żaneta"), ("Błasik", "Dzwonnik", "Wąs", "Śliwa")),
    ("RU", "ru", "Europe/Moscow", ("Федот", "Галина", "Радислав", "Вера"), ("Симонова", "Панов", "Зиновьева", "Юдин")),
    ("ES", "es", "America/Bogota", ("Víctor", "Alba", "Íñigo", "Ciríaco"), ("Solana", "Estrada", "Núñez", "Verdejo")),
    ("JP", "ja", "Asia/Tokyo", ("涼平", "陽子", "直人", "七夏"), ("鈴木", "田中", "山本", "加藤")),
    ("AA", "ar", "Africa/Cairo", ("منتصر", "نافذ", "معزّ", "رافع"), ("طرابلسي", "المؤقت", "نسيبة", "شعيب")),
)  # fmt: skip
CITIES: Final = ("London", "Paris", "Berlin", "Łódź", "Москва", "東京", "القاهرة", "Bogotá", "")
DOMAINS: Final = (
    "example.com", "example.org", "mail.example.com", "news.example.net", "shop.example.org", "пример.example.com",
)  # fmt: skip
PLANS: Final = ("free", "basic", "pro", "PRO", "pro ", "")
CONSENTS: Final = ("yes", "yes", "yes", "TRUE", "1", "0", "no", "false", "")
BROKEN: Final = (
    "", "   ", "no-at-sign", "@example.com", "ann@-example.com", "ann@example..com", "a@b", "two@@example.com",
    "trailing.dot.@example.com", "space in@example.com", "comma,inside@example.com", "newline\n@example.com",
    "x" * 70 + "@example.com",
)  # fmt: skip
ODD_NAMES: Final = (
    '=HYPERLINK("//example.org")', "+SUM(1,1)", "@cmd", "-dash", "<b>bold(1)</b>", "{{ 7 | times: 7 }}", 'Bob " Quote',
    "O'Brien; DROP TABLE contacts;--", "line\nbreak", "  spaces  ", "Ω" * 300, "👩\u200d👩\u200d👧\u200d👦 family",
    "right \u202eto left", "=?utf-8?q?Bob=0D=0ABcc:_evil@example.com?=",
)  # fmt: skip


class Dice:
    """Throws that are the same on every machine and in every version of Python."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._thrown = 0

    def below(self, sides: int) -> int:
        """Return a number from 0 to sides - 1."""
        self._thrown += 1
        return int.from_bytes(blake2b(f"{self._seed}:{self._thrown}".encode(), digest_size=8).digest()) % sides

    def one_of(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[self.below(len(choices))]


def make_rows(number: int) -> list[list[str]]:
    """Return the rows of a file, without its header."""
    dice = Dice(f"contacts {number}")
    rows: list[list[str]] = []
    for no in range(number):
        rows.append(_row(dice, no, rows))
    return rows


def _row(dice: Dice, no: int, before: list[list[str]]) -> list[str]:
    country, language, zone, first, last = dice.one_of(PEOPLE)
    name = dice.one_of(ODD_NAMES) if dice.below(80) == 0 else dice.one_of(first)
    return [
        _address(dice, no, before),
        name,
        dice.one_of(last),
        f"+447700900{dice.below(1000):03d}" if dice.below(10) < 7 else "",
        country,
        language,
        zone if dice.below(10) else "",
        dice.one_of(CITIES),
        _birthday(dice),
        dice.one_of(PLANS),
        _money(dice),
        str(dice.below(60)),
        f"{2018 + dice.below(8)}-{1 + dice.below(12):02d}-{1 + dice.below(28):02d}T{dice.below(24):02d}:00:00Z",
        dice.one_of(CONSENTS),
    ]


def _address(dice: Dice, no: int, before: list[list[str]]) -> str:
    kind = dice.below(1000)
    if kind < 20:
        return dice.one_of(BROKEN)
    if kind < 60 and before:
        again = dice.one_of(before)[0]
        return dice.one_of((again.upper(), again.title(), f" {again} ", again))
    if kind < 65:
        return f"почта{no}@example.com"
    tag = "+tag" if dice.below(20) == 0 else ""
    return f"user{no}.{dice.below(1_000_000)}{tag}@{dice.one_of(DOMAINS)}"


def _birthday(dice: Dice) -> str:
    year, month, day = 1940 + dice.below(65), 1 + dice.below(12), 1 + dice.below(28)
    return dice.one_of((f"{year}-{month:02d}-{day:02d}", f"{day:02d}/{month:02d}/{year}", ""))


def _money(dice: Dice) -> str:
    if dice.below(30) == 0:
        return dice.one_of(("n/a", ""))
    return f"{dice.below(5000)}.{dice.below(100):02d}"


def as_csv(rows: list[list[str]]) -> bytes:
    """Return the file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(rows)
    return text.getvalue().encode()


def count(content: bytes) -> dict[str, int | str]:
    """Return the counts that an import of such a file must find."""
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    people: dict[str, dict[str, str]] = {}
    invalid = 0
    for row in rows:
        try:
            address = validate_email(row["E-mail"].strip(), check_deliverability=False).normalized
        except EmailNotValidError:
            invalid += 1
            continue
        people[address.casefold()] = row
    yes = [row for row in people.values() if row["Newsletter"].strip().lower() in {"yes", "true", "1"}]
    return {
        "rows": len(rows),
        "invalid_email_rows": invalid,
        "duplicate_rows": len(rows) - invalid - len(people),
        "contacts": len(people),
        "newsletter_yes_contacts": len(yes),
        "newsletter_yes_and_orders_ge_10": sum(int(row["Orders"]) >= 10 for row in yes),
        "language_fr_contacts": sum(row["Language"] == "fr" for row in people.values()),
        "plan_pro_contacts_trimmed_casefold": sum(row["Plan"].strip().casefold() == "pro" for row in people.values()),
        "encoding": "utf-8",
        "delimiter": ",",
    }


def main(number: str, target: str) -> None:
    """Write the file and, beside it, its counts."""
    path = Path(target)
    content = as_csv(make_rows(int(number)))
    path.write_bytes(content)
    path.with_suffix(".expected.json").write_text(json.dumps(count(content), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Which column of a file fills what: by the header's words, or as the person who imports says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from saas.audiences.rules.addresses import read_address
from saas.audiences.rules.attributes import BUILT_IN, KEY, RESERVED, TOPIC
from saas.audiences.types import AttributeKind, BadFile, Known, TargetKind, Unfit


@dataclass(frozen=True, slots=True)
class Target:
    """What a column fills: the address, the external id, an attribute (by key), or a consent (by topic)."""

    kind: TargetKind
    name: str = ""
    of: AttributeKind | None = None

    def __str__(self) -> str:
        """Return the word used in mappings, e.g. `attribute:plan`."""
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file; without a target it is left out, and `note` says why."""

    index: int
    header: str
    target: Target | None
    note: str = ""


_EMAIL: Final = Target(TargetKind.EMAIL)
_EXTERNAL: Final = Target(TargetKind.EXTERNAL_ID)
_NEWSLETTER: Final = Target(TargetKind.CONSENT, "newsletter")
# Attributes that a file may bring without anybody having registered them.
USUAL: Final[Mapping[str, Known]] = MappingProxyType(
    {
        **BUILT_IN,
        "plan": Known("plan", "Plan", AttributeKind.TEXT),
        "birthday": Known("birthday", "Birthday", AttributeKind.DATE),
        "lifetime_value": Known("lifetime_value", "Lifetime value", AttributeKind.NUMBER),
        "orders": Known("orders", "Orders", AttributeKind.NUMBER),
        "signed_up": Known("signed_up", "Signed up", AttributeKind.DATETIME),
    }
)
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "e_mail": "email", "email": "email", "email_address": "email", "e_mail_address": "email", "mail": "email",
        "электронная_почта": "email", "эл_почта": "email", "почта": "email", "адрес_электронной_почты": "email",
        "external_id": "external_id", "customer_id": "external_id", "внешний_id": "external_id",
        "newsletter": "consent", "рассылка": "consent", "согласие_на_рассылку": "consent",
        "given_name": "first_name", "имя": "first_name",
        "surname": "last_name", "family_name": "last_name", "фамилия": "last_name",
        "телефон": "phone", "phone_number": "phone", "страна": "country", "язык": "language", "город": "city",
        "часовой_пояс": "time_zone", "timezone": "time_zone",
        "день_рождения": "birthday", "дата_рождения": "birthday", "date_of_birth": "birthday",
        "тариф": "plan", "тарифный_план": "plan", "заказы": "orders", "число_заказов": "orders",
        "сумма_покупок": "lifetime_value", "дата_регистрации": "signed_up",
    }
)  # fmt: skip
_SPECIAL: Final[Mapping[str, Target]] = MappingProxyType(
    {"email": _EMAIL, "external_id": _EXTERNAL, "consent": _NEWSLETTER}
)


def check_mapping(given: object) -> dict[str, str | None]:
    """Read a mapping {header: target or null} as given by a person. Raises BadFile."""
    if not isinstance(given, dict) or len(given) > 500:
        raise BadFile('The mapping must be an object like {"E-mail": "email", "Plan": "attribute:plan"}.')
    for header, target in given.items():
        if target is not None:
            _read_target(header, target, {})
    return given


def plan_columns(header: Sequence[str], *, asked: Mapping[str, Any] | None, known: Mapping[str, Known]) -> list[Column]:
    """Decide for every column. Raises BadFile when the file has no header, no address, or two columns for one thing."""
    if any(_is_address(cell) for cell in header):
        raise BadFile("The first line must name the columns, but it holds an address.")
    if asked is None:
        columns = [_by_word(index, name, known) for index, name in enumerate(header)]
    else:
        columns = [_as_asked(index, name, asked, known) for index, name in enumerate(header)]
        missing = sorted(set(asked) - set(header))
        if missing:
            raise BadFile(f"The mapping names the column “{missing[0][:100]}”, which the file does not have.")
    _refuse_doubles(columns)
    if not any(column.target == _EMAIL for column in columns):
        raise BadFile("No column holds the address. Name one “E-mail”, or say in the mapping which it is.")
    return columns


def new_attributes(columns: Sequence[Column], known: Mapping[str, Known]) -> list[Known]:
    """Return the attributes that these columns need and the workspace does not have."""
    found = []
    for column in columns:
        target = column.target
        if target is not None and target.of is not None and target.name not in known:
            label = USUAL[target.name].label if target.name in USUAL else column.header
            found.append(Known(target.name, label[:100], target.of))
    return found


def word_of(header: str) -> str:
    """Return a header in the form of a key: small letters and single underscores."""
    return re.sub(r"[\W_]+", "_", header.strip().casefold()).strip("_")


def _by_word(index: int, header: str, known: Mapping[str, Known]) -> Column:
    word = word_of(header)
    word = _WORDS.get(word, word)
    if word in _SPECIAL:
        return Column(index, header, _SPECIAL[word])
    labels = {word_of(item.label): item for item in known.values()}
    found = known.get(word) or labels.get(word) or USUAL.get(word)
    if found is not None:
        return Column(index, header, Target(TargetKind.ATTRIBUTE, found.key, found.kind))
    return Column(index, header, None, "left out: no attribute has this name")


def _as_asked(index: int, header: str, asked: Mapping[str, Any], known: Mapping[str, Known]) -> Column:
    target = asked.get(header)
    if target is None:
        return Column(index, header, None, "left out: the mapping does not use it")
    return Column(index, header, _read_target(header, target, known))


def _read_target(header: str, text: object, known: Mapping[str, Known]) -> Target:
    """Read `email`, `external_id`, `consent:<topic>`, `attribute:<key>` or `attribute:<key>:<kind>`."""
    kind, _, rest = (text if isinstance(text, str) else "").partition(":")
    if kind in {"email", "external_id"} and not rest:
        return Target(TargetKind(kind))
    if kind == "consent" and TOPIC.fullmatch(rest):
        return Target(TargetKind.CONSENT, rest)
    key, _, of = rest.partition(":")
    if kind == "attribute" and KEY.fullmatch(key) and key not in RESERVED and of in {"", *AttributeKind}:
        return Target(TargetKind.ATTRIBUTE, key, _kind(header, key, of, known))
    forms = "email, external_id, consent:<topic>, attribute:<key> or attribute:<key>:<kind>"
    raise BadFile(f"Column “{header[:100]}”: write {forms}.")


def _kind(header: str, key: str, of: str, known: Mapping[str, Known]) -> AttributeKind:
    found = known.get(key) or USUAL.get(key)
    if found is None:
        return AttributeKind(of or AttributeKind.TEXT)
    if of and of != found.kind:
        raise BadFile(f"Column “{header[:100]}”: the attribute {key} is of the kind {found.kind}, not {of}.")
    return found.kind


def _refuse_doubles(columns: Sequence[Column]) -> None:
    seen: dict[str, Column] = {}
    for column in columns:
        if column.target is None:
            continue
        first = seen.setdefault(str(column.target), column)
        if first.index != column.index:
            names = f"“{first.header[:100]}” and “{column.header[:100]}”"
            raise BadFile(f"Two columns, {names}, mean the same ({column.target}).")


def _is_address(text: str) -> bool:
    try:
        read_address(text)
    except Unfit:
        return False
    return True

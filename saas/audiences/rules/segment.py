"""The rule of an audience: a tree, read from JSON into values that can be trusted.

Comparisons, as the product describes them:
* texts are compared without their outer blanks and without regard to case;
* a value that is missing, empty, or of another type than its attribute is no value: only `is_empty` and `ne` find it;
* `ne` is exactly the opposite of `eq`, and `not` is exactly the opposite of what it holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from saas.audiences.rules.attributes import CHECKS, TOPIC, check_number
from saas.audiences.types import AttributeKind, ConsentWord, Op, Unfit
from saas.kernel.errors import Fault, Invalid

MAX_DEPTH: Final = 8
MAX_NODES: Final = 200
MAX_CHOICES: Final = 100

_VALUELESS: Final = (Op.IS_EMPTY, Op.IS_SET)
_MOMENTS: Final = (Op.EQ, Op.BEFORE, Op.AFTER, Op.ON_OR_BEFORE, Op.ON_OR_AFTER, *_VALUELESS)
OPS: Final[Mapping[AttributeKind, tuple[Op, ...]]] = MappingProxyType(
    {
        AttributeKind.TEXT: (Op.EQ, Op.NE, Op.CONTAINS, Op.STARTS_WITH, Op.IN, *_VALUELESS),
        AttributeKind.NUMBER: (Op.EQ, Op.NE, Op.LT, Op.LTE, Op.GT, Op.GTE, Op.BETWEEN, Op.IN, *_VALUELESS),
        AttributeKind.BOOLEAN: (Op.EQ, *_VALUELESS),
        AttributeKind.DATE: _MOMENTS,
        AttributeKind.DATETIME: _MOMENTS,
    }
)


@dataclass(frozen=True, slots=True)
class All:
    """Everybody for whom all parts hold; without parts, everybody."""

    parts: tuple["Segment", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Everybody for whom at least one part holds; without parts, nobody."""

    parts: tuple["Segment", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Everybody for whom the part does not hold."""

    part: "Segment"


@dataclass(frozen=True, slots=True)
class Test:
    """A question about one attribute. Numbers are Decimal, several values a tuple, no value None."""

    attribute: str
    kind: AttributeKind
    op: Op
    value: Any = None


@dataclass(frozen=True, slots=True)
class Consented:
    """A question about what a person said to a topic."""

    topic: str
    word: ConsentWord


Segment: TypeAlias = All | AnyOf | Not | Test | Consented
EVERYBODY: Final = All(())


def parse(rule: object, *, kinds: Mapping[str, AttributeKind], pointer: str = "/rule") -> Segment:
    """Read a rule. `kinds` names the attributes there are. Raises Invalid with a fault for each place that is wrong."""
    reader = _Reader(kinds)
    found = reader.node(rule, pointer, depth=1)
    if found is None or reader.faults:
        raise Invalid("This rule cannot be used; see errors.", faults=reader.faults)
    return found


@dataclass(slots=True)
class _Reader:
    kinds: Mapping[str, AttributeKind]
    faults: list[Fault] = field(default_factory=list)
    nodes: int = 0

    def wrong(self, pointer: str, message: str) -> None:
        self.faults.append(Fault(pointer, message))

    def node(self, rule: object, pointer: str, *, depth: int) -> Segment | None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            if self.nodes == MAX_NODES + 1:
                self.wrong(pointer, f"A rule has at most {MAX_NODES} parts.")
            return None
        if depth > MAX_DEPTH:
            self.wrong(pointer, f"Rules are nested at most {MAX_DEPTH} deep.")
            return None
        if not isinstance(rule, dict):
            self.wrong(pointer, "Write an object.")
            return None
        for word, read in _FORMS.items():
            if word in rule:
                return read(self, rule, pointer, depth)
        self.wrong(pointer, "Write one of all, any, not, attribute, consent.")
        return None

    def only(self, rule: dict[str, Any], pointer: str, *names: str) -> None:
        for name in rule:
            if name not in names:
                self.wrong(f"{pointer}/{_escape(name)}", "Unknown field.")

    def parts(self, rule: dict[str, Any], pointer: str, depth: int, word: str) -> tuple[Segment, ...]:
        self.only(rule, pointer, word)
        given = rule[word]
        if not isinstance(given, list):
            self.wrong(f"{pointer}/{word}", "Write a list of rules.")
            return ()
        found = []
        for no, part in enumerate(given):
            if self.nodes > MAX_NODES:
                break
            found.append(self.node(part, f"{pointer}/{word}/{no}", depth=depth + 1))
        return tuple(part for part in found if part is not None)

    def all(self, rule: dict[str, Any], pointer: str, depth: int) -> Segment:
        return All(self.parts(rule, pointer, depth, "all"))

    def any(self, rule: dict[str, Any], pointer: str, depth: int) -> Segment:
        return AnyOf(self.parts(rule, pointer, depth, "any"))

    def negation(self, rule: dict[str, Any], pointer: str, depth: int) -> Segment | None:
        self.only(rule, pointer, "not")
        part = self.node(rule["not"], f"{pointer}/not", depth=depth + 1)
        return None if part is None else Not(part)

    def consent(self, rule: dict[str, Any], pointer: str, depth: int) -> Segment | None:  # noqa: ARG002  one form for all
        self.only(rule, pointer, "consent", "is")
        topic, word = rule["consent"], rule.get("is")
        if not isinstance(topic, str) or not TOPIC.fullmatch(topic):
            self.wrong(f"{pointer}/consent", "A topic is small letters, digits and _.")
            return None
        if word not in list(ConsentWord):
            self.wrong(f"{pointer}/is", f"Write one of {', '.join(ConsentWord)}.")
            return None
        return Consented(topic, ConsentWord(word))

    def attribute(self, rule: dict[str, Any], pointer: str, depth: int) -> Segment | None:  # noqa: ARG002  same
        self.only(rule, pointer, "attribute", "op", "value")
        key, op = rule["attribute"], rule.get("op")
        kind = self.kinds.get(key) if isinstance(key, str) else None
        if kind is None:
            self.wrong(f"{pointer}/attribute", "There is no such attribute in this workspace.")
            return None
        if op not in list(OPS[kind]):
            self.wrong(f"{pointer}/op", f"For this attribute ({kind}), write one of {', '.join(OPS[kind])}.")
            return None
        try:
            return Test(key, kind, Op(op), _value(kind, Op(op), rule.get("value")))
        except Unfit as error:
            self.wrong(f"{pointer}/value", str(error))
            return None


_Form: TypeAlias = Callable[[_Reader, dict[str, Any], str, int], Segment | None]
_FORMS: Final[Mapping[str, _Form]] = MappingProxyType(
    {
        "all": _Reader.all,
        "any": _Reader.any,
        "not": _Reader.negation,
        "attribute": _Reader.attribute,
        "consent": _Reader.consent,
    }
)


def _value(kind: AttributeKind, op: Op, value: object) -> Any:
    if op in _VALUELESS:
        if value is not None:
            raise Unfit(f"{op} takes no value.")
        return None
    if op is Op.BETWEEN:
        if not isinstance(value, list) or len(value) != 2:
            raise Unfit("Write two numbers, the lowest and the highest.")
        return tuple(_single(kind, item) for item in value)
    if op is Op.IN:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHOICES:
            raise Unfit(f"Write a list of 1 to {MAX_CHOICES} values.")
        return tuple(_single(kind, item) for item in value)
    return _single(kind, value)


def _single(kind: AttributeKind, value: object) -> Any:
    if kind is AttributeKind.NUMBER:
        return Decimal(str(check_number(value)))
    found = CHECKS[kind](value)
    if found == "":
        raise Unfit("Write a text, or use is_empty.")
    return found


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")

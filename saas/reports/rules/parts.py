"""The parts of an audience's rule, one by one, so that it can be said which of them does not hold. Pure (U5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """Something that was looked at for somebody who is not in a campaign.

    what: list, rule, event, call, campaign, erased, suppressed. decisive: it keeps them out. facts: as they are now.
    """

    what: str
    holds: bool
    decisive: bool
    text: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part of a rule that asks one thing. negated: it stands below an odd number of `not`."""

    rule: Mapping[str, Any]
    pointer: str
    negated: bool

    @property
    def attribute(self) -> str | None:
        """Return the attribute that is asked for, None where consent is."""
        found = self.rule.get("attribute")
        return found if isinstance(found, str) else None

    @property
    def text(self) -> str:
        """Return the question in words."""
        if self.attribute is None:
            return f"consent to {self.rule.get('consent')}: {self.rule.get('is')}"
        op, value = str(self.rule.get("op")).replace("_", " "), self.rule.get("value")
        return f"{self.attribute} {op}" + ("" if value is None else f" {value}")


def leaves(rule: Mapping[str, Any]) -> list[Leaf]:
    """Return the parts of a rule that ask one thing each, in order."""
    return list(_leaves(rule, "", negated=False))


def _leaves(rule: Mapping[str, Any], pointer: str, *, negated: bool) -> Iterator[Leaf]:
    for word in ("all", "any"):
        if word in rule:
            for no, part in enumerate(rule[word]):
                yield from _leaves(part, f"{pointer}/{word}/{no}", negated=negated)
            return
    if "not" in rule:
        yield from _leaves(rule["not"], f"{pointer}/not", negated=not negated)
        return
    yield Leaf(rule, pointer, negated)

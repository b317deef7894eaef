"""What every kind of step says of itself to the rules: its exits, what it lacks, where it may stand."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault

Raw = Mapping[str, Any]

EVERYWHERE: Final = frozenset(CampaignKind)
BY_ITSELF: Final = frozenset({CampaignKind.API, CampaignKind.FLOWING})  # where each person has a time of their own
MAX_BRANCHES: Final = 20
REMAINING: Final = "remaining"
DONE: Final = "done"
KEY: Final = r"[a-z][a-z0-9_]{0,29}"
_KEY: Final = re.compile(KEY)


@dataclass(frozen=True, slots=True)
class StepKind:
    """One kind of step.

    own: the fields that it has beside those of every step. exits: the words of its ways out, in order, of a step's own
    fields. missing: what the fields lack, each fault below a pointer. fits: the kinds of campaigns it may stand in.
    sends: people get a message. divides: its exits are chosen person by person. late: the exit of people who come too
    late (`latest`), None where their way ends.
    """

    name: str
    own: tuple[str, ...]
    exits: Callable[[Raw], tuple[str, ...]]
    missing: Callable[[Raw, str], list[Fault]]
    fits: frozenset[CampaignKind] = EVERYWHERE
    sends: bool = False
    divides: bool = False
    late: str | None = None


def always(*words: str) -> Callable[[Raw], tuple[str, ...]]:
    """Return the exits of a kind that always has the same ones."""
    return lambda _step: words


def branch_keys(step: Raw) -> tuple[str, ...]:
    """Return the keys of a split's branches, in order, those left out that are none."""
    return tuple(key for branch in step.get("branches") or () if (key := branch.get("key")))


def bad_branches(step: Raw, pointer: str, *, least: int, reserved: Sequence[str] = ()) -> list[Fault]:
    """Return what is wrong with a split's branches: their number, their keys and names."""
    branches = step.get("branches") or []
    if not least <= len(branches) <= MAX_BRANCHES:
        return [
            Fault(f"{pointer}/branches", f"A split has {least} to {MAX_BRANCHES} branches; here are {len(branches)}.")
        ]
    faults, seen = [], set(reserved)
    for no, branch in enumerate(branches):
        key = branch.get("key") or ""
        if not _KEY.fullmatch(key):
            text = "Use small letters, digits and _, starting with a letter, at most 30."
            faults.append(Fault(f"{pointer}/branches/{no}/key", text))
        elif key in seen:
            faults.append(Fault(f"{pointer}/branches/{no}/key", f"“{key}” is taken; each branch has a key of its own."))
        seen.add(key)
    return faults


def whole(value: object, least: int, most: int) -> bool:
    """Say whether a value is a whole number within bounds; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

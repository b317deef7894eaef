"""Every fault by its number, and those that cannot be run, each with its reason."""

from collections.abc import Callable
from dataclasses import dataclass

NUMBERS = range(1, 41)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of reliability.md 4.3. `quick`: also done in the quick round."""

    number: int
    title: str
    act: Callable[..., None]
    quick: bool


FAULTS: dict[int, Fault] = {}
NOT_RUN: dict[int, str] = {5: "there is none: senders have no RQ timeout"}


def fault(number: int, title: str, *, quick: bool = False):
    """Enter a scenario. It is called with the rig (tests/faults/run.py)."""

    def enter(act):
        assert number in NUMBERS
        assert number not in FAULTS
        FAULTS[number] = Fault(number, title, act, quick)
        return act

    return enter


class NotRun(Exception):
    """Raised by a scenario whose feature does not exist; the text says which."""

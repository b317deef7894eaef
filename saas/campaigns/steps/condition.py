"""Condition: whether a rule over attributes and consent holds for somebody (S8)."""

from typing import Final

from saas.campaigns.steps.kind import Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "condition"
EXITS: Final = ("yes", "no")


def _missing(step: Raw, pointer: str) -> list[Fault]:
    return [] if step.get("rule") else [Fault(f"{pointer}/rule", "Say what is asked about people.")]


STEP: Final = StepKind(KIND, ("rule",), always(*EXITS), _missing, divides=True, late="no")

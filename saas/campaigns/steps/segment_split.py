"""Segment split: the first audience that somebody is in, else the rest (S8, R8)."""

from typing import Final

from saas.campaigns.steps.kind import REMAINING, Raw, StepKind, bad_branches, branch_keys
from saas.kernel.errors import Fault

KIND: Final = "segment_split"


def _exits(step: Raw) -> tuple[str, ...]:
    return (*branch_keys(step), REMAINING)


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = bad_branches(step, pointer, least=1, reserved=(REMAINING,))
    for no, branch in enumerate(step.get("branches") or []):
        if not branch.get("audience_id"):
            faults.append(Fault(f"{pointer}/branches/{no}/audience_id", "Choose an audience."))
    return faults


STEP: Final = StepKind(KIND, ("branches",), _exits, _missing, divides=True)

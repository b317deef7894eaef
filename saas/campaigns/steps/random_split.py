"""Random split: exact shares of the people, by chance (S9, R8); one branch may hold people out."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from saas.campaigns.steps.kind import Raw, StepKind, bad_branches, branch_keys
from saas.kernel.errors import Fault

KIND: Final = "random_split"
_ALL: Final = Decimal(100)
_STEP: Final = Decimal("0.01")


def weights(step: Raw) -> list[int]:
    """Return the branches' weights in hundredths of a percent, in order; together 10,000."""
    return [int((_decimal(branch.get("weight")) or Decimal(0)) * 100) for branch in step.get("branches") or ()]


def _missing(step: Raw, pointer: str) -> list[Fault]:
    branches = step.get("branches") or []
    faults = bad_branches(step, pointer, least=2)
    if faults:
        return faults
    for no, branch in enumerate(branches):
        weight = _decimal(branch.get("weight"))
        if weight is None or not 0 < weight < _ALL or weight % _STEP:
            text = "Say how many percent, more than 0 and less than 100, with at most two decimals."
            faults.append(Fault(f"{pointer}/branches/{no}/weight", text))
    return faults or _bad_whole(branches, step, pointer)


def _bad_whole(branches: Sequence[Raw], step: Raw, pointer: str) -> list[Fault]:
    faults = []
    total = sum((_decimal(branch.get("weight")) or Decimal(0) for branch in branches), Decimal(0))
    if total != _ALL:
        faults.append(
            Fault(f"{pointer}/branches", f"The branches make {total.normalize():f} %; together they are 100 %.")
        )
    held = [no for no, branch in enumerate(branches) if branch.get("holdout")]
    faults += [Fault(f"{pointer}/branches/{no}/holdout", "One branch at most holds people out.") for no in held[1:]]
    nexts = step.get("next") or {}
    lead_on = [no for no in held if nexts.get(branches[no]["key"])]
    return faults + [
        Fault(f"{pointer}/branches/{no}/holdout", "People who are held out go nowhere from here.") for no in lead_on
    ]


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


STEP: Final = StepKind(KIND, ("branches",), branch_keys, _missing, divides=True)

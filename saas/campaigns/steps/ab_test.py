"""Test of variants: a part of the people gets them by chance, the rest the one that does best (S16)."""

from typing import Final

from saas.campaigns.steps.kind import Raw, StepKind, bad_branches, branch_keys, whole
from saas.kernel.errors import Fault

KIND: Final = "ab_test"
WINNERS: Final = ("opened", "clicked", "converted")
MAX_MINUTES: Final = 30 * 24 * 60
MAX_VARIANTS: Final = 10


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = bad_branches(step, pointer, least=2)
    if len(step.get("branches") or []) > MAX_VARIANTS:
        faults.append(Fault(f"{pointer}/branches", f"A test has at most {MAX_VARIANTS} variants."))
    if not whole(step.get("test_percent"), 1, 100):
        faults.append(Fault(f"{pointer}/test_percent", "Say which part of the people takes part, 1 to 100 percent."))
    if not whole(step.get("decide_after_minutes"), 1, MAX_MINUTES):
        text = f"Say after how many minutes the winner is chosen, 1 to {MAX_MINUTES}."
        faults.append(Fault(f"{pointer}/decide_after_minutes", text))
    if step.get("winner_by") not in WINNERS:
        faults.append(Fault(f"{pointer}/winner_by", f"One of: {', '.join(WINNERS)}."))
    nexts = step.get("next") or {}
    for no, key in enumerate(branch_keys(step)):
        if not nexts.get(key):
            faults.append(Fault(f"{pointer}/branches/{no}", "Each variant leads to its message."))
    return faults


STEP: Final = StepKind(
    KIND, ("branches", "test_percent", "decide_after_minutes", "winner_by"), branch_keys, _missing, divides=True
)

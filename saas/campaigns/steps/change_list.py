"""Action: put people on a list, or take them off (M27)."""

from typing import Final

from saas.campaigns.steps.kind import DONE, Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "change_list"
ACTIONS: Final = ("add", "remove")


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = [] if step.get("list_id") else [Fault(f"{pointer}/list_id", "Choose a list.")]
    if step.get("action") not in ACTIONS:
        faults.append(Fault(f"{pointer}/action", f"One of: {', '.join(ACTIONS)}."))
    return faults


STEP: Final = StepKind(KIND, ("list_id", "action"), always(DONE), _missing, late=DONE)

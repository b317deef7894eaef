"""Action: set attributes of people, by a value or a small expression (S12)."""

from typing import Final

from saas.campaigns.steps.kind import DONE, Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "set_attribute"
WAYS: Final = ("value", "add", "copy", "context", "now", "clear")
MAX_CHANGES: Final = 20


def _missing(step: Raw, pointer: str) -> list[Fault]:
    changes = step.get("changes") or []
    if not 1 <= len(changes) <= MAX_CHANGES:
        return [Fault(f"{pointer}/changes", f"Say what is set, 1 to {MAX_CHANGES} attributes.")]
    faults, seen = [], set()
    for no, change in enumerate(changes):
        at, key = f"{pointer}/changes/{no}", change.get("attribute")
        if not key:
            faults.append(Fault(f"{at}/attribute", "Choose an attribute."))
        elif key in seen:
            faults.append(Fault(f"{at}/attribute", f"“{key}” is set twice in this step."))
        seen.add(key)
        if len([way for way in WAYS if way in change]) != 1:
            faults.append(Fault(at, f"Say to what, by exactly one of: {', '.join(WAYS)}."))
    return faults


STEP: Final = StepKind(KIND, ("changes",), always(DONE), _missing, late=DONE)

"""Action: call a client's system about each person; the answer may fill attributes (S14)."""

from typing import Final

from saas.campaigns.steps.kind import DONE, Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "call_webhook"
EXITS: Final = (DONE, "failed")
MAX_FILLED: Final = 20


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = []
    if not step.get("channel_id"):
        faults.append(Fault(f"{pointer}/channel_id", "Choose a webhook."))
    if not (step.get("body") or "").strip():
        faults.append(Fault(f"{pointer}/body", "Write what is sent, as JSON."))
    filled = step.get("fill") or []
    if len(filled) > MAX_FILLED:
        faults.append(Fault(f"{pointer}/fill", f"At most {MAX_FILLED} attributes can be filled."))
    for no, each in enumerate(filled):
        if not each.get("attribute") or not each.get("field"):
            faults.append(Fault(f"{pointer}/fill/{no}", "Say which field of the answer fills which attribute."))
    return faults


STEP: Final = StepKind(KIND, ("channel_id", "body", "fill"), always(*EXITS), _missing, divides=True, late="failed")

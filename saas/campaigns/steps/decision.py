"""Decision: what a person does within a time, and the other way for those who do not (M18, M25, R15)."""

import re
from typing import Final

from saas.campaigns.steps.kind import BY_ITSELF, Raw, StepKind, always, whole
from saas.kernel.errors import Fault

KIND: Final = "decision"
EXITS: Final = ("yes", "no")
FACTS: Final = ("opened", "clicked", "converted", "event")
OF_MESSAGE: Final = ("opened", "clicked")
MAX_MINUTES: Final = 366 * 24 * 60
EVENT: Final = r"[a-z][a-z0-9_.]{0,59}"
_EVENT: Final = re.compile(EVENT)


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults, on = [], step.get("on")
    if on not in FACTS:
        faults.append(Fault(f"{pointer}/on", f"One of: {', '.join(FACTS)}."))
    if on in OF_MESSAGE and not step.get("message"):
        faults.append(Fault(f"{pointer}/message", "Choose the message that people react to."))
    if on == "event" and not _EVENT.fullmatch(step.get("event") or ""):
        faults.append(Fault(f"{pointer}/event", "Name the event: small letters, digits, _ and dots."))
    if not whole(step.get("within_minutes"), 1, MAX_MINUTES):
        faults.append(Fault(f"{pointer}/within_minutes", f"Say how long people have, 1 to {MAX_MINUTES} minutes."))
    return faults


STEP: Final = StepKind(
    KIND, ("on", "message", "event", "within_minutes"), always(*EXITS), _missing, BY_ITSELF, divides=True
)

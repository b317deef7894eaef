"""Engagement split: what people did with an earlier message, looked at once (S7, R7)."""

from typing import Final

from saas.campaigns.steps.kind import REMAINING, Raw, StepKind
from saas.kernel.errors import Fault

KIND: Final = "engagement_split"
INTERACTIONS: Final = ("converted", "clicked", "opened")  # the first that fits counts


def _exits(step: Raw) -> tuple[str, ...]:
    chosen = step.get("interactions") or ()
    return (*(word for word in INTERACTIONS if word in chosen), REMAINING)


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = []
    if not step.get("message"):
        faults.append(Fault(f"{pointer}/message", "Choose the message that people reacted to."))
    chosen = step.get("interactions") or []
    if not chosen:
        faults.append(Fault(f"{pointer}/interactions", "Choose at least one of: opened, clicked, converted."))
    for no, word in enumerate(chosen):
        if word not in INTERACTIONS:
            faults.append(Fault(f"{pointer}/interactions/{no}", f"One of: {', '.join(INTERACTIONS)}."))
        elif word in chosen[:no]:
            faults.append(Fault(f"{pointer}/interactions/{no}", f"“{word}” stands here twice."))
    return faults


STEP: Final = StepKind(
    KIND, ("message", "interactions", "ignore_machine_opens"), _exits, _missing, divides=True, late=REMAINING
)

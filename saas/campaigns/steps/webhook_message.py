"""Message step, channel webhook: one signed call to a client's system for each person (S14, A1)."""

from typing import Final

from saas.campaigns.steps.kind import Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "webhook_message"


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = []
    if not step.get("channel_id"):
        faults.append(Fault(f"{pointer}/channel_id", "Choose a webhook."))
    if not (step.get("body") or "").strip():
        faults.append(Fault(f"{pointer}/body", "Write what is sent, as JSON."))
    return faults


STEP: Final = StepKind(KIND, ("channel_id", "body", "speed_per_hour", "waves"), always("sent"), _missing, sends=True)

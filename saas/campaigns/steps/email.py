"""Message step, channel email: one message to each person (S5, A5)."""

from typing import Final

from saas.campaigns.steps.kind import Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "email"
PAST_HOURS: Final = ("send", "next_day", "skip")


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = []
    if not step.get("channel_id"):
        faults.append(Fault(f"{pointer}/channel_id", "Choose a channel configuration."))
    local = step.get("local_time")
    if local and not step.get("at"):
        faults.append(Fault(f"{pointer}/local_time", "Only a step with a date can follow each person's clock."))
    return faults


STEP: Final = StepKind(
    KIND, ("channel_id", "content", "speed_per_hour", "waves", "local_time"), always("sent"), _missing, sends=True
)

"""Action: start another campaign for people, or stop their way in it."""

from typing import Final

from saas.campaigns.steps.kind import DONE, Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "other_campaign"
ACTIONS: Final = ("start", "stop")


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = [] if step.get("campaign_id") else [Fault(f"{pointer}/campaign_id", "Choose a campaign.")]
    if step.get("action") not in ACTIONS:
        faults.append(Fault(f"{pointer}/action", f"One of: {', '.join(ACTIONS)}."))
    return faults


STEP: Final = StepKind(KIND, ("campaign_id", "action"), always(DONE), _missing, late=DONE)

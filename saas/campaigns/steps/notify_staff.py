"""Action: tell those who may control the campaign how many people came by (M27)."""

from typing import Final

from saas.campaigns.steps.kind import DONE, Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "notify_staff"


def _missing(step: Raw, pointer: str) -> list[Fault]:
    return [] if (step.get("text") or "").strip() else [Fault(f"{pointer}/text", "Write what they are told.")]


STEP: Final = StepKind(KIND, ("text",), always(DONE), _missing, late=DONE)

"""Action: give people points, or take some (M27)."""

from typing import Final

from saas.campaigns.steps.kind import DONE, Raw, StepKind, always, whole
from saas.kernel.errors import Fault

KIND: Final = "change_points"
ATTRIBUTE: Final = "points"
MAX_POINTS: Final = 1_000_000


def _missing(step: Raw, pointer: str) -> list[Fault]:
    points = step.get("points")
    if points != 0 and whole(points, -MAX_POINTS, MAX_POINTS):
        return []
    return [Fault(f"{pointer}/points", f"Say how many points, up to {MAX_POINTS}; negative to take them away.")]


STEP: Final = StepKind(KIND, ("points",), always(DONE), _missing, late=DONE)

"""End: the way ends here, with a reason that reports show."""

from typing import Final

from saas.campaigns.steps.kind import Raw, StepKind, always
from saas.kernel.errors import Fault

KIND: Final = "end"


def _missing(_step: Raw, _pointer: str) -> list[Fault]:
    return []


STEP: Final = StepKind(KIND, ("reason",), always(), _missing)

"""Message step, channel email: one message to each person."""

from collections.abc import Mapping
from typing import Any, Final

from saas.kernel.errors import Fault

KIND: Final = "email"
EXITS: Final = ("sent",)


def missing(step: Mapping[str, Any], pointer: str, *, dated: bool) -> list[Fault]:
    """Return what a draft step still lacks, apart from what only the database and the template checker can know."""
    faults = []
    if not step.get("channel_id"):
        faults.append(Fault(f"{pointer}/channel_id", "Choose a channel configuration."))
    if dated and not step.get("at"):
        faults.append(Fault(f"{pointer}/at", "Choose when it should be sent."))
    if not dated and step.get("at"):
        faults.append(Fault(f"{pointer}/at", "A step that runs on call has no time."))
    return faults

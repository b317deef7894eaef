"""Sendgate: another system looks at the people, refuses or enriches some, and lets them go on (S10, S11, R6)."""

from typing import Final

from saas.campaigns.steps.kind import KEY, Raw, StepKind, always, whole
from saas.kernel.errors import Fault

KIND: Final = "gate"
EXITS: Final = ("accepted", "rejected", "timeout")
MAX_MINUTES: Final = 30 * 24 * 60
MAX_FIELDS: Final = 20


def _missing(step: Raw, pointer: str) -> list[Fault]:
    faults = []
    if not step.get("channel_id"):
        faults.append(Fault(f"{pointer}/channel_id", "Choose the webhook of the system that decides."))
    if step.get("wait", True) and not whole(step.get("timeout_minutes"), 1, MAX_MINUTES):
        faults.append(Fault(f"{pointer}/timeout_minutes", f"Say how long it may take, 1 to {MAX_MINUTES} minutes."))
    fields = step.get("open_fields") or []
    if len(fields) > MAX_FIELDS:
        faults.append(Fault(f"{pointer}/open_fields", f"At most {MAX_FIELDS} fields can be filled in."))
    if len(set(fields)) != len(fields):
        faults.append(Fault(f"{pointer}/open_fields", "A field stands here twice."))
    if step.get("delivers") and not (step.get("next") or {}).get("accepted"):
        faults.append(Fault(f"{pointer}/next/accepted", "A gate that delivers leads to the message that it is about."))
    return faults


STEP: Final = StepKind(
    KIND,
    ("channel_id", "delivers", "wait", "timeout_minutes", "open_fields"),
    always(*EXITS),
    _missing,
    divides=True,
    late="timeout",
)
FIELD: Final = KEY

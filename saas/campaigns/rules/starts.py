"""A draft whose campaign starts otherwise from now on (S35, S48, S49): what has no place there is emptied."""

from collections.abc import Mapping
from typing import Any, Final

from saas.campaigns.rules.flow.shape import shape_of
from saas.campaigns.types import CampaignKind

_OF_CALLS: Final = ("late", "accepts_from", "accepts_until")


def switched(draft: Mapping[str, Any], *, kind: CampaignKind) -> dict[str, Any]:
    """Return a draft as it begins for a campaign of another kind.

    Steps, ways and messages stay. To calls: no audience, and the first step runs when it is called (S49); the others
    keep their dates (S50). To dates: no payload. To a flow of people who come by themselves: no step has a date.
    """
    undated = _undated(draft, kind)
    found = {**draft, "settings": _settings(draft.get("settings") or {}, kind)}
    found["steps"] = [_step(step, undated=step["step_no"] in undated) for step in draft.get("steps") or ()]
    if kind is CampaignKind.API:
        found["audience"] = None
    if kind is not CampaignKind.DATED:
        found["recurrence"] = None
    else:
        found["payload"] = {"fields": []}
    if kind is not CampaignKind.FLOWING:
        found["entry"] = None
    return found


def _undated(draft: Mapping[str, Any], kind: CampaignKind) -> frozenset[int]:
    if kind is CampaignKind.DATED:
        return frozenset()
    shape = shape_of(draft)
    return frozenset(shape.start) if kind is CampaignKind.API else frozenset(shape.nodes)


def _step(step: Mapping[str, Any], *, undated: bool) -> dict[str, Any]:
    empty = dict.fromkeys(("at", "latest", "local_time") if undated else ())
    return {**step, **{name: value for name, value in empty.items() if name in step}}


def _settings(settings: Mapping[str, Any], kind: CampaignKind) -> dict[str, Any]:
    found = dict(settings)
    if kind is not CampaignKind.API:
        found |= {name: None for name in _OF_CALLS if name in found}
    if kind is not CampaignKind.DATED:
        found |= {name: empty for name, empty in (("speed_per_hour", None), ("waves", [])) if name in found}
    return found

"""The kinds of steps there are; another kind is refused."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from saas.campaigns.steps import (
    ab_test,
    call_webhook,
    change_list,
    change_points,
    condition,
    decision,
    email,
    end,
    engagement_split,
    gate,
    notify_staff,
    other_campaign,
    random_split,
    segment_split,
    set_attribute,
    wait,
    webhook_message,
)  # fmt: skip
from saas.campaigns.steps.kind import StepKind

_ALL: Final = (
    email, webhook_message, random_split, ab_test, segment_split, engagement_split, condition, gate, decision, wait,
    set_attribute, change_list, change_points, call_webhook, other_campaign, notify_staff, end,
)  # fmt: skip
KINDS: Final[Mapping[str, StepKind]] = MappingProxyType({module.KIND: module.STEP for module in _ALL})

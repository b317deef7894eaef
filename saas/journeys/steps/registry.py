"""Who does which kind of step; a kind without its set half fails the tests."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy.orm import Session

from saas.journeys.steps import (
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
)
from saas.journeys.steps.kind import StepWork
from saas.platform.rehearsal import is_thrown_away

_ALL: Final = (
    email, webhook_message, random_split, segment_split, engagement_split, condition, set_attribute, change_list,
    change_points, notify_staff, end, wait, decision, ab_test, other_campaign, gate,
    call_webhook,
)  # fmt: skip
WORKS: Final[Mapping[str, StepWork]] = MappingProxyType({module.WORK.name: module.WORK for module in _ALL})
_INSTEAD: Final = "works_instead"


def work_of(session: Session, kind: str) -> StepWork:
    """Return who does a kind of step. Raises KeyError for a kind that nobody does.

    A session that is thrown away may have others for what would reach the world outside (`instead`).
    """
    instead: Mapping[str, StepWork] = session.info.get(_INSTEAD, {})
    return instead.get(kind) or WORKS[kind]


def instead(session: Session, works: Mapping[str, StepWork]) -> None:
    """Have kinds of steps done otherwise in one session. Raises ValueError for one that is kept."""
    if not is_thrown_away(session):
        msg = "only a session that is thrown away does steps otherwise"
        raise ValueError(msg)
    session.info[_INSTEAD] = dict(works)

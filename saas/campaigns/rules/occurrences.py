"""The rounds of a campaign with dates: one, or as often as its rule says, each with the times of its steps (R17)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from saas.campaigns.rules.document import Document, Step
from saas.campaigns.rules.flow.recurrence import moved, next_day
from saas.campaigns.rules.schedule import at_wall_time
from saas.campaigns.types import CampaignKind

ONCE: Final = ""  # the round of a campaign that does not recur


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One round. name: wall time and zone, so that no change of the clock makes two of one; by: how many days later."""

    name: str
    by: timedelta
    zone: str

    def at(self, step: Step) -> datetime:
        """Return a step's own time in this round, by the wall clock. Raises ValueError for a step without a date."""
        if step.wall is None or step.at is None:
            msg = f"step {step.step_no} has no date"
            raise ValueError(msg)
        return at_wall_time(moved(step.wall, by=self.by), self.zone) if self.by else step.at


def first_wall(document: Document) -> str:
    """Return the wall time of the earliest step. Raises ValueError when none has a date."""
    return min(step.wall for step in document.steps if step.wall is not None)


def occurrence_on(document: Document, day: date) -> Occurrence:
    """Return the round that begins on a day."""
    wall = first_wall(document)
    by = day - date.fromisoformat(wall[:10])
    return Occurrence(f"{moved(wall, by=by)} {document.time_zone}", by, document.time_zone)


def cut_off(document: Document, *, not_before: datetime) -> str | None:
    """Return why a campaign is over before it begins, None where it is not (M12). not_before: its effective start."""
    until, first = document.publish_until, None
    if document.kind == CampaignKind.DATED:
        first = next_round(document, ())
        if first is None:
            return "its recurrence ends before its first round"
    if until is None:
        return None
    times = [first.at(document.step(no)) for no in document.shape.start] if first is not None else []
    over = max(not_before, min(times)) > until if times else not_before >= until
    return "its first step would begin later than the campaign may begin steps (publish_until)" if over else None


def named(document: Document, name: str) -> Occurrence:
    """Return a round by its name."""
    if name == ONCE:
        return Occurrence(ONCE, timedelta(), document.time_zone)
    by = date.fromisoformat(name[:10]) - date.fromisoformat(first_wall(document)[:10])
    return Occurrence(name, by, document.time_zone)


def next_round(document: Document, begun: Collection[str]) -> Occurrence | None:
    """Return the round that comes after all that have begun; None when there is none any more."""
    if document.recurrence is None:
        return None if begun else named(document, ONCE)
    after = max((date.fromisoformat(name[:10]) for name in begun), default=None)
    day = next_day(document.recurrence, first=date.fromisoformat(first_wall(document)[:10]), after=after)
    return None if day is None else occurrence_on(document, day)

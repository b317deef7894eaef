"""The rounds of a recurring campaign as people are told of them: how many, the next ones, the last (R13, R17)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Damaged, Document, read
from saas.campaigns.rules.flow.recurrence import days
from saas.campaigns.rules.occurrences import first_wall, occurrence_on
from saas.campaigns.rules.schedule import at_wall_time

SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Rounds:
    """What a recurrence comes to. rounds: all of them, those that are over too; next: the first of those to come.

    last: when the last one begins, None where there is none. No round that would begin after `publish_until` counts.
    """

    rule: str
    until: str | None
    count: int | None
    rounds: int
    next: Sequence[datetime]
    last: datetime | None


def rounds_of(document: Document, *, now: datetime) -> Rounds | None:
    """Return the rounds of a document, None where it does not recur."""
    found = document.recurrence
    if found is None:
        return None
    moments = _moments(document, found)
    if document.publish_until is not None:
        moments = [moment for moment in moments if moment <= document.publish_until]
    return Rounds(
        rule=found["rule"],
        until=found.get("until"),
        count=found.get("count"),
        rounds=len(moments),
        next=list(islice((moment for moment in moments if moment >= now), SHOWN)),
        last=moments[-1] if moments else None,
    )


def rounds_of_row(row: Revision | None, *, now: datetime) -> Rounds | None:
    """Return the rounds of a submitted revision; None without one, or where its document was altered."""
    if row is None or row.document is None or row.content_hash is None:
        return None
    try:
        return rounds_of(read(row.document, expected_hash=row.content_hash), now=now)
    except Damaged:  # the review says so
        return None


def _moments(document: Document, recurrence: Mapping[str, Any]) -> list[datetime]:
    """Return when each round begins."""
    wall = first_wall(document)
    named = (occurrence_on(document, day).name for day in days(recurrence, first=date.fromisoformat(wall[:10])))
    return [at_wall_time(name.partition(" ")[0], document.time_zone) for name in named]

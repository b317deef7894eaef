"""When no marketing leaves, by the clock of the campaign's zone: quiet hours, outside of a send window (R14, R17)."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from heapq import merge
from math import inf
from typing import Any, Final
from zoneinfo import ZoneInfo

from saas.campaigns.rules.schedule import at_wall_time
from saas.kernel.moments import in_zone

# How far ahead stretches are told. A plan goes on without them after that; the sender keeps quiet for ever.
HORIZON: Final = timedelta(days=3660)
DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY: Final = timedelta(days=1)

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` until `end` nothing leaves; over midnight where the end is not the later one of the two.

    A wall time that the spring change skips is the first moment after the gap, one that the autumn change doubles is
    its first, as everywhere (`at_wall_time`). Raises ValueError when both are the same.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        """Refuse what is neither always nor never."""
        if self.start == self.end:
            msg = "quiet hours end at another time than they start"
            raise ValueError(msg)

    @classmethod
    def of(cls, start: str, end: str) -> "QuietHours":
        """Return the quiet hours of two wall times as in 21:00. Raises ValueError."""
        return cls(time.fromisoformat(start), time.fromisoformat(end))

    @property
    def words(self) -> dict[str, str]:
        """Return them as they stand in documents: {"from": "21:00", "until": "08:00"}."""
        return {"from": f"{self.start:%H:%M}", "until": f"{self.end:%H:%M}"}

    def ends_at(self, now: datetime, zone: str) -> datetime | None:
        """Return the first moment after `now` that is not quiet, in UTC; None when it is not quiet now."""
        found = next(self.stretches(now, zone), None)
        return found[1] if found is not None and found[0] <= now else None

    def next_at(self, now: datetime, zone: str) -> datetime | None:
        """Return when the stretch begins in which it is quiet now or next, in UTC."""
        return next((begins for begins, _ in self.stretches(now, zone)), None)

    def stretches(self, since: datetime, zone: str) -> Iterator[Stretch]:
        """Yield the quiet stretches that end after `since`, in order, up to the horizon.

        A stretch holds its first moment and not its last; those that meet, where the clock skips what lies between,
        are one.
        """
        open_one: Stretch | None = None
        for begins, ends in self._nightly(since, zone):
            if ends <= begins:  # all of it is skipped
                continue
            if open_one is not None and begins == open_one[1]:
                open_one = (open_one[0], ends)
                continue
            if open_one is not None and open_one[1] > since:
                yield open_one
            open_one = (begins, ends)
        if open_one is not None:
            yield open_one

    def _nightly(self, since: datetime, zone: str) -> Iterator[Stretch]:
        day = in_zone(since, ZoneInfo(zone)).date() - 2 * _DAY  # two nights that meet may be one
        with suppress(OverflowError):  # the calendar's end
            for number in range(HORIZON.days):
                first = day + number * _DAY
                last = first if self.start < self.end else first + _DAY
                yield _moment(first, self.start, zone), _moment(last, self.end, zone)


def _moment(day: date, wall: time, zone: str) -> datetime:
    return at_wall_time(datetime.combine(day, wall).isoformat(timespec="seconds"), zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The days of the week, and the part of them, in which messages leave: from `start` until `end`.

    days: 0 for Monday. Over midnight where the end is not the later one of the two; the whole day where both are the
    same. Wall times are those of quiet hours.
    """

    days: frozenset[int]
    start: time
    end: time

    @classmethod
    def of(cls, days: Iterable[str], start: str, end: str) -> "SendWindow":
        """Return the window of days as in MO and two wall times as in 09:00. Raises ValueError."""
        return cls(frozenset(DAYS.index(day) for day in days), time.fromisoformat(start), time.fromisoformat(end))

    @property
    def words(self) -> dict[str, Any]:
        """Return it as it stands in documents: {"days": ["MO", "FR"], "from": "09:00", "until": "17:00"}."""
        days = [DAYS[day] for day in sorted(self.days)]
        return {"days": days, "from": f"{self.start:%H:%M}", "until": f"{self.end:%H:%M}"}

    def stretches(self, since: datetime, zone: str) -> Iterator[Stretch]:
        """Yield the stretches outside of the window that end after `since`, in order, up to the horizon."""
        shut_from: datetime | None = None
        for begins, ends in self._open(since, zone):
            if shut_from is not None and shut_from < begins and begins > since:
                yield shut_from, begins
            shut_from = max(ends, shut_from or ends)

    def _open(self, since: datetime, zone: str) -> Iterator[Stretch]:
        day = in_zone(since, ZoneInfo(zone)).date() - 9 * _DAY  # a whole week before it, and two days that meet
        with suppress(OverflowError):  # the calendar's end
            for number in range(HORIZON.days):
                first = day + number * _DAY
                if first.weekday() in self.days:
                    last = first if self.start < self.end else first + _DAY
                    yield _moment(first, self.start, zone), _moment(last, self.end, zone)


@dataclass(frozen=True, slots=True)
class Silence:
    """All times at which nothing leaves: quiet hours, and whatever is outside of the send window."""

    quiet: QuietHours | None
    window: SendWindow | None

    def ends_at(self, now: datetime, zone: str) -> datetime | None:
        """Return the first moment after `now` at which something may leave, in UTC; None when it may now."""
        found = next(self.stretches(now, zone), None)
        return found[1] if found is not None and found[0] <= now else None

    def next_at(self, now: datetime, zone: str) -> datetime | None:
        """Return when the stretch begins in which nothing leaves now or next, in UTC."""
        return next((begins for begins, _ in self.stretches(now, zone)), None)

    def stretches(self, since: datetime, zone: str) -> Iterator[Stretch]:
        """Yield the stretches that end after `since`, in order; those that meet are one."""
        parts = [part.stretches(since, zone) for part in (self.quiet, self.window) if part is not None]
        open_one: Stretch | None = None
        for begins, ends in merge(*parts):
            if open_one is not None and begins <= open_one[1]:
                open_one = (open_one[0], max(open_one[1], ends))
                continue
            if open_one is not None:
                yield open_one
            open_one = (begins, ends)
        if open_one is not None:
            yield open_one


class Nights:
    """Quiet stretches in seconds after a start, walked through once and forwards: the clock stops while it is quiet.

    What is asked is never earlier than what was asked before.
    """

    def __init__(self, stretches: Iterable[tuple[float, float]] = ()) -> None:
        self._left = iter(stretches)
        self._here = next(self._left, None)

    @classmethod
    def of(cls, quiet: QuietHours | Silence | None, *, start: datetime, zone: str) -> "Nights":
        """Return the nights after a start; none where nothing is quiet."""
        if quiet is None:
            return cls()
        found = quiet.stretches(start, zone)
        return cls(((begins - start).total_seconds(), (ends - start).total_seconds()) for begins, ends in found)

    def awake(self, at: float) -> float:
        """Return the first moment from `at` on that is not quiet."""
        self._pass(at)
        return self._here[1] if self._here is not None and self._here[0] <= at else at

    def begins(self, at: float) -> float:
        """Return when it is quiet next, seen from a moment at which it is not; infinity for never again."""
        self._pass(at)
        return inf if self._here is None else self._here[0]

    def after(self, at: float, seconds: float) -> float:
        """Return when so many seconds that are not quiet have passed since `at`. That moment itself may be quiet."""
        at = self.awake(at)
        while (begins := self.begins(at)) < at + seconds:
            seconds -= begins - at
            at = self.awake(begins)
        return at + seconds

    def awake_s(self, until: float) -> float:
        """Return how many seconds from the start until then are not quiet."""
        at, found = 0.0, 0.0
        while (at := self.awake(at)) < until:
            begins = min(self.begins(at), until)
            found, at = found + begins - at, begins
        return found

    def _pass(self, at: float) -> None:
        while self._here is not None and self._here[1] <= at:
            self._here = next(self._left, None)

"""Pure decisions about speed: how large chunks are, and when each of them may start."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Protocol

from saas.campaigns.rules.quiet import Nights
from saas.sending.types import CHUNK_PEOPLE, CHUNK_S

_HOUR_S: Final = 3600


class Part(Protocol):
    """A part of the audience, as a signed document has it."""

    @property
    def percent(self) -> int:
        """Its share; all shares together are 100."""
        ...

    @property
    def after_minutes(self) -> int:
        """Minutes from the start of the run to that of the part."""
        ...


@dataclass(frozen=True, slots=True)
class WavePlan:
    """People `first` to `last` (ranks in order of contact id, from 1), in chunks of `size`.

    The n-th chunk, from 0, may start `start_s` + n * `gap_s` seconds after the run.
    """

    first: int
    last: int
    start_s: float
    size: int
    gap_s: float


def chunk_size(rate_per_minute: float | None) -> int:
    """Return how many people a chunk holds: at most 500, at most five seconds of the rate, at least one."""
    if rate_per_minute is None:
        return CHUNK_PEOPLE
    return max(1, min(CHUNK_PEOPLE, int(rate_per_minute * CHUNK_S // 60)))


def chunk_gap_s(rate_per_minute: float | None, size: int) -> float:
    """Return how many seconds lie between the starts of two chunks at a rate; 0 without one."""
    return 0.0 if rate_per_minute is None else size * 60 / rate_per_minute


def plan(
    people: int,
    *,
    speed_per_hour: int | None,
    waves: Sequence[Part],
    channel_rate_per_minute: float | None,
    nights: Nights | None = None,
) -> list[WavePlan]:
    """Return when whom a run sends to (S15): its waves in their order, no chunk in two of them, all at the send speed.

    Without waves everybody is one. A wave begins when it is due and the one before has left, so that two of them never
    add up to more than the speed. The channel's rate only makes chunks smaller: several runs share it, so it is kept to
    where chunks are claimed. Waves that are too small for anybody are left out.

    nights: the quiet hours after the start. No chunk begins in them and the clock stops, so that nobody piles up behind
    a night: a wave that goes on over it is several plans, one that is due in it begins at its end.
    """
    nights = nights or Nights()
    speed = None if speed_per_hour is None else speed_per_hour * 60 / _HOUR_S
    size = min(chunk_size(speed), chunk_size(channel_rate_per_minute))
    gap_s = chunk_gap_s(speed, size)
    counts = shares(people, [wave.percent for wave in waves]) if waves else [people]
    starts = [wave.after_minutes * 60.0 for wave in waves] if waves else [0.0]
    plans: list[WavePlan] = []
    first, free_s = 1, 0.0
    for count, due_s in zip(counts, starts, strict=True):
        if count:
            wave = WavePlan(first, first + count - 1, max(due_s, free_s), size, gap_s)
            plans += _around_nights(wave, nights)
            first, free_s = first + count, nights.after(plans[-1].start_s, _lasts_s(plans[-1]))
    return plans


def _around_nights(wave: WavePlan, nights: Nights) -> Iterator[WavePlan]:
    """Yield a wave in parts, whole chunks each, none of which begins while it is quiet."""
    first, start_s = wave.first, wave.start_s
    while first <= wave.last:
        start_s, left = nights.awake(start_s), wave.last - first + 1
        chunks = left / wave.size
        if wave.gap_s:
            chunks = min(chunks, (nights.begins(start_s) - start_s) / wave.gap_s)
        people = min(left, wave.size * ceil(chunks))
        part = WavePlan(first, first + people - 1, start_s, wave.size, wave.gap_s)
        yield part
        first = part.last + 1
        if first <= wave.last:
            start_s = nights.after(start_s, _lasts_s(part))


def _lasts_s(part: WavePlan) -> float:
    """Return how long a plan's people take at its speed."""
    return (part.last - part.first + 1) * part.gap_s / part.size


def shares(people: int, percents: Sequence[int]) -> list[int]:
    """Divide people by weights: everybody is in one part, and no part is off by a whole person.

    Largest remainders get the people left over; of equal ones the earlier part does.
    """
    total = sum(percents)
    found = [people * percent // total for percent in percents]
    by_remainder = sorted(range(len(percents)), key=lambda no: -(people * percents[no] % total))
    for no in by_remainder[: people - sum(found)]:
        found[no] += 1
    return found

"""Pure decisions about pressure: when a channel may be used, how fast, what its answers say of it (reliability.md 2).

Three things hold sending back, and none of them costs anybody a try:

- the pace (GCRA): whoever claims fills a rate up to a moment, and nobody claims before that moment has come;
- the present rate (AIMD): halved when the relay presses, growing again by equal steps in equal times;
- the breaker: closed; open until a moment; half open while one person is tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from saas.sending.types import CHUNK_PEOPLE, CHUNK_S, BreakerState

WINDOW: Final = 50
# Fewer answers say too little: three mistyped addresses in ten are an ordinary day of a channel that welcomes people,
# while five of twenty happen once in two hundred fresh windows to a list with 5 % dead addresses.
LEAST_ANSWERS: Final = 20
POLICY_REFUSALS: Final = 3  # with nothing accepted beside them: a policy is about us, and few messages show it
NO_ANSWERS: Final = 5  # in a row: each is a person of whom nobody knows whether they have the message
CONNECT_FAILURES: Final = 5
SIGN_IN_FAILURES: Final = 3
PROBE_S: Final = 60
LEAST_RATE: Final = 60.0
RECOVER_S: Final = 60.0
PRESS_AGAIN_S: Final = 5.0
# Relays that allow so many messages to a connection end it with a 421. Up to two in fifty are taken for that:
# connecting again is enough, and slowing down would not help.
PRESSED_PERCENT: Final = 4
TRANSACTIONAL_AHEAD: Final = timedelta(seconds=2 * CHUNK_S)

_OPEN_S: Final = 30.0
_OPEN_MOST_S: Final = 900.0
_DOUBLINGS: Final = 10
_LOOK_AGAIN: Final = timedelta(seconds=1)
_UNKNOWN_RATE: Final = 600.0
_FORGOTTEN_AT: Final = 4.0  # times the rate that was left when the relay pressed: twice what it was before


class BreakerReason(StrEnum):
    """Why a channel's breaker opened."""

    SIGN_IN = "sign_in"
    CONNECT = "connect"
    TLS = "tls"
    REFUSALS = "refusals"
    NO_ANSWER = "no_answer"


SENTENCES: Final[Mapping[BreakerReason, str]] = MappingProxyType(
    {
        BreakerReason.SIGN_IN: "The server refuses this channel's user name or password. Its messages wait.",
        BreakerReason.CONNECT: "The server of this channel cannot be reached. Its messages wait.",
        BreakerReason.TLS: (
            "The server of this channel offers no connection that can be trusted (TLS). Its messages wait."
        ),
        BreakerReason.REFUSALS: "The server refuses more than one in five of this channel's messages. They wait.",
        BreakerReason.NO_ANSWER: "The server takes this channel's messages and does not answer. The rest wait.",
    }
)


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel is doing. recent: its last answers, newest last, in the letters of Observed.

    present_rate: messages a minute that were left at pressed_at, when the relay pressed last (see `rate_at`).
    """

    breaker: BreakerState = BreakerState.CLOSED
    reason: BreakerReason | None = None
    opened_at: datetime | None = None
    open_until: datetime | None = None
    probe_until: datetime | None = None
    openings: int = 0
    connect_failures: int = 0
    sign_in_failures: int = 0
    recent: str = ""
    present_rate: float | None = None
    pressed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What a chunk showed of its channel.

    answers, a letter each, in the order in which they came: "a" accepted, "r" refused (5xx), "p" refused by policy
    (5.7.x), "d" deferred, "s" asked for less (421, 4.7.x), "u" nothing, after the whole message. per_minute: how fast
    the chunk left; None when unknown. tls_failures: those of connect_failures at which a server answered that could not
    be trusted.
    """

    connect_failures: int = 0
    sign_in_failures: int = 0
    answers: str = ""
    per_minute: float | None = None
    tls_failures: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a channel may be used: again_at None is yes, and `probe` means for one person."""

    again_at: datetime | None = None
    probe: bool = False


def turn(health: Health, *, now: datetime) -> Turn:
    """Say whether the breaker lets anybody through. A prober who was not heard of in time is taken for dead."""
    match health.breaker:
        case BreakerState.CLOSED:
            return Turn()
        case BreakerState.OPEN:
            waits = health.open_until is not None and health.open_until > now
            return Turn(again_at=health.open_until) if waits else Turn(probe=True)
        case BreakerState.HALF_OPEN:
            if health.probe_until is not None and health.probe_until > now:
                return Turn(again_at=min(health.probe_until, now + _LOOK_AGAIN))
            return Turn(probe=True)


def probing(health: Health, *, now: datetime) -> Health:
    """Return the state while one person is tried."""
    return replace(health, breaker=BreakerState.HALF_OPEN, probe_until=now + timedelta(seconds=PROBE_S))


def paced(until: datetime | None, *, now: datetime, ahead: timedelta = timedelta()) -> datetime | None:
    """Return when to come again if a rate is filled until later than now, else None. ahead: how early one may be."""
    return until - ahead if until is not None and until - ahead > now else None


def filled_until(until: datetime | None, *, people: int, rate_per_minute: float, now: datetime) -> datetime:
    """Return until when a rate is filled once so many more people were claimed."""
    start = now if until is None else max(until, now)
    return start + timedelta(seconds=people * 60 / rate_per_minute)


def rate_at(health: Health, *, ceiling: float | None, now: datetime) -> float | None:
    """Return the present rate in messages a minute; None is no limit. It never passes the ceiling.

    What the relay asked for fades with time: the rate grows by the same amount in each second, back to what it was
    after RECOVER_S, however many senders use the channel and whether or not they report. Without a ceiling it is
    forgotten once it would be twice what it was before the press.
    """
    if health.present_rate is None or health.pressed_at is None:
        return ceiling
    grown = 1 + max(0.0, (now - health.pressed_at).total_seconds()) / RECOVER_S
    if ceiling is not None:
        return min(ceiling, health.present_rate * grown)
    return None if grown >= _FORGOTTEN_AT else health.present_rate * grown


def tightest(*rates: float | None) -> float | None:
    """Return the smallest of some rates; None is no limit."""
    return min((rate for rate in rates if rate is not None), default=None)


def most_people(rate_per_minute: float | None, *, probe: bool) -> int:
    """Return how many people the next chunk may hold: what one second allows, so that nobody sleeps for a rate."""
    if probe:
        return 1
    return CHUNK_PEOPLE if rate_per_minute is None else max(1, min(CHUNK_PEOPLE, int(rate_per_minute / 60)))


def calm(health: Health, *, ceiling: float | None, now: datetime) -> bool:
    """Say whether a channel's past is nothing to go by any more."""
    return (
        health.breaker is BreakerState.CLOSED
        and not (health.openings or health.connect_failures or health.sign_in_failures)
        and not set(health.recent) & set("rpsu")
        and rate_at(health, ceiling=ceiling, now=now) == ceiling
    )


def unremarkable(seen: Observed) -> bool:
    """Say whether a chunk of a calm channel needs no word: nothing was wrong, or it fills the window and is sound."""
    if seen.connect_failures or seen.sign_in_failures:
        return False
    if len(seen.answers) < WINDOW:
        return not set(seen.answers) & set("rpsu")
    return not _presses("", seen) and tripped(counted(Health(), seen)) is None


def judged(health: Health, seen: Observed, *, probe: bool, ceiling: float | None, now: datetime) -> Health:
    """Return how a channel is doing after a chunk. probe: the chunk was the one person tried while it was open.

    While the breaker is not closed only the probe decides: a word of an older chunk comes too late.
    """
    pressed = _pressed(health, seen, ceiling=ceiling, now=now)
    if health.breaker is BreakerState.CLOSED:
        after = counted(pressed, seen)
        if pressed is not health:
            after = replace(after, recent=after.recent.replace("s", "d"))  # each is heard once
        return _watched(after, seen, now=now)
    return _probed(pressed, seen, now=now) if probe else pressed


def counted(health: Health, seen: Observed) -> Health:
    """Return the counts after a chunk.

    Any answer shows that connecting and signing in worked in it: what failed beside it is one failure, however many
    messages it met.
    """
    connect, sign_in = seen.connect_failures, seen.sign_in_failures
    if seen.answers:
        connect, sign_in = min(connect, 1), min(sign_in, 1)
    else:
        connect += 0 if sign_in else health.connect_failures
        sign_in += health.sign_in_failures
    recent = (health.recent + seen.answers)[-WINDOW:]
    return replace(health, connect_failures=connect, sign_in_failures=sign_in, recent=recent)


def tripped(health: Health) -> BreakerReason | None:
    """Return why the breaker must open, None when it need not."""
    if health.sign_in_failures >= SIGN_IN_FAILURES:
        return BreakerReason.SIGN_IN
    if health.connect_failures >= CONNECT_FAILURES:
        return BreakerReason.CONNECT
    if _is_silent(health.recent):
        return BreakerReason.NO_ANSWER
    return BreakerReason.REFUSALS if _refuses(health.recent) else None


def _is_silent(recent: str) -> bool:
    """Say whether the relay keeps messages to itself: several in a row, or over 20 % of enough of them."""
    return recent.endswith("u" * NO_ANSWERS) or (len(recent) >= LEAST_ANSWERS and recent.count("u") * 5 > len(recent))


def _refuses(recent: str) -> bool:
    """Say whether the last answers are refusals: over 20 % of enough of them, or a policy against all."""
    by_policy = recent.count("p")
    if by_policy >= POLICY_REFUSALS and "a" not in recent:
        return True
    return len(recent) >= LEAST_ANSWERS and (by_policy + recent.count("r")) * 5 > len(recent)


def open_for_s(openings: int) -> float:
    """Return how many seconds the breaker stays open the n-th time in a row (n starts at 1)."""
    return min(_OPEN_MOST_S, _OPEN_S * 2.0 ** min(max(0, openings - 1), _DOUBLINGS))


def _watched(health: Health, seen: Observed, *, now: datetime) -> Health:
    reason = tripped(health)
    if reason is not None:
        reason = _unreached(seen) if reason is BreakerReason.CONNECT else reason
        return _opened(replace(health, opened_at=now), reason, now=now)
    if len(health.recent) == WINDOW:
        return replace(health, openings=0)
    return health


def _opened(health: Health, reason: BreakerReason, *, now: datetime) -> Health:
    openings = health.openings + 1
    return replace(
        health,
        breaker=BreakerState.OPEN,
        reason=reason,
        openings=openings,
        open_until=now + timedelta(seconds=open_for_s(openings)),
        probe_until=None,
    )


def _probed(health: Health, seen: Observed, *, now: datetime) -> Health:
    """Judge a probe. One of which nothing was heard (a stop, a shutdown) says nothing: the next one goes at once."""
    failed = _probe_failure(health, seen)
    if failed is not None:
        return _opened(health, failed, now=now)
    if "a" in seen.answers or (seen.answers and health.reason is not BreakerReason.REFUSALS):
        return Health(
            openings=health.openings,
            recent=seen.answers[-WINDOW:],
            present_rate=health.present_rate,
            pressed_at=health.pressed_at,
        )
    return replace(health, breaker=BreakerState.OPEN, open_until=now, probe_until=None)


def _probe_failure(health: Health, seen: Observed) -> BreakerReason | None:
    if "u" in seen.answers:
        return BreakerReason.NO_ANSWER
    if seen.answers:
        bad = "rp" if health.reason is BreakerReason.REFUSALS else "p"
        return BreakerReason.REFUSALS if set(seen.answers) & set(bad) else None
    if seen.sign_in_failures:
        return BreakerReason.SIGN_IN
    return _unreached(seen) if seen.connect_failures else None


def _unreached(seen: Observed) -> BreakerReason:
    """Return why there is no connection: one that could not be trusted says more than one that was not made."""
    return BreakerReason.TLS if seen.tls_failures else BreakerReason.CONNECT


def _presses(recent: str, seen: Observed) -> bool:
    """Say whether the relay asks for less: more than PRESSED_PERCENT of the chunk, or of the window if that is more."""
    if "s" not in seen.answers:
        return False
    span = max(WINDOW, len(seen.answers))
    return (recent + seen.answers)[-span:].count("s") * 100 > PRESSED_PERCENT * span


def _pressed(health: Health, seen: Observed, *, ceiling: float | None, now: datetime) -> Health:
    """Halve the rate when the relay presses, once in PRESS_AGAIN_S: answers of one moment come in several chunks."""
    lately = health.pressed_at is not None and (now - health.pressed_at).total_seconds() < PRESS_AGAIN_S
    if lately or not _presses(health.recent, seen):
        return health
    present = rate_at(health, ceiling=None, now=now)  # what is left of an earlier press
    before = tightest(present or seen.per_minute, ceiling) or _UNKNOWN_RATE
    left = tightest(max(LEAST_RATE, before / 2), ceiling)
    return replace(health, present_rate=left, pressed_at=now)


def month_of(at: datetime) -> date:
    """Return the first day of the month (UTC) whose quota is used by what is claimed at a moment."""
    return at.astimezone(UTC).date().replace(day=1)

"""Pure decisions of sending: what an answer means for a person, and when to try again (reliability.md 2)."""

from collections.abc import Callable
from typing import Final

from saas.channels.types import Outcome, OutcomeKind, OutcomeScope, Trouble
from saas.ledger.types import Exc, Reason
from saas.sending.types import Ending, Mark

_BASE_S: Final = 30.0
_CAP_S: Final = 3600.0
_DOUBLINGS: Final = 16
CHANNEL_S: Final = 30.0
SPLIT_AFTER: Final = 2  # deaths over one chunk: from then on its people are divided, until the one who kills is alone
POISON_AFTER: Final = 3  # deaths over one person alone


def ending_of(
    entry_id: int, outcome: Outcome, *, attempt: int, marketing: bool, channel_down: bool, chance: Callable[[], float]
) -> Ending | None:
    """Return how the person's turn ended; None when the message was accepted.

    An unknown outcome of marketing is `uncertain` and never resent; transactional is sent again with the same
    Message-ID, at least once (ledger.md, promise). A refusal for policy is the channel's fault when the channel is down
    for it, else the person's: one such answer among many accepted ones must not be tried for ever.
    """
    if outcome.kind is OutcomeKind.ACCEPTED:
        return None
    if outcome.kind is OutcomeKind.UNKNOWN:
        return unknown(entry_id, attempt=attempt, marketing=marketing, reason=Reason.NO_ANSWER, chance=chance)
    refused_by_policy = outcome.kind is OutcomeKind.REFUSED and outcome.trouble is Trouble.POLICY
    if outcome.scope is OutcomeScope.CHANNEL and (channel_down or not refused_by_policy):
        # A fault of the channel costs nobody a try, and suppresses nobody.
        again_in_s = max(CHANNEL_S, outcome.retry_after_s or 0.0)
        return Ending(entry_id, Exc.WAITING, Reason.CHANNEL_DOWN, again_in_s=again_in_s, counts=False)
    if outcome.kind is OutcomeKind.DEFERRED:
        again_in_s = max(back_off_s(attempt, chance), outcome.retry_after_s or 0.0)
        return Ending(entry_id, Exc.WAITING, Reason.DEFERRED, again_in_s=again_in_s)
    reason = Reason.REFUSED_CONTENT if outcome.scope is OutcomeScope.CONTENT else Reason.REFUSED_BY_RECIPIENT
    return Ending(entry_id, Exc.REJECTED, reason, suppress=outcome.hard)


def ending_by_mark(
    entry_id: int, mark: Mark, *, attempt: int, marketing: bool, chance: Callable[[], float]
) -> Ending | None:
    """Return how the turn of a dead sender's person ended, by the journal's byte; None when it was accepted."""
    match mark:
        case Mark.ACCEPTED:
            return None
        case Mark.OFFERED:
            return unknown(entry_id, attempt=attempt, marketing=marketing, reason=Reason.SENDER_DIED, chance=chance)
        case Mark.REFUSED:
            return Ending(entry_id, Exc.REJECTED, Reason.REFUSED_BY_RECIPIENT)
        case Mark.DEFERRED:
            return Ending(entry_id, Exc.WAITING, Reason.DEFERRED, again_in_s=back_off_s(attempt, chance))
        case Mark.SKIPPED:
            return Ending(entry_id, Exc.SKIPPED, Reason.UNSUBSCRIBED)
        case Mark.UNTOUCHED:
            return given_back(entry_id)


def unknown(entry_id: int, *, attempt: int, marketing: bool, reason: Reason, chance: Callable[[], float]) -> Ending:
    """Return the ending of somebody whose message may have been accepted or not."""
    if marketing:
        return Ending(entry_id, Exc.UNCERTAIN, reason)
    return Ending(entry_id, Exc.WAITING, reason, again_in_s=back_off_s(attempt, chance))


def given_back(entry_id: int, *, again_in_s: float = 0.0) -> Ending:
    """Return the ending of somebody who was never offered: they wait, as a rule not at all, and lost no try."""
    return Ending(entry_id, Exc.WAITING, Reason.GIVEN_BACK, again_in_s=again_in_s, counts=False)


def after_death(endings: list[Ending], *, deaths: int) -> list[Ending]:
    """Return the endings after a death over a chunk: somebody who is alone and killed again and again has failed."""
    untouched = [ending for ending in endings if ending.reason == Reason.GIVEN_BACK]
    if len(untouched) != 1 or deaths < POISON_AFTER:
        return endings
    poison = Ending(untouched[0].entry_id, Exc.FAILED, Reason.POISON)
    return [poison if ending is untouched[0] else ending for ending in endings]


def divided(people: list[int], *, deaths: int) -> list[list[int]]:
    """Return the people given back as the chunks they go into: halves once senders died over them twice."""
    if deaths < SPLIT_AFTER or len(people) < 2:
        return [people] if people else []
    middle = len(people) // 2
    return [people[:middle], people[middle:]]


def back_off_s(attempt: int, chance: Callable[[], float]) -> float:
    """Return seconds to wait after try n (n starts at 1): full jitter over a doubling window, at least one second."""
    window: float = min(_CAP_S, _BASE_S * 2.0 ** min(max(0, attempt - 1), _DOUBLINGS))
    return max(1.0, window * chance())

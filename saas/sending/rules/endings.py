"""Pure decisions of sending: what an answer means for a person, and when to try again (reliability.md 2)."""

from collections.abc import Callable
from typing import Final

from saas.channels.types import Outcome, OutcomeKind, OutcomeScope
from saas.ledger.types import Exc, Reason
from saas.sending.types import Ending

_BASE_S: Final = 30.0
_CAP_S: Final = 3600.0
_DOUBLINGS: Final = 16
CHANNEL_S: Final = 30.0


def ending_of(
    entry_id: int, outcome: Outcome, *, attempt: int, marketing: bool, chance: Callable[[], float]
) -> Ending | None:
    """Return how the person's turn ended; None when the message was accepted.

    An unknown outcome of marketing is `uncertain` and never resent; transactional is sent again with the same
    Message-ID, at least once (ledger.md, promise).
    """
    if outcome.kind is OutcomeKind.ACCEPTED:
        return None
    if outcome.scope is OutcomeScope.CHANNEL and outcome.kind is not OutcomeKind.UNKNOWN:
        # A fault of the channel costs nobody a try, and suppresses nobody.
        return Ending(entry_id, Exc.WAITING, Reason.CHANNEL_DOWN, again_in_s=CHANNEL_S, counts=False)
    if outcome.kind is OutcomeKind.UNKNOWN:
        if marketing:
            return Ending(entry_id, Exc.UNCERTAIN, Reason.NO_ANSWER)
        return Ending(entry_id, Exc.WAITING, Reason.NO_ANSWER, again_in_s=back_off_s(attempt, chance))
    if outcome.kind is OutcomeKind.DEFERRED:
        return Ending(entry_id, Exc.WAITING, Reason.DEFERRED, again_in_s=back_off_s(attempt, chance))
    reason = Reason.REFUSED_CONTENT if outcome.scope is OutcomeScope.CONTENT else Reason.REFUSED_BY_RECIPIENT
    return Ending(entry_id, Exc.REJECTED, reason, suppress=outcome.hard)


def given_back(entry_id: int, *, again_in_s: float = 0.0) -> Ending:
    """Return the ending of somebody who was never offered: they wait, as a rule not at all, and lost no try."""
    return Ending(entry_id, Exc.WAITING, Reason.GIVEN_BACK, again_in_s=again_in_s, counts=False)


def back_off_s(attempt: int, chance: Callable[[], float]) -> float:
    """Return seconds to wait after try n (n starts at 1): full jitter over a doubling window, at least one second."""
    window: float = min(_CAP_S, _BASE_S * 2.0 ** min(max(0, attempt - 1), _DOUBLINGS))
    return max(1.0, window * chance())

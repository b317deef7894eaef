"""What a chunk's answers say about its channel."""

from collections.abc import Sequence
from typing import Final

from saas.channels.types import Outcome, OutcomeKind, Trouble
from saas.sending.rules.pressure import Observed
from saas.sending.service.watch import ChunkWatch

_BY_TROUBLE: Final = {Trouble.PRESSURE: "s", Trouble.POLICY: "p"}
_BY_KIND: Final = {OutcomeKind.REFUSED: "r", OutcomeKind.DEFERRED: "d", OutcomeKind.UNKNOWN: "u"}
_ENOUGH: Final = 20  # fewer answers than these measure no rate


def seen_by(watch: ChunkWatch, *, took_s: float) -> Observed:
    """Return what breaker and rate are judged by (reliability.md 2)."""
    accepted = watch.answered - len(watch.outcomes)
    troubles = [watch.down.trouble] if watch.down is not None else []
    troubles += [outcome.trouble for outcome in watch.outcomes.values()]
    per_minute = accepted * 60 / took_s if accepted >= _ENOUGH and took_s > 0 else None
    return _observed(troubles, _answers(watch), per_minute=per_minute)


def seen_in(outcomes: Sequence[Outcome]) -> Observed:
    """Return the same of calls that are no messages, in their order."""
    troubles = [outcome.trouble for outcome in outcomes]
    letters = ("a" if each.kind is OutcomeKind.ACCEPTED else _letter(each) for each in outcomes)
    return _observed(troubles, "".join(letters))


def _observed(troubles: Sequence[Trouble | None], answers: str, *, per_minute: float | None = None) -> Observed:
    tls = troubles.count(Trouble.TLS)
    return Observed(
        connect_failures=troubles.count(Trouble.CONNECT) + tls,
        tls_failures=tls,
        sign_in_failures=troubles.count(Trouble.SIGN_IN),
        answers=answers,
        per_minute=per_minute,
    )


def _answers(watch: ChunkWatch) -> str:
    """Return the answers in the order of the messages: refusals all at the end would look like a channel that broke."""
    if not watch.outcomes:
        return "a" * watch.answered
    accepted = set(range(len(watch.claimed.people))).difference(watch.unaccepted())
    places = sorted(accepted | watch.outcomes.keys())
    return "".join("a" if place in accepted else _letter(watch.outcomes[place]) for place in places)


def _letter(outcome: Outcome) -> str:
    """Return an answer's letter; nothing for what was no answer of the relay to a message."""
    if outcome.trouble in {Trouble.CONNECT, Trouble.TLS, Trouble.SIGN_IN}:
        return ""
    return _BY_TROUBLE.get(outcome.trouble or Trouble.CONNECT, _BY_KIND.get(outcome.kind, ""))

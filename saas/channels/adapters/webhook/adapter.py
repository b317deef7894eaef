"""Hands messages to a receiver by webhook: one signed POST each, one after the other."""

from collections.abc import Iterator, Sequence
from typing import Final

from saas.channels.adapters.webhook.signing import headers
from saas.channels.adapters.webhook.target import target_of
from saas.channels.adapters.webhook.types import Answer, HookSecret, NoAnswer, Patience, Target
from saas.channels.adapters.webhook.wire import Unsent, connected, post
from saas.channels.rules import clean
from saas.channels.types import Outcome, OutcomeKind, OutcomeScope, Outgoing, Trouble, Watch
from saas.kernel.clock import Clock
from saas.kernel.errors import DomainError
from saas.platform import egress

_KEPT: Final = 500
_MOST_SILENCES: Final = 5
_MOST_POLICY: Final = 3
_CHANNEL: Final = OutcomeScope.CHANNEL
_LATER: Final = frozenset({408, 425})
_DISABLED: Final = 410
_TOO_MANY: Final = 429
_NOT_KNOWN: Final = frozenset({401, 403, 407})
_PATIENCE: Final = Patience(most=_KEPT)


class WebhookAdapter:
    """An adapter (channels/types.py) for one webhook. `down` says, after `deliver`, why it gave up."""

    def __init__(
        self,
        url: str,
        *,
        secrets: Sequence[HookSecret],
        allow: tuple[str, ...],
        clock: Clock,
        patience: Patience = _PATIENCE,
    ) -> None:
        self.down: Outcome | None = None
        self._url = url
        self._secrets = tuple(secrets)
        self._allow = allow
        self._clock = clock
        self._patience = patience

    def deliver(self, messages: Iterator[Outgoing], *, watch: Watch) -> None:
        """Hand messages over; ends early, leaving the rest untouched, when told to or when it helps nobody to go on."""
        self.down = None
        silences = policies = 0
        for message in messages:
            outcome = self._deliver(message, watch)
            if outcome is None:
                return
            watch.settled(message.index, outcome)
            silences = silences + 1 if outcome.kind is OutcomeKind.UNKNOWN else 0
            policies = policies + 1 if outcome.trouble is Trouble.POLICY else 0
            if silences >= _MOST_SILENCES:  # nobody knows who has their message: not one more
                self.down = not_sent(outcome.text, Trouble.CONNECT)
            elif policies >= _MOST_POLICY or outcome.trouble in _HOPELESS:
                self.down = outcome
            if self.down is not None:
                return

    def close(self) -> None:
        """Nothing is kept open between messages."""

    def _deliver(self, message: Outgoing, watch: Watch) -> Outcome | None:
        """Hand over one message; None when it must not be offered."""
        try:
            target = target_of(self._url, allow=self._allow)
            with connected(target, allow=self._allow, patience=self._patience) as sock:
                if not watch.may_go_on(message.index):
                    return None
                watch.offered(message.index)
                return self._post(sock, target, message)
        except egress.NotTrusted as error:
            return not_sent(error.detail, Trouble.TLS)
        except DomainError as error:
            return not_sent(error.detail, Trouble.CONNECT)

    def _post(self, sock: egress.Connection, target: Target, message: Outgoing) -> Outcome:
        at = self._clock.now()
        signed = headers(self._secrets, message_id=message.message_id, at=at, body=message.message)
        try:
            answer = post(sock, target, message.message, signed, patience=self._patience)
        except Unsent as error:
            return not_sent(error.detail, Trouble.CONNECT)
        except NoAnswer as error:
            return Outcome(OutcomeKind.UNKNOWN, text=error.detail)
        return outcome_of(answer)


_HOPELESS: Final = frozenset({Trouble.CONNECT, Trouble.TLS, Trouble.SIGN_IN})


def not_sent(text: str, trouble: Trouble) -> Outcome:
    """Return the outcome of a message that has not left, for a reason that is not its own."""
    return Outcome(OutcomeKind.DEFERRED, _CHANNEL, clean(text), trouble=trouble)


def outcome_of(answer: Answer) -> Outcome:
    """Return what an answer means. A receiver that is gone, moved or does not know us says nothing about the person."""
    status = answer.status
    text = clean(f"{status} {answer.body[:_KEPT].decode(errors='replace')}")
    if 200 <= status < 300:
        return Outcome(OutcomeKind.ACCEPTED, text=text)
    if status in _NOT_KNOWN:
        return Outcome(OutcomeKind.REFUSED, _CHANNEL, text, trouble=Trouble.SIGN_IN)
    if status == _DISABLED or not 400 <= status < 600:
        return Outcome(OutcomeKind.REFUSED, _CHANNEL, text, trouble=Trouble.POLICY)
    if status == _TOO_MANY:
        return Outcome(
            OutcomeKind.DEFERRED, _CHANNEL, text, trouble=Trouble.PRESSURE, retry_after_s=answer.retry_after_s
        )
    if status in _LATER or status >= 500:
        return Outcome(OutcomeKind.DEFERRED, text=text, retry_after_s=answer.retry_after_s)
    return Outcome(OutcomeKind.REFUSED, text=text)

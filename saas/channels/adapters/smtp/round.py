"""The messages of one deliver, and what is told of them."""

from collections import deque
from collections.abc import Iterator

from saas.channels.adapters.smtp.letter import Letter, ready
from saas.channels.types import Outcome, OutcomeKind, Outgoing, Watch


class Round:
    """Gives letters out and passes news on. A message is made (the iterator is lazy) when a connection asks for one.

    is_over: nothing more may be offered. silences: how many letters in a row had no answer. error: what the iterator
    raised instead of a message.
    """

    def __init__(self, messages: Iterator[Outgoing], *, watch: Watch) -> None:
        self.is_over = False
        self.silences = 0
        self.error: Exception | None = None
        self._messages: Iterator[Outgoing] | None = messages
        self._watch = watch
        self._waiting: deque[Letter] = deque()

    @property
    def has_more(self) -> bool:
        """Whether there is a letter to take."""
        if not self._waiting and not self.is_over and (letter := self._pull()) is not None:
            self._waiting.append(letter)
        return bool(self._waiting) and not self.is_over

    def take(self) -> Letter | None:
        """Return the next letter, None when there is none."""
        if self.is_over:
            return None
        return self._waiting.popleft() if self._waiting else self._pull()

    def put_back(self, letter: Letter) -> None:
        """Give back a letter of which nothing has left; it goes before all others."""
        self._waiting.appendleft(letter)

    def may_go_on(self, letter: Letter) -> bool:
        """Say whether a letter's content may leave. After the first no, none may."""
        self.is_over = self.is_over or not self._watch.may_go_on(letter.index)
        return not self.is_over

    def offered(self, letter: Letter) -> None:
        """Note that a letter's content is about to leave."""
        self._watch.offered(letter.index)

    def settled(self, letter: Letter, outcome: Outcome) -> None:
        """Note what became of a letter."""
        self.silences = self.silences + 1 if outcome.kind is OutcomeKind.UNKNOWN else 0
        self._watch.settled(letter.index, outcome)

    def give_up(self, outcome: Outcome) -> None:
        """Settle all letters that were made and cannot leave; the rest is not made for nothing."""
        self.is_over = True
        while self._waiting:
            self.settled(self._waiting.popleft(), outcome)

    def _pull(self) -> Letter | None:
        while self._messages is not None:
            try:
                message = next(self._messages, None)
            except Exception as error:  # noqa: BLE001  raised again when the answers that are due have come
                self.error, message = error, None
            if message is None:
                self._messages = None
                break
            letter = ready(message)
            if isinstance(letter, Letter):
                return letter
            self._watch.settled(message.index, letter)
        return None

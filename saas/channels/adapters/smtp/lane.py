"""What is said over one connection: one recipient per transaction, one round trip a message (reliability.md 1).

With PIPELINING (RFC 2920) the envelope of the next letter leaves in the same write as the content of the present one,
so that the relay answers to both at once. A content leaves only after the 354 to its own DATA was read. The rest is
what happens when an answer is not the hoped-for one.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from saas.channels.adapters.smtp.letter import Letter, Offers
from saas.channels.adapters.smtp.opening import connect, introduce
from saas.channels.adapters.smtp.peer import Peer
from saas.channels.adapters.smtp.wire import READ, Limit, Lost, Odd, Reply, Steps, Wire, early
from saas.channels.rules import classify, clean
from saas.channels.types import About, Outcome, OutcomeKind, OutcomeScope, Stage, Trouble
from saas.kernel import fault

_ENVELOPE: Final = tuple(About)
_DOT: Final = b".\r\n"
_RESET: Final = b"RSET\r\n"
_CERTAIN: Final = (OutcomeKind.REFUSED, OutcomeKind.DEFERRED)


class Leaving(Lost):
    """We end the connection: nothing more may be offered."""


class Desk(Protocol):
    """Where letters come from, and who is told what becomes of them."""

    def take(self) -> Letter | None:
        """Return the next letter, None when there is none."""
        ...

    def may_go_on(self, letter: Letter) -> bool:
        """Say whether a letter's content may leave."""
        ...

    def offered(self, letter: Letter) -> None:
        """Note that a letter's content is about to leave."""
        ...

    def settled(self, letter: Letter, outcome: Outcome) -> None:
        """Note what became of a letter."""
        ...


class Lane:
    """One connection. `step` goes on until it has to wait, and says for what.

    letter: whose envelope is open or about to be. offered: whose content is on its way or unanswered. is_ready: the
    relay has let us in. is_proven: it has also said 354 once.
    """

    _wire: Wire
    _offers: Offers

    def __init__(self, peer: Peer, desk: Desk) -> None:
        self.desk = desk
        self.limit = Limit(peer.timeouts.total_s)
        self.fd = -1
        self.is_ready = self.is_idle = self.is_proven = False
        self.letter: Letter | None = None
        self.offered: Letter | None = None
        self._peer = peer
        self._is_connected = False
        self._is_pipelined = False
        self._is_said = False  # the letter's whole envelope, that is
        self._before_dot: float = math.inf
        self._steps = self._live()

    @property
    def may_have_ended(self) -> bool:
        """Whether the relay may have got the end of the content that is on its way."""
        return self._wire.gone > self._before_dot

    def step(self) -> int:
        """Go on. Returns READ, WRITE or both: what to wait for. Raises Lost."""
        return next(self._steps)

    def expire(self) -> int:
        """Go on as one whose time is up; like `step`."""
        return self._steps.throw(Lost("The server did not answer in time."))

    def be_careful(self) -> None:
        """Say one thing at a time from now on."""
        self._is_pipelined = False

    def quit(self, *, limit_s: float) -> None:
        """Leave politely when nothing is going on, else without a word."""
        if self.is_idle:
            self._wire.quit(limit_s=limit_s)
        self.close()

    def close(self) -> None:
        """End the connection without a word."""
        self._steps.close()
        if self._is_connected:
            self._wire.close()

    def _live(self) -> Steps[None]:
        sock = yield from connect(self._peer, self.limit, self._stand_at)
        self._wire, self._is_connected = Wire(sock, self.limit), True
        self._offers = yield from introduce(self._wire, self._peer, self.limit)
        self._is_pipelined = self._offers.pipelining and not self._peer.is_odd
        self.is_ready = True
        while True:
            letter = self.letter or (yield from self._next())
            clearing = yield from self._envelope(letter)
            if clearing is None:
                yield from self._content(letter)
            else:
                yield from self._clear(clearing)

    def _stand_at(self, fd: int) -> None:
        self.fd = fd

    def _next(self) -> Steps[Letter]:
        """Wait for a letter, and begin with it."""
        wire = self._wire
        while (letter := self._take()) is None:
            self.limit.lift()
            self.is_idle = True
            yield READ
            self.is_idle = False
            wire.hear()  # the relay may have left meanwhile; then no letter is taken
            if wire.answers:
                raise _unasked(wire.answers[0])
        self.letter, self._is_said = letter, self._is_pipelined
        if wire.is_talking:
            raise early()
        if self._is_said:
            yield from wire.say(b"".join(letter.lines(self._offers)), limit_s=self._peer.timeouts.reply_s)
        return letter

    def _take(self) -> Letter | None:
        """Return the next letter that this relay can take; the others are settled."""
        while (letter := self.desk.take()) is not None:
            refusal = letter.unfit_for(self._offers)
            if refusal is None:
                break
            self.desk.settled(letter, refusal)
        return letter

    def _following(self) -> bytes:
        """Take the next letter if it may be said together with what ends the present one; return its envelope."""
        letter = self.letter = self._take() if self._is_pipelined else None
        self._is_said = letter is not None
        return b"".join(letter.lines(self._offers)) if letter else b""

    def _envelope(self, letter: Letter) -> Steps[bytes | None]:
        """Come to the point where the relay wants the content.

        When it does not want it, the letter is settled, and what clears the transaction away is returned.
        """
        wire, reply_s, is_said = self._wire, self._peer.timeouts.reply_s, self._is_said
        lines = () if is_said else letter.lines(self._offers)
        self._peer.stage = Stage.ENVELOPE
        codes: list[int] = []
        for number, about in enumerate(_ENVELOPE):
            if not is_said:
                yield from self._say(lines[number])
            answer = wire.answers.popleft() if wire.answers else (yield from wire.answer(limit_s=reply_s))
            codes.append(answer.code)
            if answer.code < 300 if about is not About.CONTENT else answer.code == 354:
                continue
            self._refused(letter, answer, about)
            if not is_said:
                break
        if self.letter is None:
            return _clearing(codes)
        self.is_proven, self._peer.losses = True, 0
        return None

    def _say(self, line: bytes) -> Steps[None]:
        if self._wire.is_talking:
            raise early()
        yield from self._wire.say(line, limit_s=self._peer.timeouts.reply_s)

    def _refused(self, letter: Letter, answer: Reply, about: About) -> None:
        """Settle a letter by the first answer that is not the hoped-for one, unless the relay is leaving."""
        if answer.code == 421:
            raise Lost(str(answer), Trouble.PRESSURE)
        if self.letter is None:
            return  # it is settled already, and this is what follows from that
        outcome = classify(answer.code, answer.text, about=about)
        if outcome.kind not in _CERTAIN:  # whatever a strange answer means, the content has not left
            outcome = not_sent(outcome.text, Trouble.CONNECT)
        self.letter = None
        self.desk.settled(letter, outcome)

    def _clear(self, clearing: bytes) -> Steps[None]:
        """Forget a transaction, so that the connection serves the next letter."""
        envelope = self._following()
        yield from self._say(clearing + envelope)
        for line in clearing.splitlines(keepends=True):
            answer = yield from self._wire.answer(limit_s=self._peer.timeouts.reply_s)
            if answer.code == 421:
                raise Lost(str(answer), Trouble.PRESSURE)
            if line == _RESET and not answer.is_good:
                raise Odd(str(answer))

    def _content(self, letter: Letter) -> Steps[None]:
        """Send the content. From the dot on, only an answer tells what became of it."""
        wire, desk = self._wire, self.desk
        if wire.is_talking:
            raise early()
        envelope = self._following()  # before we ask: making the next message may take a while
        if not desk.may_go_on(letter):
            raise Leaving("We were told not to go on.")
        desk.offered(letter)
        self.offered = letter
        fault.point("smtp.offered")
        self._peer.stage = Stage.CONTENT
        try:
            yield from self._say_content(letter.content, envelope)
        except Lost:
            with suppress(Lost):
                wire.hear()
            self._heed_early_answer()
            raise
        fault.point("smtp.after_dot")
        answer_s = self._peer.timeouts.answer_s
        answer = wire.answers.popleft() if wire.answers else (yield from wire.answer(limit_s=answer_s))
        fault.point("smtp.after_reply")
        outcome = classify(answer.code, answer.text, about=About.CONTENT)
        self.offered = None
        desk.settled(letter, outcome)
        if answer.code == 421:
            raise Lost(str(answer), Trouble.PRESSURE)
        if outcome.kind is OutcomeKind.UNKNOWN:
            raise Odd(str(answer))

    def _say_content(self, content: bytes, envelope: bytes) -> Steps[None]:
        wire, reply_s = self._wire, self._peer.timeouts.reply_s
        data, left = b"".join((content, _DOT, envelope)), len(content)
        if fault.ACTIVE:
            half = left // 2
            self._before_dot = math.inf
            yield from wire.say(data[:half], limit_s=reply_s)
            fault.point("smtp.mid_body")
            data, left = data[half:], left - half
        self._before_dot = left
        wants = wire.begin(data)
        if wants:
            self.limit.set(reply_s)
        while wants:
            yield wants | READ
            wire.hear()
            self._heed_early_answer()
            wants = wire.go_on()

    def _heed_early_answer(self) -> None:
        """Heed what a relay says in the middle of a content: a refusal is one, since the dot never leaves after it."""
        letter, answers = self.offered, self._wire.answers
        if letter is None or not answers or self.may_have_ended:
            return
        outcome = classify(answers[0].code, answers[0].text, about=About.CONTENT)
        if outcome.kind not in _CERTAIN:
            self._before_dot = -1  # it says that it has what it cannot have: nobody knows what it did
            raise Odd(str(answers[0]))
        self.offered = None
        self.desk.settled(letter, outcome)
        raise Lost(str(answers[0]), outcome.trouble or Trouble.CONNECT)


def not_sent(text: str, trouble: Trouble) -> Outcome:
    """Return the outcome of a message that has not left, for a reason that is not its own."""
    return Outcome(OutcomeKind.DEFERRED, OutcomeScope.CHANNEL, clean(text), trouble=trouble)


def _clearing(codes: Sequence[int]) -> bytes:
    """Return what ends a transaction after these answers to MAIL, RCPT and DATA, not all of them good.

    A relay that has taken nobody and wants a content gets an empty one, which reaches nobody. One that has taken
    somebody after it refused the sender must not get any.
    """
    mail, rcpt, data = (*codes, 0, 0)[:3]
    if 300 <= mail < 400 or 300 <= rcpt < 400 or (data and data < 400 and (data != 354 or rcpt < 300)):
        raise Odd("The server's answers contradict each other.")
    return _DOT + _RESET if data == 354 else _RESET


def _unasked(answer: Reply) -> Lost:
    return Lost(str(answer), Trouble.PRESSURE) if answer.code == 421 else early()

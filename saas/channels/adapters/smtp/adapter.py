"""Hands messages to a relay over a few kept connections (ledger.md, channel adapters; performance.md 11.3)."""

import math
import select
from collections.abc import Callable, Iterator
from typing import Final

from saas.channels.adapters.smtp.lane import Lane, Leaving, not_sent
from saas.channels.adapters.smtp.letter import Letter
from saas.channels.adapters.smtp.peer import Peer
from saas.channels.adapters.smtp.round import Round
from saas.channels.adapters.smtp.wire import Lost, Odd
from saas.channels.rules import clean
from saas.channels.types import Outcome, OutcomeKind, Outgoing, SmtpSettings, Stage, Timeouts, Watch
from saas.kernel.clock import monotonic
from saas.kernel.errors import DomainError

_MOST_LOSSES: Final = 3
_MOST_SILENCES: Final = 5
_GOODBYE_S: Final = 2.0
_FORGOTTEN_S: Final = 1.0


class SmtpAdapter:
    """An adapter (channels/types.py) for one channel configuration. Connects at the first message.

    A plain loop in the caller's thread: nothing waits but `poll`. Further connections are opened, one at a time, while
    those that stand are busy and messages remain. `down` says, after `deliver`, why no connection could be made.
    """

    def __init__(
        self, settings: SmtpSettings, *, allow: tuple[str, ...], ehlo_name: str, timeouts: Timeouts | None = None
    ) -> None:
        self.down: Outcome | None = None
        self._peer = Peer(settings, allow=allow, ehlo_name=ehlo_name, timeouts=timeouts or Timeouts())
        self._lanes: dict[int, Lane] = {}
        self._masks: dict[int, int] = {}
        self._poll = select.poll()
        self._look_at = math.inf
        self._left_at = 0.0
        self._round: Round

    @property
    def stage(self) -> Stage:
        """How far the latest message came."""
        return self._peer.stage

    def deliver(self, messages: Iterator[Outgoing], *, watch: Watch) -> None:
        """Hand messages over; ends early, leaving the rest untouched, when told not to go on.

        When no connection can be made, the messages that were made already are settled as deferred by the channel.
        What `messages` raises comes out when the answers that are due have been settled.
        """
        self.down = None
        self._drop_forgotten()
        self._round = Round(messages, watch=watch)
        for lane in self._lanes.values():
            lane.desk = self._round
        try:
            self._work()
        except BaseException:
            self._drop_all()  # nobody knows what the connections are in the middle of
            raise
        finally:
            self._left_at = monotonic()
        if self._round.error is not None:
            raise self._round.error

    def close(self) -> None:
        """Leave the relay politely; errors do not matter any more."""
        until = monotonic() + _GOODBYE_S
        for fd, lane in list(self._lanes.items()):
            self._forget(fd)
            lane.quit(limit_s=max(0.01, until - monotonic()))

    def _work(self) -> None:
        while True:
            self._employ()
            if self._is_done():
                return
            ready = self._poll.poll(self._patience_ms())
            for fd, _ in ready:
                if fd in self._lanes:
                    self._go(fd, self._lanes[fd].step)
            if monotonic() >= self._look_at:
                self._expire()

    def _employ(self) -> None:
        """Give letters to connections that have none; open one more when all are busy."""
        if self._round.is_over:
            return self._drop_unoffered()
        for fd, lane in list(self._lanes.items()):
            if lane.is_idle and self._round.has_more:
                self._go(fd, lane.step)
        if len(self._lanes) < self._peer.room and self._all_busy() and self._round.has_more:
            self._open()
        return None

    def _all_busy(self) -> bool:
        return all(lane.is_proven and not lane.is_idle for lane in self._lanes.values())

    def _is_done(self) -> bool:
        if any(lane.letter or lane.offered for lane in self._lanes.values()):
            return False
        return not self._round.has_more

    def _open(self) -> None:
        lane = Lane(self._peer, self._round)
        try:
            if not self._lanes:
                self._peer.look_up(limit_s=lane.limit.left(self._peer.timeouts.connect_s))
            mask = lane.step()
        except DomainError as error:
            self._not_opened(Lost(error.detail))
        except Lost as lost:
            self._lost(lane, lost)
        else:
            self._watch_over(lane, mask)

    def _go(self, fd: int, step: Callable[[], int]) -> None:
        """Let a connection go on until it has to wait again."""
        lane = self._lanes[fd]
        try:
            mask = step()
        except Lost as lost:
            self._forget(fd)
            self._lost(lane, lost)
            return
        if lane.fd != fd:
            self._forget(fd)
        if self._masks.get(lane.fd) != mask:
            self._watch_over(lane, mask)
        self._look_at = min(self._look_at, lane.limit.at)

    def _watch_over(self, lane: Lane, mask: int) -> None:
        self._lanes[lane.fd] = lane
        self._masks[lane.fd] = mask
        self._poll.register(lane.fd, mask)
        self._look_at = min(self._look_at, lane.limit.at)

    def _forget(self, fd: int) -> None:
        del self._lanes[fd], self._masks[fd]
        self._poll.unregister(fd)

    def _patience_ms(self) -> float | None:
        if self._look_at == math.inf:
            return None
        return max(0.0, math.ceil((self._look_at - monotonic()) * 1000))

    def _expire(self) -> None:
        now = monotonic()
        for fd, lane in list(self._lanes.items()):
            if fd in self._lanes and lane.limit.at <= now:
                self._go(fd, lane.expire)
        self._look_at = min((lane.limit.at for lane in self._lanes.values()), default=math.inf)

    def _lost(self, lane: Lane, lost: Lost) -> None:
        """Say what became of the messages of a connection that has ended."""
        lane.close()
        if isinstance(lost, Odd):
            self._peer.distrust()
            for each in self._lanes.values():
                each.be_careful()
        if not lane.is_ready:
            self._not_opened(lost)
            return
        if lane.offered is not None:
            unknown = Outcome(OutcomeKind.UNKNOWN, text=clean(lost.text))
            sure = not_sent(lost.text, lost.trouble)
            self._round.settled(lane.offered, unknown if lane.may_have_ended else sure)
            if self._round.silences >= _MOST_SILENCES:  # nobody knows who has their message: not one more
                self._go_down(lost)
                return
        if lane.letter is not None and not isinstance(lost, Leaving):
            self._again(lane.letter, lost, was_proven=lane.is_proven)

    def _again(self, letter: Letter, lost: Lost, *, was_proven: bool) -> None:
        """Let another connection have a letter of which nothing has left, unless it looks as if that helps nobody.

        A relay may end a connection that served others, for idleness or after so many messages; one that ends a new
        one at its first envelope is about to do so again.
        """
        if self._round.is_over:
            return
        letter.losses += 1
        has_others = any(lane.is_ready for lane in self._lanes.values())
        if not was_proven:
            self._peer.losses += 1
            if has_others:
                self._peer.make_do_with(len(self._lanes))
            elif self._peer.losses >= _MOST_LOSSES:
                self._round.put_back(letter)
                self._go_down(lost)
                return
        if letter.losses < _MOST_LOSSES and (was_proven or has_others):
            self._round.put_back(letter)
        else:
            self._round.settled(letter, not_sent(lost.text, lost.trouble))

    def _not_opened(self, lost: Lost) -> None:
        """Make do with the connections that stand, and give up when there is none."""
        if any(lane.is_ready for lane in self._lanes.values()):
            self._peer.make_do_with(len(self._lanes))
        else:
            self._go_down(lost)

    def _go_down(self, lost: Lost) -> None:
        self._peer.forget_room()
        self._peer.losses = 0
        self.down = not_sent(lost.text, lost.trouble)
        self._round.give_up(self.down)

    def _drop_forgotten(self) -> None:
        """End connections that were being opened when nobody looked after them: they tell nothing about the relay."""
        if monotonic() - self._left_at < _FORGOTTEN_S:
            return
        for fd, lane in list(self._lanes.items()):
            if not lane.is_ready:
                self._forget(fd)
                lane.close()

    def _drop_unoffered(self) -> None:
        """End connections on which an envelope is open that must not be followed by its content."""
        for fd, lane in list(self._lanes.items()):
            if lane.letter is not None and lane.offered is None:
                self._forget(fd)
                lane.close()

    def _drop_all(self) -> None:
        for fd, lane in list(self._lanes.items()):
            self._forget(fd)
            lane.close()

"""A sender process: takes chunks, writes messages, hands them over, settles (ledger.md).

Several lanes do this beside each other (lanes.py), so the next chunk is claimed, and the last one settled, while this
one is being sent.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from saas.campaigns.rules.document import Damaged
from saas.campaigns.service.signed import why_shut
from saas.channels.types import Outcome, OutcomeKind, Outgoing
from saas.content.types import FailureKind, RenderFailure
from saas.kernel import fault
from saas.kernel.clock import Clock, monotonic
from saas.kernel.errors import Unavailable
from saas.ledger.types import Exc, Reason
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Picked, Piece
from saas.platform.db import tenant_session
from saas.sending.rules.endings import CHANNEL_S, ending_of, given_back
from saas.sending.service.addressees import Addresser
from saas.sending.service.chunks import gather, has_pending
from saas.sending.service.claim import Wanted, claim
from saas.sending.service.compiled import Compiled, Compiler
from saas.sending.service.doors import close_door, run_of
from saas.sending.service.lanes import Lanes
from saas.sending.service.lines import Line, Lines
from saas.sending.service.owner import Owner
from saas.sending.service.pressure import Admission, admit, give_back_quota, report, reserve, shrink_next
from saas.sending.service.seen import seen_by
from saas.sending.service.settle import NotOurs, settle
from saas.sending.service.watch import ChunkWatch
from saas.sending.types import CHUNK_PEOPLE, Claimed, Ending

_AGAIN_S: Final = 0.2
_WHY_UNWRITTEN: Final = {
    FailureKind.TEMPLATE: Reason.TEMPLATE_FAILED,
    FailureKind.HEADER: Reason.BAD_HEADER,
}
_LATER: Final = timedelta(seconds=0.1)
_AFTER: Final = timedelta(milliseconds=1)  # so that runs which waited longer for the same rate come first
_WHILE_CLAIMED: Final = timedelta(seconds=1)
_SETTLE_S: Final = 12.0  # with the fence's five seconds well below the thirty after which others may settle

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Hand:
    """A chunk in hand: what was claimed, how it is written, what the channel allows, and when quiet hours begin."""

    claimed: Claimed
    compiled: Compiled
    admission: Admission
    quiet_from: datetime | None


@dataclass(slots=True)
class SenderProcess:
    """What a sender keeps for as long as its process lives."""

    owner: Owner
    clock: Clock
    leaving: Callable[[], bool]
    compiler: Compiler
    addresser: Addresser
    lines: Lines
    lanes: Lanes

    def visit(self, picked: Picked) -> Piece:
        """Claim the next chunk of a run in the transaction that picked its row; send it after the commit."""
        session, now = picked.session, picked.now
        if not self.owner.may_claim():
            return Piece(units=0, again_at=now + timedelta(seconds=1))
        run_id = UUID(picked.subject)
        compiled = self.compiler.kept(session, run_id) or self._compiled(picked, run_id)
        if isinstance(compiled, Piece):
            return compiled
        quiet_until = compiled.quiet_until(now)
        if quiet_until is not None and not compiled.document.discards:
            return self._keep_quiet(picked, run_id, compiled.wanted, quiet_until)
        if self.lanes.enough(tenant_id=picked.tenant_id, channel_id=compiled.wanted.channel_id):
            return Piece(units=0, again_at=now + _LATER)
        return self._claim(picked, run_id, compiled, nobody=Reason.QUIET_HOURS if quiet_until is not None else None)

    def _claim(self, picked: Picked, run_id: UUID, compiled: Compiled, *, nobody: Reason | None) -> Piece:
        session, now, wanted = picked.session, picked.now, compiled.wanted
        admission = admit(session, channel_id=wanted.channel_id, now=now)
        if admission.again_at is not None:
            if wanted.dated and not has_pending(session, run_id):
                return self._nothing(picked, run_id, wanted)  # the channel keeps nobody of this run waiting
            return Piece(again_at=admission.again_at)  # a turn, or a workspace with many limited runs takes them all
        if admission.most < CHUNK_PEOPLE:
            shrink_next(session, run_id=run_id, most=admission.most, now=now)
        if not wanted.dated:
            gather(session, run_id=run_id, most=admission.most, now=now)
        claimed = claim(
            session, wanted=wanted, owner=self.owner.id, quota_left=admission.quota_left, nobody=nobody, now=now
        )
        if claimed is None:
            return self._nothing(picked, run_id, wanted)
        paced = reserve(session, channel_id=wanted.channel_id, people=len(claimed.people), admission=admission, now=now)
        hand = _Hand(claimed, compiled, admission, compiled.quiet_from(now))
        next_at = claimed.next_at or (now if self._may_come(picked, run_id, wanted) else now + _WHILE_CLAIMED)
        return Piece(
            units=claimed.size,
            again_at=max(paced + _AFTER if paced else now, next_at),
            then=partial(self.deliver, hand),
            in_doubt=partial(self._find_out, hand, _backend_of(picked)),
        )

    def _keep_quiet(self, picked: Picked, run_id: UUID, wanted: Wanted, until: datetime) -> Piece:
        """Claim nothing in quiet hours (R14): whoever waits is looked at again at their end; all else goes on as ever.

        Second tries and calls wait as well. A run of which nobody waits ends, and one that was stopped is tidied up.
        """
        piece = self._nothing(picked, run_id, wanted)
        if piece.again_at is None or not has_pending(picked.session, run_id):
            return piece
        return Piece(again_at=max(piece.again_at, until))

    def _nothing(self, picked: Picked, run_id: UUID, wanted: Wanted) -> Piece:
        """Decide what comes next when nothing was claimed. Not while a call is open: what it adds is not seen yet."""
        session, now = picked.session, picked.now
        if not wanted.dated and not agenda.alone(session, work=wanted.work, subject=run_id):
            return Piece(units=0, again_at=now)
        run = run_of(session, run_id)
        return Piece(units=0) if run is None else close_door(session, run, why_shut(session, run), now)

    def _may_come(self, picked: Picked, run_id: UUID, wanted: Wanted) -> bool:
        """Say whether a call may have added somebody whom the claim did not see."""
        if wanted.dated:
            return False
        alone = agenda.alone(picked.session, work=wanted.work, subject=run_id)
        return not alone or has_pending(picked.session, run_id)

    def _compiled(self, picked: Picked, run_id: UUID) -> Compiled | Piece:
        session, now = picked.session, picked.now
        run = run_of(session, run_id)
        if run is None:
            return Piece(units=0)
        try:
            return self.compiler.of(session, run)
        except Damaged as error:
            log.error("sending.damaged", run=str(run.run_id), why=str(error))  # noqa: TRY400  a finding, no bug
            return close_door(session, run, why_shut(session, run) or "document", now)

    def deliver(self, hand: _Hand) -> None:
        """Hand a claimed chunk over, then settle it."""
        claimed = hand.claimed
        with self._in_hand(), self.lanes.lane(tenant_id=claimed.tenant_id, channel_id=claimed.channel_id):
            slot = self.owner.journal.take_slot()
            slot.begin(claimed.token, [person.entry_id for person in claimed.people])
            watch = ChunkWatch(claimed, slot=slot, owner=self.owner, leaving=partial(self._must_end, hand))
            with self.lines.use(claimed) as open_line:
                started = monotonic()
                rest_s = self._send(hand, watch, open_line)
                took_s = monotonic() - started
            # What could not be settled stays in the journal: only there it stands who has their message already.
            if self._settle(hand, watch=watch, took_s=took_s, rest_s=rest_s):
                self.owner.journal.leave_slot(slot)

    def _must_end(self, hand: _Hand) -> bool:
        """Say whether nothing more of a chunk may leave: this process ends, or quiet hours have begun."""
        return self.leaving() or (hand.quiet_from is not None and self.clock.now() >= hand.quiet_from)

    @contextmanager
    def _in_hand(self) -> Iterator[None]:
        """Give up when anything is raised: what is claimed is settled by us, or by whoever proves that we ended."""
        try:
            yield
        except Exception:
            self.owner.give_up()
            raise

    def _send(self, hand: _Hand, watch: ChunkWatch, open_line: Callable[[], Line]) -> float:
        """Send a chunk. Return in how many seconds those who were not offered are to be tried again."""
        claimed = hand.claimed
        try:
            if claimed.people and watch.goes_on():
                line = open_line()
                line.adapter.deliver(self._messages(hand, watch, line.sign), watch=watch)
                watch.down = line.adapter.down
        except (OperationalError, InterfaceError) as error:
            log.warning("sending.no_database", run=str(claimed.run_id), error=str(error.orig))
        except Unavailable as error:
            # Nobody failed: who was not offered is given back, and tried again when we can.
            log.warning("sending.unavailable", run=str(claimed.run_id), error=error.detail)
            return CHANNEL_S
        except Exception:
            log.exception("sending.broken", run=str(claimed.run_id), chunk=claimed.chunk_no)
            return CHANNEL_S
        return 0.0

    def _messages(self, hand: _Hand, watch: ChunkWatch, sign: Callable[[bytes], bytes] | None) -> Iterator[Outgoing]:
        """Yield the messages one by one; a person who opted out meanwhile, or whose message fails, is passed over."""
        claimed, channel = hand.claimed, hand.compiled.step.channel
        from_address = channel.get("from_address", "")  # a webhook has none
        sender = channel.get("return_path") or from_address
        people = list(self.addresser.addressees(claimed, from_address=from_address))
        for index, written in enumerate(hand.compiled.letter.write(people, date=claimed.claimed_at)):
            if isinstance(written, RenderFailure):
                log.info("sending.render_failed", run=str(claimed.run_id), why=written.reason)
                watch.fail(index, Exc.RENDER_FAILED, _WHY_UNWRITTEN[written.kind])
            elif watch.may_still_get(index):
                message = written if sign is None else sign(written)
                person = people[index]
                message_id = person.message_id.strip("<>").rstrip("@")
                yield Outgoing(index, sender, person.to, message, is_checked=True, message_id=message_id)

    def _find_out(self, hand: _Hand, backend: int) -> None:
        """Give back a chunk whose claim was sent to the database and never answered: nobody of it was offered.

        First the session that was committing is ended, or its commit could come after we found nothing to give back.
        """
        until = monotonic() + _SETTLE_S
        with self._in_hand():
            while monotonic() < until:
                try:
                    self.owner.end_session(backend)
                except (OperationalError, InterfaceError) as error:
                    log.warning("sending.find_out_again", run=str(hand.claimed.run_id), error=str(error.orig))
                    time.sleep(_AGAIN_S)
                    continue
                self._settle(hand, watch=None, took_s=0.0, rest_s=0.0)
                return
        self.owner.give_up()

    def _settle(self, hand: _Hand, *, watch: ChunkWatch | None, took_s: float, rest_s: float) -> bool:
        """Settle, again and again while the database is away: nobody else can, as long as this process lives.

        A fenced process may too: the token says whether the chunk is still ours. When it cannot be done the process
        gives up, and whoever proves that it is gone settles; then the answer is False.
        """
        claimed, until = hand.claimed, monotonic() + _SETTLE_S
        while monotonic() < until:
            try:
                self._settle_once(hand, watch, took_s, rest_s)
            except NotOurs:
                log.warning("sending.not_ours", run=str(claimed.run_id), chunk=claimed.chunk_no)
            except (OperationalError, InterfaceError) as error:
                log.warning("sending.settle_again", run=str(claimed.run_id), error=str(error.orig))
                time.sleep(_AGAIN_S)
                continue
            return True
        self.owner.give_up()
        return False

    def _settle_once(self, hand: _Hand, watch: ChunkWatch | None, took_s: float, rest_s: float) -> None:
        claimed, now = hand.claimed, self.clock.now()
        with tenant_session(self.owner.engine, claimed.tenant_id) as session:
            down = False
            if watch is not None and (watch.answered or watch.down is not None or hand.admission.probe):
                down = report(
                    session,
                    channel_id=claimed.channel_id,
                    admission=hand.admission,
                    seen=seen_by(watch, took_s=took_s),
                    now=now,
                )
            free = settle(
                session,
                run_id=claimed.run_id,
                step_no=claimed.step_no,
                chunk_no=claimed.chunk_no,
                token=claimed.token,
                purpose=hand.compiled.document.purpose,
                tries_for_s=hand.compiled.tries_for_s,
                endings=_endings(claimed, watch, channel_down=down, rest_s=rest_s),
                deaths=claimed.deaths,
                now=now,
            )
            give_back_quota(session, people=free, month=hand.admission.month)
            session.commit()
        fault.point("settle.after_commit")

    def close(self) -> None:
        """Leave everything politely."""
        self.lines.close()
        self.compiler.close()
        self.owner.end()


def _endings(claimed: Claimed, watch: ChunkWatch | None, *, channel_down: bool, rest_s: float) -> list[Ending]:
    """Return how everybody's turn ended who was not accepted."""
    if watch is None:
        return [given_back(person.entry_id) for person in claimed.people]
    found = (_ending(watch, index, channel_down=channel_down, rest_s=rest_s) for index in watch.unaccepted())
    return [ending for ending in found if ending is not None]


def _ending(watch: ChunkWatch, index: int, *, channel_down: bool, rest_s: float) -> Ending | None:
    person = watch.claimed.people[index]
    if index in watch.failed:
        return watch.failed[index]
    outcome = watch.outcomes.get(index)
    if outcome is None and not watch.was_offered(index):
        # Whoever comes after the end of a connection that cannot be made again waits as those before.
        return given_back(person.entry_id, again_in_s=CHANNEL_S if watch.down is not None else rest_s)
    return ending_of(
        person.entry_id,
        outcome or Outcome(OutcomeKind.UNKNOWN),
        attempt=person.attempt,
        marketing=watch.claimed.marketing,
        channel_down=channel_down,
        chance=_chance,
    )


def _backend_of(picked: Picked) -> int:
    """Return the process id of the database's side of this connection."""
    driver = picked.session.connection().connection.driver_connection
    pid: int = driver.info.backend_pid  # type: ignore[union-attr]  # SQLAlchemy's is any driver's
    return pid


def _chance() -> float:
    return secrets.randbelow(1_000_000) / 1_000_000

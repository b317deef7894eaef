"""Play a rehearsal by a virtual clock: the engine's own handlers, called when the agenda says, without a sender (U14).

What the engine arms for the copied campaign is read back from the agenda within the same transaction; the clock jumps
to the earliest row. Instead of a sender, one statement writes what a claim would write: everybody is accepted, or
skipped for the claim's own reasons.

What the engine looks at before each turn (the seal, the signature, the channels) is looked at by its start, and not
again: nothing of it can change in here. Where much happens at many moments, turns wait for what follows shortly, and
take many people at once (`Play.grain`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.steps import call_webhook, change_list, change_points, set_attribute
from saas.campaigns.types import START_CAMPAIGN, CampaignKind, CampaignState
from saas.journeys.service.coming import every_of, update
from saas.journeys.service.start import start
from saas.journeys.service.streams import turn_at
from saas.journeys.service.winners import AWAITS
from saas.journeys.types import CALL_WEBHOOK, FLOW_UPDATE, REFRESH_ZONES
from saas.kernel.clock import monotonic
from saas.ledger.models import Run
from saas.ledger.types import CALL_FILE, FLOW_STEP, TELL_GATE, Reason, RunState, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Piece
from saas.reports.rules.scenario import MAX_TURNS
from saas.reports.service.handing import hand_over
from saas.reports.service.stage import Stage
from saas.sending.types import SEND_BULK, SEND_TRANSACTIONAL

FACTS, ENGINE, ENTERING = range(3)  # at one moment: facts come first, who enters comes last
_LOOKS_AGAIN: Final = timedelta(seconds=5)
_INSTANT: Final = timedelta(microseconds=1)  # the least that PostgreSQL tells apart


def _turn(session: Session, stage: Stage, subject: str, now: datetime) -> Piece:
    """Take a turn at a step of the revision on the stage, which is what is signed as long as the campaign goes on."""
    if stage.campaign.state != CampaignState.ACTIVE.value:
        return Piece(units=0)
    step_no = int(subject.partition(":")[2])
    return turn_at(session, stage.campaign, stage.revision, stage.document, step_no, now=now)


# Which of the engine's works are played, by name; whoever gives journeys another kind of work adds it here.
PLAYED: Final[Mapping[str, Callable[[Session, Stage, str, datetime], Piece]]] = MappingProxyType(
    {
        START_CAMPAIGN.name: lambda session, _stage, subject, now: start(session, UUID(subject), now),
        FLOW_STEP.name: _turn,
        FLOW_UPDATE.name: lambda session, _stage, subject, now: update(session, UUID(subject), now),
    }
)
# Steps after which others may belong to an audience.
_CHANGE_PEOPLE: Final = frozenset({set_attribute.KIND, change_list.KIND, change_points.KIND, call_webhook.KIND})
_SENDS: Final = frozenset({SEND_BULK.name, SEND_TRANSACTIONAL.name})
# Which are not, each for its reason; a row of theirs is taken off the agenda of the rehearsal.
LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        TELL_GATE.name: "the stand-in of a gate answers as the scenario says; nobody is told",
        CALL_WEBHOOK.name: "the stand-in of the step answers at once; nobody is called",
        REFRESH_ZONES.name: "a rehearsal goes by the rules of now; no others come while it lasts",
        CALL_FILE.name: "a rehearsal's people are named by its scenario; nobody uploads files",
    }
)

_DUE: Final = sa.text(
    """
    SELECT a.kind, a.subject, a.due_at FROM agenda a WHERE a.tenant_id = :tenant AND (a.subject = :campaign
      OR a.subject LIKE :campaign || ':%'
      OR a.subject IN (SELECT r.run_id::text FROM run r WHERE r.tenant_id = :tenant AND r.campaign_id = :id))
    ORDER BY a.due_at, a.kind, a.subject
    """
)
_DROP: Final = sa.text("DELETE FROM agenda WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject")
_LOOKS_AT: Final = sa.text(
    "SELECT due_at FROM agenda WHERE tenant_id = :tenant AND kind = :kind AND subject = :campaign"
)
_AGAIN: Final = sa.text(
    "UPDATE agenda SET due_at = :again WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject"
)
_NEXT: Final = sa.text(
    "SELECT min(not_before) FROM chunk WHERE tenant_id = :tenant AND run_id = :run AND state = 'pending'"
)
_BUSY: Final = sa.text(
    """
    SELECT EXISTS (SELECT FROM wait WHERE tenant_id = :tenant AND campaign_id = :id)
      OR EXISTS (SELECT FROM chunk k JOIN run r ON r.tenant_id = :tenant AND r.run_id = k.run_id AND r.campaign_id = :id
        WHERE k.tenant_id = :tenant AND k.state = 'pending')
    """
)

Act = Callable[[datetime], None]
Rows = Sequence[Any]  # of the agenda, the earliest first


@dataclass(frozen=True, slots=True)
class Spent:
    """How long one of the engine's turns took, in real seconds; at: by the virtual clock."""

    kind: str
    at: datetime
    seconds: float


@dataclass
class Play:
    """A rehearsal that goes on.

    before_message, after_message: called for each run that hands messages over, before people go on.

    until: when the virtual clock stops; within_s: how many real seconds it may take. turns: how many were taken;
    spent: how long each of the engine's took. complete: whether nothing would have come any more; broken_off: it
    took too many turns or seconds.

    grain: by how much a turn at a step may come later, so that it takes everybody together to whom something happens
    meanwhile; zero is exact. Who is about to act is never behind (`catch_up`): it changes times, and what somebody does
    that shortly after a deadline of their own may still be in time.
    """

    session: Session
    stage: Stage
    now: datetime
    until: datetime
    within_s: float
    grain: timedelta = timedelta()
    after_message: Callable[[Run, datetime], None] | None = None
    before_message: Callable[[Run], None] | None = None
    turns: int = 0
    complete: bool = True
    broken_off: bool = False
    spent: list[Spent] = field(default_factory=list)
    _looks: bool = True  # whether a flowing campaign's people may have changed since they were compared
    _coming: list[tuple[datetime, int, int, Act]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)

    def at(self, moment: datetime, act: Act, *, order: int = FACTS) -> None:
        """Have something happen at a moment of the virtual clock; what has passed happens now."""
        heappush(self._coming, (max(moment, self.now), order, next(self._numbers), act))

    def run(self) -> None:
        """Play until nothing comes any more, the clock stops, or it took too many turns or seconds."""
        ends = monotonic() + self.within_s
        while (act := self._next()) is not None:
            if self.turns >= MAX_TURNS or monotonic() > ends:
                self.complete, self.broken_off = False, True
                return
            self.turns += 1
            act(self.now)

    def people_may_change(self, now: datetime) -> None:
        """Have a flowing campaign's audience compared once more: somebody may match who did not, or leave.

        That is at its next turn by `every_minutes`, as if none had been left out since the last one.
        """
        if self._looks:
            return
        self._looks = True
        due_at = self.session.scalar(_LOOKS_AT, self._names | {"kind": FLOW_UPDATE.name})
        if due_at is None or due_at >= now:
            return
        every = every_of(self.stage.document)
        names = self._names | {"kind": FLOW_UPDATE.name, "subject": str(self.stage.campaign.campaign_id)}
        self.session.execute(_AGAIN, names | {"again": due_at + every * -((due_at - now) // every)})

    def catch_up(self) -> None:
        """Take the turns that have waited: who acts now stands where they would stand without the grain.

        Just before now: what happens at the very moment of a deadline is still in time (`FACTS`).
        """
        if not self.grain:
            return
        before = self.now - _INSTANT
        while self.turns < MAX_TURNS and (rows := self._rows())[:1] and rows[0].due_at <= before:
            self.turns += 1
            self._engine(rows, before)

    def _next(self) -> Act | None:
        rows, own = self._rows(), self._coming[0] if self._coming else None
        moments = [row.due_at for row in rows[:1]] + ([own[0]] if own is not None else [])
        if not moments or self._is_over(own):
            return None
        if min(moments) > self.until:
            self.complete = False
            return None
        if own is not None and self._comes_first(own[0], own[1], rows):
            self.now = max(self.now, own[0])
            return heappop(self._coming)[3]
        self.now = max(self.now, rows[0].due_at)
        return partial(self._engine, rows)

    def _rows(self) -> Rows:
        rows = self.session.execute(_DUE, self._names).all()
        return rows if self._looks else [row for row in rows if row.kind != FLOW_UPDATE.name]

    def _comes_first(self, at: datetime, order: int, rows: Rows) -> bool:
        """Say whether something of the scenario comes before the engine's next turn."""
        if not rows:
            return True
        due_at = max(self.now, rows[0].due_at)
        return at < due_at or (at, order) <= (due_at, FACTS) or self._waits_for(at, rows)

    def _waits_for(self, at: datetime, rows: Rows) -> bool:
        """Say whether the engine waits for what happens at a moment: within the same grain, counted from the start."""
        if not self.grain or at > self.until or at <= rows[0].due_at:
            return False
        begun = self.stage.start
        if (rows[0].due_at - begun) // self.grain != (at - begun) // self.grain:
            return False
        return all(self._may_wait(row.kind, row.subject) for row in rows if row.due_at <= at)

    def _may_wait(self, kind: str, subject: str) -> bool:
        if kind != FLOW_STEP.name:
            return kind in _SENDS
        step_no = int(subject.partition(":")[2])
        return all(step.at is None for step in self.stage.document.steps if step.step_no == step_no)

    def _changes_people(self, subject: str) -> bool:
        step_no = int(subject.partition(":")[2])
        return any(each.step_no == step_no and each.kind in _CHANGE_PEOPLE for each in self.stage.document.steps)

    def _is_over(self, own: object) -> bool:
        """Say whether a flowing campaign has nobody left, and nobody can come any more."""
        if own is not None or self._looks or self.stage.campaign.kind != CampaignKind.FLOWING.value:
            return False
        busy: bool | None = self.session.scalar(_BUSY, self._names)
        return not busy

    @property
    def _names(self) -> dict[str, Any]:
        campaign = self.stage.campaign
        return {"tenant": campaign.tenant_id, "campaign": str(campaign.campaign_id), "id": campaign.campaign_id}

    def _engine(self, rows: Rows, now: datetime) -> None:
        """Do what stands first on the agenda, and leave its row as the agenda's loop does."""
        kind, subject = rows[0].kind, rows[0].subject
        moments = [row.due_at for row in rows[1:2]] + [each[0] for each in self._coming[:1]]
        coming = min(moments, default=None)
        began = monotonic()
        piece = self._piece(kind, subject, now)
        self.spent.append(Spent(kind, now, monotonic() - began))
        if kind == FLOW_UPDATE.name:
            self._looks = False
        elif kind == FLOW_STEP.name and self._changes_people(subject):
            self.people_may_change(now)
        names = {"tenant": self.stage.campaign.tenant_id, "kind": kind, "subject": subject}
        if piece.again_at is None:
            self.session.execute(_DROP, names)
            return
        again = piece.again_at
        if not piece.units and coming is not None and again - now <= _LOOKS_AGAIN:
            again = max(again, coming)  # nothing can have changed before
        self.session.execute(_AGAIN, names | {"again": again})

    def _piece(self, kind: str, subject: str, now: datetime) -> Piece:
        if kind in _SENDS:
            return self._send(UUID(subject), now)
        handler = PLAYED.get(kind)
        return Piece(units=0) if handler is None else handler(self.session, self.stage, subject, now)

    def _send(self, run_id: UUID, now: datetime) -> Piece:
        session, document = self.session, self.stage.document
        run = session.get_one(Run, (self.stage.campaign.tenant_id, run_id), populate_existing=True)
        if run.state != RunState.RUNNING.value or self.stage.campaign.state != CampaignState.ACTIVE.value:
            return Piece(units=0)
        quiet = document.silence.ends_at(now, document.time_zone) if document.silence is not None else None
        if quiet is not None and not document.discards:
            return Piece(again_at=quiet)
        if self.before_message is not None:
            self.before_message(run)
        hand_over(session, run, self.stage, now, nobody=Reason.QUIET_HOURS if quiet is not None else None)
        if self.after_message is not None:
            self.after_message(run, now)
        if not run.dated and run.leads_on:
            subject = flow_subject(run.campaign_id, run.step_no)
            agenda.arm(session, work=FLOW_STEP, subject=subject, due_at=now)
        next_at = session.scalar(_NEXT, {"tenant": run.tenant_id, "run": run.run_id})
        if next_at is None and run.dated and AWAITS not in run.facts:  # a test may still send it people
            run.state, run.finished_at = RunState.FINISHED.value, now
            session.flush()
            agenda.arm(session, work=START_CAMPAIGN, subject=run.campaign_id, due_at=now)
        return Piece(again_at=next_at)

"""Lives the life of a flow: visit by visit, with everything that happens in between and in the middle."""

import heapq
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from saas.audiences.models import ListMember
from saas.campaigns.models import Campaign
from saas.campaigns.service import control
from saas.campaigns.types import START_CAMPAIGN, Overdue
from saas.intake.service.waking import wake
from saas.intake.types import Fact as Heard
from saas.journeys.service import asking, coming, trigger
from saas.journeys.service.gates import GateClosed
from saas.journeys.service.terms import NotAccepting
from saas.journeys.types import Recipient, Way
from saas.kernel import fault, ids
from saas.kernel.errors import DomainError
from saas.ledger.models import Consent, Contact, Event
from saas.ledger.types import FLOW_STEP, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Queue
from tests.lives.flows import ground as grounds
from tests.lives.flows.became import Became, became
from tests.lives.flows.outside import Gates, Kept, Standing, replies, wrong_in_other
from tests.lives.flows.plan import Life, Trouble
from tests.lives.ground import address
from tests.lives.living import Installation, Story
from tests.lives.speed import Ticker, hurry
from tests.reference.flow.judge import compare
from tests.reference.flow.life import play
from tests.reference.flow.nursery import extended, seen_by
from tests.reference.flow.words import (
    Called,
    Changed,
    Decided,
    Extended,
    Fact,
    Looked,
    Message,
    Passed,
    Paused,
    Published,
    Released,
    Resumed,
    Script,
    Seen,
    Settled,
    Stopped,
    Told,
)  # fmt: skip

MOST_VISITS = 3000
MOST_PIECES = 1000  # of one visit
SLACK = timedelta(seconds=0)
_FIRST_ENTRY = 1000
_DUE = "SELECT min(due_at), max(last_error) FROM agenda WHERE tenant_id = %s"
_TURNING = "SELECT kind, subject FROM agenda WHERE due_at <= %s AND tenant_id = %s"
_DUE_QUEUES = "SELECT DISTINCT queue FROM agenda WHERE due_at <= %s AND tenant_id = %s"
_OUTCOMES = sa.text(
    """
    SELECT d.entry_id, d.step_no, d.contact_id, d.exc, d.reason, c.state FROM delivery d
    LEFT JOIN chunk c ON c.tenant_id = d.tenant_id AND c.run_id = d.run_id AND c.no = d.chunk_no
    WHERE d.tenant_id = :tenant
    """
)
_NEWEST = sa.text(
    "SELECT max(entry_id) FROM entry WHERE tenant_id = :tenant AND campaign_id = :campaign AND contact_id = :contact"
)
_FILLED: tuple[dict[str, str], ...] = ({"greeting": "Hi", "plan": "silver"}, {})
_OUTCOME = {"rejected": "refused", "render_failed": "failed", "waiting": "deferred"}
_OVERDUE = {"now": Overdue.START_NOW, "skip": Overdue.SKIP, "new_time": Overdue.NEW_TIME}


class _Ordered:
    """The time of ids: of runs that are made within a millisecond, too, the earlier one's work comes first."""

    def __init__(self) -> None:
        self._last = 0

    def time_ns(self) -> int:
        self._last = max(self._last + 1_000_000, time.time_ns())
        return self._last


_ordered = _Ordered()


class Killed(BaseException):
    """A worker is gone in the middle of a piece."""


@dataclass(order=True)
class _Coming:
    at: datetime
    turn: int
    thing: Any = field(compare=False)


class Living:
    """One run of a life."""

    def __init__(self, installation: Installation, life: Life) -> None:
        self.on, self.life = installation, life
        self.told = Story()
        self.clock = installation.room.clock
        self.clock.at = life.begin
        self.ground: grounds.Ground
        self.coming: list[_Coming] = []
        self.turns = 0
        self.facts: list[Fact] = []
        self.visits: list[datetime] = []
        self.outcomes: dict[tuple[int, int], str] = {}
        self.armed: list[Trouble] = []
        self.passed = 0
        self.looked: Looked | None = None
        self.gates: Gates
        self.campaign = life.campaign
        self.script: Script
        self.right: Told
        self.is_published = True

    # The whole of it ----------------------------------------------------------------------------------------------

    def live(self) -> Story:
        """Live it to its end. What went wrong is in `findings`."""
        shell = self.on.stage.app.extensions["countersign"]
        clock = shell.clock
        try:
            with ExitStack() as stack:
                shell.clock = self.clock
                stack.enter_context(patch.object(ids, "time", new=_ordered))
                stack.enter_context(patch.object(fault, "ACTIVE", new=True))
                stack.enter_context(patch.object(fault, "point", new=self._point))
                stack.enter_context(patch.object(asking, "Renderer", new=partial(Kept, self.on.stage.renderer)))
                stack.enter_context(patch.object(coming, "_diff", new=self._noting_looks(coming._diff)))
                self._begin()
                self._play()
                if self.is_published:
                    self._judge()
        except Exception as error:  # noqa: BLE001  whatever it was, it is this life's, and the next one is to be lived
            self.told.findings.append(f"broken: {type(error).__name__}: {str(error)[:600]}")
        finally:
            shell.clock = clock
            self.on.provider.witness = None
        return self.told

    def _begin(self) -> None:
        on, life = self.on, self.life
        hurry(life.seed, Ticker())
        on.eye.execute("TRUNCATE agenda")
        on.eye.execute("UPDATE tenant_turn SET turn = 0")
        # Chance comes from the ids of entries, too.
        on.eye.execute(f"ALTER SEQUENCE entry_id_seq RESTART WITH {_FIRST_ENTRY}")
        self.ground = grounds.lay(on.stage, life, on.provider.port, on.receiver)
        self.gates = Gates(self.ground.author, self.ground.campaign_id)
        on.provider.scripts = {(grounds.SENDER, address(person)): list(words) for person, words in life.answers}
        on.receiver.begin({address(person): words for person, words in life.answers}, lambda: self.clock.at)
        for thing in (*life.facts, *life.troubles):
            self._expect(thing.at, thing)
        self._count_plan()

    def _count_plan(self) -> None:
        campaign, count = self.life.campaign, self._count
        count(f"kind: {campaign['kind']}")
        for kind in {_kind_of(step) for step in campaign["flow"]["steps"]}:
            count(f"step: {kind}")
        if _changes_clocks(self.life):
            count("timing: clocks change")
        for timing in _timings(campaign):
            count(f"timing: {timing}")

    def _expect(self, at: datetime, thing: Any) -> None:
        self.turns += 1
        heapq.heappush(self.coming, _Coming(at, self.turns, thing))

    def _play(self) -> None:
        while len(self.visits) < MOST_VISITS:
            due = self._next_due()
            moments = [moment for moment in (due, self.coming[0].at if self.coming else None) if moment is not None]
            if not moments or min(moments) > self.life.until or not self.is_published:
                return
            self.clock.at = max(self.clock.at, min(moments))
            self._trouble()
            while self.coming and self.coming[0].at <= self.clock.at:
                thing = heapq.heappop(self.coming).thing
                if isinstance(thing, Trouble):
                    self.armed.append(thing)
                else:
                    self._happen(thing)
            self._visit()
        self.told.findings.append(f"unfinished: after {MOST_VISITS} visits there is still something due")

    def _trouble(self) -> None:
        """Bells that come late and clocks that jump: what is due is done later."""
        for trouble in [each for each in self.armed if each.what in {"lose_bell", "jump"}]:
            self.armed.remove(trouble)
            self._count(f"fault: {trouble.what}")
            self.clock.at += timedelta(seconds=trouble.seconds if trouble.what == "jump" else 7)

    # One visit ----------------------------------------------------------------------------------------------------

    def _visit(self) -> None:
        self.visits.append(self.clock.at)
        self._run()
        for trouble in [each for each in self.armed if each.what == "double_bell"]:
            self.armed.remove(trouble)
            self._count("fault: double_bell")
            self._ring_all()
            self._run()
        self._look()

    def _run(self) -> None:
        while due := self._due_queues():
            try:
                done = self.on.room.run(*sorted(due), pieces=MOST_PIECES)
                if not done:
                    return
                if done >= MOST_PIECES:
                    pieces = self.on.eye.execute(_TURNING, (self.clock.at, self.ground.tenant_id)).fetchall()
                    msg = f"after {done} pieces of one visit there is more to do: {pieces}"
                    raise RuntimeError(msg)
            except Killed:
                continue  # the dispatcher sends another worker

    def _ring_all(self) -> None:
        """Every bell there is once more, for nothing."""
        with self.ground.session() as session:
            agenda.arm(session, work=START_CAMPAIGN, subject=self.ground.campaign_id, due_at=self.clock.at)
            dated = self.life.campaign["kind"] == "dated"
            for step in () if dated else self.life.campaign["flow"]["steps"]:
                subject = flow_subject(self.ground.campaign_id, step["step_no"])
                agenda.arm(session, work=FLOW_STEP, subject=subject, due_at=self.clock.at)
            session.commit()

    def _look(self) -> None:
        """Note what became of messages, and let people do what they wished to do about them."""
        people = self.ground.people
        with self.ground.session() as session:
            rows = session.execute(_OUTCOMES, {"tenant": self.ground.tenant_id}).all()
            come = self.gates.look(session, self.ground.tenant_id) if self._has("gate") else []
        self._stand(come)
        for row in sorted(rows, key=lambda row: (row.entry_id, row.step_no)):
            outcome = _outcome(row)
            key = (row.entry_id, row.step_no)
            if outcome is None or self.outcomes.get(key) == outcome:
                continue
            self.outcomes[key] = outcome
            if row.reason not in {"too_late", "skipped_on_resume"}:
                self.facts.append(Settled(self.clock.at, *key, outcome))
            self._count(f"answers: {outcome}")
            if outcome == "accepted":
                self._grant(people[row.contact_id], *key)

    def _stand(self, come: list[Standing]) -> None:
        """Let the system at the gates do what it wishes about who has come to one."""
        people, gates = self.ground.people, {(each.step_no, each.occurrence) for each in come}
        for wish in self.life.wishes:
            at = self.clock.at + timedelta(seconds=max(wish.after, 1))
            for no, occurrence in sorted(gates) if wish.what == "released" else ():
                if no == wish.step_no:
                    self._expect(at, Released(at, no, occurrence))
            for each in come if wish.what in {"accepted", "rejected"} else ():
                if (people[each.contact_id], each.step_no) == (wish.person, wish.step_no):
                    self._expect(at, Decided(at, each.step_no, each.entry_id, wish.what, _FILLED[wish.after % 2]))

    def _has(self, kind: str) -> bool:
        return any(step["kind"] == kind for step in self.life.campaign["flow"]["steps"])

    def _grant(self, person: int, entry_id: int, step_no: int) -> None:
        for wish in self.life.wishes:
            if (wish.person, wish.step_no) == (person, step_no):
                at = self.clock.at + timedelta(seconds=max(wish.after, 1))
                self._expect(at, seen_by(wish, at, person, entry_id))

    def _point(self, name: str) -> None:
        if not name.startswith("flow."):
            return
        looked, self.looked = self.looked, None
        dying = next((each for each in self.armed if each.what == "die"), None)
        if dying is None:
            return
        self.passed += 1
        if self.passed >= dying.nth:
            self.armed.remove(dying)
            self.passed = 0
            self._count("fault: die")
            self._count(f"at {name}")
            if looked is not None:
                self.facts.remove(looked)  # of which nothing is kept
            raise Killed(name)

    def _noting_looks(self, diff: Any) -> Any:
        def noting(*args: Any) -> None:
            self.looked = Looked(self.clock.at)
            self.facts.append(self.looked)
            diff(*args)

        return noting

    # What happens ---------------------------------------------------------------------------------------------------

    def _happen(self, fact: Fact) -> None:
        fact = replace(fact, at=self.clock.at)
        do = getattr(self, f"_{type(fact).__name__.lower()}")
        done = do(fact)
        if done is not None:
            self.facts.append(done)
            self._count(f"event: {_name_of(done)}")

    def _published(self, fact: Published) -> Fact | None:
        try:
            if fact.campaign is None:
                grounds.publish(self.ground, fact.at)
            else:
                grounds.revise(self.ground, fact.campaign, fact.at)
                self.campaign = fact.campaign
        except DomainError as error:
            if fact.campaign is None:
                self.is_published = False
                faults = [(each.pointer, each.message) for each in getattr(error, "faults", ())]
                self.told.findings.append(f"different: not published: {error} {faults}")
            else:
                self._count("refused: edit")
            return None
        return fact

    def _extended(self, fact: Extended) -> Fact | None:
        """Put more steps below a leaf, where the campaign has come to its end (R11)."""
        with self.ground.session() as session:
            state = session.get_one(Campaign, (self.ground.tenant_id, self.ground.campaign_id)).state
        if state != "completed" or self.life.leaf is None:
            self._count("refused: extension")
            return None
        self.campaign = extended(self.campaign, self.life.leaf, fact.at)
        grounds.revise(self.ground, self.campaign, fact.at)
        return replace(fact, campaign=self.campaign)

    def _called(self, fact: Called) -> Fact:
        contact = self.ground.contacts[fact.person]
        self.turns += 1
        recipient = Recipient(0, Way.CONTACT_ID, str(contact), fact.key or "", dict(fact.context))
        with self.ground.session() as session:
            try:
                (result,) = trigger.trigger(
                    session,
                    actor=self.ground.author,
                    campaign_id=self.ground.campaign_id,
                    call_id=f"call-{self.turns}",
                    recipients=[recipient],
                    now=fact.at,
                )
                session.commit()
            except NotAccepting:
                return replace(fact, answer="refused")
            entry_id = session.scalar(
                _NEWEST, {"tenant": self.ground.tenant_id, "campaign": self.ground.campaign_id, "contact": contact}
            )
        answer = result.status.value
        self._count(f"call: {answer}")
        return replace(fact, answer=answer, entry_id=entry_id if answer == "accepted" else None)

    def _seen(self, fact: Seen) -> Fact:
        """Write what intake writes, and wake who waits for it."""
        contact, abouts = self.ground.contacts[fact.person], list[dict[str, Any]]()
        kind = {"event": f"custom:{fact.name}", "clicked": "clicked"}.get(fact.what, "opened")
        self.turns += 1
        with self.ground.session() as session:
            session.add(
                Event(
                    tenant_id=self.ground.tenant_id,
                    occurred_at=fact.at,
                    event_id=self.turns.to_bytes(16, "big"),
                    kind=kind,
                    contact_id=contact,
                    campaign_id=self.ground.campaign_id if fact.entry_id else None,
                    entry_id=fact.entry_id,
                    step_no=fact.step_no,
                    facts={"machine": True} if fact.what == "machine_opened" else {},
                )
            )
            session.flush()
            if fact.what == "event":
                coming.enter_by_event(session, name=fact.name, people={contact: {}}, now=fact.at)
                abouts = [{"on": "event", "name": fact.name}, {"on": "converted", "name": fact.name}]
            else:
                abouts = [{"on": kind, "entry": fact.entry_id, "step": fact.step_no}]
            wake(session, [Heard(contact, fact.at, about) for about in abouts], self.clock.at)
            session.commit()
        return fact

    def _changed(self, fact: Changed) -> Fact:
        contact, tenant = self.ground.contacts[fact.person], self.ground.tenant_id
        with self.ground.session() as session:
            if fact.what == "attribute":
                row = session.get_one(Contact, (tenant, contact))
                kept = {key: value for key, value in row.attributes.items() if key != fact.name}
                row.attributes = kept if fact.value is None else {**kept, fact.name: fact.value}
            elif fact.what == "consent":
                values = {"tenant_id": tenant, "contact_id": contact, "topic": fact.name, "status": fact.value,
                          "source": "test", "at": fact.at}  # fmt: skip
                session.execute(
                    insert(Consent)
                    .values(values)
                    .on_conflict_do_update(
                        index_elements=["tenant_id", "contact_id", "topic"],
                        set_={"status": fact.value, "at": fact.at},
                    )
                )
            else:
                key = {"tenant_id": tenant, "list_id": self.ground.lists[fact.name], "contact_id": contact}
                if fact.value:
                    session.execute(insert(ListMember).values(**key, added_at=fact.at).on_conflict_do_nothing())
                else:
                    session.execute(sa.delete(ListMember).filter_by(**key))
            session.commit()
        return fact

    def _decided(self, fact: Decided) -> Fact | None:
        with self.ground.session() as session:
            try:
                self.gates.decide(session, fact)
            except GateClosed:
                return None
            session.commit()
        return fact

    def _released(self, fact: Released) -> Fact | None:
        with self.ground.session() as session:
            done = self.gates.release(session, fact)
            session.commit()
        return fact if done else None

    def _order(self, fact: Fact, name: str, **more: Any) -> Fact | None:
        try:
            with self.ground.session() as session:
                getattr(control, name)(
                    session, actor=self.ground.author, campaign_id=self.ground.campaign_id, now=fact.at, **more
                )
                session.commit()
        except DomainError:
            self._count(f"refused: {name}")
            return None
        return fact

    def _paused(self, fact: Paused) -> Fact | None:
        return self._order(fact, "pause")

    def _resumed(self, fact: Resumed) -> Fact | None:
        # What starts on call has no times to choose.
        if self.life.campaign["kind"] != "dated":
            fact = replace(fact, how="now", wall=None)
        return self._order(fact, "resume", overdue=_OVERDUE[fact.how], start=fact.wall, lead_s=grounds.LEAD_S)

    def _stopped(self, fact: Stopped) -> Fact | None:
        return self._order(fact, "stop")

    # The end --------------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        found = became(self.ground)
        calls = [step["step_no"] for step in self.life.campaign["flow"]["steps"] if step["kind"] == "call_webhook"]
        self.facts += replies(self.on.receiver, self.ground.tenant_id, list(found.whose), calls)
        facts = sorted(self.facts, key=lambda fact: fact.at)
        self.script = Script(facts, self.life.until, found.ids, found.dealt, self.visits)
        self.right = play(self.life.campaign, self.life.people, self.script)
        for way in self.right.ways:
            # Whose clock had shown the time already may be passed over; then nobody has a message of theirs.
            way.messages = [m for m in way.messages if not _is_passed_over(m, way.entry_id, found)]
        self.told.findings += compare(self.right, found.told, SLACK)
        self.told.findings += self._left_open(found)
        self.told.findings += self._unwritten(found)
        self.told.findings += self._unskipped(found)
        self.told.findings += self._people(found)
        self.told.findings += wrong_in_other(found.others, self.right.effects, found.whose)
        self.told.trace = [repr(fact) for fact in self.facts if not isinstance(fact, Published)]
        self.told.trace += [repr(entry) for entry in found.told["entries"]]
        self.told.trace += [repr(each) for each in sorted(found.told.get("steps", []), key=str)]
        self.told.trace += [repr(found.told["state"])]
        for way in self.right.ways:
            self._count(f"end: {way.end_reason or 'open'}")
        for exit_ in {name for way in self.right.ways for each in way.path if (name := self._exit_of(each))}:
            self._count(f"exit: {exit_}")

    def _exit_of(self, passed: Passed) -> str | None:
        """Return by what kind of exit somebody left; branches that people named count by their kind alone."""
        step = next((each for each in self.campaign["flow"]["steps"] if each["step_no"] == passed.step_no), None)
        if step is None or not passed.exit or (passed.exit in {"sent", "done"} and step["kind"] != "call_webhook"):
            return None
        branch = next((each for each in step.get("branches", ()) if each["key"] == passed.exit), None)
        if branch is not None:
            return f"{step['kind']}, {'held out' if branch.get('holdout') else 'a branch'}"
        return f"{step['kind']}, {passed.exit}"

    def _left_open(self, found: Became) -> list[str]:
        ours = {way.entry_id: way.ended_at is None for way in self.right.ways}
        return [
            f"different: entry {each['entry_id']} is {'open' if each['is_open'] else 'over'}, the text has the other"
            for each in found.told["entries"]
            if each["is_open"] is not None and each["is_open"] != ours.get(each["entry_id"], each["is_open"])
            and self.right.state != "stopped"
        ]  # fmt: skip

    def _unwritten(self, found: Became) -> list[str]:
        """Where the way divides, and where a wait ends, it is written down (ledger.md, passage)."""
        kinds = {step["step_no"]: step["kind"] for step in self.life.campaign["flow"]["steps"]}
        writes = {"segment_split", "engagement_split", "condition", "decision", "wait", "ab_test", "random_split",
                  "gate", "call_webhook"}  # fmt: skip
        if self.life.campaign["kind"] == "dated":
            writes -= {"random_split"}
        return [
            f"lost: {way.entry_id} left {each.step_no} by {each.exit}, and nothing is written down"
            for way in self.right.ways
            for each in way.path
            if each.exit and kinds.get(each.step_no) in writes and (way.entry_id, each.step_no) not in found.passages
        ]

    def _unskipped(self, found: Became) -> list[str]:
        """Whoever passes a message that they did not get was skipped, and that is written down (R2)."""
        return [
            f"lost: {way.entry_id} went past message {each.step_no}, and nothing is written down"
            for way in self.right.ways
            for each in way.path
            if each.exit == "sent"
            and each.step_no not in {message.step_no for message in way.messages}
            and (way.entry_id, each.step_no) not in found.too_late
        ]

    def _people(self, found: Became) -> list[str]:
        """Attributes, points and lists, as actions left them."""
        out = []
        for person in self.right.people:
            said, is_listed = found.people[person.no]
            if said != person.attributes:
                out.append(f"different: person {person.no} has {said}, the text has {person.attributes}")
            if is_listed != (grounds.NEWS in person.lists):
                out.append(f"different: person {person.no} is {'' if is_listed else 'not '}on the list")
        return out

    # Looking --------------------------------------------------------------------------------------------------------

    def _count(self, what: str) -> None:
        self.told.counts[what] += 1

    def _next_due(self) -> datetime | None:
        row = self.on.eye.execute(_DUE, (self.ground.tenant_id,)).fetchone()
        if row and row[1] and not any("agenda" in each for each in self.told.findings):
            self.told.findings.append(f"broken: a piece of the agenda failed: {row[1]}")
        return row[0] if row else None

    def _due_queues(self) -> set[Queue]:
        return {Queue(name) for (name,) in self.on.eye.execute(_DUE_QUEUES, (self.clock.at, self.ground.tenant_id))}


def _outcome(row: Any) -> str | None:
    if row.exc is None:
        return "accepted" if row.state == "closed" else None
    return _OUTCOME.get(row.exc, str(row.exc))


def _is_passed_over(message: Message, entry_id: int, found: Became) -> bool:
    return message.outcome == "skipped" and (entry_id, message.step_no) in found.too_late


def _name_of(fact: Fact) -> str:
    if isinstance(fact, Seen):
        return fact.what
    if isinstance(fact, Changed):
        return f"{fact.what} changed"
    if isinstance(fact, Resumed):
        return f"resumed, {fact.how}"
    if isinstance(fact, Published):
        return "edit" if fact.campaign is not None else "published"
    return type(fact).__name__.lower()


def _kind_of(step: Any) -> str:
    return f"wait for {step['for']}" if step["kind"] == "wait" else str(step["kind"])


def _changes_clocks(life: Life) -> bool:
    zone = ZoneInfo(life.campaign["zone"])
    return life.begin.astimezone(zone).utcoffset() != life.until.astimezone(zone).utcoffset()


def _timings(campaign: Any) -> set[str]:
    steps = campaign["flow"]["steps"]
    found = {"at its date"} if any(step.get("at") for step in steps) else set()
    found |= {"on its own"} if any(not step.get("at") for step in steps) else set()
    found |= {"latest"} if any(step.get("latest") for step in steps) else set()
    found |= {f"local time, {step['local_time']['past']}" for step in steps if step.get("local_time")}
    found |= {name for name in ("recurrence", "publish_until") if campaign.get(name)}
    late = campaign["settings"].get("late")
    found |= {f"late, {late}"} if late else set()
    found |= {"accepts_until"} if campaign["settings"].get("accepts_until") else set()
    if campaign.get("entry"):
        found |= {f"re-entry, {campaign['entry']['re_entry']}", f"leaving, {campaign['entry']['leaving']}"}
    return found

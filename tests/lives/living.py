"""Lives a life: the real engine, visit by visit, with everything that happens in between and in the middle."""

import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from saas.campaigns.models import Revision
from saas.campaigns.service import approval, control
from saas.kernel import fault
from saas.kernel.clock import monotonic
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.ledger.queries.numbers import numbers, planned
from saas.platform.agenda.types import Queue
from saas.sending.service import journal
from saas.sending.service.owner import lock_key
from saas.sending.service.recovery import recover_dead_senders
from tests.engine_room import EngineRoom
from tests.lives import ground as grounds
from tests.lives.flows.outside import Receiver
from tests.lives.ground import Ground, Stage
from tests.lives.nursery import Nursery, Order
from tests.lives.plan import ORDERS, PERSONAL, Event, Life
from tests.lives.provider import Provider
from tests.lives.speed import Ticker, hurry
from tests.reference.interpreter import Interpreter
from tests.reference.words import (
    Answered,
    Became,
    Began,
    Called,
    Changed,
    Died,
    Fact,
    Kept,
    Looked,
    Published,
    Slept,
    Tampered,
    Told,
    Visited,
    Wanted,
)  # fmt: skip

LIVING = "living"
_numbers = itertools.count()
_GONE_WITHIN_S = 60.0  # nothing waits for as long, unless it waits for ever
MOST_VISITS = 600
AWAY_S = 31
SENDING = (Queue.TRANSACTIONAL, Queue.BULK)
_PEOPLE = sa.text(
    """
    WITH held AS (SELECT x.entry_id, r.run_id, r.step_no, bool_or(k.state = 'pending') AS pending,
        bool_or(k.state = 'cancelled') AS cancelled
      FROM chunk k JOIN run r ON r.tenant_id = k.tenant_id AND r.run_id = k.run_id
      CROSS JOIN LATERAL unnest(k.entry_ids) AS x(entry_id) GROUP BY 1, 2, 3)
    SELECT e.campaign_id, e.contact_id, e.context, d.exc, d.reason, d.attempt, c.state AS chunk, h.pending, h.cancelled
    FROM entry e LEFT JOIN held h ON h.entry_id = e.entry_id
    LEFT JOIN delivery d ON d.entry_id = e.entry_id AND d.step_no = h.step_no
    LEFT JOIN chunk c ON c.run_id = d.run_id AND c.no = d.chunk_no
    """
)
_DUE = "SELECT min(due_at) FROM agenda WHERE tenant_id = ANY(%s)"
_DUE_QUEUES = "SELECT DISTINCT queue FROM agenda WHERE due_at <= %s"
_STATES = "SELECT campaign_id, state FROM campaign WHERE tenant_id = ANY(%s)"
_RUNS = sa.text("SELECT run_id FROM run")
_REGISTERED = "SELECT FROM sender WHERE owner = %s"
# Ending, a backend first gives up its transaction and then this lock.
_CONNECTED = """
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = %s
"""
_OTHERS_BACKENDS = sa.text(
    """
    SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1
      AND (l.classid::bigint << 32 | l.objid::bigint) = ANY(:keys)
    """
)
_ALTER = {
    "alter_document": "UPDATE revision SET document = document || '\\x20'::bytea WHERE campaign_id = :campaign"
    " AND state = 'published'",
    "remove_approval": "UPDATE approval SET content_hash = 'v1:0' WHERE campaign_id = :campaign",
    "change_channel": "UPDATE channel_configuration SET from_name = 'Somebody else' WHERE channel_id = :channel",
}


@dataclass
class Story:
    """What a life told: its trace, what was wrong, and how often each thing happened."""

    trace: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Grave:
    """A dead sender, and when others may notice."""

    at: datetime
    name: str
    owner: UUID
    away: bool


class Unbalanced(AssertionError):
    """The numbers do not add up."""


@dataclass
class Installation:
    """What lives share: a stage, a sender that lives, a nursery of those that die, a provider.

    eye: a connection of the administrator, which sees everything; it clears the agenda before a life.
    """

    stage: Stage
    room: EngineRoom
    nursery: Nursery
    provider: Provider
    eye: psycopg.Connection
    home: Path
    receiver: Receiver


class Living:
    """One run of a life."""

    def __init__(self, installation: Installation, life: Life) -> None:
        self.on, self.life = installation, life
        self.told = Story()
        self.clock = installation.room.clock
        self.clock.at = life.start
        self.ticker = Ticker()
        hurry(life.seed, self.ticker)
        self.senders = 0
        self.judge = Interpreter(life.people, life.campaigns, dict(life.quotas))
        self.ground: Ground
        self.codes = 0
        self.calls: dict[int, tuple[str, dict, Called]] = {}
        self.amid: list[Event] = []
        self.armed: list[Event] = []
        self.copies: Counter[int] = Counter()
        self.dead: list[_Grave] = []
        self.home = installation.home / f"machine-{next(_numbers)}"
        self.lock = threading.RLock()
        self.commits_to_lose = 0
        self.in_claim = False
        self.tampered: set[int] = set()
        self.point_before = fault.point
        self.clock_before = installation.stage.app.extensions["countersign"].clock

    # The whole of it ----------------------------------------------------------------------------------------------

    def live(self) -> Story:
        """Live it to its end. What went wrong is in `findings`."""
        try:
            self._begin()
            self._play()
            self._end()
            self.judge.compare(self._became())
        except Unbalanced as error:
            self.told.findings.append(str(error))
        except Exception as error:  # noqa: BLE001  whatever it was, it is this life's, and the next one is to be lived
            self.told.findings.append(f"broken: {type(error).__name__}: {str(error)[:300]}")
        finally:
            self._leave()
        self.told.findings += self.judge.findings
        return self.told

    def _begin(self) -> None:
        provider, life = self.on.provider, self.life
        # Of pieces that are due together the table's order decides: it starts empty, so that it is the same each time.
        self.on.eye.execute("TRUNCATE agenda")
        self.on.eye.execute("UPDATE tenant_turn SET turn = 0")
        self.on.stage.app.extensions["countersign"].clock = self.clock
        provider.scripts = {
            (grounds.sender_address(campaign), grounds.address(person)): list(words)
            for campaign, person, words in life.answers
        }
        self.ground = grounds.lay(self.on.stage, life, provider.port)
        provider.witness, provider.sender = self, LIVING
        self._hook_engine()
        for plan in life.campaigns:
            self._publish(plan.no, plan.wall)
            self.told.counts["kind: " + ("dated" if plan.wall else "called" if not plan.marketing else "asked")] += 1
            pace = "waves" if plan.waves else "speed" if plan.per_hour else "at its date" if plan.wall else "on call"
            self.told.counts["timing: " + pace] += 1
            self.told.counts["timing: cap"] += plan.cap is not None
        self.told.counts["answers: odd"] += len(life.answers)

    def _play(self) -> None:
        events = list(self.life.events)
        elapsed = timedelta()
        visits = 0
        while visits < MOST_VISITS:
            now = self.clock.at
            due = self._next_due()
            planned_at = self.life.start + timedelta(seconds=events[0].at) + elapsed if events else None
            moments = [moment for moment in (due, planned_at) if moment is not None]
            moments += [grave.at for grave in self.dead]
            if not moments:
                return
            self.clock.at = max(now, min(moments))
            while events and self.life.start + timedelta(seconds=events[0].at) + elapsed <= self.clock.at:
                event = events.pop(0)
                if event.what == "jump":
                    # The plan's later events keep their distance to what the clock shows.
                    self.clock.at += timedelta(seconds=event.seconds)
                    elapsed += timedelta(seconds=event.seconds)
                    self._count("fault: jump")
                else:
                    self._happen(event)
            self._visit()
            visits += 1
        self.told.findings.append(f"unfinished: after {MOST_VISITS} visits there is still something due")

    def _end(self) -> None:
        """A person decides about all that stands still; then everything comes to its end."""
        self.amid.clear()
        for _ in range(4):
            standing = [(n, state) for n, state in self._states().items() if state in {"paused", "held", "scheduled"}]
            if not standing:
                return
            for number, state in standing:
                if state == "scheduled":
                    continue
                self._order(Event(0, "stop" if number in self.tampered else "resume", number), counted=False)
            self._play_on()

    def _play_on(self) -> None:
        self._visit()
        for _ in range(MOST_VISITS):
            moments = [m for m in (self._next_due(), *(grave.at for grave in self.dead)) if m is not None]
            if not moments:
                return
            self.clock.at = max(self.clock.at, min(moments))
            self._visit()

    def _leave(self) -> None:
        self.on.provider.witness = None
        fault.ACTIVE, fault.point = False, self.point_before
        self.on.stage.app.extensions["countersign"].clock = self.clock_before

    # One visit ----------------------------------------------------------------------------------------------------

    def _visit(self) -> None:
        if self._take("lose_bell"):
            self.clock.at += timedelta(seconds=1)
        self._bury()
        self._tell(Visited(self.clock.at))
        self._run(Queue.MAINTENANCE)
        for what in ("die", "lose_host", "suspend"):
            if self._is_send_due() and (event := self._take(what)) is not None:
                self._doom(event)
        if self._is_send_due() and self._take("lose_commit") is not None:
            self.commits_to_lose = 1
        self._run()
        self.commits_to_lose = 0
        if self._take("double_bell"):
            self._run()
            self._run()
        self._postponed()
        self._look()

    def _look(self) -> None:
        for place in {plan.place for plan in self.life.campaigns}:
            with self.ground.session(place) as session:
                runs = list(session.scalars(_RUNS))
                counted, plan = (numbers(session, runs), planned(session, runs)) if runs else ({}, {})
            for run in runs:
                if counted[run].planned != plan[run]:
                    raise Unbalanced(f"unbalanced: {counted[run]} is not {plan[run]}")
        self._tell(Looked(self.clock.at, self._states()))

    def _bury(self) -> None:
        """The dispatcher's tick: settle what dead senders left, once it is time."""
        due = [grave for grave in self.dead if grave.at <= self.clock.at]
        self.dead = [grave for grave in self.dead if grave.at > self.clock.at]
        for grave in due:
            recover_dead_senders(self.on.stage.engine, self.clock.at, home=self.home)
            if self._is_registered(grave.owner):
                self.told.findings.append(f"unfinished: {grave.name} is dead and nobody buries it")

    def _is_registered(self, owner: UUID) -> bool:
        return self.on.eye.execute(_REGISTERED, (owner,)).fetchone() is not None

    def _doom(self, event: Event) -> None:
        """A sender that will die, or sleep, does what is due."""
        self.senders += 1
        name = f"{event.what}{self.senders}"
        others = set(journal.owners(self.home))
        self.on.provider.sender = name
        state, pid = self.on.nursery.send_out(
            Order(str(self.home), self.clock.at.isoformat(), self.life.seed, self.on.provider.address, event.point,
                  event.nth)
        )  # fmt: skip
        (owner,) = set(journal.owners(self.home)) - others
        stands = state == "stopped"
        if stands:
            self.on.provider.wait_until_quiet(name)
            if event.what == "suspend":
                # One that sleeps in the middle of a transaction keeps its locks, and others waiting for two minutes.
                in_transaction = event.point.startswith(("claim", "settle.before"))
                self._asleep(name, owner, pid, cut=in_transaction or event.nth % 2 == 0)
            else:
                self.on.nursery.kill(pid)
        self._disconnected(owner)
        self._count(f"fault: {event.what}" if stands else "death when idle")
        if stands:
            self._count(f"at {event.point}")
        self.on.provider.wait_for_end(name)
        self.on.provider.sender = LIVING
        away = event.what == "lose_host" and stands
        if away:
            journal.path_of(self.home, owner).unlink()
        self._tell(Died(name, away=away))
        self.dead.append(_Grave(self.clock.at + timedelta(seconds=AWAY_S if away else 1), name, owner, away))

    def _asleep(self, name: str, owner: UUID, pid: int, *, cut: bool) -> None:
        """Others look after it, and go on with what is theirs; then it wakes up."""
        self._tell(Slept(name))
        self.on.provider.sender = LIVING
        if cut:
            with self.on.stage.engine.begin() as connection:
                connection.execute(_OTHERS_BACKENDS, {"keys": [lock_key(owner)]})
            self._disconnected(owner)
        later = self.clock.at + timedelta(seconds=AWAY_S + 9)
        for _ in range(3):
            recover_dead_senders(self.on.stage.engine, later, home=self.home)
        self.clock.at += timedelta(seconds=1)
        self._tell(Visited(self.clock.at))
        self._run()
        self.on.provider.sender = name
        self.on.nursery.wake(pid)

    def _disconnected(self, owner: UUID) -> None:
        """Wait until PostgreSQL has noticed the end of a sender's connections.

        It does so a moment later, and until then others pass over what a transaction of the sender had locked.
        """
        until = monotonic() + _GONE_WITHIN_S
        while self.on.eye.execute(_CONNECTED, (lock_key(owner),)).rowcount:
            if monotonic() > until:
                raise TimeoutError(f"the sender {owner} is still connected")
            time.sleep(0.001)

    # What happens ---------------------------------------------------------------------------------------------------

    def _happen(self, event: Event) -> None:
        if event.amid:
            self.amid.append(event)
        elif event.what in {"die", "lose_host", "suspend", "lose_bell", "double_bell", "lose_commit"}:
            self.armed.append(event)
        elif event.what in {"call", "repeat"}:
            self._call(event)
        else:
            self._do(event)

    def _do(self, event: Event) -> bool:
        """Do what an event says. False when the product refused."""
        if event.what in PERSONAL:
            self._person(event)
            return True
        if event.what in ORDERS:
            return self._order(event)
        return self._edit(event)

    def _person(self, event: Event) -> None:
        person = self.life.people[event.who]
        place, contact = self.ground.places[person.place], self.ground.contacts[person.no]
        values = {"tenant": place.tenant_id, "contact": contact, "now": self.clock.at, "list": place.list_id,
                  "topic": grounds.TOPIC, "what": event.what,
                  "hash": self.on.stage.app.extensions["countersign"].vault.address_hash(grounds.address(person.no))}  # fmt: skip
        with self.ground.session(person.place) as session:
            session.execute(_PERSONAL[event.what], values)
            session.commit()
            self._tell(Changed(person.no, event.what))
        self._count(f"event: {event.what}")

    def _order(self, event: Event, *, counted: bool = True, wait_ms: int = 0) -> bool:
        plan = self.ground.campaign(event.campaign)
        place, campaign_id = self.ground.places[plan.place], self.ground.campaigns[event.campaign]
        try:
            with self.ground.session(plan.place) as session:
                session.execute(sa.text(f"SET LOCAL lock_timeout = '{wait_ms}ms'"))
                if event.what == "revoke":
                    no = self.ground.revisions[event.campaign]
                    row = session.get_one(Revision, (place.tenant_id, campaign_id, no))
                    approval.revoke(
                        session, actor=place.approver, campaign_id=campaign_id, no=no, seen_hash=row.content_hash or "",
                        comment="The price is wrong.", now=self.clock.at,
                    )  # fmt: skip
                else:
                    order = getattr(control, event.what)
                    order(session, actor=place.author, campaign_id=campaign_id, now=self.clock.at)
                session.commit()
                self._tell(Told(event.campaign, "stop" if event.what == "revoke" else event.what))
        except DomainError:
            return False
        if counted:
            self._count(f"order: {event.what}" + (" amid" if event.amid > 0 else " in a claim" if event.amid else ""))
        return True

    def _edit(self, event: Event) -> bool:
        plan = self.ground.campaign(event.campaign)
        if event.what == "revise":
            wall = plan.wall
            if wall is not None:
                wall = (datetime.fromisoformat(wall) + timedelta(minutes=20)).isoformat(timespec="minutes")
            try:
                grounds.revise(self.ground, event.campaign, wall, self.clock.at)
            except DomainError:
                return False
            self._tell(Published(event.campaign, self.clock.at, wall))
        else:
            ids = {"campaign": self.ground.campaigns[event.campaign], "channel": self.ground.channels[event.campaign]}
            tenant = self.ground.places[plan.place].tenant_id
            with self.on.stage.owner_engine.begin() as connection:
                connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{tenant}'")
                connection.execute(sa.text(_ALTER[event.what]), ids)
            self.tampered.add(event.campaign)
            self._tell(Tampered(event.campaign))
        self._count(f"edit: {event.what}")
        return True

    def _call(self, event: Event) -> None:
        plan = self.ground.campaign(event.campaign)
        if event.what == "repeat":
            self._repeat(event)
            return
        number = self._next_code()
        recipients = [(person, f"key{person}" if event.keyed else "", f"e{number}x{person}") for person in event.people]
        body = {
            "recipients": [
                {"contact_id": show("ctc", self.ground.contacts[person]), "entry_key": key, "context": {"code": code}}
                for person, key, code in recipients
            ]
        }
        key = f"call-{self.life.seed}-{number}"
        answers = self._post(plan.place, event.campaign, key, body)
        if answers is None:
            return
        told = tuple((*who, answer) for who, answer in zip(recipients, answers, strict=True))
        called = Called(event.campaign, self.clock.at, told)
        self._tell(called)
        self.calls[event.campaign] = (key, body, called)
        self._count("event: call")

    def _repeat(self, event: Event) -> None:
        if event.campaign not in self.calls:
            return
        key, body, called = self.calls[event.campaign]
        answers = self._post(self.ground.campaign(event.campaign).place, event.campaign, key, body)
        if answers is None:
            self.told.findings.append("different: a call that was answered is refused when it is repeated")
            return
        told = tuple((*who[:3], answer) for who, answer in zip(called.recipients, answers, strict=True))
        if told != called.recipients:
            self.told.findings.append(f"different: a repeated call was answered {told}, first {called.recipients}")
        self._tell(replace(called, recipients=told, replay=True))
        self._count("event: repeat")

    def _post(self, place: int, campaign: int, key: str, body: dict) -> list[str] | None:
        client = self.ground.caller(place, self.clock.at)
        answer = client.post(
            f"/campaigns/{show('cam', self.ground.campaigns[campaign])}/trigger", body, headers={"Idempotency-Key": key}
        )
        if answer.status_code != 202:
            return None
        return [result["status"] for result in answer.get_json()["results"]]

    def _publish(self, number: int, wall: str | None) -> None:
        grounds.publish(self.ground, number, self.clock.at)
        self._tell(Published(number, self.clock.at, wall))

    # What the provider sees; in its threads -------------------------------------------------------------------------

    def wanted(self, sender: str, channel: str, address: str) -> None:
        self._tell(Wanted(grounds.campaign_of(channel), grounds.person_of(address), sender))

    def began(self, sender: str, channel: str, address: str) -> None:
        self._tell(Began(grounds.campaign_of(channel), grounds.person_of(address), self.clock.at, sender))

    def kept(self, sender: str, channel: str, address: str, code: str) -> None:
        campaign, person = grounds.campaign_of(channel), grounds.person_of(address)
        plain = "" if code == "dated" else code
        self._tell(Kept(campaign, person, plain, self.clock.at, sender))
        self.copies[campaign] += 1
        for event in [
            e for e in self.amid if e.amid > 0 and e.campaign == campaign and e.amid <= self.copies[campaign]
        ]:
            self.amid.remove(event)
            self._do(event)
            self.ticker.tick()

    def answered(self, sender: str, channel: str, address: str, code: str, word: str) -> None:
        campaign, person = grounds.campaign_of(channel), grounds.person_of(address)
        plain = "" if code == "dated" else code
        self._tell(Answered(campaign, person, plain, self.clock.at, word, sender))
        self.told.counts[f"answers: {word}"] += 1

    # In the engine --------------------------------------------------------------------------------------------------

    def _hook_engine(self) -> None:
        dialect = self.on.room.engine.dialect
        fault.ACTIVE, fault.point = True, self._point

        def commit(connection) -> None:
            connection.commit()
            if self.in_claim and self.commits_to_lose:
                self.commits_to_lose -= 1
                self.in_claim = False
                self._count("fault: lose_commit")
                connection.dbapi_connection.close()
                raise psycopg.OperationalError("the answer to COMMIT was lost")
            self.in_claim = False

        dialect.do_commit = commit

    def _point(self, name: str) -> None:
        if name != "claim.after":
            return
        self.in_claim = True
        for event in [e for e in self.amid if e.amid < 0]:
            self.amid.remove(event)
            try:
                self._order(event, wait_ms=30)
            except DBAPIError:
                self.armed.append(replace(event, what=f"late {event.what}"))

    def _postponed(self) -> None:
        """What had to wait for a claim happens now."""
        for event in [e for e in self.armed if e.what.startswith("late ")]:
            self.armed.remove(event)
            self._order(replace(event, what=event.what.removeprefix("late ")))

    # Looking --------------------------------------------------------------------------------------------------------

    def _tell(self, fact: Fact) -> None:
        with self.lock:
            self.told.trace.append(repr(fact))
            self.judge.tell(fact)

    def _count(self, what: str) -> None:
        self.told.counts[what] += 1

    def _take(self, what: str) -> Event | None:
        found = next((event for event in self.armed if event.what == what), None)
        if found is not None:
            self.armed.remove(found)
            if what.endswith("bell"):
                self._count(f"fault: {what}")
        return found

    def _next_code(self) -> int:
        self.codes += 1
        return self.codes

    def _tenants(self) -> list[UUID]:
        return [place.tenant_id for place in self.ground.places]

    def _next_due(self) -> datetime | None:
        row = self.on.eye.execute(_DUE, (self._tenants(),)).fetchone()
        return row[0] if row else None

    def _run(self, *queues: Queue) -> None:
        """Let the engine do what is due, as long as anything is."""
        while due := self._due_queues() & set(queues or Queue):
            if not self.on.room.run(*sorted(due)):
                return

    def _due_queues(self) -> set[Queue]:
        return {Queue(name) for (name,) in self.on.eye.execute(_DUE_QUEUES, (self.clock.at,))}

    def _is_send_due(self) -> bool:
        return bool(self._due_queues() & set(SENDING))

    def _states(self) -> dict[int, str]:
        names = {campaign_id: number for number, campaign_id in self.ground.campaigns.items()}
        rows = self.on.eye.execute(_STATES, (self._tenants(),)).fetchall()
        return dict(sorted((names[campaign_id], state) for campaign_id, state in rows))

    def _became(self) -> dict[tuple[int, int, str], Became]:
        campaigns = {campaign_id: number for number, campaign_id in self.ground.campaigns.items()}
        people = {contact: number for number, contact in self.ground.contacts.items()}
        found = {}
        for place in range(len(self.ground.places)):
            with self.ground.session(place) as session:
                rows = session.execute(_PEOPLE).all()
            for row in rows:
                code = (row.context or {}).get("code", "")
                became = Became(_state_of(row), row.reason, row.attempt)
                found[campaigns[row.campaign_id], people[row.contact_id], code] = became
        self.told.trace += [f"{key}: {found[key]}" for key in sorted(found)]
        for became in found.values():
            self.told.counts[f"became: {became.state}"] += 1
        return found


def _state_of(row: sa.Row) -> str:
    if row.exc == "waiting":
        return "open" if row.pending else "cancelled"
    if row.exc in {"rejected", "render_failed", "failed"}:
        return "failed"
    if row.exc is not None:
        return str(row.exc)
    if row.attempt is not None:
        return "accepted" if row.chunk == "closed" else "open"
    return "cancelled" if row.cancelled and not row.pending else "open"


_WORD = """
    INSERT INTO consent (tenant_id, contact_id, topic, status, source, at)
    VALUES (:tenant, :contact, :topic, :what, 'test', :now) ON CONFLICT (tenant_id, contact_id, topic)
    DO UPDATE SET status = excluded.status, at = excluded.at
"""
_PERSONAL = {
    "given": sa.text(_WORD),
    "withdrawn": sa.text(_WORD),
    "suppressed": sa.text(
        "INSERT INTO suppression (tenant_id, address_hash, reason, at) VALUES (:tenant, :hash, 'manual', :now)"
        " ON CONFLICT DO NOTHING"
    ),
    "erased": sa.text(
        "UPDATE contact SET email = NULL, email_key = NULL, attributes = '{}', erased_at = :now"
        " WHERE tenant_id = :tenant AND contact_id = :contact"
    ),
    "listed": sa.text(
        "INSERT INTO list_member (tenant_id, list_id, contact_id, added_at) VALUES (:tenant, :list, :contact, :now)"
        " ON CONFLICT DO NOTHING"
    ),
    "unlisted": sa.text(
        "DELETE FROM list_member WHERE tenant_id = :tenant AND list_id = :list AND contact_id = :contact"
    ),
}

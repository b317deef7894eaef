"""The other systems of a life: who is sent webhooks, is asked about people, decides at gates; and the other campaign."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.content.jail.renderer import Renderer
from saas.journeys.service import gates
from saas.ledger.models import Entry, Gate
from saas.permissions.types import Actor
from tests.hook_sink import HookSink, Post, Reply
from tests.reference.flow.words import Decided, Effect, Released, Replied

_STATUS = {"no@rcpt": 400, "later@rcpt": 503}
_MANY = 100  # threads that are kept in mind
_STANDING = sa.text(
    """
    SELECT g.gate_id, g.step_no, w.entry_id, w.contact_id, e.occurrence, e.entry_key FROM gate g
    JOIN wait w ON w.tenant_id = g.tenant_id AND w.campaign_id = g.campaign_id AND w.step_no = g.step_no
      AND w.listens ->> 'gate' = g.gate_id::text
    JOIN entry e ON e.tenant_id = w.tenant_id AND e.entry_id = w.entry_id
    WHERE g.tenant_id = :tenant AND g.campaign_id = :campaign AND g.state = 'open' AND g.gate_id <> ALL(:seen)
    ORDER BY w.entry_id
    """
)


class Receiver(HookSink):
    """Takes the webhooks of many lives; scripts and what was asked belong to the present one.

    scripts: what is asked (message or call) and about whom, to words, used up. asked: when, under which id, what was
    answered. now: the life's clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scripts: dict[tuple[str, str], list[str]] = {}
        self.asked: list[tuple[datetime, str, Reply]] = []
        self.now: Callable[[], datetime] = lambda: datetime.max.replace(tzinfo=UTC)

    def begin(self, answers: Mapping[str, Sequence[str]], now: Callable[[], datetime]) -> None:
        """Begin another life."""
        self.posts.clear()
        self.asked, self.now = [], now
        self.scripts = {(what, to): list(words) for to, words in answers.items() for what in ("message", "call")}

    def _start(self, work: Callable[..., None], *args: object) -> None:
        super()._start(work, *args)
        if len(self._threads) > _MANY:
            self._threads = [thread for thread in self._threads if thread.is_alive()]

    def _reply_to(self, post: Post) -> Reply:
        body = json.loads(post.body)
        what = next((each for each in ("message", "call") if each in body), None)
        if what is None:
            return Reply()  # told of a gate
        words = self.scripts.get((what, body[what]), [])
        word = words.pop(0) if words else "accepted"
        reply = Reply(_STATUS[word]) if word in _STATUS else Reply(body=_filling(body[what]))
        if what == "call":
            self.asked.append((self.now(), post.headers["webhook-id"], reply))
        return reply


def _filling(address: str) -> bytes:
    """What is answered about people: some fill the attribute, some do not fit it, some say nothing."""
    return (b'{"plan": "gold"}', b'{"plan": 7}', b"", b'{"plan": null, "more": []}')[sum(address.encode()) % 4]


def body_of(kind: str) -> str:
    """Return the template of what is posted in a step of this kind."""
    what = "call" if kind == "call_webhook" else "message"
    return f'{{"{what}": {{{{ contact.email | json }}}}}}'


def replies(receiver: Receiver, tenant_id: UUID, entries: Sequence[int], steps: Sequence[int]) -> Iterator[Replied]:
    """Tell what came of asking about people: a word that ends it, not one to ask again."""
    names = {
        f"call_{sha256(f'{tenant_id}:{entry}:{step}'.encode()).hexdigest()[:32]}": (entry, step)
        for entry in entries
        for step in steps
    }
    # Of those who are asked about at one moment the threads of this machine decide who comes first.
    for at, name, reply in sorted(receiver.asked, key=lambda each: (each[0], names[each[1]])):
        if reply.status < 500:
            said = json.loads(reply.body) if reply.body else {}
            fields = {key: value for key, value in said.items() if isinstance(value, str)}
            yield Replied(at, *names[name], ok=reply.status == 200, fields=fields)


class Kept:
    """A renderer that many visits share: a process of its own for each would be most of the time of a life."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._renderer, name)

    def close(self) -> None:
        """Whoever made it closes it."""


# Gates ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Somebody who has come to a gate."""

    gate_id: UUID
    step_no: int
    entry_id: int
    contact_id: UUID
    occurrence: str
    entry_key: str


@dataclass
class Gates:
    """What the system at the gates knows: who stands at which."""

    actor: Actor
    campaign_id: UUID
    standing: dict[tuple[int, int], Standing] = field(default_factory=dict)

    def look(self, session: Session, tenant_id: UUID) -> list[Standing]:
        """Return who has come to a gate since the last look."""
        seen = list({each.gate_id for each in self.standing.values()})
        values = {"tenant": tenant_id, "campaign": self.campaign_id, "seen": seen}
        found = [Standing(*row) for row in session.execute(_STANDING, values)]
        self.standing |= {(each.entry_id, each.step_no): each for each in found}
        return found

    def decide(self, session: Session, fact: Decided) -> None:
        """Say about somebody whether they may pass, and fill in something. Raises GateClosed."""
        there = self.standing[fact.entry_id, fact.step_no]
        gate = gates.gate_in(session, actor=self.actor, gate_id=there.gate_id)
        word = gates.Word(there.contact_id, fact.exit, there.entry_key, dict(fact.fields))
        gates.decide(session, gate=gate, words=[word], now=fact.at)

    def release(self, session: Session, fact: Released) -> bool:
        """Release all who stand at a step. False: every gate there is closed."""
        ids = {
            each.gate_id
            for each in self.standing.values()
            if (each.step_no, each.occurrence) == (fact.step_no, fact.occurrence)
        }
        done = False
        for gate in session.scalars(sa.select(Gate).where(Gate.gate_id.in_(ids)).order_by(Gate.gate_id)):
            try:
                gates.finish(session, actor=self.actor, gate=gate, now=fact.at)
                done = True
            except gates.GateClosed:
                continue
        return done


# The other campaign ---------------------------------------------------------------------------------------------------


def other_draft(fields: Mapping[str, Any], topic: str | None, zone: str) -> dict[str, Any]:
    """Return a campaign that starts on call, where people wait for years."""
    steps = [
        {
            "step_no": 1,
            "kind": "wait",
            "name": "Rest",
            "for": "date",
            "until": "2039-01-01T09:00",
            "next": {"done": [2]},
        },
        {"step_no": 2, "kind": "end", "name": "Over", "reason": "rested", "next": {}},
    ]
    return {
        "audience": None, "topic": topic, "time_zone": zone, **fields, "settings": {}, "entry": None,
        "recurrence": None, "publish_from": None, "publish_until": None, "start": [1], "steps": steps,
    }  # fmt: skip


def wrong_in_other(entries: Sequence[Entry], effects: Sequence[Effect], whose: Mapping[int, UUID]) -> list[str]:
    """Compare who began and ended in the other campaign with what the text says was done there."""
    begun: dict[str, datetime] = {}
    for each in effects:
        if each.what.startswith("start "):
            begun.setdefault(f"flow:1:{each.entry_id}", each.at)  # one campaign stands before it
    found = {entry.entry_key: entry for entry in entries}
    out = [f"lost: {key} did not begin the other campaign" for key in begun.keys() - found.keys()]
    out += [f"different: {key} began the other campaign" for key in found.keys() - begun.keys()]
    for key in begun.keys() & found.keys():
        entry = found[key]
        stops = [e.at for e in effects if e.what.startswith("stop ") and whose.get(e.entry_id or 0) == entry.contact_id]
        ended = min((at for at in stops if at > begun[key]), default=None)
        if begun[key] != entry.entered_at:
            out.append(f"different: {key} began the other campaign at {entry.entered_at}, not {begun[key]}")
        if begun[key] not in stops and ended != entry.ended_at:
            out.append(f"different: {key} ended in the other campaign at {entry.ended_at}, the text has {ended}")
    return out

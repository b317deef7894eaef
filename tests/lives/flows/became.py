"""What became of a life, read from the ledger, in the form that the interpreter's judge compares."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ListMember
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Document, read
from saas.campaigns.rules.document import Message as DocumentMessage
from saas.journeys.sets.cohort import people_at
from saas.journeys.sets.messages import leads_on
from saas.ledger.models import Chunk, Contact, Entry, Passage, Run, Wait
from saas.ledger.types import RunState
from tests.lives.flows.ground import NEWS, Ground
from tests.reference.flow.words import Dealt

# The engine's own words for the same ends.
_ENDS = {"came_again": "re_entered", "step_removed": "removed"}
_MESSAGES = sa.text(
    """
    SELECT x.entry_id, r.step_no,
      min(CASE WHEN d.attempt > 1 THEN k.not_before ELSE coalesce(d.claimed_at, k.not_before) END) AS at,
      bool_or(d.reason IN ('too_late', 'skipped_on_resume')) AS too_late, count(DISTINCT d.token) AS times
    FROM chunk k JOIN run r ON r.tenant_id = k.tenant_id AND r.run_id = k.run_id
    CROSS JOIN LATERAL unnest(k.entry_ids) AS x(entry_id)
    LEFT JOIN delivery d ON d.tenant_id = k.tenant_id AND d.entry_id = x.entry_id AND d.step_no = r.step_no
    WHERE k.tenant_id = :tenant GROUP BY 1, 2
    """
)


@dataclass
class Became:
    """told: as the judge wants it; passages: those who left where it is written down, entry and step.

    others: entries of the other campaign; whose: the contact of each entry.
    """

    told: dict[str, Any]
    dealt: list[Dealt]
    ids: dict[tuple[int, str], list[int]]
    passages: set[tuple[int, int]]
    too_late: set[tuple[int, int]]
    people: dict[int, tuple[dict[str, Any], bool]]
    others: list[Entry]
    whose: dict[int, UUID]


def became(ground: Ground) -> Became:
    """Read everything."""
    with ground.session() as session:
        return _Reading(ground, session).all()


class _Reading:
    def __init__(self, ground: Ground, session: Session) -> None:
        self.ground, self.session, self.tenant = ground, session, ground.tenant_id
        self.dated = ground.life.campaign["kind"] == "dated"
        self.campaign = session.get_one(Campaign, (self.tenant, ground.campaign_id))
        revision = campaigns.published(session, ground.campaign_id)
        self.document: Document | None = (
            read(revision.document or b"", expected_hash=revision.content_hash or "") if revision else None
        )
        self.order = {no: place for place, no in enumerate(self.document.shape.order)} if self.document else {}
        # Messages on call and nothing else: nobody is told that a way has ended, until somebody asks.
        self.ends_lazily = (
            bool(self.document)
            and not any(leads_on(self.document, message.step_no) for message in self.document.messages)
            and all(isinstance(self.document.step(no), DocumentMessage) for no in self.document.shape.start)
        )
        self.kinds = {step.step_no: step.kind for step in self.document.steps} if self.document else {}

    def rows(self, model: Any, *where: Any) -> list[Any]:
        return list(self.session.scalars(sa.select(model).where(model.tenant_id == self.tenant, *where)))

    def all(self) -> Became:
        entries = sorted(self.rows(Entry, Entry.campaign_id == self.ground.campaign_id), key=lambda row: row.entry_id)
        mine = {entry.entry_id for entry in entries}
        passages = [row for row in self.rows(Passage) if row.entry_id in mine]
        people = self.ground.people
        ids: dict[tuple[int, str], list[int]] = {}
        if self.ground.life.campaign["kind"] != "api":
            for entry in entries:
                ids.setdefault((people[entry.contact_id], entry.occurrence), []).append(entry.entry_id)
        messages, too_late = self._messages()
        paths = self._cohort_paths(entries, passages) if self.dated else self._paths(passages, messages)
        told: dict[str, Any] = {
            "state": {"stopping": "stopped"}.get(self.campaign.state, self.campaign.state),
            "entries": [self._entry(entry, people, paths, messages) for entry in entries],
        }
        told["steps"] = self._steps() if self.dated else []
        if not self.dated:
            del told["steps"]
        return Became(
            told, self._dealt(passages), ids, {(row.entry_id, row.step_no) for row in passages}, too_late,
            self._people(),
            self.rows(Entry, Entry.campaign_id != self.ground.campaign_id),
            {entry.entry_id: entry.contact_id for entry in entries},
        )  # fmt: skip

    def _entry(self, entry: Entry, people: Any, paths: Any, messages: Any) -> dict[str, Any]:
        reason = entry.end_reason
        return {
            "entry_id": entry.entry_id,
            "person": people[entry.contact_id],
            "occurrence": entry.occurrence,
            "entered_at": entry.entered_at.isoformat(),
            "ended_at": entry.ended_at.isoformat() if entry.ended_at and not self.ends_lazily else None,
            "end_reason": _ENDS.get(reason, reason) if reason else None,
            "is_open": None if self.dated or self.ends_lazily else entry.ended_at is None,
            "partial": not self.dated,
            "path": paths.get(entry.entry_id, []),
            "messages": [
                {"step_no": no, "not_before": at.isoformat()}
                for no, at in sorted(messages.get(entry.entry_id, {}).items())
            ],
        }

    def _messages(self) -> tuple[dict[int, dict[int, datetime]], set[tuple[int, int]]]:
        found: dict[int, dict[int, datetime]] = {}
        too_late = set()
        for row in self.session.execute(_MESSAGES, {"tenant": self.tenant}):
            if row.too_late:
                too_late.add((row.entry_id, row.step_no))
            else:
                found.setdefault(row.entry_id, {})[row.step_no] = row.at
        return found, too_late

    # Paths ----------------------------------------------------------------------------------------------------------

    def _paths(self, passages: list[Passage], messages: Any) -> dict[int, list[dict[str, Any]]]:
        """Where people have times of their own: what is written down of their ways, in order of time."""
        found: dict[int, list[tuple[datetime, int, dict[str, Any]]]] = {}
        written = {(row.entry_id, row.step_no) for row in passages}
        for row in passages:
            one = {"step_no": row.step_no, "exit": row.exit, "left_at": row.at.isoformat()}
            found.setdefault(row.entry_id, []).append((row.at, self.order.get(row.step_no, 0), one))
        for entry_id, steps in messages.items():
            for no, at in steps.items():
                found.setdefault(entry_id, []).append((at, self.order.get(no, 0), {"step_no": no}))
        for row in self.rows(Wait, Wait.campaign_id == self.ground.campaign_id):
            if (row.entry_id, row.step_no) not in written and row.step_no not in messages.get(row.entry_id, {}):
                far = (datetime.max.replace(tzinfo=row.due_at.tzinfo), self.order.get(row.step_no, 0))
                if row.stage != "arrived":
                    found.setdefault(row.entry_id, []).append((*far, {"step_no": row.step_no}))
        return {
            entry: [one for _, _, one in sorted(steps, key=lambda each: each[:2])] for entry, steps in found.items()
        }

    def _cohort_paths(self, entries: list[Entry], passages: list[Passage]) -> dict[int, list[dict[str, Any]]]:
        """Of cohorts: who is at which step, by the engine's own statement."""
        exits = {(row.entry_id, row.step_no): row for row in passages}
        found: dict[int, list[dict[str, Any]]] = {entry.entry_id: [] for entry in entries}
        for run in sorted(self._begun(), key=lambda run: (run.started_at, self.order.get(run.step_no, 0))):
            if self.document is None or run.step_no not in self.order:
                continue
            there = people_at(
                self.session, self.document, campaign_id=run.campaign_id, occurrence=run.occurrence, step_no=run.step_no
            )
            for entry_id, _ in self.session.execute(there):
                one: dict[str, Any] = {"step_no": run.step_no}
                passed = exits.get((entry_id, run.step_no))
                if passed is not None:
                    one |= {"exit": passed.exit, "left_at": passed.at.isoformat()}
                elif "split" in run.facts:
                    one |= {"exit": self._dealt_by(run, entry_id)}
                found[entry_id].append(one)
        return found

    def _dealt_by(self, run: Run, entry_id: int) -> str:
        """The branch of a random split by the boundaries that the engine wrote down; empty where nobody was dealt."""
        seed = run.campaign_id.bytes + run.step_no.to_bytes(4, "big") + entry_id.to_bytes(8, "big")
        place = sha256(seed).hexdigest()
        for key, part in run.facts["split"].items():
            if (
                part["people"]
                and (part["over"] is None or place > part["over"])
                and (part["upto"] is None or place <= part["upto"])
            ):
                return str(key)
        return ""

    # Steps ----------------------------------------------------------------------------------------------------------

    def _steps(self) -> list[dict[str, Any]]:
        tried_again = set(
            self.session.scalars(sa.select(Chunk.run_id).where(Chunk.tenant_id == self.tenant, Chunk.retry))
        )
        return [
            {
                "occurrence": run.occurrence,
                "step_no": run.step_no,
                "planned_at": run.planned_at.isoformat() if run.planned_at else None,
                "effective_at": run.effective_at.isoformat() if run.effective_at else None,
                "started_at": run.started_at.isoformat() if run.started_at else None,
                "finished_at": run.finished_at.isoformat()
                if run.finished_at and self._ended(run) and run.run_id not in tried_again
                else None,
            }
            for run in self._begun()
        ]

    def _ended(self, run: Run) -> bool:
        """Say whether a run that is over has ended by the text.

        A test is over for those below it at once; a run is over when second tries are, too; what a stop cut off has
        no end.
        """
        return self.kinds.get(run.step_no) != "ab_test" and run.state != RunState.CANCELLED

    def _begun(self) -> list[Run]:
        """Steps of cohorts that began: after publish_until they are only passed over, so that the campaign ends."""
        until = self.document.publish_until if self.document else None
        runs = self.rows(Run, Run.campaign_id == self.ground.campaign_id, Run.dated)
        return [run for run in runs if until is None or run.started_at <= until]

    def _dealt(self, passages: list[Passage]) -> list[Dealt]:
        kinds = {"ab_test"} if self.dated else {"ab_test", "random_split"}
        rows = [row for row in passages if self.kinds.get(row.step_no) in kinds]
        return [
            Dealt(row.entry_id, row.step_no, row.exit, row.at)
            for row in sorted(rows, key=lambda row: (row.at, row.entry_id))
        ]

    def _people(self) -> dict[int, tuple[dict[str, Any], bool]]:
        listed = {row.contact_id for row in self.rows(ListMember) if row.list_id == self.ground.lists[NEWS]}
        people = self.ground.people
        return {people[row.contact_id]: (dict(row.attributes), row.contact_id in listed) for row in self.rows(Contact)}

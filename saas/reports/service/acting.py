"""Let test people act: what they do is written as intake writes it, and wakes who listens for it (U14)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.types import CampaignKind
from saas.journeys.service import trigger
from saas.journeys.types import FLOW_UPDATE, Recipient, Way
from saas.journeys.types import Answer as CallAnswer
from saas.kernel.errors import Conflict
from saas.kernel.ids import uuid7
from saas.kernel.moments import later
from saas.ledger.models import ENTRY_IDS, Consent, Contact, Entry, Event, Run, Wait
from saas.ledger.types import FLOW_STEP, ConsentStatus, EventKind, WaitStage, flow_subject
from saas.permissions.types import Actor
from saas.platform.agenda import service as agenda
from saas.reports.rules.scenario import OF_MESSAGE, Happening, Player, Scenario, What
from saas.reports.service.cast import enlist
from saas.reports.service.playing import ENTERING, Play
from saas.reports.service.standins import Answer, answers

_SENT: Final = sa.text(
    """
    SELECT d.entry_id FROM delivery d JOIN run r ON r.tenant_id = d.tenant_id AND r.run_id = d.run_id
    WHERE d.tenant_id = :tenant AND d.contact_id = :contact AND d.step_no = :step AND d.exc IS NULL
      AND r.campaign_id = :campaign ORDER BY d.entry_id DESC LIMIT 1
    """
)
_FAIL: Final = sa.text(
    """
    UPDATE delivery SET exc = 'failed', reason = 'refused_by_recipient', settled_at = :now
    WHERE tenant_id = :tenant AND run_id = :run AND contact_id = ANY(:contacts) AND exc IS NULL
    """
)
_HANDED_OVER: Final = sa.text(
    """
    SELECT contact_id FROM delivery WHERE tenant_id = :tenant AND run_id = :run AND claimed_at = :now AND exc IS NULL
      AND contact_id = ANY(:contacts)
    """
)
_WAKE: Final = sa.text(
    """
    UPDATE wait SET answer = 'yes', due_at = :now
    WHERE tenant_id = :tenant AND contact_id = :contact AND campaign_id = :campaign AND listens IS NOT NULL
      AND stage = 'waiting' AND answer IS NULL AND due_at >= :now AND (listens ->> 'name' = :name
        OR listens ->> 'on' = :on AND listens ->> 'entry' = :entry AND listens ->> 'step' = :step)
    RETURNING step_no
    """
)
_BEHIND: Final = sa.text(
    """
    SELECT EXISTS (SELECT FROM wait WHERE tenant_id = :tenant AND contact_id = :contact AND campaign_id = :campaign
      AND (due_at < :now OR stage = 'sending'))
    """
)
_CHANGES_PEOPLE: Final = frozenset({What.CHANGED, What.UNSUBSCRIBED})  # who is in an audience
_WHY_NOT: Final = "did not happen: the message had not been handed over"


@dataclass(frozen=True, slots=True)
class Acted:
    """What came of one happening. text: why it did not happen."""

    person: str
    at: datetime
    what: str
    step: int | None
    word: str
    text: str


@dataclass
class Troupe:
    """The test people of a play, by name and contact. actor: who may enter them. acted: what happened, in order."""

    play: Play
    actor: Actor
    scenario: Scenario
    contacts: Mapping[str, UUID]
    acted: list[Acted] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def get_ready(self) -> None:
        """Put everything that has a time into the play, and have the rest begin with what it follows."""
        start = self.play.stage.start
        self.play.after_message = self._after_message
        said = {}
        for each in self.scenario.happenings:
            if each.what is What.ANSWER:
                said[self.contacts[each.person], each.step or 0] = Answer(each.word, each.after or timedelta())
            elif each.at is not None:
                self.play.at(each.at, partial(self._act, each))
            elif each.what not in OF_MESSAGE:
                entered = self._people[each.person].enters_at or start
                self.play.at(later(entered, each.after or timedelta()), partial(self._act, each))
        answers(self._session).said = said
        if self.play.stage.campaign.kind != CampaignKind.DATED.value:
            coming: dict[datetime, list[Player]] = {}
            for person in filter(self._enters_by_time, self.scenario.people):
                coming.setdefault(max(person.enters_at or start, start), []).append(person)
            for moment, people in coming.items():
                self.play.at(moment, partial(self._enter, people), order=ENTERING)

    @property
    def _session(self) -> Session:
        return self.play.session

    @property
    def _people(self) -> Mapping[str, Player]:
        return {person.name: person for person in self.scenario.people}

    @property
    def _campaign(self) -> UUID:
        return self.play.stage.campaign.campaign_id

    @property
    def _tenant(self) -> UUID:
        return self.play.stage.campaign.tenant_id

    def _enters_by_time(self, person: Player) -> bool:
        """Say whether somebody comes at a time of their own, not only by the event that lets people in."""
        return person.enters_at is not None or not (self.play.stage.document.entry or {}).get("event")

    def _enter(self, people: Sequence[Player], now: datetime) -> None:
        """Let people in: by one call, or as they come to match."""
        if self.play.stage.campaign.kind == CampaignKind.FLOWING.value:
            self._come_to_match(people, now)
            return
        recipients = [
            Recipient(no, Way.CONTACT_ID, str(self.contacts[each.name]), each.entry_key, each.context)
            for no, each in enumerate(people)
        ]
        asked: dict[str, Any] = {"actor": self.actor, "campaign_id": self._campaign, "call_id": uuid7().hex}
        try:
            results = trigger.call(self._session, **asked, recipients=recipients, now=now)
        except Conflict as refusal:
            self.refused |= {each.name: refusal.detail for each in people}
            return
        self.refused |= {
            people[result.index].name: result.detail or result.status.value
            for result in results
            if result.status is not CallAnswer.ACCEPTED
        }

    def _come_to_match(self, people: Sequence[Player], now: datetime) -> None:
        """Put people on the audience's list, where the engine finds them; without a list they just come."""
        if self.play.stage.list_id is None:
            for person in people:
                self._flow_in(person, now)
            return
        names = {person.name for person in people}
        enlist(self._session, self.play.stage, people, {n: c for n, c in self.contacts.items() if n in names}, now)
        self.play.people_may_change(now)
        agenda.arm(self._session, work=FLOW_UPDATE, subject=self._campaign, due_at=now)

    def _flow_in(self, person: Player, now: datetime) -> None:
        """Write the entry of somebody who came to match, at the first steps."""
        session, contact_id = self._session, self.contacts[person.name]
        open_one = sa.select(Entry.entry_id).where(
            Entry.tenant_id == self._tenant, Entry.campaign_id == self._campaign, Entry.contact_id == contact_id
        )
        if session.scalar(open_one.limit(1)) is not None:
            return  # the engine let them in already, or they came before
        entry_id = session.scalar(sa.select(ENTRY_IDS.next_value()))
        session.add(
            Entry(
                tenant_id=self._tenant, entry_id=entry_id, campaign_id=self._campaign, occurrence="",
                contact_id=contact_id, entry_key=person.entry_key, single=False, context=None, entered_at=now,
            )
        )  # fmt: skip
        session.flush()
        for no in self.play.stage.document.shape.start:
            session.add(
                Wait(
                    tenant_id=self._tenant, entry_id=entry_id, step_no=no, campaign_id=self._campaign,
                    contact_id=contact_id, due_at=now, stage=WaitStage.ARRIVED.value,
                )
            )  # fmt: skip
            agenda.arm(session, work=FLOW_STEP, subject=flow_subject(self._campaign, no), due_at=now)
        session.flush()

    def _after_message(self, run: Run, now: datetime) -> None:
        """Let messages fail that are to, and begin what follows so long after a message."""
        of_step = [each for each in self.scenario.happenings if each.step == run.step_no and each.what in OF_MESSAGE]
        failing = [self.contacts[each.person] for each in of_step if each.what is What.FAILED]
        names = {"tenant": self._tenant, "run": run.run_id, "now": now}
        if failing:
            self._session.execute(_FAIL, names | {"contacts": failing})
        follow = [each for each in of_step if each.after is not None and each.what is not What.FAILED]
        wanted = [self.contacts[each.person] for each in follow]
        got = set(self._session.scalars(_HANDED_OVER, names | {"contacts": wanted})) if wanted else set()
        for each in follow:
            if self.contacts[each.person] in got:
                self.play.at(later(now, each.after or timedelta()), partial(self._act, replace(each, after=None)))

    def _act(self, each: Happening, now: datetime) -> None:
        doing: Mapping[What, Callable[[Happening, datetime], str]] = {
            What.OPENED: self._react,
            What.CLICKED: self._react,
            What.EVENT: self._emit,
            What.CONVERTED: self._emit,
            What.UNSUBSCRIBED: self._unsubscribe,
            What.CHANGED: self._change,
        }
        self._let_catch_up(self.contacts[each.person], now)
        text = doing[each.what](each, now) if each.what in doing else ""
        if each.what in _CHANGES_PEOPLE:
            self.play.people_may_change(now)
        self.acted.append(Acted(each.person, now, each.what.value, each.step, each.word, text))

    def _let_catch_up(self, contact_id: UUID, now: datetime) -> None:
        """Bring somebody to where they would stand by now, if turns have waited."""
        names = {"tenant": self._tenant, "contact": contact_id, "campaign": self._campaign, "now": now}
        if self.play.grain and self._session.scalar(_BEHIND, names):
            self.play.catch_up()

    def _react(self, each: Happening, now: datetime) -> str:
        contact_id = self.contacts[each.person]
        names = {"tenant": self._tenant, "contact": contact_id, "step": each.step, "campaign": self._campaign}
        entry_id = self._session.scalar(_SENT, names)
        if entry_id is None and self.play.grain:  # nobody waits at a message with which their way ends
            self.play.catch_up()
            entry_id = self._session.scalar(_SENT, names)
        if entry_id is None:
            return _WHY_NOT
        kind = EventKind.OPENED if each.what is What.OPENED else EventKind.CLICKED
        self._write(contact_id, kind.value, now, entry_id=entry_id, step_no=each.step)
        self._wake(contact_id, now, on=each.what.value, entry_id=entry_id, step_no=each.step)
        return ""

    def _emit(self, each: Happening, now: datetime) -> str:
        name = self.play.stage.document.conversion if each.what is What.CONVERTED else each.word
        if not name:
            return "did not happen: the campaign does not say which event is a conversion"
        contact_id = self.contacts[each.person]
        self._write(contact_id, f"custom:{name}", now)
        self._wake(contact_id, now, name=name)
        if (self.play.stage.document.entry or {}).get("event") == name:
            self._flow_in(self._people[each.person], now)
        return ""

    def _unsubscribe(self, each: Happening, now: datetime) -> str:
        topic = self.play.stage.document.topic
        self._session.execute(
            sa.update(Consent)
            .where(
                Consent.tenant_id == self._tenant,
                Consent.contact_id == self.contacts[each.person],
                Consent.topic == topic,
            )
            .values(status=ConsentStatus.WITHDRAWN.value, source="rehearsal", at=now),
            execution_options={"synchronize_session": False},
        )
        return ""

    def _change(self, each: Happening, now: datetime) -> str:
        contact = self._session.get_one(Contact, (self._tenant, self.contacts[each.person]), populate_existing=True)
        contact.attributes = {**contact.attributes, **each.attributes}
        contact.updated_at = now
        self._session.flush()
        return ""

    def _write(
        self, contact_id: UUID, kind: str, now: datetime, *, entry_id: int | None = None, step_no: int | None = None
    ) -> None:
        campaign = self._campaign if entry_id is not None else None
        row = Event(
            tenant_id=self._tenant, occurred_at=now, event_id=uuid7().bytes, kind=kind, contact_id=contact_id,
            campaign_id=campaign, entry_id=entry_id, step_no=step_no, facts={},
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()

    def _wake(
        self,
        contact_id: UUID,
        now: datetime,
        *,
        on: str | None = None,
        name: str | None = None,
        entry_id: int | None = None,
        step_no: int | None = None,
    ) -> None:
        names: dict[str, Any] = {
            "tenant": self._tenant,
            "contact": contact_id,
            "campaign": self._campaign,
            "now": now,
            "name": name,
            "on": on,
            "entry": None if entry_id is None else str(entry_id),
            "step": None if step_no is None else str(step_no),
        }
        steps: Sequence[int] = self._session.scalars(_WAKE, names).all()
        for no in set(steps):
            agenda.arm(self._session, work=FLOW_STEP, subject=flow_subject(self._campaign, no), due_at=now)

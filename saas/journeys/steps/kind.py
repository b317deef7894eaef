"""What the set half of a step kind is given, and what it does with a cohort at its step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Document, Step
from saas.journeys.sets.cohort import People, people_at
from saas.journeys.sets.messages import open_run, open_run_of
from saas.journeys.sets.moves import Spot, leave_by, people_due
from saas.journeys.sets.passages import nothing, pass_by
from saas.ledger.models import Run
from saas.ledger.types import FLOW_STEP, Reason, WaitStage, flow_subject
from saas.platform.agenda import service as agenda


def is_passed_over(revision: Revision, planned: datetime | None) -> bool:
    """Say whether somebody chose to leave a step out whose time had passed when they resumed (R9)."""
    return revision.skip_before is not None and planned is not None and planned < revision.skip_before


@dataclass(frozen=True, slots=True)
class Visit:
    """One step of one occurrence that begins now.

    too_late: its latest useful time has passed (R2), or somebody chose to pass it over (R9); `reason` says which.
    """

    session: Session
    campaign: Campaign
    revision: Revision
    document: Document
    step: Step
    run: Run
    now: datetime
    too_late: bool

    @property
    def reason(self) -> Reason:
        """Why whoever is too late gets nothing."""
        chosen = is_passed_over(self.revision, self.run.planned_at)
        return Reason.SKIPPED_ON_RESUME if chosen else Reason.TOO_LATE

    @property
    def people(self) -> People:
        """The statement for everybody who is at the step."""
        return people_at(
            self.session,
            self.document,
            campaign_id=self.campaign.campaign_id,
            occurrence=self.run.occurrence,
            step_no=self.step.step_no,
        )

    def pass_late(self, word: str | None) -> bool:
        """Write down that everybody goes on by the exit of those who are too late. Returns that they are through."""
        pass_by(
            self.session, self.people, step_no=self.step.step_no, word=sa.literal(word), facts=nothing(), now=self.now
        )
        return True


@dataclass(frozen=True, slots=True)
class Turn:
    """One look at a step where people have times of their own."""

    session: Session
    campaign: Campaign
    revision: Revision
    document: Document
    step: Step
    spot: Spot
    now: datetime

    def leave(
        self,
        word: sa.ColumnElement[str],
        *,
        stage: WaitStage = WaitStage.ARRIVED,
        facts: sa.ColumnElement[Any] | None = None,
    ) -> None:
        """Send who is due by the exit that an expression says, and wake the steps that they come to."""
        self.wake(leave_by(self.session, self.spot, stage=stage, word=word, facts=facts, now=self.now))

    def wake(self, gone: Mapping[str, int]) -> None:
        """Have the steps looked at to which people went; those of a cohort begin when their time has come (R2)."""
        if self.spot.of_cohort:
            return  # a look at a message that has just begun would end its run before anybody was sent it
        for word, people in gone.items():
            for target in self.spot.nexts.get(word, ()) if people else ():
                subject = flow_subject(self.spot.campaign_id, target)
                agenda.arm(self.session, work=FLOW_STEP, subject=subject, due_at=self.now)

    @property
    def arrived(self) -> People:
        """The statement for those who have just come."""
        return people_due(self.session, self.spot, now=self.now)


def open_step_run(turn: Turn) -> Run:
    """Return the run of a step where people have times of their own, which keeps what must be known between turns."""
    found = open_run_of(turn.session, turn.campaign.campaign_id, turn.revision.no, turn.step.step_no)
    if found is not None:
        return found
    return open_run(
        turn.session,
        campaign=turn.campaign,
        revision=turn.revision,
        document=turn.document,
        step=turn.step,
        occurrence="",
        dated=False,
        planned_at=None,
        effective_at=None,
        now=turn.now,
    )


# Does a step for its whole cohort. True: everybody is through; False: the run goes on by itself, and ends later.
Cohort = Callable[[Visit], bool]
# Does a step for those who are due now, at most MOST of each stage; who is left over has the next turn.
Stream = Callable[[Turn], None]


@dataclass(frozen=True, slots=True)
class StepWork:
    """The set half of a kind of step. cohort is None for kinds that have no place in a campaign with dates."""

    name: str
    cohort: Cohort | None
    stream: Stream

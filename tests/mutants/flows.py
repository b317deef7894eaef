"""Known-bad engines of flows (issue 5): what each does wrong is what a flow must never do."""

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from saas.campaigns.rules.flow import times
from saas.campaigns.rules.occurrences import Occurrence
from saas.campaigns.rules.schedule import at_wall_time
from saas.campaigns.service import control, live_edit
from saas.campaigns.types import CampaignState
from saas.journeys.rules import moments
from saas.journeys.service import cohorts, dates, streams
from saas.journeys.sets import cohort
from saas.journeys.sets.cohort import people_at
from saas.journeys.sets.moves import NEVER
from saas.journeys.steps import decision, engagement_split, kind, random_split
from saas.ledger.models import Entry
from tests.mutants.variants import Variant, swap


def deadline_counted_twice() -> None:
    swap(decision, "timedelta", lambda *, minutes: timedelta(minutes=2 * minutes))


def late_joiner_let_in() -> None:
    swap(dates, "_turn_away", lambda turn, *, since: None)


def overrun_skips() -> None:
    def visit(*args, too_late):
        found = right(*args, too_late=too_late)
        late = found.run.effective_at is not None and found.now > found.run.effective_at
        return replace(found, too_late=too_late or late)

    right = swap(cohorts, "Visit", visit)


def split_by_modulo() -> None:
    def place(campaign_id, step_no):
        return sa.func.int8send(Entry.entry_id % 4, type_=sa.LargeBinary())

    def dealt(keys, weights, *, seed, first):
        number = first
        while True:
            yield keys[number % len(keys)]
            number += 1

    swap(cohort, "chance", place)
    swap(random_split, "dealt_out", dealt)


_AGAIN = sa.text(
    "UPDATE wait SET stage = 'arrived', due_at = :now, answer = NULL WHERE campaign_id = :campaign AND stage = 'waiting'"
)


def resume_repeats() -> None:
    """Whoever waited begins to wait anew."""

    def go_on(session, *, actor, campaign, now):
        right(session, actor=actor, campaign=campaign, now=now)
        session.execute(_AGAIN, {"now": now, "campaign": campaign.campaign_id})

    right = swap(control, "let_go_on", go_on)


class _AnyState:
    """Whatever a campaign is, it is active."""

    ACTIVE = CampaignState.ACTIVE

    def __new__(cls, _state):
        return CampaignState.ACTIVE


def stop_not_checked_in_a_wait() -> None:
    swap(streams, "CampaignState", _AnyState)


def dst_day_shifted() -> None:
    """The offset of the day before is taken."""

    def shifted(wall, zone):
        before = datetime.fromisoformat(wall) - timedelta(days=1)
        return at_wall_time(before.isoformat(timespec="minutes"), zone) + timedelta(days=1)

    swap(moments, "at_wall_time", shifted)
    swap(Occurrence, "at", lambda self, step: step.at + self.by)


def engagement_evaluated_later() -> None:
    """Who is at a later step goes by what people did meanwhile, not by what was written down when the split looked."""
    looked_at = {}

    def people(session, document, **where):
        looked_at["document"] = document
        return people_at(session, document, **where)

    def passed(session, leg):
        document = looked_at["document"]
        step = document.step(leg[0])
        if step.kind != engagement_split.WORK.name:
            return right(session, leg)
        return engagement_split.exit_of(session, step.own, document=document, until=NEVER) == leg[1]

    right = swap(cohort, "_passed", passed)
    swap(kind, "people_at", people)


def edit_moves_executed_step() -> None:
    swap(live_edit, "locked_changes", lambda *args, **kwargs: [])


def api_step_after_scheduled() -> None:
    swap(times, "_undated_after_dated", lambda steps, shape, dated: iter(()))


_EDITS = "tests/integration/journeys/test_live_edit.py::"
_CALLS = "tests/integration/journeys/test_called_flows.py::"
_LIVES = "tests/integration/journeys/test_found_by_lives.py::"
FLOW_VARIANTS = (
    Variant(14, "deadline_counted_twice", "a decision's deadline is counted twice", deadline_counted_twice,
            _CALLS + "test_r15_the_deadline_of_a_decision_counts_once_from_arrival"),
    Variant(15, "late_joiner_let_in", "whoever comes after a dated step has begun gets it", late_joiner_let_in,
            _CALLS + "test_r5_who_is_called_after_the_dated_step_is_late"),
    Variant(16, "overrun_skips", "a step that begins late is skipped", overrun_skips),
    Variant(17, "split_by_modulo", "a random split goes by the number of the entry", split_by_modulo),
    Variant(18, "resume_repeats", "whoever waited in a pause waits anew", resume_repeats,
            _LIVES + "test_r9_a_wait_goes_on_in_a_pause"),
    Variant(19, "stop_not_checked_in_a_wait", "whoever waits goes on after a stop", stop_not_checked_in_a_wait,
            _CALLS + "test_s57_pause_holds_who_waits_and_resume_lets_them_go_on"),
    Variant(20, "dst_day_shifted", "on the day of a clock change the offset of the day before counts", dst_day_shifted),
    Variant(21, "engagement_evaluated_later", "an engagement split is looked at again for each later step",
            engagement_evaluated_later),
    Variant(22, "edit_moves_executed_step", "an edit changes a step that has begun", edit_moves_executed_step,
            _EDITS + "test_s60_s61_what_has_begun_stays_and_what_comes_next_keeps_its_place"),
    Variant(23, "api_step_after_scheduled", "a step on call is accepted below a dated one", api_step_after_scheduled,
            _LIVES + "test_r5_a_step_on_call_below_a_dated_one_is_refused"),
)  # fmt: skip

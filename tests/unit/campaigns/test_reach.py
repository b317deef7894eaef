"""Drafts of which nobody would be sent anything are told before anybody signs (M12, R14, R17)."""

from datetime import UTC, datetime

import pytest

from saas.campaigns.rules.draft import missing
from saas.campaigns.rules.quiet import QuietHours
from saas.campaigns.types import CampaignKind

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NIGHT = QuietHours.of("21:00", "08:00")
CONTENT = {"subject": "Hi", "html": "<p>Hi</p>", "text": "Hi"}


def message(no, at, *, after=(), **more):
    return {"step_no": no, "kind": "email", "name": f"M{no}", "channel_id": "chn_x", "content": CONTENT, "at": at,
            "next": {"sent": list(after)}, **more}  # fmt: skip


def faults(*steps, kind="dated", marketing=True, quiet=None, begun=(), **more):
    draft = {"audience": None if kind == "api" else {"list_id": "lst_x"}, "topic": "newsletter",
             "time_zone": "Europe/Oslo", "payload": {"fields": []}, "steps": list(steps), **more}  # fmt: skip
    asked = {"kind": CampaignKind(kind), "marketing": marketing, "now": NOW, "quiet": quiet}
    return [fault.pointer for fault in missing(draft, **asked, begun=frozenset(begun))]


TUESDAY = (message(1, "2026-12-01T09:00", after=[2]), message(2, "2026-12-02T09:00"))


@pytest.mark.parametrize(
    ("until", "pointers"),
    [("2026-12-01T08:59", ["/publish_until"]), ("2026-12-01T09:00", []), ("2026-11-20T09:00", ["/publish_until"])],
)
def test_m12_a_campaign_does_not_end_before_its_first_step(until, pointers):
    assert faults(*TUESDAY, publish_until=until) == pointers


def test_m12_what_has_begun_or_begins_by_calls_may_end_before_a_step():
    steps = (message(1, "2026-11-20T09:00", after=[2]), message(2, "2026-12-02T09:00"))
    assert faults(*steps, publish_until="2026-12-01T09:00", begun=[1]) == []
    called = (message(1, None, after=[2]), message(2, "2026-12-02T09:00"))
    assert faults(*called, kind="api", publish_until="2026-12-01T09:00") == []
    assert faults(*called[1:], kind="api", publish_until="2026-12-01T09:00") == ["/publish_until"]


@pytest.mark.parametrize(
    ("rule", "until", "publish_until", "pointers"),
    [
        ("FREQ=DAILY", "2026-11-30", None, ["/recurrence/until"]),
        ("FREQ=DAILY", "2026-12-01", None, []),
        ("FREQ=WEEKLY;BYDAY=MO", "2026-12-06", None, ["/recurrence/until"]),  # the first Monday is the 7th
        ("FREQ=WEEKLY;BYDAY=MO", "2026-12-07", None, []),
        ("FREQ=WEEKLY;BYDAY=MO", "2027-01-31", "2026-12-06T09:00", ["/publish_until"]),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31", "2026-12-30", None, ["/recurrence/until"]),
        ("FREQ=DAILY", "soon", None, ["/recurrence/until"]),
    ],
)
def test_r17_a_recurrence_does_not_end_before_its_first_round(rule, until, publish_until, pointers):
    recurrence = {"rule": rule, "until": until, "count": None}
    assert faults(*TUESDAY, recurrence=recurrence, publish_until=publish_until) == pointers


def test_r17_a_rule_that_names_no_day_is_told():
    recurrence = {"rule": "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=30", "until": None, "count": 3}
    assert faults(message(1, "2027-02-01T09:00"), recurrence=recurrence) == ["/recurrence/rule"]


WEEKEND = {"send_window": {"days": ["SA", "SU"], "from": "09:00", "until": "17:00"}, "in_silence": "discard"}


def test_r14_a_message_whose_time_lies_where_everything_is_discarded_is_told():
    assert faults(*TUESDAY, settings=WEEKEND) == ["/steps/0/at", "/steps/1/at"]
    assert faults(TUESDAY[0], message(2, "2026-12-05T09:00"), settings=WEEKEND) == ["/steps/0/at"]
    assert faults(*TUESDAY, settings=WEEKEND, begun=[1]) == ["/steps/1/at"]
    waits = {**WEEKEND, "in_silence": "queue"}
    assert faults(*TUESDAY, settings=waits) == []


def test_r14_quiet_hours_of_the_project_count_as_well():
    night = (message(1, "2026-12-01T22:00"),)
    assert faults(*night, quiet=NIGHT, settings={"in_silence": "discard"}) == ["/steps/0/at"]
    assert faults(*night, quiet=NIGHT, settings={"in_silence": "discard", "quiet_hours": {"use": "none"}}) == []
    assert faults(*night, quiet=NIGHT, settings={"in_silence": "discard"}, marketing=False) == []


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        ({"local_time": {"past": "send"}}, {}),  # each person's own time may be another
        ({"speed_per_hour": 10}, {}),
        ({}, {"speed_per_hour": 10}),  # later ones leave when the window is open
    ],
)
def test_r14_what_may_leave_later_than_its_time_is_not(step, settings):
    assert faults(message(1, "2026-12-01T09:00", **step), settings={**WEEKEND, **settings}) == []


def test_r14_r17_a_later_round_that_may_leave_is_enough():
    daily = {"rule": "FREQ=DAILY", "until": "2026-12-31", "count": None}
    tuesday = message(1, "2026-12-01T09:00")
    assert faults(tuesday, settings=WEEKEND, recurrence=daily) == []
    assert faults(tuesday, settings=WEEKEND, recurrence={**daily, "until": "2026-12-04"}) == ["/steps/0/at"]
    assert faults(tuesday, settings=WEEKEND, recurrence={**daily, "rule": "FREQ=WEEKLY"}) == ["/steps/0/at"]


def test_r14_a_window_within_the_quiet_hours_never_opens():
    never = {**WEEKEND, "quiet_hours": {"use": "own", "from": "08:00", "until": "20:00"}}
    assert faults(message(1, "2026-12-05T12:00"), settings=never) == ["/steps/0/at"]

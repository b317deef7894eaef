"""A draft whose campaign starts otherwise (S35, S48 to S50): what stays, and what has no place any more."""

from copy import deepcopy
from datetime import UTC, datetime

import pytest

from saas.campaigns.rules.draft import missing
from saas.campaigns.rules.starts import switched
from saas.campaigns.types import CampaignKind

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DATED, API, FLOWING = CampaignKind.DATED, CampaignKind.API, CampaignKind.FLOWING
CONTENT = {"subject": "Hi", "html": "<p>Hi</p>", "text": "Hi"}


def message(no, at, *, after=()):
    return {"step_no": no, "kind": "email", "name": f"M{no}", "channel_id": "chn_x", "content": CONTENT, "at": at,
            "latest": at, "next": {"sent": list(after)}}  # fmt: skip


def draft(**more):
    settings = {"speed_per_hour": 100, "waves": [{"percent": 100, "after_minutes": 0}], "late": None}
    return {
        "audience": {"list_id": "lst_x"}, "topic": "newsletter", "time_zone": "Europe/Oslo", "settings": settings,
        "payload": {"fields": []}, "entry": None, "recurrence": {"rule": "FREQ=DAILY", "count": 2}, "start": [2, 3],
        "steps": [message(1, "2026-12-02T09:00"), message(2, "2026-12-01T09:00", after=[1]),
                  message(3, "2026-12-01T09:00", after=[1])], **more,
    }  # fmt: skip


def test_s49_s50_on_call_the_first_steps_have_no_date_and_the_others_keep_theirs():
    before = draft()
    found = switched(deepcopy(before), kind=API)
    assert before == draft()
    assert [(step["at"], step["latest"]) for step in found["steps"]] == [
        ("2026-12-02T09:00",) * 2,
        (None,) * 2,
        (None,) * 2,
    ]
    assert [step["content"] for step in found["steps"]] == [CONTENT] * 3
    assert [step["next"] for step in found["steps"]] == [step["next"] for step in before["steps"]]
    assert (found["audience"], found["recurrence"], found["start"]) == (None, None, [2, 3])
    assert missing(found, kind=API, marketing=True, now=NOW) == []


def test_s35_and_back_to_dates_only_what_was_taken_is_missing():
    calls = switched(draft(), kind=API)
    calls["settings"] |= {"late": "send", "accepts_until": "2026-12-24T09:00"}
    calls["payload"] = {"fields": [{"key": "code", "kind": "text", "required": True}]}
    found = switched(calls, kind=DATED)
    faults = {fault.pointer for fault in missing(found, kind=DATED, marketing=True, now=NOW)}
    assert faults == {"/audience", "/steps/1/at", "/steps/2/at"}
    assert (found["payload"], found["settings"]["late"]) == ({"fields": []}, None)


def test_r15_as_people_come_no_step_has_a_date():
    found = switched(draft(), kind=FLOWING)
    assert missing(found, kind=FLOWING, marketing=True, now=NOW) == []
    assert found["audience"] == {"list_id": "lst_x"}
    entered = found | {"entry": {"leaving": "leave"}}
    assert switched(entered, kind=API)["entry"] is None


@pytest.mark.parametrize("kind", list(CampaignKind))
def test_an_empty_draft_stays_empty(kind):
    assert switched({}, kind=kind)["steps"] == []

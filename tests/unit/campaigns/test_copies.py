"""What copies of drafts keep, and what drafts name: pure rules."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.copies import copied, copy_name
from saas.campaigns.rules.references import KEYS, references, replaced
from saas.kernel.ids import show, uuid7

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)  # 13:00 in Oslo
ZONE = "Europe/Oslo"
LIST, CHANNEL, AUDIENCE, CAMPAIGN = (show(prefix, uuid7()) for prefix in ("lst", "chn", "aud", "cam"))
# One step of each kind that names something or has a time (docs/flow.md).
FLOW = {
    "audience": {"list_id": LIST},
    "start": [3],
    "publish_from": "2026-11-20T09:00",
    "publish_until": "2026-12-20T09:00",
    "settings": {
        "accepts_from": "2026-11-21T12:59", "accepts_until": "2026-11-21T13:01",
        "quiet_hours": {"use": "own", "from": "21:00", "until": "08:00"},
    },
    "recurrence": {"rule": "FREQ=DAILY", "until": "2026-11-20", "count": None},
    "steps": [
        {"step_no": 3, "kind": "email", "channel_id": CHANNEL, "at": "2026-11-21T12:59", "latest": "2026-11-30T09:00",
         "content": {"html": LIST, "list_id": LIST}, "next": {"sent": [7]}},
        {"step_no": 7, "kind": "segment_split", "at": None,
         "branches": [{"key": "a", "audience_id": AUDIENCE}, {"key": "b", "audience_id": None}]},
        {"step_no": 9, "kind": "other_campaign", "campaign_id": CAMPAIGN, "action": "start"},
        {"step_no": 11, "kind": "wait", "for": "date", "until": "2026-11-01T00:00"},
        {"step_no": 12, "kind": "condition", "rule": {"all": [{"list_id": LIST}]}},
    ],
}  # fmt: skip


def test_a_copy_keeps_everything_but_times_that_have_passed():
    found = copied(FLOW, zone=ZONE, now=NOW)
    steps = found["steps"]
    assert [step["step_no"] for step in steps] == [3, 7, 9, 11, 12]
    assert (steps[0]["at"], steps[0]["latest"], steps[3]["until"]) == (None, "2026-11-30T09:00", None)
    assert (found["publish_from"], found["publish_until"]) == (None, "2026-12-20T09:00")
    assert (found["settings"]["accepts_from"], found["settings"]["accepts_until"]) == (None, "2026-11-21T13:01")
    assert found["settings"]["quiet_hours"] == FLOW["settings"]["quiet_hours"]
    assert found["recurrence"] is None, "it would go on for good"
    later = {**FLOW, "recurrence": {**FLOW["recurrence"], "until": "2026-11-21"}}
    assert copied(later, zone=ZONE, now=NOW)["recurrence"] == later["recurrence"]
    assert steps[0]["next"] == {"sent": [7]} and found["start"] == [3]
    assert FLOW["steps"][0]["at"] == "2026-11-21T12:59", "the original is left alone"


@pytest.mark.parametrize(
    ("wall", "zone", "kept"),
    [
        ("2026-11-21T12:59", "Europe/Oslo", False),
        ("2026-11-21T13:00", "Europe/Oslo", True),
        ("2026-11-21T12:59", "Atlantic/Reykjavik", True),
        ("2026-11-21", "Europe/Oslo", True),
        ("2026-11-21", "Pacific/Kiritimati", False),  # it is the 22nd there
        ("soon", "Europe/Oslo", True),
        ("2020-01-01T00:00", "Mars/Olympus", True),
        ("2020-01-01T00:00", "Europe", True),
        ("9999-12-31T23:59", "America/Adak", True),
    ],
)
def test_whether_a_time_has_passed_is_said_by_the_drafts_zone(wall, zone, kept):
    found = copied({"steps": [{"step_no": 1, "at": wall}]}, zone=zone, now=NOW)
    assert (found["steps"][0]["at"] == wall) is kept


def test_an_empty_draft_stays_empty():
    assert copied({}, zone=ZONE, now=NOW) == {"steps": []}
    assert copied({"settings": None, "recurrence": None, "steps": None}, zone=ZONE, now=NOW)["steps"] == []


def test_the_name_of_a_copy_is_no_longer_than_a_name_may_be():
    assert copy_name("Black week") == "Copy of Black week"
    assert len(copy_name("x" * 200)) == 200


def test_everything_that_a_draft_names_is_found_and_texts_and_rules_are_left_alone():
    assert [(one.pointer, one.text) for one in references(FLOW)] == [
        ("/audience/list_id", LIST),
        ("/steps/0/channel_id", CHANNEL),
        ("/steps/1/branches/0/audience_id", AUDIENCE),
        ("/steps/2/campaign_id", CAMPAIGN),
    ]
    assert {one.prefix for one in references(FLOW)} == set(KEYS.values())


def test_what_is_left_empty_is_empty_and_the_rest_stays():
    found = replaced(FLOW, lambda one: one.text if one.text == AUDIENCE else None)
    assert found["audience"] is None
    assert found["steps"][0] == {**FLOW["steps"][0], "channel_id": None}
    assert found["steps"][1] == FLOW["steps"][1]
    assert found["steps"][4] == FLOW["steps"][4]
    assert replaced(FLOW, lambda _: None)["steps"][1]["branches"] == [{"key": "a"}, {"key": "b", "audience_id": None}]
    assert references({"steps": [{"channel_id": "what"}]})[0].id is None


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([LIST, CHANNEL]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "steps", "audience", "content", "x"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["audience", "steps", "settings", "x"]), jsons, max_size=4))
def test_s1_saying_each_reference_as_it_is_changes_nothing_and_finds_as_many(draft):
    told = []
    same = replaced(draft, lambda one: (told.append(one), one.text)[1])
    chosen = draft.get("audience")
    if not (isinstance(chosen, dict) and not any(chosen.values())):
        assert same == draft
    assert told == references(draft)
    emptied = replaced(draft, lambda _: None)
    assert references(emptied) == []

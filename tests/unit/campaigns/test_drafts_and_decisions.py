"""What a draft lacks, and which decision counts: pure rules."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.approval import (
    ApproverEdited,
    ChangedSinceYouLooked,
    check_comment,
    check_four_eyes,
    check_hash,
)
from saas.campaigns.rules.draft import EMPTY, missing
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Invalid

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEP = {"step_no": 1, "kind": "email", "name": "M", "channel_id": "chn_x", "at": "2026-11-30T09:00", "content": {}}
DATED = {"audience": {"list_id": "lst_x"}, "topic": "newsletter", "time_zone": "Europe/Oslo", "payload": {"fields": []},
         "steps": [STEP]}  # fmt: skip
ON_CALL = {**DATED, "audience": None, "topic": None, "steps": [{**STEP, "at": None}]}


def pointers(draft, *, kind=CampaignKind.DATED, marketing=True):
    return [fault.pointer for fault in missing(draft, kind=kind, marketing=marketing, now=NOW)]


def test_a_whole_draft_lacks_nothing():
    assert pointers(DATED) == []
    assert pointers(ON_CALL, kind=CampaignKind.API, marketing=False) == []
    assert pointers({**ON_CALL, "topic": "newsletter"}, kind=CampaignKind.API) == []


def test_an_empty_draft_says_everything_at_once():
    assert pointers(EMPTY) == ["/audience", "/topic", "/time_zone", "/steps"]
    assert pointers({}) == ["/audience", "/topic", "/time_zone", "/steps"]
    assert pointers(EMPTY, kind=CampaignKind.API, marketing=False) == ["/time_zone", "/steps"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"audience": None}, ["/audience"]),
        ({"audience": {}}, ["/audience"]),
        ({"topic": None}, ["/topic"]),
        ({"time_zone": "Europe/Atlantis"}, ["/time_zone"]),
        ({"time_zone": "europe/oslo"}, ["/time_zone"]),
        ({"time_zone": "../../etc/passwd"}, ["/time_zone"]),
        ({"time_zone": ""}, ["/time_zone"]),
        ({"steps": []}, ["/steps"]),
        ({"steps": [STEP, {**STEP, "step_no": 2}]}, ["/steps/1"]),
        ({"steps": [{**STEP, "kind": "fax"}]}, ["/steps/0/kind"]),
        ({"steps": [{**STEP, "channel_id": None}]}, ["/steps/0/channel_id"]),
        ({"steps": [{**STEP, "at": None}]}, ["/steps/0/at"]),
        ({"steps": [{**STEP, "at": "soon"}]}, ["/steps/0/at"]),
        ({"steps": [{**STEP, "at": "2026-11-30"}]}, ["/steps/0/at"]),
        ({"steps": [{**STEP, "at": "9999-12-31T23:59"}], "time_zone": "America/Lima"}, ["/steps/0/at"]),
    ],
)  # fmt: skip
def test_s42_each_lack_has_its_place(change, expected):
    assert pointers({**DATED, **change}) == expected


def test_s42_a_time_in_the_past_is_judged_in_its_own_zone():
    def at(wall, zone):
        return pointers({**DATED, "time_zone": zone, "steps": [{**STEP, "at": wall}]})

    assert at("2026-11-21T12:59:59", "Europe/Oslo") == ["/steps/0/at"]
    assert at("2026-11-21T13:00", "Europe/Oslo") == []
    assert at("2026-11-21T12:30", "UTC") == []
    assert at("2026-11-21T12:30", "Asia/Tokyo") == ["/steps/0/at"]
    assert at("2026-11-21T07:30", "America/New_York") == []


def test_s37_what_starts_on_call_has_no_audience_and_s50_may_have_a_date():
    draft = {**ON_CALL, "audience": {"list_id": "lst_x"}, "steps": [STEP]}
    assert pointers(draft, kind=CampaignKind.API, marketing=False) == ["/audience"]
    assert pointers({**draft, "audience": None}, kind=CampaignKind.FLOWING) == ["/audience", "/topic", "/steps/0/at"]


@given(st.fixed_dictionaries({}, optional={
    "audience": st.none() | st.dictionaries(st.sampled_from(["audience_id", "list_id"]), st.text(max_size=5)),
    "topic": st.none() | st.text(max_size=5), "time_zone": st.none() | st.text(max_size=20) | st.just("Europe/Oslo"),
    "steps": st.lists(st.fixed_dictionaries({
        "kind": st.sampled_from([*KINDS, "fax", ""]), "step_no": st.integers(1, 3),
        "next": st.dictionaries(st.sampled_from(["sent", "done", "yes"]), st.lists(st.integers(1, 4), max_size=2), max_size=2),
    }, optional={
        "at": st.none() | st.text(max_size=25) | st.datetimes().map(lambda d: d.isoformat(timespec="minutes")),
        "channel_id": st.none() | st.text(max_size=5),
    }), max_size=3),
}), st.sampled_from(CampaignKind), st.booleans())  # fmt: skip
def test_any_draft_is_judged_and_never_breaks_the_rule(draft, kind, marketing):
    for fault in missing(draft, kind=kind, marketing=marketing, now=NOW):
        assert fault.pointer.startswith("/")
        assert fault.message


def test_r13_a_decision_is_about_the_hash_that_was_shown():
    check_hash("v1:a", "v1:a")
    for present in ("v1:b", None, ""):
        with pytest.raises(ChangedSinceYouLooked) as refused:
            check_hash("v1:a", present)
        assert refused.value.extra["content_hash"] == present


@given(st.sets(st.uuids(), max_size=5))
def test_r13_who_edited_never_approves(editors):
    somebody = uuid4()
    check_four_eyes(somebody, frozenset(editors))
    for editor in editors:
        with pytest.raises(ApproverEdited):
            check_four_eyes(editor, frozenset(editors))
    with pytest.raises(ApproverEdited):
        check_four_eyes(None, frozenset(editors))


def test_r13_a_refusal_needs_a_comment():
    assert check_comment("  The price is wrong. ") == "The price is wrong."
    for empty in ("", "  ", "\n\t"):
        with pytest.raises(Invalid) as refused:
            check_comment(empty)
        assert [fault.pointer for fault in refused.value.faults] == ["/comment"]

"""What the interpreter refuses, and where: docs/flow.md, R3 (S42, S43), R5 (S23, S39, S52), issue 5's bad input."""

import pytest

from tests.reference.flow.forms import FORMS
from tests.reference.flow.scenes import campaign, email, gate, halves, step, wall
from tests.reference.flow.shape import Refused, alerts, read


def refused(given):
    with pytest.raises(Refused) as found:
        read(given)
    return found.value.pointers


def only(kind, **own):
    """A flowing campaign of one step of this kind."""
    return campaign(step(1, kind, None, **own), kind="flowing")


def test_the_example_of_the_docs():
    flow = campaign(
        halves(1, "09:00", {"a": [2], "b": [3]}),
        email(2, "09:00", content={}),
        email(3, "10:00", content={}),
        start=[1],
    )
    found = read(flow)
    assert found.start == (1,) and found.steps[1].next == {"a": (2,), "b": (3,)}
    assert read(campaign(*flow["flow"]["steps"])).start == (1,)


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        (campaign(), ["/flow/steps"]),
        (campaign(*[email(no, "09:00", [no + 1] if no < 501 else None) for no in range(1, 502)]), ["/flow/steps"]),
        (campaign(email(0, "09:00")), ["/flow/steps/0/step_no"]),
        (campaign(email(10_000, "09:00")), ["/flow/steps/0/step_no"]),
        (campaign(email(1, "09:00"), email(1, "09:00")), ["/flow/steps/1/step_no"]),
        (campaign(step(1, "sms", "09:00")), ["/flow/steps/0/kind"]),
        (campaign(email(1, "09:00", colour="red")), ["/flow/steps/0/colour"]),
        (campaign(step(1, "email", "09:00")), ["/flow/steps/0/channel_id"]),
        (campaign(email(1, "2026-13-01T09:00")), ["/flow/steps/0/at"]),
        (campaign(email(1, "2026-12-01T09:00+01:00")), ["/flow/steps/0/at"]),
        (campaign(email(1, "09:00"), zone="Mars/Olympus"), ["/zone"]),
        (campaign(email(1, "09:00"), kind="weekly"), ["/kind"]),
        (campaign(email(1, "09:00"), start=[2]), ["/flow/start"]),
        (campaign(email(1, "09:00"), start=[]), ["/flow/start"]),
        (campaign(email(1, "09:00", [7])), ["/flow/steps/0/next/sent"]),
        (campaign(email(1, "09:00", {"opened": [2]}), email(2, "09:00")), ["/flow/steps/0/next/opened"]),
        (campaign(email(1, "09:00"), email(2, "09:00")), ["/flow/steps/1"]),  # an orphan
        (campaign(email(1, "09:00", [2]), email(2, "09:00", [2])), ["/flow/steps/1/next"]),
        (campaign(email(1, "09:00", [2]), email(2, "09:00", [3]), email(3, "09:00", [2])), ["/flow/steps/1/next", "/flow/steps/2/next"]),
    ],
)  # fmt: skip
def test_bad_shapes(given, pointers):
    assert refused(given) == pointers


@pytest.mark.parametrize(
    "given",
    [
        campaign(email(1, "09:00"), halves(2, "09:00"), start=[1, 2]),
        campaign(email(1, "09:00"), email(2, "09:05"), start=[1, 2]),
        campaign(email(1, "09:00", [3]), email(2, "09:00"), email(3, "10:00"), start=[1, 2]),
        campaign(*[email(no, "09:00") for no in range(1, 12)], start=list(range(1, 12))),
    ],
)
def test_a2_r18_only_messages_of_one_time_and_one_place_are_at_once(given):
    assert refused(given) == ["/flow/start"]


def test_a2_r18_ten_messages_are_not_too_many():
    assert len(read(campaign(*[email(no, "09:00") for no in range(1, 11)], start=list(range(1, 11)))).start) == 10


def test_r3_s42_s43_times_go_with_the_flow():
    given = campaign(email(1, "09:00", [2]), email(2, "08:59", [3]), email(3, "08:59"))
    assert refused(given) == ["/flow/steps/1/at"] and alerts(given) == [2]
    assert read(campaign(email(1, "09:00", [2]), email(2, "09:00")))


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        (campaign(email(1)), ["/flow/steps/0/at"]),  # S23
        (campaign(email(1, "09:00"), kind="flowing"), ["/flow/steps/0/at"]),
        (campaign(step(1, "wait", "09:00", **{"for": "delay", "minutes": 1})), ["/flow/steps/0/at"]),
        (campaign(email(1, "09:00", [2]), email(2), kind="api"), ["/flow/steps/1/at"]),  # S52
        (campaign(halves(1, None, {"a": [2], "b": [3]}), email(2, "09:00", [3]), email(3), kind="api"), ["/flow/steps/2/at"]),
        (campaign(email(1, "09:00", latest=wall("08:00"))), ["/flow/steps/0/latest"]),
        (campaign(email(1, latest=wall("08:00")), kind="api"), ["/flow/steps/0/latest"]),
        (campaign(email(1, local_time={"past": "send"}), kind="api"), ["/flow/steps/0/local_time"]),
    ],
)  # fmt: skip
def test_s39_s52_times_by_kind_of_campaign(given, pointers):
    assert refused(given) == pointers


def test_s39_no_waits_in_a_dated_campaign():
    assert (
        refused(campaign(step(1, "wait", None, **{"for": "delay", "minutes": 1}), email(2, "09:00"), start=[2])) != []
    )
    given = campaign(email(1, "09:00", [2]), step(2, "decision", None, on="event", event="came", within_minutes=5))
    assert refused(given) == ["/flow/steps/1/at", "/flow/steps/1/at"]


TEST = {"test_percent": 10, "decide_after_minutes": 30, "winner_by": "opened"}
AB = [{"key": "a", "name": "A"}, {"key": "b", "name": "B"}]


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        (campaign(halves(1, "09:00", weights=[50, 49])), ["/flow/steps/0/branches"]),
        (campaign(halves(1, "09:00", weights=[100])), ["/flow/steps/0/branches"]),
        (campaign(halves(1, "09:00", weights=[99.995, 0.005])), ["/flow/steps/0/branches/0/weight", "/flow/steps/0/branches/1/weight"]),
        (campaign(halves(1, "09:00", weights=[100, 0])), ["/flow/steps/0/branches/1/weight"]),
        (only("random_split", branches=[{"key": f"k{no}", "weight": 100 / 64} for no in range(64)]), ["/flow/steps/0/branches"]),
        (only("random_split", branches=[{"key": "a", "weight": 50}] * 2), ["/flow/steps/0/branches/1/key"]),
        (only("random_split", branches=[{"key": key, "weight": 50, "holdout": True} for key in "ab"]), ["/flow/steps/0/branches"]),
        (campaign(step(1, "ab_test", "09:00", branches=AB, **TEST)), ["/flow/steps/0/next/a", "/flow/steps/0/next/b"]),
        (only("ab_test", branches=AB, **{**TEST, "test_percent": 0, "winner_by": "luck"}), ["/flow/steps/0/test_percent", "/flow/steps/0/winner_by"]),
        (only("segment_split", branches=[{"key": "x", "name": "X", "audience_id": "aud_none"}]), ["/flow/steps/0/branches/0/audience_id"]),
        (only("segment_split", branches=[{"key": "remaining", "name": "X", "audience_id": "aud_pro"}]), ["/flow/steps/0/branches/0/key"]),
        (only("condition", rule={"attribute": "shoe", "op": "eq", "value": 1}), ["/flow/steps/0/rule/attribute"]),
        (only("condition", rule={"all": [{"attribute": "orders", "op": "contains", "value": 1}]}), ["/flow/steps/0/rule/all/0/op"]),
        (only("gate", channel_id="chn_hook", delivers=True, wait=True), ["/flow/steps/0/timeout_minutes"]),
        (only("decision", on="clicked", within_minutes=5), ["/flow/steps/0/message"]),
        (only("decision", on="clicked", message=9, within_minutes=5), ["/flow/steps/0/message"]),
        (only("decision", on="event", within_minutes=5), ["/flow/steps/0/event"]),
        (only("decision", on="event", event="came", within_minutes=0), ["/flow/steps/0/within_minutes"]),
        (only("wait", **{"for": "ever"}), ["/flow/steps/0/for"]),
        (only("wait", **{"for": "delay"}), ["/flow/steps/0/minutes"]),
        (only("wait", **{"for": "delay", "minutes": 5, "time": "09:00"}), ["/flow/steps/0/time"]),
        (only("wait", **{"for": "local_hour", "time": "25:00"}), ["/flow/steps/0/time"]),
        (only("wait", **{"for": "attribute", "attribute": "birthday", "time": "9:00"}), ["/flow/steps/0/time"]),
        (only("set_attribute", changes=[{"attribute": "plan", "value": 1, "clear": True}]), ["/flow/steps/0/changes/0"]),
        (only("change_list", list_id="lst_news", action="toggle"), ["/flow/steps/0/action"]),
        (only("change_points", points=0), ["/flow/steps/0/points"]),
        (only("other_campaign", campaign_id="cmp_x", action="pause"), ["/flow/steps/0/action"]),
        (only("notify_staff"), ["/flow/steps/0/text"]),
        (only("end"), ["/flow/steps/0/reason"]),
    ],
)  # fmt: skip
def test_bad_steps(given, pointers):
    assert refused(given) == pointers


def test_a_holdout_leads_nowhere():
    split = halves(1, "09:00", {"a": [2], "b": [2]})
    split["branches"][1]["holdout"] = True
    assert refused(campaign(split, email(2, "09:00"))) == ["/flow/steps/0/next/b"]


def test_r7_an_engagement_split_asks_about_an_earlier_message_on_its_way():
    def asks(message, before):
        return campaign(
            halves(1, "09:00", {"a": [2], "b": [3]}), email(2, "09:00", [4] if before == 2 else None),
            email(3, "09:00", [4] if before == 3 else None),
            step(4, "engagement_split", "10:00", message=message, interactions=["opened"]),
        )  # fmt: skip

    assert read(asks(2, 2))
    for message, before in ((3, 2), (1, 2), (4, 2), (9, 2)):
        assert refused(asks(message, before)) == ["/flow/steps/3/message"]
    given = asks(2, 2)
    given["flow"]["steps"][3]["interactions"] = []
    assert refused(given) == ["/flow/steps/3/interactions"]


def test_r5_5_an_engagement_split_right_after_its_message_can_only_find_what_remains():
    asked = step(2, "engagement_split", None, message=1, interactions=["opened"])
    assert refused(campaign(email(1, None, [2]), asked, kind="api")) == ["/flow/steps/1/message"]
    waits = step(3, "wait", None, [2], **{"for": "delay", "minutes": 60})
    assert read(campaign(email(1, None, [3]), waits, asked, kind="api"))


def test_a_conversion_needs_an_event():
    asked = step(2, "engagement_split", "10:00", message=1, interactions=["converted"])
    assert refused(campaign(email(1, "09:00", [2]), asked, settings={})) == ["/flow/steps/1"]


@pytest.mark.parametrize(
    ("more", "pointers"),
    [
        ({"settings": {"late": "wait"}}, ["/settings/late"]),
        ({"settings": {"accepts_from": "soon"}}, ["/settings/accepts_from"]),
        ({"publish_until": "never"}, ["/publish_until"]),
        ({"recurrence": {"rule": "FREQ=DAILY"}}, ["/recurrence"]),
    ],
)
def test_bad_settings(more, pointers):
    assert refused(campaign(email(1), kind="api", **more)) == pointers
    assert refused(campaign(email(1), kind="flowing", entry={})) == ["/entry"]
    bad = {"event": "came", "leaving": "maybe", "re_entry": "often"}
    assert refused(campaign(email(1), kind="flowing", entry=bad)) == ["/entry/leaving", "/entry/re_entry"]


def test_m12_r17_what_ends_before_its_first_step_is_not_published():
    assert refused(campaign(email(1, "09:00"), publish_until=wall("08:59"))) == ["/publish_until"]
    assert read(campaign(email(1, "09:00"), publish_until=wall("09:00")))
    assert read(campaign(email(1, None), kind="api", publish_until=wall("08:59")))
    daily = {"rule": "FREQ=DAILY", "count": None}
    assert refused(campaign(email(1, "09:00"), recurrence={**daily, "until": "2026-11-30"})) == ["/recurrence/until"]
    assert read(campaign(email(1, "09:00"), recurrence={**daily, "until": "2026-12-01"}))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=HOURLY",
        "FREQ=DAILY;COUNT=3",
        "FREQ=DAILY;INTERVAL=0",
        "BYDAY=MO",
        "FREQ=WEEKLY;BYDAY=XX",
        "nonsense",
        None,
    ],
)
def test_bad_recurrences(rule):
    assert refused(campaign(email(1, "09:00"), recurrence={"rule": rule})) == ["/recurrence/rule"]


def test_several_faults_are_told_at_once():
    given = campaign(email(0, "soon"), step(2, "sms"), gate(3, "09:00", wait=1))
    assert refused(given) == ["/flow/steps/0/step_no", "/flow/steps/0/at", "/flow/steps/1/kind", "/flow/steps/2/wait"]


def test_every_kind_of_the_docs_is_known():
    assert len(FORMS) == 17

"""The interpreter against what an engine says: each lie is found."""

from copy import deepcopy
from datetime import timedelta

import pytest

from tests.reference.flow.judge import compare
from tests.reference.flow.scenes import at, campaign, email, halves, live, people
from tests.reference.flow.words import plain

FLOW = campaign(halves(1, "09:00", {"a": [2], "b": [3]}), email(2, "09:00", [3]), email(3, "10:00"))


def said():
    return plain(live(FLOW, people(4)))


def told(mutate):
    engine = deepcopy(said())
    mutate(engine)
    return compare(live(FLOW, people(4)), engine)


def test_the_truth_is_found_true():
    assert told(lambda engine: None) == []


def test_what_is_left_out_is_not_compared():
    def little(engine):
        engine["entries"] = [
            {"entry_id": each["entry_id"], "path": [each["path"][0]], "partial": True} for each in engine["entries"]
        ]
        for each in engine["steps"]:
            each["effective_at"] = None

    assert told(little) == []
    assert compare(live(FLOW, people(4)), {"state": "completed"}) == []


def later(place, name, minutes=1):
    place[name] = (at("09:00") + timedelta(minutes=minutes)).isoformat()


@pytest.mark.parametrize(
    ("lie", "word"),
    [
        (lambda e: e.update(state="active"), "the campaign has state active"),
        (lambda e: e["entries"].pop(), "lost: 4 never entered"),
        (lambda e: e["entries"].append({"entry_id": 9}), "different: 9 is nobody who enters"),
        (lambda e: e["entries"][0].update(person=2), "entry 1 has person 2"),
        (lambda e: e["entries"][0].update(end_reason="stopped"), "entry 1 has end_reason stopped"),
        (lambda e: e["entries"][0]["path"][0].update(exit="x"), "1 at 1 has exit x"),
        (lambda e: e["entries"][0]["path"].pop(), "1 went"),
        (lambda e: e["entries"][0]["path"].reverse(), "1 went"),
        (lambda e: e["entries"][0]["path"].append({"step_no": 8}), "1 went"),
        (lambda e: later(e["entries"][0]["path"][0], "arrived_at"), "1 at 1 has arrived_at"),
        (lambda e: e["entries"][0]["messages"].pop(), "lost: 1 has no message 3"),
        (lambda e: e["entries"][0]["messages"].append(e["entries"][0]["messages"][0]), "doubled: 1 has a message twice"),
        (lambda e: e["entries"][0]["messages"].append({"step_no": 8}), "doubled: 1 has message 8"),
        (lambda e: later(e["entries"][0]["messages"][-1], "not_before"), "too early: 1 may get 3"),
        (lambda e: later(e["steps"][2], "started_at"), "step ('', 3) has started_at"),
        (lambda e: later(e["steps"][2], "effective_at"), "step ('', 3) has effective_at"),
        (lambda e: later(e["steps"][2], "planned_at"), "step ('', 3) has planned_at"),
        (lambda e: later(e["steps"][2], "finished_at"), "step ('', 3) has finished_at"),
        (lambda e: e["steps"].pop(), "lost: step ('', 3) never began"),
        (lambda e: e["steps"].append({"occurrence": "", "step_no": 7}), "step ('', 7) began"),
    ],
)  # fmt: skip
def test_lies(lie, word):
    found = told(lie)
    assert found and word in " ".join(found)


def test_a_message_may_leave_later_and_moments_lie_within_the_slack():
    def late(engine):
        later(engine["entries"][0]["messages"][-1], "not_before", 600)
        engine["steps"][0]["started_at"] = at("09:00:02").isoformat()

    assert [each for each in told(late) if "started_at" not in each] == []
    engine = said()
    late(engine)
    assert compare(live(FLOW, people(4)), engine, timedelta(seconds=2)) == []


def test_what_the_script_gets_wrong_is_told_too():
    found = compare(live(FLOW, people(2), ids={(1, ""): [1], (2, ""): [2, 3]}), {})
    assert len(found) == 1 and "entries of nobody who enters" in found[0]

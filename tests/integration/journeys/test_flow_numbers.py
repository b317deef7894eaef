"""The live numbers of a flow over the API: every step with its exits, who is there now, who won a test (U4, S16, S60)."""

import pytest
import sqlalchemy as sa

from saas.ledger.models import Passage
from saas.permissions.types import Role
from tests.integration.journeys.test_called_flows import start
from tests.integration.journeys.test_variants_and_clocks import ab
from tests.integration.journeys.test_why import why

pytestmark = pytest.mark.integration


def get(flow, path, role=Role.VIEWER, **query):
    answer = flow.world.client(flow.place, role).get(f"/campaigns/{flow.campaign_id}/{path}", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def standing(flow):
    """By step: its state, how many came, how many are there, and by which exits they left."""
    steps = get(flow, "report")["flow"]["steps"]
    return {
        s["step_no"]: (s["state"], s["people"], s["here"], {each["key"]: each["people"] for each in s["exits"]})
        for s in steps
    }


def shown(flow):
    client = flow.world.client(flow.place, Role.VIEWER)
    answer = client.http.get(f"/w/{flow.place.wsp}/campaigns/{flow.campaign_id}")
    assert answer.status_code == 200
    return answer.text


def rest_of(flow, no):
    """Somebody who got the winner's message without having been in the test."""
    with flow.session() as session:
        mine = session.scalars(sa.select(Passage).where(Passage.tenant_id == flow.tenant_id, Passage.step_no == 1))
        tested = {row.entry_id for row in mine if "test" in row.facts}
    return next(address for address in flow.sent(no) if flow.entry_of(address) not in tested)


def in_oslo(flow, when=None, /, **after):
    rule = {"attribute": "city", "op": "eq", "value": "Oslo"}
    return flow.step(2, "condition", when, after=after, rule=rule)


def test_s60_every_step_of_called_people_with_its_exits_and_who_waits(flow):
    flow.people(4)
    flow.set(flow.addresses[0], city="Oslo")
    wait = flow.step(3, "wait", after={"done": 5}, **{"for": "delay", "minutes": 60})
    start(flow, flow.message(1, after=2), in_oslo(flow, yes=3, no=4), wait, flow.message(4), flow.message(5))
    flow.call(*flow.addresses)
    flow.run(-50)
    assert standing(flow) == {
        1: ("running", 4, 0, {"sent": 4}),
        2: ("running", 4, 0, {"yes": 1, "no": 3}),
        3: ("running", 1, 1, {"done": 0}),
        4: ("running", 3, 0, {"sent": 3}),
        5: ("running", 0, 0, {"sent": 0}),
    }
    whole = get(flow, "report")["flow"]
    assert (whole["entered"], whole["ended"]) == (4, {"finished": 3})
    assert [step["messages"]["accepted"] if step["messages"] else None for step in whole["steps"]] == [
        4, None, None, 3, 0
    ]  # fmt: skip
    (waits,) = get(flow, "people", Role.MANAGER, step=3)["data"]
    assert (waits["email"], waits["state"], waits["step_no"]) == (flow.addresses[0], "waiting", 3)
    assert waits["waits_until"] is not None
    assert get(flow, "people", Role.MANAGER, state="waiting")["data"] == [waits]
    assert [row["state"] for row in get(flow, "people", step=4)["data"]] == ["accepted"] * 3
    everybody = get(flow, "people", Role.MANAGER)["data"]
    assert len(everybody) == 4 + 3 + 1
    paged = [get(flow, "people", Role.MANAGER, limit=1)]
    while paged[-1]["has_more"]:
        paged.append(get(flow, "people", Role.MANAGER, limit=1, after=paged[-1]["next_cursor"]))
    assert [row for page in paged for row in page["data"]] == everybody, "each of them once"
    flow.run(11)
    assert standing(flow)[3] == ("running", 1, 0, {"done": 1})
    assert standing(flow)[5][1:] == (1, 0, {"sent": 1})
    assert get(flow, "people", step=3)["data"] == []


def test_s60_a_cohort_and_what_has_not_begun(flow):
    flow.people(3)
    flow.set(flow.addresses[0], city="Oslo")
    flow.publish(flow.message(1, 0, after=2), in_oslo(flow, 0, yes=3, no=4), flow.message(3, 0), flow.message(4, 60))
    assert {no: found[:3] for no, found in standing(flow).items()} == dict.fromkeys(range(1, 5), ("ahead", 0, 0))
    flow.run(0)
    found = standing(flow)
    assert found[1] == ("finished", 3, 0, {"sent": 3})
    assert found[2] == ("finished", 3, 0, {"yes": 1, "no": 2})
    assert found[3] == ("finished", 1, 0, {"sent": 1})
    assert found[4] == ("ahead", 0, 0, {"sent": 0})
    flow.run(60)
    assert standing(flow)[4] == ("finished", 2, 0, {"sent": 2})


def test_s60_nobody_of_another_workspace_waits_here(flow):
    flow.people(1)
    start(flow, flow.step(1, "wait", after={"done": 2}, **{"for": "delay", "minutes": 60}), flow.message(2))
    flow.call(*flow.addresses)
    flow.run(-50)
    assert len(get(flow, "people", state="waiting")["data"]) == 1
    stranger = flow.world.client(flow.world.b, Role.ADMIN)
    assert stranger.get(f"/campaigns/{flow.campaign_id}/people?state=waiting").status_code == 404


def test_s60_a_step_that_cannot_be_is_refused(flow):
    flow.people(1)
    flow.publish(flow.message(1, 0))
    client = flow.world.client(flow.place, Role.VIEWER)
    for bad in ("0", "x", "10000"):
        assert client.get(f"/campaigns/{flow.campaign_id}/people?step={bad}").status_code == 422


def test_s16_who_won_when_and_by_what_numbers(flow):
    flow.people(20)
    flow.publish(ab(flow, 0), flow.message(2, 0), flow.message(3, 0)).run(0)
    (test,) = get(flow, "report")["flow"]["steps"][0]["tests"]
    assert (test["winner"], test["tied"], test["winner_by"], test["counted"]) == (None, [], "clicked", {})
    assert get(flow, "report")["flow"]["steps"][0]["here"] == 12, "the rest waits for the winner"
    assert "The winner is chosen" in shown(flow)
    tester = flow.sent(3)[0]
    flow.reacts(tester, "clicked", 3, minutes=10)
    flow.run(62)
    (test,) = get(flow, "report")["flow"]["steps"][0]["tests"]
    assert (test["winner"], test["tied"]) == ("b", [])
    assert test["counted"] == {"a": {"sent": 4, "did": 0}, "b": {"sent": 4, "did": 1}}
    assert test["decide_at"] == f"{flow.at(60):%Y-%m-%dT%H:%M}:00Z"
    assert "Long has won" in shown(flow)
    assert "by clicks: Short 0 of 4, Long 1 of 4" in shown(flow)
    (step, _) = why(flow, rest_of(flow, 3))["ways"][0]["steps"]
    assert step["text"] == "got “Long”, which had won by clicked: Short 0 of 4, Long 1 of 4"
    assert (step["facts"]["winner"], step["facts"]["counted"]["b"]) == ("b", {"sent": 4, "did": 1})
    (step, _) = why(flow, tester)["ways"][0]["steps"]
    assert step["text"] == "took “Long”, drawn by lot for the test"


def test_s16_of_equal_variants_the_first_wins_and_that_is_said(flow):
    flow.people(20)
    flow.publish(ab(flow, 0), flow.message(2, 0), flow.message(3, 0)).run(0).run(62)
    (test,) = get(flow, "report")["flow"]["steps"][0]["tests"]
    assert (test["winner"], test["tied"]) == ("a", ["a", "b"])
    assert "Short and Long did equally well; Short, the first of them, has won" in shown(flow)
    (step, _) = why(flow, rest_of(flow, 2))["ways"][0]["steps"]
    assert "equally well, so the first of them" in step["text"]

"""Dry runs and start tests over the real audience, thrown away at once (U6, S46, U10)."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from saas.channels.models import ChannelConfiguration
from saas.kernel.ids import uuid7
from saas.ledger.models import Chunk, Consent, Contact, Run
from saas.permissions.types import Role
from saas.reports.service import sampling
from tests import scenes
from tests.integration.journeys.test_simulation import contents
from tests.integration.journeys.test_statements import counted, grow

pytestmark = pytest.mark.integration


def ask(flow, what, role=Role.MANAGER, status=200, client=None):
    client = client or flow.world.client(flow.place, role)
    answer = client.post(f"/campaigns/{flow.campaign_id}/revisions/1/{what}")
    assert answer.status_code == status, answer.text
    return answer.get_json()


def draft(flow, *steps, **more):
    kind = more.pop("kind", "dated")
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place, kind=kind)
    scenes.save(flow.world, flow.place, flow.campaign_id, flow.draft(*steps, kind=kind, **more))


def test_u6_counts_branches_reasons_and_times_over_the_audience_of_now(flow):
    flow.people(10)
    for address in flow.addresses[:4]:
        flow.set(address, city="Oslo")
    with flow.session() as session:
        contact_id = session.scalar(sa.select(Contact.contact_id).where(Contact.email == flow.addresses[9]))
        session.execute(sa.update(Consent).where(Consent.contact_id == contact_id).values(status="withdrawn"))
        session.commit()
    rule = {"attribute": "city", "op": "eq", "value": "Oslo"}
    split = flow.step(
        3, "random_split", 0, after={"a": 4, "b": 5},
        branches=[{"key": "a", "weight": 50}, {"key": "b", "weight": 50}],
    )  # fmt: skip
    draft(
        flow, flow.step(1, "condition", 0, after={"yes": 2, "no": 3}, rule=rule), flow.message(2, 0), split,
        flow.message(4, 0), flow.message(5, 0),
    )  # fmt: skip
    client = flow.world.client(flow.place, Role.MANAGER)
    before = contents(flow)
    found = ask(flow, "dry-run", client=client)
    assert contents(flow) == before, "nothing is kept"
    steps = {step["step_no"]: step for step in found["steps"]}
    assert (found["people"], steps[1]["exits"]) == (10, {"yes": 4, "no": 6})
    assert (steps[2]["people"], steps[2]["states"]) == (4, {"accepted": 4})
    assert steps[3]["exits"] == {"a": 3, "b": 3}
    assert steps[4]["people"] + steps[5]["people"] == 6
    reasons = [steps[no]["reasons"].get("unsubscribed", 0) for no in (4, 5)]
    assert sorted(reasons) == [0, 1]
    assert {step["basis"] for step in found["steps"]} == {"engine"}
    assert steps[1]["begins"] == f"{flow.at(0):%Y-%m-%dT%H:%M:%SZ}"
    begins = [datetime.fromisoformat(steps[no]["begins"]) for no in (1, 2)]
    assert timedelta() < begins[1] - begins[0] < timedelta(minutes=1), "after the starter, which was measured"


def test_u6_what_people_will_do_is_unknown_or_follows_earlier_messages(flow):
    flow.people(20)
    split = flow.step(
        2, "engagement_split", 60, after={"opened": 3, "remaining": 4}, message=1, interactions=["opened"]
    )
    flow.publish(flow.message(1, 0))
    flow.run(0)
    steps = (flow.message(1, 120, after=2), {**split, "at": flow.wall(180)}, flow.message(3, 180), flow.message(4, 180))
    first = flow.campaign_id
    draft(flow, *steps)
    found = ask(flow, "dry-run")
    assert found["steps"][1]["basis"] == "history"
    assert found["steps"][1]["exits"] == {"remaining": 20}, "nobody opened yet"
    second, flow.campaign_id = flow.campaign_id, first
    for address in flow.addresses:
        flow.reacts(address, "opened", 1, minutes=1)
    flow.campaign_id = second
    found = ask(flow, "dry-run")
    assert found["rates"] == {"messages": 20, "runs": 1, "opened": 1.0, "clicked": 0.0}
    assert found["steps"][1]["exits"] == {"opened": 20}
    assert found["steps"][2]["people"] == 20


def test_u6_actions_are_left_out_and_say_so(flow):
    flow.people(2, city="Oslo")
    change = flow.step(1, "set_attribute", 0, after={"done": 2}, changes=[{"attribute": "city", "value": "Bergen"}])
    rule = {"attribute": "city", "op": "eq", "value": "Bergen"}
    draft(flow, change, flow.step(2, "condition", 0, after={"yes": 3}, rule=rule), flow.message(3, 0))
    found = ask(flow, "dry-run")
    assert [step["basis"] for step in found["steps"]] == ["not_done", "unknown", "engine"]
    assert found["steps"][1]["exits"] == {"no": 2}


def history(flow, *seconds, people):
    """Write finished runs of the channel, as senders leave them."""
    with flow.session() as session:
        channel_id = session.scalar(sa.select(ChannelConfiguration.channel_id))
        for number, took in enumerate(seconds):
            ended = flow.at(-60 * 24) - timedelta(minutes=number)
            run = Run(
                tenant_id=flow.place.tenant_id, run_id=uuid7(), campaign_id=uuid7(), step_no=1, occurrence="",
                revision_no=1, content_hash="x", channel_id=channel_id, channel_fingerprint={}, dated=True,
                leads_on=False, started_at=ended - timedelta(seconds=took), finished_at=ended, state="finished",
                facts={},
            )  # fmt: skip
            session.add(run)
            session.flush()
            session.add(
                Chunk(
                    tenant_id=flow.place.tenant_id, run_id=run.run_id, no=number + 1, entry_ids=list(range(people)),
                    not_before=ended, state="closed", deaths=0, retry=False,
                )
            )  # fmt: skip
        session.commit()


def test_u10_says_where_the_plan_is_tighter_than_history(flow):
    flow.people(10)
    history(flow, 540, 600, 1080, people=10)
    draft(flow, flow.message(1, 0, after=2), flow.message(2, 10, after=3), flow.message(3, 60))
    found = ask(flow, "start-test")
    first, second = found["edges"]
    assert found["fine"] is False
    assert found["starter_s"] > 0
    assert (first["fine"], first["text"]) == (False, "needs at least 19 min (p95), you left 10 min")
    assert second["fine"] is True
    assert found["steps"][0]["takes"]["basis"] == "history"
    assert found["steps"][0]["takes"]["p50_s"] == pytest.approx(600 + found["starter_s"])


def test_s46_without_history_the_channels_rate_and_the_signed_speed_count(flow):
    flow.people(10)
    draft(flow, flow.message(1, 0, after=2, speed_per_hour=60), flow.message(2, 60))
    found = ask(flow, "start-test")
    assert found["steps"][0]["takes"]["p95_s"] >= 9 * 60, "its own speed makes it last"
    assert found["edges"][0]["fine"] is True


def test_u6_r14_calls_name_their_people_and_viewers_may_not_ask(flow):
    flow.people(1)
    draft(flow, flow.message(1), kind="api", payload={"fields": []})
    assert ask(flow, "dry-run", status=409)["code"] == "audience_unknown"
    assert ask(flow, "start-test", status=409)["code"] == "audience_unknown"
    ask(flow, "dry-run", role=Role.VIEWER, status=403)


def test_u6_of_another_workspace_there_is_nothing_to_count(flow):
    flow.people(1)
    draft(flow, flow.message(1, 0))
    path = f"/campaigns/{flow.campaign_id}/revisions/1/dry-run"
    assert flow.world.client(flow.world.b, Role.ADMIN).post(path).status_code == 404


def test_u6_flowing_campaigns_let_in_who_matches_now(flow):
    flow.people(3)
    draft(flow, flow.message(1), kind="flowing", entry={"leaving": "stay", "re_entry": "never", "every_minutes": 60})
    found = ask(flow, "dry-run")
    assert (found["people"], found["steps"][0]["states"]) == (3, {"accepted": 3})


@pytest.mark.parametrize("what", ["dry-run", "start-test"])
def test_u6_r15_long_waits_of_flowing_campaigns_are_jumped_over(flow, what):
    """Nothing of an audience changes in here, so it is not compared every five minutes of a year."""
    flow.people(3)
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60 * 24 * 300})
    draft(flow, flow.message(1, after=2), wait, flow.message(3), kind="flowing", entry={})
    found = ask(flow, what)
    assert (found["people"], [step["people"] for step in found["steps"]]) == (3, [3, 3, 3])


@pytest.mark.parametrize("kind", ["dated", "flowing"])
def test_u6_a_dry_run_of_many_people_costs_as_many_statements_as_of_few(flow, kind):
    flow.people(2)
    when = (0, 60) if kind == "dated" else ()
    first, then = when[:1], when[1:]
    steps = [
        flow.step(1, "condition", *first, after={"yes": 2, "no": 3},
            rule={"attribute": "city", "op": "eq", "value": "Oslo"}),
        flow.message(2, *first, after=4),
        flow.message(3, *first, after=4),
        flow.step(4, "engagement_split", *then, after={"clicked": 5}, message=2, interactions=["clicked"]),
        flow.message(5, *then),
    ]  # fmt: skip
    if kind == "flowing":
        steps[3] = flow.step(4, "decision", after={"yes": 5}, on="clicked", message=2, within_minutes=60)
    more = {"entry": {"leaving": "stay", "re_entry": "never", "every_minutes": 60}} if kind == "flowing" else {}
    draft(flow, *steps, kind=kind, **more)
    client, found = flow.world.client(flow.place, Role.MANAGER), []
    ask(flow, "dry-run", client=client)  # whatever is read once only
    for people in (10, 4000):
        grow(flow, people, since=10 * len(found))
        with counted(flow.world.engine) as statements:
            told = ask(flow, "dry-run", client=client)
        found.append(len(statements))
    assert told["people"] == 4012
    assert found[1] <= found[0], found


def test_u6_of_a_very_large_audience_an_even_part_is_played_and_scaled_up(flow, monkeypatch):
    flow.people(2)
    grow(flow, 598)
    with flow.session() as session:
        session.execute(sa.text(
            "INSERT INTO consent (tenant_id, contact_id, topic, status, source, at)"
            " SELECT tenant_id, contact_id, 'newsletter', 'given', 'test', now() FROM contact ON CONFLICT DO NOTHING"
        ))  # fmt: skip
        session.commit()
    rule = {"attribute": "city", "op": "eq", "value": "Oslo"}
    draft(
        flow, flow.step(1, "condition", 0, after={"yes": 2, "no": 3}, rule=rule),
        flow.message(2, 0, speed_per_hour=100), flow.message(3, 0),
    )  # fmt: skip
    whole = ask(flow, "dry-run")
    assert whole["sampled"] is None
    monkeypatch.setattr(sampling, "MOST", 300)
    part = ask(flow, "dry-run")
    assert 200 < part["sampled"] < 400
    assert part["people"] == whole["people"] == 600
    for one, all_ in zip(part["steps"], whole["steps"], strict=True):
        assert abs(one["people"] - all_["people"]) < 90
        assert sum(one["exits"].values()) in {one["people"] - 1, one["people"], one["people"] + 1, 0}
        assert abs(one["states"].get("skipped", 0) - all_["states"].get("skipped", 0)) < 90
        assert one["reasons"].keys() == all_["reasons"].keys()
    took = [found["steps"][1]["takes"]["p95_s"] for found in (part, whole)]
    assert 0.5 < took[0] / took[1] < 2, "its own speed makes everybody's message last as long"

"""Edit, pause, extend and repeat a campaign that runs (S25-S28, S55-S64, R1, R9, R10, R11, R17)."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from saas.kernel.ids import show
from saas.ledger.models import Entry, Run
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from tests import scenes

pytestmark = pytest.mark.integration


def revise(flow, *steps, minutes, **more):
    """Open the next revision at a moment, and say what stops it."""
    manager = flow.world.client(flow.place, Role.MANAGER)
    with flow.clocked(minutes):
        made = manager.post(f"/campaigns/{flow.campaign_id}/revisions")
        assert made.status_code == 201, made.text
        flow.no = made.get_json()["no"]
        url = f"/campaigns/{flow.campaign_id}/revisions/{flow.no}"
        etag = manager.get(url).headers["ETag"]
        saved = manager.put(url, {"draft": flow.draft(*steps, **more)}, etag=etag)
        assert saved.status_code == 200, saved.text
        return saved.get_json()["checks"]


def publish(flow, minutes):
    with flow.clocked(minutes):
        signed = scenes.submit(flow.world, flow.place, flow.campaign_id, no=flow.no)
        return flow.world.client(flow.place, Role.APPROVER).post(
            f"/campaigns/{flow.campaign_id}/revisions/{flow.no}/approve", {"content_hash": signed}
        )


def test_s55_s59_what_has_not_begun_can_change_while_it_runs(flow):
    flow.people(3)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60)).run(0)
    new = flow.message(2, 90, after=3)
    assert revise(flow, flow.message(1, 0, after=2), new, flow.message(3, 100), minutes=10) == []
    assert publish(flow, 20).status_code == 200
    flow.run(60)
    assert flow.sent(2) == []
    flow.run(90).run(100)
    assert flow.sent(2) == flow.sent(3) == sorted(flow.addresses)
    assert [run.revision_no for run in sorted(flow.rows(Run), key=lambda run: run.step_no)] == [1, 2, 2]


def test_r10_s60_s61_what_has_begun_stays_and_what_comes_next_keeps_its_place(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60, after=3), flow.message(3, 90)).run(0)
    changed = flow.message(1, 0, after=3)
    changed["content"]["subject"] = "another"
    checks = revise(flow, changed, flow.message(3, 90), minutes=10)
    assert {check["pointer"] for check in checks} == {"/steps/0/content", "/steps/0/next/sent"}
    checks = None
    manager = flow.world.client(flow.place, Role.MANAGER)
    url = f"/campaigns/{flow.campaign_id}/revisions/2"
    with flow.clocked(10):
        draft = flow.draft(
            flow.message(1, 0, after=2),
            flow.step(2, "change_points", 70, points=1, after={"done": 3}),
            flow.message(3, 90),
        )
        saved = manager.put(url, {"draft": draft}, etag=manager.get(url).headers["ETag"])
        assert saved.get_json()["checks"] == [], "type and date of the next step may change, its place may not"


def test_s58_r9_a_change_that_comes_too_late_is_kept_and_not_applied(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60)).run(0)
    changed = flow.message(2, 120)
    changed["content"]["subject"] = "step 2"
    assert revise(flow, flow.message(1, 0, after=2), changed, minutes=50) == []
    with flow.clocked(55):
        signed = scenes.submit(flow.world, flow.place, flow.campaign_id, no=2)
    flow.run(60)
    assert flow.sent(2) == sorted(flow.addresses), "the published revision went on"
    with flow.clocked(61):
        refused = flow.world.client(flow.place, Role.APPROVER).post(
            f"/campaigns/{flow.campaign_id}/revisions/2/approve", {"content_hash": signed}
        )
    assert refused.status_code == 409, refused.text
    assert refused.get_json()["code"] == "draft_is_stale"


def test_s58_r9_what_came_too_late_is_not_signed_and_says_so(flow):
    """Also where its start has passed: signed, it could never be published."""
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60, after=3), flow.message(3, 200)).run(0)
    changed = flow.message(2, 90, after=3)
    changed["content"]["subject"] = "another"
    assert revise(flow, flow.message(1, 0, after=2), changed, flow.message(3, 200), minutes=50) == []
    url, approver = f"/campaigns/{flow.campaign_id}/revisions/2", flow.world.client(flow.place, Role.APPROVER)
    with flow.clocked(55):
        signed = scenes.submit(flow.world, flow.place, flow.campaign_id, no=2)
        assert approver.get(url).get_json()["checks"] == []
    flow.run(60)
    with flow.clocked(95):
        assert {check["pointer"] for check in approver.get(url).get_json()["checks"]} >= {"/steps/1/content"}
        refused = approver.post(f"{url}/approve", {"content_hash": signed})
        assert (refused.status_code, refused.get_json()["code"]) == (409, "draft_is_stale"), refused.text
        back = approver.post(f"{url}/request-changes", {"content_hash": signed, "comment": "Step 2 has begun."})
        assert back.status_code == 200, back.text
        manager = flow.world.client(flow.place, Role.MANAGER)
        carried = manager.post(f"{url}/carry-over")
        assert carried.status_code == 200, carried.text


def test_r1_a_publication_moves_what_comes_next_to_five_minutes_after_it(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60)).run(0)
    assert revise(flow, flow.message(1, 0, after=2), flow.message(2, 62), minutes=59) == []
    assert publish(flow, 60).status_code == 200
    flow.run(62).run(64)
    assert flow.sent(2) == []
    flow.run(65)
    assert flow.sent(2) == sorted(flow.addresses)


@pytest.mark.parametrize(
    ("choice", "at", "sent"), [("start_now", 85, True), ("new_time", 120, True), ("skip", 80, False)]
)
def test_r9_resume_lets_one_choose_what_becomes_of_overdue_steps(flow, choice, at, sent):
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60, after=3), flow.message(3, 200)).run(0)
    manager = flow.world.client(flow.place, Role.MANAGER)
    with flow.clocked(30):
        flow.control("pause")
    flow.run(60)
    assert flow.sent(2) == []
    body = {"overdue": choice} | ({"start": flow.wall(120)} if choice == "new_time" else {})
    with flow.clocked(80):
        answer = manager.post(f"/campaigns/{flow.campaign_id}/resume", body)
        assert answer.status_code == 200, answer.text
    flow.run(at - 1)
    assert flow.sent(2) == []
    flow.run(at)
    assert bool(flow.sent(2)) == sent
    if not sent:
        assert flow.numbers(2).why["skipped"] == {"skipped_on_resume": 2}
    flow.run(200)
    assert flow.sent(3) == sorted(flow.addresses)
    assert flow.state == "completed"


def test_r9_u5_what_somebody_chose_to_skip_is_told_as_that(flow):
    flow.people(1, city="Oslo")
    flow.publish(
        flow.message(1, 0, after=2),
        flow.step(2, "set_attribute", 60, after={"done": 3}, changes=[{"attribute": "city", "value": "Bergen"}]),
        flow.message(3, 80, after=4),
        flow.message(4, 200, after=5),
        flow.message(5, 210, latest=flow.wall(211)),
    ).run(0)
    with flow.clocked(30):
        flow.control("pause")
    with flow.clocked(100):
        manager = flow.world.client(flow.place, Role.MANAGER)
        assert manager.post(f"/campaigns/{flow.campaign_id}/resume", {"overdue": "skip"}).status_code == 200
    flow.run(100).run(200).run(300)
    assert flow.sent(3) == []
    assert flow.attributes(flow.addresses[0])["city"] == "Oslo"
    assert flow.sent(4) == flow.addresses
    assert flow.numbers(3).why["skipped"] == {"skipped_on_resume": 1}
    (entry,) = flow.rows(Entry)
    found = manager.get(f"/campaigns/{flow.campaign_id}/people/{show('ctc', entry.contact_id)}/why").get_json()
    chosen = "its time had passed, and whoever resumed the campaign chose to skip it"
    assert f"; steps 2, 3: {chosen}" in found["text"]
    states = {step["step_no"]: (step["state"], step["text"]) for step in found["ways"][0]["steps"]}
    assert states[2] == states[3] == ("skipped", chosen)
    assert states[5] == ("skipped", "the latest useful time of the step had passed")


def test_r11_s62_what_has_ended_can_be_extended(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0)).run(0)
    assert flow.state == "completed"
    assert revise(flow, flow.message(1, 0, after=2), flow.message(2, 60), minutes=10) == []
    assert publish(flow, 20).status_code == 200
    assert flow.state == "active"
    flow.run(60)
    assert flow.sent(2) == sorted(flow.addresses)
    assert flow.state == "completed"


def test_r17_a_recurring_campaign_has_a_cohort_for_each_round(flow):
    flow.people(2)
    flow.publish(
        flow.message(1, 0, after=2), flow.message(2, 30), recurrence={"rule": "FREQ=DAILY;INTERVAL=2", "count": 3}
    ).run(0).run(30)
    assert len(flow.sent(2)) == 2
    assert flow.state == "active"
    with flow.session() as session:
        from saas.audiences.models import ListMember

        session.delete(
            session.query(ListMember).filter_by(tenant_id=flow.tenant_id).order_by(ListMember.contact_id).first()
        )
        session.commit()
    day = 24 * 60
    flow.run(day)
    assert len(flow.sent(1)) == 2
    flow.run(2 * day).run(2 * day + 30)
    assert (len(flow.sent(1)), len(flow.sent(2))) == (3, 3)
    flow.run(4 * day).run(4 * day + 30)
    assert (len(flow.sent(2)), flow.state) == (4, "completed")
    names = sorted({row.occurrence for row in flow.rows(Entry)})
    assert names == [f"{flow.at(n * day):%Y-%m-%dT%H:%M} UTC" for n in (0, 2, 4)]


def test_r17_an_edit_that_leaves_the_dates_needs_no_new_one_and_the_rounds_go_on(flow):
    """R11: the first date has passed and stays; `count` counts from it, and the next round has the new subject."""
    day, rule = 24 * 60, {"rule": "FREQ=DAILY", "count": 3}
    flow.people(1)
    flow.publish(flow.message(1, 0), recurrence=rule).run(0)
    changed = flow.message(1, 0)
    changed["content"]["subject"] = "another"
    assert revise(flow, changed, minutes=60, recurrence=rule) == []
    answer = publish(flow, 70)
    assert (answer.status_code, answer.get_json()["state"]) == (200, "published"), answer.text
    with flow.clocked(80):
        viewer = flow.world.client(flow.place, Role.VIEWER)
        rounds = viewer.get(f"/campaigns/{flow.campaign_id}").get_json()["rounds"]
        page = viewer.http.get(f"/w/{flow.place.wsp}/campaigns/{flow.campaign_id}").text
        home = viewer.http.get(f"/w/{flow.place.wsp}/").text
    assert (rounds["rule"], rounds["rounds"], len(rounds["next"])) == ("FREQ=DAILY", 3, 2)
    assert rounds["next"][0] == f"{flow.at(day):%Y-%m-%dT%H:%M:%SZ}"
    assert "every day, 3 times" in page and "Next round" in page
    assert "Nothing is scheduled" not in home
    assert len(flow.sent(1)) == 1
    flow.run(day).run(2 * day)
    assert (len(flow.sent(1)), len(flow.rows(Entry)), flow.state) == (1, 3, "completed")
    assert [run.revision_no for run in sorted(flow.rows(Run), key=lambda run: run.occurrence)] == [1, 2, 2]


@pytest.mark.parametrize(("choice", "sent"), [("start_now", 3), ("skip", 1)])
def test_r17_rounds_that_were_missed_wait_for_a_person(flow, choice, sent):
    """As a first start does: two days of which nothing was done are not made up for silently (reliability.md 2)."""
    flow.people(2)
    flow.publish(flow.message(1, 0), recurrence={"rule": "FREQ=DAILY", "count": 4}).run(0)
    two_days = 2 * 24 * 60
    flow.run(two_days + 61)
    found = flow.world.client(flow.place, Role.VIEWER).get(f"/campaigns/{flow.campaign_id}").get_json()
    assert (found["state"], found["held_part"], len(flow.sent(1))) == ("held", "start", 2)
    assert found["held_facts"]["round"] == f"{flow.at(24 * 60):%Y-%m-%dT%H:%M} UTC"
    with flow.clocked(two_days + 62):
        answer = flow.world.client(flow.place, Role.MANAGER).post(
            f"/campaigns/{flow.campaign_id}/resume", {"overdue": choice}
        )
        assert answer.status_code == 200, answer.text
    flow.run(two_days + 67)
    assert len(flow.sent(1)) == 2 * sent
    flow.run(two_days + 24 * 60)
    assert (len(flow.sent(1)), flow.state) == (2 * sent + 2, "completed")


def test_r17_neither_lost_nor_doubled_when_the_clock_changes(flow):
    """A round each day at half past two in Oslo, also on the day that has no such time; the last day is its end."""
    flow.people(1)
    flow.start = datetime(2027, 3, 27, 2, 30, tzinfo=UTC)  # as the clock shows it
    rule = {"rule": "FREQ=DAILY", "until": "2027-03-30"}
    flow.publish(flow.message(1, 0), time_zone="Europe/Oslo", recurrence=rule)
    begun = []
    for half_hour in range(5 * 48):
        moment = datetime(2027, 3, 27, tzinfo=UTC) + timedelta(minutes=30 * half_hour)
        before = len(flow.sent(1))
        flow.room.at(moment).run(Queue.MAINTENANCE, Queue.BULK)
        begun += [f"{moment:%d %H:%M}"] * (len(flow.sent(1)) - before)
    assert begun == ["27 01:30", "28 01:00", "29 00:30", "30 00:30"]
    assert flow.state == "completed"


def test_architecture_6_people_at_a_step_that_is_gone_are_led_on(flow):
    flow.people(2)
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60})
    flow.publish(flow.message(1, after=2), wait, flow.message(3), kind="api")
    flow.room.clock.at = flow.at(-55)
    flow.room.run()
    flow.call(*flow.addresses)
    flow.run(-50)
    checks = revise(flow, flow.message(1, after=3), flow.message(3), kind="api", minutes=-45)
    assert [check["pointer"] for check in checks] == ["/moves/2"]
    manager = flow.world.client(flow.place, Role.MANAGER)
    url = f"/campaigns/{flow.campaign_id}/revisions/2"
    with flow.clocked(-45):
        draft = flow.draft(flow.message(1, after=3), flow.message(3), kind="api", moves={"2": 3})
        saved = manager.put(url, {"draft": draft}, etag=manager.get(url).headers["ETag"])
        assert saved.get_json()["checks"] == []
    assert publish(flow, -44).status_code == 200
    flow.run(-43)
    assert flow.sent(3) == sorted(flow.addresses)
    assert {row.end_reason for row in flow.rows(Entry)} == {"finished"}


def test_a_changed_delay_counts_for_those_who_wait_only_if_it_is_said(flow):
    flow.people(1)

    def steps(minutes):
        return (
            flow.message(1, after=2),
            flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": minutes}),
            flow.message(3),
        )

    flow.publish(*steps(60), kind="api")
    flow.room.clock.at = flow.at(-55)
    flow.room.run()
    flow.call(*flow.addresses)
    flow.run(-50)
    (before,) = flow.waits()
    assert revise(flow, *steps(10), kind="api", minutes=-45, settings={"also_waiting": True}) == []
    assert publish(flow, -44).status_code == 200
    (after,) = flow.waits()
    assert after.due_at == before.due_at - timedelta(minutes=50)


def test_u11_what_was_wrong_is_corrected_and_sent_to_the_rest_only(flow):
    flow.people(6)
    waves = [{"percent": 50, "after_minutes": 0}, {"percent": 50, "after_minutes": 60}]
    flow.publish(flow.message(1, 0, waves=waves)).run(0)
    served = flow.sent(1)
    assert len(served) == 3
    with flow.clocked(10):
        flow.control("stop")
    flow.run(11)
    manager = flow.world.client(flow.place, Role.MANAGER)
    with flow.clocked(12):
        made = manager.post(f"/campaigns/{flow.campaign_id}/send-to-rest")
        assert made.status_code == 201, made.text
        flow.campaign_id = made.get_json()["campaign_id"]
        url = f"/campaigns/{flow.campaign_id}/revisions/1"
        found = manager.get(url)
        draft = found.get_json()["draft"]
        assert "rest_of" in draft["audience"]
        draft["steps"][0] |= {"at": flow.wall(30), "content": {**draft["steps"][0]["content"], "subject": "corrected"}}
        saved = manager.put(url, {"draft": draft}, etag=found.headers["ETag"])
        assert saved.get_json()["checks"] == [], saved.text
        signed = scenes.submit(flow.world, flow.place, flow.campaign_id)
        assert manager.get(url).get_json()["audience_count"] == 3
        scenes.approve(flow.world, flow.place, flow.campaign_id, signed)
    flow.run(30).run(95)
    corrected = sorted(m.rcpt for m in flow.sink.messages if b"Subject: corrected" in m.data)
    assert corrected == sorted(set(flow.addresses) - set(served))


def stop_half_way(flow):
    """Six people, three of whom have had the first of two messages when it is stopped."""
    flow.people(6)
    waves = [{"percent": 50, "after_minutes": 0}, {"percent": 50, "after_minutes": 60}]
    flow.publish(flow.message(1, 0, waves=waves, after=2), flow.message(2, 90)).run(0)
    with flow.clocked(10):
        flow.control("stop")
    flow.run(11)
    return flow.campaign_id, flow.world.client(flow.place, Role.MANAGER)


def test_u11_one_campaign_at_a_time_is_for_the_rest(flow):
    stopped, manager = stop_half_way(flow)
    with flow.clocked(12):
        first = manager.post(f"/campaigns/{stopped}/send-to-rest")
        assert (first.status_code, first.get_json()["partly_served"]) == (201, 3), first.text
        one = first.get_json()["campaign_id"]
        again = manager.post(f"/campaigns/{stopped}/send-to-rest")
        assert (again.status_code, again.get_json()["code"]) == (409, "rest_taken")
        assert again.get_json()["campaign_id"] == one
        assert one in again.get_json()["detail"]
        assert manager.post(f"/campaigns/{one}/archive").status_code == 200
        second = manager.post(f"/campaigns/{stopped}/send-to-rest")
        assert second.status_code == 201, second.text
        back = manager.post(f"/campaigns/{one}/restore")
        assert (back.status_code, back.get_json()["code"]) == (409, "rest_taken")


def test_u11_a_copy_of_the_draft_for_the_rest_is_not_approved_beside_it(flow):
    stopped, manager = stop_half_way(flow)

    def timed(campaign_id, minutes):
        url = f"/campaigns/{campaign_id}/revisions/1"
        found = manager.get(url)
        draft = found.get_json()["draft"]
        draft["steps"][0]["at"], draft["steps"][1]["at"] = flow.wall(minutes), flow.wall(minutes + 120)
        return manager.put(url, {"draft": draft}, etag=found.headers["ETag"]).get_json()["checks"]

    with flow.clocked(12):
        one = manager.post(f"/campaigns/{stopped}/send-to-rest").get_json()["campaign_id"]
        other = manager.post(f"/campaigns/{one}/duplicate", {}).get_json()["campaign_id"]
        assert timed(one, 30) == timed(other, 32) == []
        flow.campaign_id = one
        scenes.approve(flow.world, flow.place, one, scenes.submit(flow.world, flow.place, one))
        refused = manager.post(f"/campaigns/{other}/revisions/1/submit")
        assert (refused.status_code, refused.get_json()["code"]) == (422, "draft_not_ready")
        (fault,) = refused.get_json()["errors"]
        assert fault["pointer"] == "/audience"
        assert one in fault["message"]
    flow.run(30).run(95)
    assert len(flow.sent(1)) == 6
    assert len(set(flow.sent(1))) == 6
    with flow.clocked(96):  # also when it was stopped after its start: what is left is its own rest
        flow.control("stop")
    flow.run(97)
    with flow.clocked(98):
        assert manager.post(f"/campaigns/{stopped}/send-to-rest").get_json()["code"] == "rest_taken"


def test_u10_no_bar_is_full_while_messages_are_to_come(flow):
    """Where somebody gets several messages, messages are counted, and called so."""
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60)).run(0)
    viewer = flow.world.client(flow.place, Role.VIEWER)
    with flow.clocked(10):
        listed = viewer.http.get(f"/w/{flow.place.wsp}/campaigns").text
        shown = viewer.http.get(f"/w/{flow.place.wsp}/campaigns/{flow.campaign_id}").text
    value, most = re.search(r'<progress[^>]* value="(\d+)" max="(\d+)"', listed).groups()
    assert (value, most) == ("2", "4")
    assert "2 of 2 messages, more to come" in listed and "2 messages" in listed
    assert "2 of 2 messages are settled. One more message of the flow is to come." in shown
    flow.run(60)
    assert flow.state == "completed"

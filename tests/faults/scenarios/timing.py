"""21 to 23: many dispatchers, wrong clocks, and the hours that do not exist or come twice."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from saas.platform.agenda.types import Queue
from tests import scenes
from tests.conftest import ROOT
from tests.faults.registry import fault
from tests.faults.rig.scene import campaign_uuid, content
from tests.faults.rig.stage import Stage
from tests.faults.rig.waiting import wait_until

SKEW = f"{ROOT / 'tests' / 'faults' / 'rig' / 'skew'}:{ROOT}"


@fault(21, "five dispatchers at once, one of them killed")
def many_dispatchers(rig):
    with rig.stage() as stage:
        stage.start(bulk=2)
        others = [stage.crew.dispatcher() for _ in range(4)]
        stage.crew.maintenance()
        stage.begin()
        stage.sent(20)
        others[0].end()
        stage.finish(60)
        runs = stage.books.all("SELECT campaign_id, step_no, count(*) FROM run GROUP BY 1, 2")
        stage.expect(len(runs) == 4 and all(count == 1 for *_, count in runs), f"runs: {runs}")


@fault(22, "the host's clock wrong by an hour and a day, workers apart by seconds")
def wrong_clocks(rig):
    """PostgreSQL's own clock cannot be turned on one machine beside ours; what reads it is looked for by the linters."""
    for name, skew, expected in (
        ("hour-ahead", 3700, "held"),
        ("day-ahead", 86400, "held"),
        ("hour-behind", -3600, "scheduled"),
    ):
        with rig.stage(name, environ={"PYTHONPATH": SKEW, "SKEW_S": str(skew)}) as stage:
            for side in stage.sides:  # before anybody looks: by a clock that is ahead, the planned time may have come
                stage.make_due(side.marketing)
            stage.books.run("UPDATE agenda SET due_at = now() - interval '2 d'")
            stage.start()
            stage.ring(Queue.MAINTENANCE)
            if expected == "held":
                stage.within(lambda s=stage: s.books.state(s.a.marketing) == "held", 15, "a missed start is held")
            time.sleep(3)
            state = stage.books.state(stage.a.marketing)
            stage.expect(state == expected, f"the campaign is {state}")
            stage.expect(stage.sink.count() == 0, f"{stage.sink.count()} messages went out at a wrong time")
            _let_go(stage, expected)
            time.sleep(3)
            stage.expect(stage.sink.count() == 0, f"{stage.sink.count()} messages went out by a wrong clock")
            stage.bulk.end()
            stage.crew.senders(SKEW_S="0")  # the clock was set right: what differs from the database's claims nothing
            # What was due by the wrong clock is due when the right one has come there; nobody waits for that here.
            stage.books.run("UPDATE agenda SET due_at = least(due_at, now())")
            stage.books.run("UPDATE chunk SET not_before = least(not_before, now()) WHERE state = 'pending'")
            stage.finish(60)
            stage.expect(
                stage.books.counts(stage.a, stage.a.marketing)["accepted"] == rig.scene.count,
                "not everybody was served",
            )
    with rig.stage("workers-apart", environ={"PYTHONPATH": SKEW}) as stage:
        stage.crew.web()
        stage.crew.dispatcher(SKEW_S="3")
        stage.crew.maintenance(SKEW_S="-3")
        stage.crew.senders(SKEW_S="4.5")
        stage.crew.senders(SKEW_S="-4.5")
        stage.crew.senders(Queue.TRANSACTIONAL, SKEW_S="-4.5")
        stage.await_senders(3)
        wait_until(stage.web(stage.a).ready, what="the web server answers")
        stage.begin()
        stage.finish(60)


def _let_go(stage: Stage, expected: str) -> None:
    """Have the campaigns begin by the wrong clock; one that goes on after its start was missed has its lead (R1)."""
    for side in stage.sides:
        if expected == "held":
            status, _ = stage.web(side).call("POST", f"/campaigns/{side.marketing}/resume", {})
            stage.expect(status in {200, 202}, f"a resume was answered {status}")
            stage.start_at(side.marketing, "1 s")
        else:
            stage.start_at(side.marketing, "3601 s")
    stage.books.run("UPDATE agenda SET due_at = now() - interval '2 d'")
    stage.ring(Queue.MAINTENANCE)


# zone, wall times: in the gap, in the fold, on a leap day
_WALLS = (
    ("America/New_York", "2027-03-14T02:30:00"), ("America/New_York", "2027-11-07T01:30:00"),
    ("Europe/Paris", "2027-03-28T02:00:00"), ("Europe/Paris", "2027-10-31T02:59:00"),
    ("Australia/Lord_Howe", "2027-10-03T02:15:00"), ("Australia/Lord_Howe", "2027-04-04T01:45:00"),
    ("Pacific/Apia", "2027-09-26T03:30:00"), ("Pacific/Kiritimati", "2027-01-01T00:00:00"),
    ("Africa/Cairo", "2027-04-30T00:30:00"), ("Africa/Cairo", "2027-10-28T23:30:00"),
    ("America/Sao_Paulo", "2027-02-20T23:30:00"), ("Europe/Paris", "2028-02-29T09:00:00"),
)  # fmt: skip


@fault(23, "gap and fold in six zones, leap day")
def odd_hours(rig):
    """Recurring campaigns and a change of time zone data between plan and start: their features do not exist yet."""
    with rig.stage() as stage:
        world, place = stage.world(), stage.a.place
        for zone, wall in _WALLS:
            campaign = scenes.make_campaign(world, place)
            draft = scenes.dated_draft(
                stage.a.list_id,
                stage.a.channels["marketing"],
                scenes.soon(),
                **content(stage.a.canary, stage.a.wording),
            )
            draft["time_zone"], draft["steps"][0]["at"] = zone, wall
            scenes.save(world, place, campaign, draft)
            scenes.submit(world, place, campaign)
            planned = stage.books.one("SELECT planned_at FROM revision WHERE campaign_id = %s", campaign_uuid(campaign))
            wanted = first_valid(wall, zone)
            stage.expect(planned == wanted, f"{wall} in {zone} is planned for {planned}, not for {wanted}")
        stage.start().begin()
        stage.finish(60)
        stage.note(f"{len(_WALLS)} wall times; recurring occurrences do not exist yet")


def first_valid(wall: str, zone: str) -> datetime:
    """The first moment that shows this wall time, else the first that shows a later one: by trying every minute."""
    wanted, tz = datetime.fromisoformat(wall), ZoneInfo(zone)
    start = wanted.replace(tzinfo=UTC) - timedelta(hours=16)
    shown = [(at := start + timedelta(minutes=n), at.astimezone(tz).replace(tzinfo=None)) for n in range(32 * 60)]
    exact = [at for at, local in shown if local == wanted]
    if exact:
        return exact[0]
    before = max(
        n for n, (_, local) in enumerate(shown) if local < wanted and shown[min(n + 1, len(shown) - 1)][1] > wanted
    )
    return shown[before + 1][0]

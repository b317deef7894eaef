"""24 to 28: relays that hang, break off, refuse, dawdle and lie; and names that lead nowhere."""

import time

from saas.kernel.clock import monotonic
from tests import scenes
from tests.faults.registry import fault
from tests.faults.rig.scene import SMTP_PASSWORD, content, kept_back
from tests.faults.rig.stage import Stage

RETRY_S = 90.0  # a second try comes at most 30 s after the first, a third at most 60 s later


@fault(24, "relay hangs after the dot, closes after the dot, 250 then reset", quick=True)
def after_the_dot(rig):
    count = 4
    with rig.stage("marketing") as stage:
        for word, first in (("close", 1), ("rst", 2)):
            stage.script(stage.a, range(first, first + count * 10, 10), word)
        (hanging,) = stage.script(stage.a, [rig.scene.count - 3], "hang")
        stage.start().begin(transactional=False)
        _await_all_but(stage, hanging)
        time.sleep(1.0 if rig.quick else 30.0)
        stage.sink.drop(stage.a.port)
        people = _final(stage, 45, count * 2 + 1)
        doubtful = {p.email for p in people if p.state == "uncertain"}
        for email in doubtful:
            stage.expect("close" in email or "rst" in email or "hang" in email, f"{email} is uncertain")
        stage.expect(sum(".close" in e for e in doubtful) == count, f"{len(doubtful)} uncertain of {count} closed")
        stage.expect(hanging in doubtful, "who was never answered is not uncertain")
    if rig.quick:
        return
    with rig.stage("transactional") as stage:
        stage.script(stage.a, range(1, count * 10, 10), "close-x1")
        stage.start().begin(marketing=False)
        stage.facts.unanswered += count
        stage.finish(RETRY_S)
        left = [p for p in stage.books.people(stage.a, stage.a.transactional) if p.state != "accepted"]
        stage.expect(not left, f"{len(left)} calls were not sent again")
    with rig.stage("told-to-go") as stage:
        """A relay that still owes an answer when we are told to go: uncertain, and only that one."""
        (hanging,) = stage.script(stage.a, [5], "hang")
        stage.start().begin(transactional=False)
        stage.within(lambda: any(k.rcpt == hanging for k in stage.sink.kept()), 20, "the message hangs")
        took = stage.bulk.stop(limit_s=40)
        stage.expect(took < 20, f"took {took:.1f} s to go while an answer was owed")
        stage.crew.again(stage.bulk)
        _final(stage, 60, 1)


def _await_all_but(stage: Stage, hanging: str) -> None:
    stage.within(lambda: any(k.rcpt == hanging for k in stage.sink.kept()), 30, "the hanging message arrives")


def _final(stage: Stage, limit_s: float, unanswered: int):
    stage.facts.unanswered += unanswered
    stage.finish(limit_s)
    return stage.books.people(stage.a, stage.a.marketing)


@fault(25, "421 every 50 messages, greylisting, a provider that closes after so many", quick=True)
def interrupted(rig):
    modes = {"closes": {"end_after": 25}, "greylist": {"greylist_s": 5.0}, "421": {"busy_every": 50}}
    for name in ["closes"] if rig.quick else modes:
        with rig.stage(name, pace_s=0.001) as stage:
            stage.sink.mode(stage.a.port, **modes[name])
            stage.facts.slower.add("b")
            stage.start().begin()
            stage.finish(RETRY_S if name != "greylist" else 180)
            left = [p for p in stage.books.people(stage.a, stage.a.marketing) if p.state != "accepted"]
            stage.expect(not left, f"{len(left)} not accepted, as {left[:1]}")
            stage.note(f"{stage.sink.conns()[stage.a.port]} connections")


@fault(26, "554 for one of a hundred, 552, 535 for all, 5.7.1 for all", quick=True)
def refused(rig):
    with rig.stage("one-of-many") as stage:
        stage.facts.may_stay_open |= set(stage.script(stage.a, range(7, rig.scene.count, 100), "dot-554"))
        stage.script(stage.a, range(9, rig.scene.count, 100), "rcpt-550")
        stage.facts.slower.add("b")
        stage.start().begin()
        stage.finish(60)
        people = stage.books.people(stage.a, stage.a.marketing)
        others = [p for p in people if ".dot" not in p.email and ".rcpt" not in p.email and p.state != "accepted"]
        stage.expect(not others, f"{len(others)} others suffered, as {others[:1]}")
        hard = [p for p in people if ".rcpt" in p.email and p.state not in {"failed", "skipped"}]
        stage.expect(not hard, f"a hard bounce is {hard[:1]}")
        sent = {k.rcpt for k in stage.sink.kept()}
        stage.expect(not any(p.email in sent for p in people if p.state == "failed"), "a failed one was sent")
    modes = {"571-for-all": {"rcpt_all": 571}, "552": {"dot_all": 552}, "535-for-all": {"auth": "refuse"}}
    for name, mode in modes.items():
        if rig.quick and name != "571-for-all":
            continue
        with rig.stage(name) as stage:
            if "auth" in mode:
                _log_in(stage)
            stage.sink.mode(stage.a.port, **mode)
            stage.start().begin()
            _refused_for_all(stage, name)


def _refused_for_all(stage: Stage, name: str) -> None:
    time.sleep(5)
    stage.expect(stage.books.one("SELECT count(*) FROM suppression") == 0, "somebody was suppressed")
    people = stage.books.people(stage.a, stage.a.marketing)
    tried = [p.attempt for p in people if p.state == "open"]
    stage.expect(not tried or max(tried) <= 1, "a fault of the channel cost a try")
    b_open = [p for p in stage.books.people(stage.b, stage.b.marketing) if p.state != "accepted"]
    stage.note(
        f"{len(tried)} of a wait; {len(b_open)} of b not yet sent; {stage.sink.conns()[0]} connections to the refusing relay"
    )
    stage.expect(stage.sink.conns()[0] < 60, "a refusing relay is hammered")
    stage.sink.mode(stage.a.port, rcpt_all=0, dot_all=0, auth="accept" if "535" in name else "")
    stage.finish(150)
    if name != "552":
        left = [p for p in stage.books.people(stage.a, stage.a.marketing) if p.state != "accepted"]
        stage.expect(not left, f"{len(left)} not served when the relay was well again, as {left[:1]}")
    stage.expect(stage.books.one("SELECT count(*) FROM suppression") == 0, "somebody was suppressed")


def _log_in(stage: Stage) -> None:
    """Give A's channels a user name and a password, through the product."""
    world = stage.world()
    client = world.client(stage.a.place, stage.roles.ADMIN)
    for channel in stage.a.channels.values():
        etag = client.get(f"/channels/{channel}").headers["ETag"]
        changed = client.patch(
            f"/channels/{channel}", {"security": "none", "username": "club", "password": SMTP_PASSWORD}, etag=etag
        )
        stage.expect(changed.status_code == 200, f"the password was not taken: {changed.text}")


@fault(27, "slow drip, STARTTLS stripped, a certificate that nobody knows: fail closed")
def slow_and_unsafe(rig):
    with rig.stage("drip") as stage:
        stage.sink.mode(stage.a.port, drip_s=0.05)
        stage.facts.slower.add("b")
        stage.start(bulk=2, transactional=2).begin()
        time.sleep(15)
        left = [p for p in stage.books.people(stage.b, stage.b.marketing) if p.state != "accepted"]
        stage.note(f"{len(left)} of b not sent after 15 s beside a dripping relay")
        stage.sink.mode(stage.a.port, drip_s=0.0)
        stage.finish(90)
    for name, mode in (("stripped", ""), ("unknown", "starttls"), ("garbage", "garbage")):
        with rig.stage(name, tls=True) as stage:
            stage.sink.mode(stage.a.port, tls=mode)
            stage.books.run(
                "UPDATE channel_configuration SET security = 'starttls' WHERE tenant_id = %s", stage.a.place.tenant_id
            )
            stage.start().begin()
            time.sleep(6)
            stage.expect(
                stage.sink.count(stage.a.port) == 0, f"{stage.sink.count(stage.a.port)} messages went out unprotected"
            )
            stage.sink.mode(stage.a.port, tls="")
            stage.books.run(
                "UPDATE channel_configuration SET security = 'none', version = version + 1 WHERE tenant_id = %s",
                stage.a.place.tenant_id,
            )
            stage.finish(150)


@fault(28, "a host without an address, and one that never answers, for one tenant")
def no_name(rig):
    with rig.stage() as stage:
        world = stage.world()
        extra = []
        for host in ("mail.nowhere.invalid", "203.0.113.7"):
            channel = scenes.add_channel(world, stage.a.place, 25, name=f"Lost {host}", host=host)
            words = content(stage.a.canary, stage.a.wording)
            extra.append(kept_back(world, stage.a.place, stage.a.list_id, channel, **words))
        stage.facts.slower.add("b")
        stage.start(bulk=2)
        for campaign in extra:
            stage.make_due(campaign)
        began = monotonic()
        stage.begin()
        stage.finish(90)
        stage.note(f"all others served after {monotonic() - began:.1f} s")
        for campaign in extra:
            people = stage.books.people(stage.a, campaign)
            wrong = [p for p in people if p.state != "open"]
            stage.expect(
                people and not wrong, f"{len(people)} people, {len(wrong)} not waiting for a name, as {wrong[:1]}"
            )
            tried = [p for p in people if p.attempt > 1]
            stage.expect(not tried, f"a name that leads nowhere cost {len(tried)} people a try")

"""11 to 18: PostgreSQL restarted, cut off, full, refusing; nothing is sent that was not committed first."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time

import psycopg
from psycopg import sql

from saas.kernel.clock import monotonic
from saas.permissions.types import Role
from tests import scenes
from tests.faults.registry import NotRun, fault
from tests.faults.rig.calls import until
from tests.faults.rig.disk import can_mount, fill, small_disk
from tests.faults.rig.proxy import Cut, Reply
from tests.faults.rig.scene import content
from tests.faults.rig.waiting import wait_until

AGAIN_S = 30.0  # sending again so long after the server is back (reliability.md 5)
CLAIM, CLOSE = r"INSERT INTO delivery", r"UPDATE chunk.*SET state = 'closed'"
OUTCOME = r"UPDATE delivery"


def _sends_again(stage, since: int, what: str) -> None:
    took = stage.within(lambda: stage.sink.count() > since or not stage.open(), AGAIN_S, f"sending again {what}")
    stage.note(f"sending again {took:.1f} s {what}")


@fault(11, "PostgreSQL restarted with -m immediate in the middle of a run", quick=True)
def restarted(rig):
    with rig.stage() as stage:
        stage.start(bulk=2).begin()
        for _ in range(1 if rig.quick else 3):
            stage.flight(stage.bulk)
            stage.cluster.tell(signal.SIGQUIT)
            wait_until(lambda: stage.cluster.pid() is None, what="PostgreSQL is down")
            time.sleep(0.5 if rig.quick else 2.0)
            stage.cluster.start()
            stage.connect()
            _sends_again(stage, stage.sink.count(), "after the restart")
        stage.finish(60)


@fault(12, "pg_terminate_backend on random connections every 2 s for 60 s")
def terminated(rig):
    with rig.stage(pace_s=0.02) as stage:
        stage.start(bulk=2).begin()
        mine = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'csn_app'"
            " AND application_name <> '' ORDER BY pid"
        )
        end, ended = monotonic() + (10 if rig.quick else 60), 0
        while monotonic() < end:
            pids = [row[0] for row in stage.books.all(mine)]
            for pid in stage.dice.sample(pids, 2):
                ended += bool(stage.books.one("SELECT pg_terminate_backend(%s)", pid))
            time.sleep(2 if stage.open() else 0.5)
        stage.note(f"{ended} connections ended")
        stage.finish(60)


@fault(13, "COMMIT unknown: cut after it was sent, before the answer", quick=True)
def unknown_commits(rig):
    kinds = [("claim", CLAIM), ("close", CLOSE), ("outcome", OUTCOME)]
    for name, statement in kinds[:1] if rig.quick else kinds:
        for reply in [Reply.LOST] if rig.quick else list(Reply):
            with rig.stage(f"{name}-{reply}", pg_proxy=True) as stage:
                if name == "outcome":
                    _script(stage, 10, "rcpt-550")
                stage.start().begin()
                cut = stage.pg.cut(Cut(commit_of=statement, reply=reply, times=2 if rig.quick else 5))
                stage.finish(60)
                stage.expect(cut.done, "the cut was never due")
                stage.note(f"{cut.done} cuts")
    if rig.quick:
        return
    for reply in Reply:
        with rig.stage(f"stop-{reply}", pg_proxy=True, pace_s=0.02) as stage:
            _unknown_stop(stage, reply)
        with rig.stage(f"approve-{reply}", pg_proxy=True) as stage:
            _unknown_approval(stage, reply)
        with rig.stage(f"idempotency-{reply}", pg_proxy=True) as stage:
            _unknown_call(stage, reply)


def _unknown_stop(stage, reply) -> None:
    stage.start(bulk=2).begin()
    stage.sent(20)
    stage.pg.cut(Cut(commit_of=r"UPDATE campaign SET", reply=reply))
    web = stage.web(stage.a)
    with contextlib.suppress(OSError):
        status, _ = web.call("POST", f"/campaigns/{stage.a.marketing}/stop", {})
        stage.expect(status >= 500, f"a stop of unknown fate was answered {status}")
    state = stage.books.state(stage.a.marketing)
    stage.note(f"after the cut the campaign is {state}")
    if reply is Reply.UNSENT:
        stage.expect(state == "active", f"the stop was never sent, and the campaign is {state}")
    with contextlib.suppress(AssertionError):
        until(web, "POST", f"/campaigns/{stage.a.marketing}/stop", {200, 202, 409})
    wait_until(lambda: stage.books.state(stage.a.marketing) == "stopped", what="stopped")
    stage.finish(60)


def _unknown_approval(stage, reply) -> None:
    world = stage.world()
    place = stage.a.place
    draft = scenes.dated_draft(
        stage.a.list_id, stage.a.channels["marketing"], scenes.soon(), **content(stage.a.canary, "WORDING-a2")
    )
    campaign = scenes.make_campaign(world, place)
    scenes.save(world, place, campaign, draft)
    digest = scenes.submit(world, place, campaign)
    approver = world.client(place, Role.APPROVER)
    stage.pg.cut(Cut(commit_of=r"INSERT INTO approval", reply=reply))
    path, body = f"/campaigns/{campaign}/revisions/1/approve", {"content_hash": digest}
    first = approver.post(path, body).status_code
    second = approver.post(path, body)
    stage.note(f"answers {first}, {second.status_code}")
    stage.expect(first >= 500, f"an approval of unknown fate was answered {first}")
    count = "SELECT count(*) FROM approval a JOIN campaign c USING (tenant_id, campaign_id) WHERE c.name = 'Black week' AND a.content_hash = %s"
    stage.expect(stage.books.one(count, digest) == 1, "not exactly one approval")
    stage.start().begin()
    stage.finish(60)


def _unknown_call(stage, reply) -> None:
    stage.start().begin(marketing=False)
    cut = stage.pg.cut(Cut(commit_of=r"INSERT INTO idempotent_answer", reply=reply, times=4, nth=3))
    stage.finish(60)
    stage.expect(cut.done, "the cut was never due")
    for side in stage.sides:
        people = stage.books.people(side, side.transactional)
        stage.expect(
            len(people) == stage.scene.count, f"{side.name}: {len(people)} entries for {stage.scene.count} people"
        )


@fault(14, "PostgreSQL silent for 60 s, without a reset")
def black_hole(rig):
    silent_s = 12 if rig.quick else 60
    with rig.stage(pg_proxy=True, pace_s=0.02) as stage:
        stage.start(bulk=2).begin()
        stage.sent(30)
        stage.pg.swallow()
        began = monotonic()
        time.sleep(silent_s)
        late = [k for k in stage.sink.kept() if k.at > began + 8]
        stage.expect(not late, f"{len(late)} messages left later than 8 s after the last answer of the database")
        stage.pg.reset_all()
        stage.pg.flow()
        _sends_again(stage, stage.sink.count(), "after the silence")
        stage.finish(90)
        stage.expect(stage.web(stage.a).ready(), "the web server is stuck")


@fault(15, "PostgreSQL's disk full")
def disk_full(rig):
    """Its log of changes lies on a small disk; what cannot be committed is not sent."""
    if not can_mount():
        raise NotRun("needs the right to mount a small disk")
    cluster = rig.cluster
    wal = cluster.data_dir / "pg_wal"
    cluster.tell(signal.SIGINT)
    wait_until(lambda: cluster.pid() is None, what="PostgreSQL is down")
    aside = wal.with_name("pg_wal.aside")
    size = sum(path.stat().st_size for path in wal.rglob("*"))  # what earlier runs left there comes along
    with small_disk(cluster.socket_dir / "wal", size=f"{(size >> 20) + 64}m") as disk:
        owner = wal.stat()
        shutil.move(wal, aside)
        shutil.copytree(aside, disk / "pg_wal")
        for path in [disk, *disk.rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)
        (disk / "pg_wal").chmod(0o700)
        wal.symlink_to(disk / "pg_wal")
        try:
            cluster.start()
            with rig.stage(pace_s=0.02) as stage:
                _fill_and_free(stage, disk)
        finally:
            cluster.tell(signal.SIGINT)
            wait_until(lambda: cluster.pid() is None, what="PostgreSQL is down")
            wal.unlink()
            shutil.rmtree(aside)
            shutil.copytree(disk / "pg_wal", wal)
            for path in [wal, *wal.rglob("*")]:
                os.chown(path, owner.st_uid, owner.st_gid)
            wal.chmod(0o700)
            cluster.start()


def _fill_and_free(stage, disk) -> None:
    stage.start().begin()
    stage.sent(30)
    ballast = fill(disk)
    with contextlib.suppress(psycopg.Error):
        for _ in range(20):
            stage.books.run("SELECT pg_switch_wal()")
            stage.books.run("UPDATE tenant_turn SET turn = turn")
    full = monotonic()
    time.sleep(12)
    stage.note(f"{sum(k.at > full for k in stage.sink.kept())} messages after the disk was full")
    late = [k for k in stage.sink.kept() if k.at > full + 8]
    stage.expect(not late, f"{len(late)} messages left without a committed claim")
    ballast.unlink()
    stage.cluster.start()
    stage.connect()
    _sends_again(stage, stage.sink.count(), "after there was room again")
    stage.finish(90)


@fault(16, "the journal's disk full, and read-only")
def journal_disk(rig):
    if not can_mount():
        raise NotRun("needs the right to mount a small disk")
    with rig.stage("full") as stage, small_disk(stage.data / "journals", size="256k") as disk:
        stage.start(web=False)
        ballast = fill(disk)
        late = stage.crew.senders()
        stage.begin(transactional=False)
        time.sleep(3)
        stage.note(f"{stage.sink.count()} messages while the disk was full")
        ballast.unlink()
        stage.finish(60)
        stage.expect(late.alive, "a pool ended because its journal could not be made")
    with rig.stage("read-only") as stage, small_disk(stage.data / "journals", size="256k") as disk:
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(disk)], check=True)
        stage.crew.web()
        stage.crew.dispatcher()
        stage.crew.maintenance()
        stage.crew.senders()
        stage.begin(transactional=False)
        time.sleep(5)
        stage.expect(stage.sink.count() == 0, "messages left without a journal")
        subprocess.run(["/bin/mount", "-o", "remount,rw", str(disk)], check=True)
        stage.finish(60)


_RAISE = """
    CREATE SEQUENCE IF NOT EXISTS injected;
    GRANT USAGE ON injected TO PUBLIC;
    CREATE OR REPLACE FUNCTION injected_{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        IF nextval('injected') % {every} = 0 THEN RAISE EXCEPTION 'injected {code}' USING ERRCODE = '{code}'; END IF;
        RETURN NULL; END $$;
    CREATE TRIGGER injected_{name} AFTER {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION injected_{name}();
"""
_INJECTED = (
    ("claim", "INSERT", "delivery", "40P01"), ("chunk", "UPDATE", "chunk", "40001"), ("turn", "UPDATE", "tenant_turn", "55P03"),
    ("entry", "INSERT", "entry", "40P01"), ("agenda", "INSERT OR UPDATE OR DELETE", "agenda", "40001"),
)  # fmt: skip


@fault(17, "deadlocks, serialization failures and lock timeouts, injected by the server")
def refused_by_the_server(rig):
    with rig.stage() as stage:
        for name, event, table, code in _INJECTED:
            stage.books.run(_RAISE.format(name=name, every=11, code=code, event=event, table=table))
        stage.start(bulk=2).begin()
        stage.finish(120)
        stage.note(f"{stage.books.one('SELECT last_value FROM injected')} statements met the injection")


@fault(18, "pools exhausted, max_connections reached")
def no_connections(rig):
    with rig.stage(pace_s=0.01) as stage:
        stage.start().begin(transactional=False)
        stage.sent(20)
        name = sql.Identifier(stage.database)
        with stage.cluster.admin() as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 3").format(name))
            stage.books.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'csn_app'"
            )
            answers = _hammer(stage, 40)
            time.sleep(3)
            admin.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT -1").format(name))
        stage.note(f"answers {sorted(answers)}")
        stage.expect(answers <= {200, 202, 429, 503, 0}, f"answers {sorted(answers)}")
        stage.make_due(stage.a.transactional)
        stage.make_due(stage.b.transactional)
        stage.finish(90)


def _hammer(stage, threads: int) -> set[int]:
    """Read from many threads at once."""
    found: set[int] = set()

    def read() -> None:
        for _ in range(5):
            try:
                found.add(stage.web(stage.a).call("GET", f"/campaigns/{stage.a.marketing}")[0])
            except OSError:
                found.add(0)

    runners = [threading.Thread(target=read) for _ in range(threads)]
    for each in runners:
        each.start()
    for each in runners:
        each.join()
    return found


def _script(stage, count: int, word: str) -> list[str]:
    return stage.script(stage.a, range(0, count * 5, 5), word)

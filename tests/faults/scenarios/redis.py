"""6 to 10: Redis only rings; emptied, killed, full, slow or lying, it loses and doubles nothing."""

import time

from saas.kernel.clock import monotonic
from saas.platform.agenda.types import Queue
from saas.platform.queue import Bell
from tests.faults.registry import fault


@fault(6, "Redis FLUSHALL in the middle of a run", quick=True)
def flushall(rig):
    with rig.stage() as stage:
        stage.start().begin()
        for part in (0.1, 0.4, 0.7):
            stage.sent(int(rig.scene.count * 4 * part))
            with stage.valkey.client() as redis:
                redis.flushall()
            seen = stage.sink.count()
            took = stage.within(
                lambda seen=seen: stage.sink.count() > seen + 5 or not stage.open(), 6, "sending goes on within 6 s"
            )
            stage.note(f"went on after {took:.2f} s")
        stage.finish()


@fault(7, "Redis kill -9, down, started again empty: degraded mode sends, the web accepts")
def killed(rig):
    down_s = 15 if rig.quick else 60
    with rig.stage() as stage:
        stage.start().begin()
        stage.sent(rig.scene.count // 2)
        stage.valkey.kill()
        died, seen = monotonic(), stage.sink.count()
        took = stage.within(
            lambda: stage.sink.count() > seen + 50 or not stage.open(), 15, "sending goes on without Redis"
        )
        stage.note(f"went on without Redis after {took:.2f} s")
        stage.finish(down_s)
        status, _ = stage.web(stage.a).call("GET", f"/campaigns/{stage.a.marketing}")
        stage.expect(status == 200, f"the web answers {status} without Redis")
        time.sleep(max(0.0, died + down_s - monotonic()))
        stage.valkey.start()
        stage.finish()
        answers = {status for shop in stage.shops for status in shop.answers}
        stage.expect(answers == {202}, f"calls were answered {answers}")


@fault(8, "Redis full with noeviction, then evicting keys")
def full(rig):
    with rig.stage() as stage:
        stage.start()
        with stage.valkey.client() as redis:
            redis.config_set("maxmemory", "1")
        stage.begin()
        stage.sent(rig.scene.count)
        with stage.valkey.client() as redis:
            redis.config_set("maxmemory-policy", "allkeys-lru")
        stage.sent(rig.scene.count * 2)
        with stage.valkey.client() as redis:
            redis.config_set("maxmemory", "0")
        stage.finish()
        answers = {status for shop in stage.shops for status in shop.answers}
        stage.expect(answers == {202}, f"calls were answered {answers}")


@fault(9, "Redis slow by 2 s, connections reset, writes lost and stale bells back")
def slow(rig):
    with rig.stage(redis_proxy=True) as stage:
        stage.start().begin()
        stage.sent(rig.scene.count // 2)
        with stage.valkey.client() as redis:
            stale = {key: redis.dump(key) for key in redis.keys("*")}
        stage.redis.delay_s = 2.0
        time.sleep(5)
        stage.redis.delay_s = 0.0
        for _ in range(5):
            stage.redis.reset_all()
            time.sleep(0.3)
        stage.redis.half_close()
        with stage.valkey.client() as redis:  # a replica that missed the last writes takes over
            redis.flushall()
            for key, value in stale.items():
                if value:
                    redis.restore(key, 0, value, replace=True)
        stage.finish(90)


@fault(10, "bells five times, late, of unknown kinds, and forged jobs")
def lying(rig):
    dice = rig.dice()
    with rig.stage() as stage:
        stage.start(bulk=2).begin()
        forged = _forgeries()
        for number in range(30):
            with stage.valkey.client() as redis:
                for queue in [Queue.BULK, Queue.TRANSACTIONAL, Queue.MAINTENANCE] * 5:
                    redis.delete(f"bell:{queue.value}")
                    Bell(redis).ring(queue)
                job, fields = dice.pick(forged)
                queue = dice.pick(list(Queue)).value
                redis.hset(f"rq:job:{job}-{number}", mapping=fields)
                redis.rpush(f"rq:queue:{queue}", f"{job}-{number}")
                redis.rpush(f"rq:queue:{queue}", "no-such-job")
            time.sleep(0.05)
        stage.finish()
        made = stage.home / "forged"
        stage.expect(not made.exists(), "a forged job was executed")
        stage.expect(stage.bulk.alive and len(stage.bulk.workers()) == 2, "a forged job ended a worker")


def _forgeries():
    from rq.serializers import JSONSerializer

    base = {"created_at": "2026-01-01T00:00:00Z", "status": "queued", "timeout": "1", "origin": "bulk"}
    system = JSONSerializer.dumps(("os.system", None, ["touch forged"], {}))
    unknown = JSONSerializer.dumps(("saas.no.such", None, ["run.unknown"], {}))
    return [
        ("system", {**base, "data": system}),
        ("unknown", {**base, "data": unknown}),
        ("kind", {**base, "data": JSONSerializer.dumps(("work", None, ["no-such-queue"], {}))}),
        ("pickle", {**base, "data": b"cos\nsystem\n(S'touch forged'\ntR."}),
        ("callback", {**base, "data": system, "success_callback_name": "os.system"}),
        ("junk", {"data": b"\x00\xff"}),
    ]

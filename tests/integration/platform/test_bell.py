"""The bell: rings are coalesced and never lost, and nothing but a bell is believed (architecture.md 1, proofs.md 2)."""

import threading
import time

import pytest
from redis.exceptions import ResponseError
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from saas.platform.agenda.types import Queue
from saas.platform.queue import Bell, BellJob, BellQueue, forget_bells, rq_queue
from tests.integration.workers.forgeries import BAD_IDS, Touch, bell, hashes
from tests.integration.workers.rig import OwnValkey

pytestmark = pytest.mark.integration
ROUNDS = 300


@pytest.fixture(scope="module")
def valkey():
    found = OwnValkey()
    found.start()
    yield found
    found.end()


@pytest.fixture
def redis(valkey):
    with valkey.client() as found:
        found.flushall()
        yield found


def test_rings_are_coalesced_until_somebody_looks(redis):
    bells = Bell(redis)
    for _ in range(5):
        bells.ring(Queue.BULK)
    assert redis.llen("rq:queue:bulk") == 1
    assert 0 < redis.ttl("bell:bulk") <= 5
    bells.ring(Queue.TRANSACTIONAL)
    assert redis.llen("rq:queue:transactional") == 1
    bells.lower(Queue.BULK)
    bells.ring(Queue.BULK)
    assert redis.llen("rq:queue:bulk") == 2


def test_a_bell_says_nothing_but_its_queue(redis):
    Bell(redis).ring(Queue.BULK)
    (job_id,) = redis.lrange("rq:queue:bulk", 0, -1)
    found = BellJob.fetch(job_id.decode(), connection=redis, serializer=JSONSerializer)
    assert (found.args, found.kwargs, found.func_name) == (["bulk"], {}, "work")
    assert (found.timeout, found.result_ttl, found.failure_ttl) == (-1, 0, 60)
    assert redis.ttl(f"rq:job:{job_id.decode()}") in range(290, 301)


class Listener(threading.Thread):
    """A worker in miniature: takes a bell, lowers the flag, then looks until nothing is there."""

    def __init__(self, valkey):
        super().__init__()
        self._valkey, self._lock, self._items = valkey, threading.Lock(), 0
        self.answered, self.over = threading.Semaphore(0), threading.Event()

    def add(self):
        with self._lock:
            self._items += 1

    def run(self):
        with self._valkey.client() as redis:
            bells, queue = Bell(redis), rq_queue(redis, Queue.BULK)
            while not self.over.is_set():
                if redis.blpop(queue.key, 1) is not None:
                    bells.lower(Queue.BULK)
                    while self._take():
                        pass

    def _take(self):
        with self._lock:
            found, self._items = self._items, 0
        for _ in range(found):
            self.answered.release()
        return found


def test_no_ring_is_lost_between_the_last_look_and_the_next(valkey):
    """The flag comes down before the look; with unique ids, or the other way round, one in twenty got lost."""
    listener = Listener(valkey)
    lost = 0
    with valkey.client() as redis:
        redis.flushall()
        listener.start()
        for number in range(ROUNDS):
            for pause in (0, number % 7):
                listener.add()
                Bell(redis).ring(Queue.BULK)
                time.sleep(pause / 10_000)
            lost += [listener.answered.acquire(timeout=30) for _ in range(2)].count(False)
        listener.over.set()
    listener.join()
    assert lost == 0


def test_redis_errors_are_swallowed(redis, tmp_path):
    away = OwnValkey()
    with away.client() as nobody:
        bells = Bell(nobody)
        bells.ring(Queue.BULK)
        bells.lower(Queue.BULK)
        assert not bells.answers()
    away.end()
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(ResponseError):
            redis.set("x", 1)
        full = Bell(redis)
        full.ring(Queue.BULK)
        full.lower(Queue.BULK)
        assert full.answers()
    finally:
        redis.config_set("maxmemory", "0")


@pytest.mark.parametrize("name", sorted(hashes(None)))
def test_a_forged_hash_is_no_job(redis, tmp_path, name):
    marker = tmp_path / "touched"
    redis.hset("rq:job:forged", mapping=hashes(marker)[name])
    with pytest.raises(NoSuchJobError):
        BellJob.fetch("forged", connection=redis, serializer=JSONSerializer)
    assert not marker.exists()


@pytest.mark.parametrize("bad", [each.decode("latin-1") for each in BAD_IDS])
def test_a_bad_id_is_no_job(redis, bad):
    with pytest.raises(NoSuchJobError):
        BellJob.fetch(bad, connection=redis, serializer=JSONSerializer)


def test_a_key_of_another_type_is_no_job(redis):
    redis.set("rq:job:string", "x")
    with pytest.raises(NoSuchJobError):
        BellJob.fetch("string", connection=redis, serializer=JSONSerializer)


def test_a_good_bell_is_believed_and_its_limits_are_ours(redis):
    redis.hset("rq:job:good", mapping=bell(timeout="1", result_ttl="999", failure_ttl="999999"))
    found = BellJob.fetch("good", connection=redis, serializer=JSONSerializer)
    assert (found.timeout, found.result_ttl, found.failure_ttl) == (-1, 0, 60)


def test_a_queue_made_from_its_name_believes_bells_only(redis, tmp_path):
    """RQ's pool makes queues by name, without our job class: its upkeep would unpickle what lies there."""
    evil = Job.create("os.getpid", connection=redis, id="evil", meta={"x": Touch(tmp_path / "touched")})
    evil.save()
    assert BellQueue("bulk", connection=redis).fetch_job("evil") is None
    assert BellQueue.from_queue_key("rq:queue:bulk", connection=redis).fetch_job("evil") is None
    assert not (tmp_path / "touched").exists()


def test_what_rq_noted_about_bells_is_forgotten_unread(redis):
    redis.rpush("rq:queue:bulk:intermediate", b"\xff", "x")
    redis.zadd("rq:wip:bulk", {"x:y": 1})
    redis.zadd("rq:failed:bulk", {"x": 1})
    redis.sadd("rq:workers:bulk", b"\xff")
    Bell(redis).ring(Queue.BULK)
    forget_bells(redis, Queue.BULK)
    assert redis.exists("rq:queue:bulk:intermediate", "rq:wip:bulk", "rq:failed:bulk") == 0
    assert redis.llen("rq:queue:bulk") == 1

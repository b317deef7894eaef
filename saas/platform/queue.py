"""The bell: RQ carries nothing but the name of a queue that has due work (architecture.md 1).

Redis holds no truth. A bell may be lost, doubled, late or forged: the worker looks at the agenda and finds what is due.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

import structlog
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq import Queue as RqQueue
from rq import worker_registration
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from saas.platform.agenda.types import Queue

BELL: Final = "work"
_FLAG_S: Final = 5
_FAILURE_S: Final = 60
_MAX_BYTES: Final = 2048
_FIELDS: Final = frozenset(
    {
        "data", "created_at", "origin", "description", "enqueued_at", "started_at", "ended_at", "last_heartbeat",
        "timeout", "result_ttl", "failure_ttl", "status", "worker_name", "ttl", "exc_info",
        "success_callback_name", "failure_callback_name", "stopped_callback_name", "group_id", "enqueue_at_front",
        "allow_dependency_failures",
    }
)  # fmt: skip
_MUST_BE_EMPTY: Final = (
    "success_callback_name", "failure_callback_name", "stopped_callback_name", "group_id", "exc_info",
)  # fmt: skip

log = structlog.get_logger()


class BellJob(Job):
    """A job that can do one thing: ring. Anything else in Redis raises NoSuchJobError, which RQ skips.

    In plain RQ the function is imported by the name found in Redis, and one malformed hash ends the worker.
    """

    answer: Callable[[Queue], None]  # set once by worker.py: what to do when the bell rings

    @property
    def func(self) -> Callable[[str], None]:
        """Return the one function there is."""
        return _ring_in_worker

    @classmethod
    def fetch(cls, id: str, connection: Any = None, serializer: Any = None) -> "BellJob":  # noqa: A002  RQ's own name
        """Fetch a job. An id or a hash that RQ cannot read is no job. Raises NoSuchJobError."""
        try:
            found: Job = super().fetch(id, connection=connection, serializer=serializer)
        except (ValueError, ResponseError) as error:  # a bad id; a key that holds something else than a job
            raise NoSuchJobError(str(error)) from None
        return cast("BellJob", found)

    def restore(self, raw_data: Mapping[Any, Any]) -> None:
        """Fill the job from Redis after a look at every field. Raises NoSuchJobError."""
        try:
            _refuse_forgery(raw_data)
            super().restore(raw_data)
        except Exception as error:  # noqa: BLE001  anything but NoSuchJobError would end the whole worker
            log.warning("bell.refused", error=f"{type(error).__name__}: {error}"[:200])
            raise NoSuchJobError(str(error)) from None
        # Whatever Redis says: a time limit would be an alarm in the middle of a message.
        self.timeout, self.result_ttl, self.failure_ttl = -1, 0, _FAILURE_S


class BellQueue(RqQueue):
    """RQ's queue, wherever RQ makes one from its name: it knows bells only, and nothing is ever unpickled."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "job_class": BellJob, "serializer": JSONSerializer})


def _refuse_forgery(raw: Mapping[Any, Any]) -> None:
    values = {(k.decode() if isinstance(k, bytes) else k): v for k, v in raw.items()}
    if set(values) - _FIELDS or any(values.get(name) for name in _MUST_BE_EMPTY):
        msg = "unexpected field"
        raise ValueError(msg)
    unpacker = zlib.decompressobj()
    body = unpacker.decompress(values["data"], _MAX_BYTES)
    if unpacker.unconsumed_tail or not unpacker.eof:
        msg = "too long"
        raise ValueError(msg)
    name, instance, args, kwargs = json.loads(body)
    if name != BELL or instance is not None or kwargs or len(args) != 1:
        msg = "not a bell"
        raise ValueError(msg)
    Queue(args[0])


def _ring_in_worker(queue: str) -> None:
    BellJob.answer(Queue(queue))


def rq_queue(redis: Redis, queue: Queue) -> RqQueue:
    """Return RQ's queue of the same name."""
    return BellQueue(queue.value, connection=redis)


def forget_bells(redis: Redis, queue: Queue) -> None:
    """Delete RQ's notes on a queue's bells (taken by workers that died, failed, refused) without reading any.

    A bell among them that was never answered is rung anew by the dispatcher.
    """
    names = rq_queue(redis, queue)
    redis.delete(names.intermediate_queue_key, names.started_job_registry.key, names.failed_job_registry.key)
    with suppress(ValueError):  # names of workers that are no text: not ours, and left alone
        worker_registration.clean_worker_registry(names)


class Bell:
    """Rings queues; coalesced, and silent about a Redis that is away."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def ring(self, queue: Queue) -> None:
        """Wake the workers of a queue. While a flag is up, a job that has not looked yet is on its way."""
        try:
            if self.redis.set(f"bell:{queue.value}", 1, nx=True, ex=_FLAG_S):
                rq_queue(self.redis, queue).enqueue_call(
                    BELL,
                    args=(queue.value,),
                    timeout=-1,
                    result_ttl=0,
                    failure_ttl=_FAILURE_S,
                    ttl=300,
                    description="-",
                )
        except RedisError as error:
            log.warning("bell.unreachable", queue=queue.value, error=str(error))

    def lower(self, queue: Queue) -> None:
        """Take the flag down; done before looking at the agenda, so that no ring is lost."""
        try:
            self.redis.delete(f"bell:{queue.value}")
        except RedisError as error:
            log.warning("bell.unreachable", queue=queue.value, error=str(error))

    def answers(self) -> bool:
        """Say whether Redis is there."""
        try:
            return bool(self.redis.ping())
        except RedisError:
            return False

"""What somebody who can write to Redis would try: hashes and ids that are no bells."""

import json
import pickle
import zlib
from pathlib import Path

from rq.utils import now, utcformat


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def bell(queue: str = "bulk", **changed: object) -> dict[str, object]:
    """The hash of a good bell, with some fields changed."""
    data = zlib.compress(json.dumps(["work", None, [queue], {}]).encode())
    fields = {
        "created_at": utcformat(now()), "data": data, "origin": "bulk", "description": "-", "status": "queued",
        "timeout": "-1", "result_ttl": "0", "failure_ttl": "60", "ttl": "300",
    }  # fmt: skip
    return {name: value for name, value in (fields | changed).items() if value is not None}


def _data(value: object) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def hashes(marker: Path) -> dict[str, dict[str, object]]:
    """Forged hashes by what is wrong with them; each would make the file `marker` if it were believed."""
    touch = ["pathlib.Path.touch", None, [str(marker)], {}]
    evil = pickle.dumps(Touch(marker))
    return {
        "function": bell(data=_data(touch)),
        "import-path": bell(data=_data(["os.system", None, [f"touch {marker}"], {}])),
        "instance": bell(data=_data(["work", "pathlib.Path", ["bulk"], {}])),
        "keywords": bell(data=_data(["work", None, ["bulk"], {"queue": "bulk"}])),
        "arguments": bell(data=_data(["work", None, ["bulk", "bulk"], {}])),
        "queue": bell(data=_data(["work", None, ["everything"], {}])),
        "no-text": bell(data=_data(["work", None, [7], {}])),
        "mapping": bell(data=_data({"work": 1})),
        "deep": bell(data=zlib.compress(b"[" * 1900)),
        "pickle": bell(data=zlib.compress(pickle.dumps(("os.system", None, (f"touch {marker}",), {})))),
        "pickle-plain": bell(data=evil),
        "no-zlib": bell(data=b"\x78\x9c not deflate"),
        "cut": bell(data=_data(["work", None, ["bulk"], {}])[:-6]),
        "bomb": bell(data=zlib.compress(b" " * 50_000_000)),
        "no-data": bell(data=None),
        "success-callback": bell(success_callback_name="os.abort"),
        "failure-callback": bell(failure_callback_name="os.abort"),
        "stopped-callback": bell(stopped_callback_name="os.abort"),
        "webhooks": bell(webhooks='[{"url": "http://127.0.0.1:1/"}]'),
        "meta": bell(meta=evil),
        "result": bell(result=evil),
        "group": bell(group_id="g"),
        "retries": bell(retries_left="3", retry_intervals="[0]"),
        "repeats": bell(repeats_left="3", repeat_intervals="[0]"),
        "dependency": bell(dependency_id="x", dependency_ids='["x"]'),
        "rate-limit": bell(rate_limit_key="x", rate_limit_concurrency="1"),
        "timeout-word": bell(timeout="abc"),
        "ttl-word": bell(ttl="abc"),
        "date": bell(created_at="yesterday"),
        "status-word": bell(status="excellent"),
        "field-name": {**bell(), b"\xff\xfe": "x"},
        "worker-name": bell(worker_name=b"\xff"),
    }


BAD_IDS = (b"a b c", b"../../etc", b"", b"\xff\xfe\xfd", b"x" * 5000, b"a:b:c", b"missing")

"""The seal file: small, outside the database, never half written."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import structlog

from saas.platform.seal.types import Identity, Mark

log = structlog.get_logger()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file for a look and a change: senders that start at once take their turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(path: Path) -> Mark | None:
    """Return what stands in the file, None where there is none or where it cannot be understood."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        identity = Identity(str(found["system_identifier"]), int(found["timeline"]))
        return Mark(UUID(found["deployment_id"]), identity, int(found["epoch"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.error("seal.unreadable", file=str(path), error=str(error))  # noqa: TRY400  a finding, no bug
        return None


def write(path: Path, mark: Mark) -> None:
    """Replace the file in one step; it is on the disk when this returns. Raises OSError."""
    text = json.dumps(
        {
            "deployment_id": str(mark.deployment_id),
            "system_identifier": mark.identity.system_identifier,
            "timeline": mark.identity.timeline,
            "epoch": mark.epoch,
        },
        indent=2,
    )
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as out:
        out.write(f"{text}\n")
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

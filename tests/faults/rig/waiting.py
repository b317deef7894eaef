"""Wait for what happens elsewhere."""

import socket
import time
from collections.abc import Callable

from saas.kernel.clock import monotonic

LIMIT_S = 60.0


class Late(AssertionError):
    """Something did not happen in time."""


def wait_until(true: Callable[[], object], *, what: str, limit_s: float = LIMIT_S, every_s: float = 0.02) -> float:
    """Return how many seconds it took. Raises Late."""
    started = monotonic()
    while not true():
        if monotonic() - started > limit_s:
            raise Late(f"not within {limit_s:.0f} s: {what}")
        time.sleep(every_s)
    return monotonic() - started


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port

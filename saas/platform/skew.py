"""How far this host's clock is from PostgreSQL's (architecture.md 5.6)."""

from typing import Any, Final

import psycopg

from saas.kernel.clock import Clock, monotonic

MAX_SKEW_S: Final = 5.0


def clock_skew_s(connection: psycopg.Connection[Any], clock: Clock) -> float:
    """Return how many seconds the server's clock is ahead of ours, negative when behind.

    Compared with the middle of the question's way there and back; beyond MAX_SKEW_S a process stops claiming.
    """
    asked, before = monotonic(), clock.now()
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    way_s = monotonic() - asked
    if row is None:
        return 0.0
    return float((row[0] - before).total_seconds()) - way_s / 2

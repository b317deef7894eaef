"""How large everything is: the real run, and the quick one that shows in a minute whether something broke."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of people, rows, seconds and repeats. whole: all ways to compare, not the main ones alone.

    tenants: workspaces that hold data; neighbour: contacts of each but the measured ones; send: people of one campaign;
    ladder: people of one rung's campaign; rows: contacts of the segment and freeze jobs; events: engagement events;
    imported: rows of an import file; http_s: seconds of load on an HTTP path; calls: triggers of the latency job;
    backlog: bulk messages that wait meanwhile; growth: audiences of the memory job, ascending.
    """

    whole: bool
    repeats: int
    tenants: int
    neighbour: int
    send: int
    ladder: int
    ledger: int
    rows: int
    events: int
    imported: int
    http_s: int
    calls: int
    backlog: int
    rendered: int
    growth: tuple[int, ...]


FULL: Final = Sizes(
    whole=True,
    repeats=5,
    tenants=20,
    neighbour=20_000,
    send=100_000,
    ladder=20_000,
    ledger=100_000,
    rows=1_000_000,
    events=5_000_000,
    imported=300_000,
    http_s=6,
    calls=1_000,
    backlog=400_000,
    rendered=20_000,
    growth=(10_000, 100_000, 1_000_000),
)
QUICK: Final = Sizes(
    whole=False,
    repeats=5,
    tenants=20,
    neighbour=300,
    send=2_000,
    ladder=1_000,
    ledger=5_000,
    rows=50_000,
    events=100_000,
    imported=15_000,
    http_s=1,
    calls=200,
    backlog=40_000,
    rendered=1_000,
    growth=(500, 1_000, 2_000),
)

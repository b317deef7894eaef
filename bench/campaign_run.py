"""Send a campaign through the product's processes, and time it from its start to the end of its run."""

import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from bench.installation import RunningProcesses
from bench.measure import cpu_s
from bench.world import Place, World
from saas.kernel.clock import monotonic

_LOOK_S: Final = 0.005
_STATE: Final = "SELECT state FROM run WHERE tenant_id = %s AND campaign_id = %s"
_NUMBERS: Final = """
    SELECT count(*) FILTER (WHERE d.exc IS NULL AND k.state = 'closed') AS accepted, count(*) AS rows,
      extract(epoch FROM max(r.finished_at) - min(d.claimed_at)) AS from_first_claim_s
    FROM run r JOIN delivery d ON d.tenant_id = r.tenant_id AND d.run_id = r.run_id
    JOIN chunk k ON k.tenant_id = d.tenant_id AND k.run_id = d.run_id AND k.no = d.chunk_no
    WHERE r.tenant_id = %s AND r.campaign_id = %s
"""


class NotSent(RuntimeError):
    """The campaign did not end, or not with everybody served: its time would mean nothing."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a campaign went. `from_first_claim_s` leaves out start, snapshot and freeze."""

    people: int
    seconds: float
    from_first_claim_s: float
    sender_cpu_us: float

    @property
    def per_s(self) -> float:
        """Return messages a second, from the start of the campaign to the end of its run."""
        return self.people / self.seconds


def run_campaign(
    world: World,
    place: Place,
    campaign_id: UUID,
    *,
    people: int,
    running: RunningProcesses,
    sender: str = "sender-bulk",
    within_s: float = 3600.0,
) -> Ran:
    """Start a published campaign and wait until its run is finished. Raises NotSent."""
    senders = running.pids(sender)
    before = cpu_s(senders)
    with world.at.admin() as look:
        started = monotonic()
        world.start_now(place, campaign_id)
        _await_end(look, place, campaign_id, running, within_s)
        took = monotonic() - started
        used = cpu_s(running.pids(sender)) - before
        found = look.execute(_NUMBERS, (place.tenant_id, campaign_id)).fetchone()
    accepted, rows, from_claim = found or (0, 0, 0)
    if accepted != people:
        raise NotSent(f"{accepted} of {people} messages were accepted ({rows} rows)")
    return Ran(people, took, float(from_claim), used / people * 1e6)


def _await_end(
    look: psycopg.Connection[Any], place: Place, campaign_id: UUID, running: RunningProcesses, within_s: float
) -> None:
    end = monotonic() + within_s
    while monotonic() < end:
        row = look.execute(_STATE, (place.tenant_id, campaign_id)).fetchone()
        if row is not None and row[0] == "finished":
            return
        running.check()
        time.sleep(_LOOK_S)
    raise NotSent("the campaign's run did not end in time")

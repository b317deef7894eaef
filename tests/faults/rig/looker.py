"""Looks at the numbers several times a second while things go wrong: they balance at every look (I9)."""

import threading
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from saas.ledger.queries.numbers import numbers, planned, runs_of
from saas.platform.db import bind
from tests.faults.rig.scene import Side, campaign_uuid


class Looker(threading.Thread):
    """One snapshot a look, as csn_app, through the product's own queries. A database that is away is no finding."""

    def __init__(self, url: str, sides: Sequence[Side], *, every_s: float = 0.2) -> None:
        super().__init__(name="looker", daemon=True)
        self._engine = sa.create_engine(
            url, isolation_level="REPEATABLE READ", pool_size=1, pool_pre_ping=True, connect_args={"connect_timeout": 3}
        )
        self._sides, self._every_s = sides, every_s
        self._ending = threading.Event()
        self.looks = 0
        self.blind = 0
        self.findings: list[str] = []
        self._accepted: dict[object, int] = {}

    def run(self) -> None:
        while not self._ending.wait(self._every_s):
            try:
                self._look()
                self.looks += 1
            except DBAPIError:
                self.blind += 1

    def end(self) -> None:
        self._ending.set()
        self.join(30)
        self._engine.dispose()

    def _look(self) -> None:
        for side in self._sides:
            with Session(self._engine) as session:
                bind(session, side.place.tenant_id)
                runs = [
                    run.run_id
                    for campaign in (side.marketing, side.transactional)
                    for run in runs_of(session, campaign_uuid(campaign))
                ]
                found, wanted = numbers(session, runs), planned(session, runs)
            for run in runs:
                if found[run].planned != wanted[run]:
                    self.findings.append(f"{side.name}: {found[run]} are not {wanted[run]}")
                if found[run].accepted < self._accepted.get(run, 0):
                    self.findings.append(
                        f"{side.name}: accepted fell from {self._accepted[run]} to {found[run].accepted}"
                    )
                self._accepted[run] = found[run].accepted

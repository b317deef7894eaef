"""Runs the real agenda loop and a real sender in the test's process, under a clock that the test sets."""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

import sqlalchemy as sa
from flask import Flask

from saas.app.kinds import kinds_for
from saas.campaigns.service.control import CHANNEL
from saas.content.jail.renderer import Renderer
from saas.http.shell import Shell
from saas.kernel.clock import FixedClock, SystemClock
from saas.platform.agenda.types import Queue
from saas.platform.agenda.work import Doer, work_once
from saas.platform.settings import Settings
from saas.sending.service.addressees import Addresser
from saas.sending.service.compiled import Compiler
from saas.sending.service.deliver import SenderProcess
from saas.sending.service.lanes import Lanes
from saas.sending.service.lines import Lines
from saas.sending.service.owner import Owner

PATIENCE_S = 60.0  # with a template, on a machine that does much else


@dataclass
class EngineRoom:
    """One sender and the loop of every queue."""

    clock: FixedClock
    doers: dict[Queue, Doer]
    sender: SenderProcess
    engine: sa.Engine
    rung: list[Queue]
    leaving: list[bool]

    def run(self, *queues: Queue, pieces: int = 200) -> int:
        """Do due pieces until nothing is due; the clock stands still meanwhile."""
        done = 0
        while done < pieces:
            busy = [q for q in (queues or tuple(Queue)) if work_once(self.doers[q], q)]
            if not busy:
                return done
            done += len(busy)
        return done

    def at(self, moment: datetime) -> "EngineRoom":
        self.clock.at = moment
        return self

    def later(self, seconds: float) -> "EngineRoom":
        self.clock.at += timedelta(seconds=seconds)
        return self


@cache
def _renderer() -> Renderer:
    """The renderer of all rooms of this process: to start one for each takes longer than most rooms do."""
    found = Renderer(timeout_s=PATIENCE_S)
    atexit.register(found.close)
    return found


@cache
def _first(url: str) -> sa.Engine:
    found = sa.create_engine(url, poolclass=sa.NullPool)
    found.connect().close()  # the dialect learns with whom it speaks
    return found


def _engine(url: str) -> sa.Engine:
    """An engine with connections of its own, which knows the statements that earlier rooms compiled."""
    first, found = _first(url), sa.create_engine(url, pool_size=4)
    found.dialect, found._compiled_cache = first.dialect, first._compiled_cache
    return found


class _Lent(Compiler):
    """A compiler with a renderer that goes on after the room."""

    def close(self) -> None:
        """Leave the renderer as it is."""


def _wake(owner: Owner) -> None:
    """End the heart now. By itself it looks up once a second, and every room would wait for that."""
    owner._ending.set()
    with suppress(Exception), owner.engine.begin() as connection:
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


@contextmanager
def engine_room(
    app: Flask, settings: Settings, *, egress: tuple[str, ...], at: datetime | None = None
) -> Iterator[EngineRoom]:
    """Make a sender that has entered the register. at: what its clock shows at first, otherwise the present."""
    found: Shell = app.extensions["countersign"]
    clock, rung, leaving = FixedClock(at or SystemClock().now()), [], [False]
    engine = _engine(settings.database_url)
    owner = Owner(engine, queue=Queue.BULK, clock=clock, home=settings.home)
    compiler = _Lent(_renderer())
    sender = SenderProcess(
        owner=owner,
        clock=clock,
        leaving=lambda: leaving[0],
        compiler=compiler,
        addresser=Addresser(found.vault, settings.public_url),
        lines=Lines(owner, found.vault, replace(settings, egress_allow=egress)),
        lanes=Lanes(compiler),
    )
    owner.start(on_fence=lambda: None)
    opened = replace(settings, egress_allow=(*settings.egress_allow, *egress))
    shell = Shell(settings=opened, clock=clock, gate=found.gate, bell=found.bell, vault=found.vault)
    doers = {
        queue: Doer(
            engine, kinds_for(queue, shell=shell, engine=engine, sender=sender), clock, rung.append, lambda: False
        )
        for queue in Queue
    }
    try:
        yield EngineRoom(clock, doers, sender, engine, rung, leaving)
    finally:
        _wake(owner)
        sender.close()
        engine.dispose()

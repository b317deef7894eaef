"""A stage: one database, one Valkey, one sink, real processes, two tenants; made for one fault and taken down after it."""

import base64
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from saas.app.factory import create_app
from saas.kernel.clock import monotonic
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from saas.platform.db import db
from saas.platform.queue import Bell
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings
from tests.conftest import KEY, ROLES
from tests.faults.rig.books import Books
from tests.faults.rig.calls import Shop, Web
from tests.faults.rig.dice import Dice
from tests.faults.rig.flight import Death, await_flight, looks
from tests.faults.rig.looker import Looker
from tests.faults.rig.programs import Crew, Program
from tests.faults.rig.proxy import Proxy
from tests.faults.rig.relay import Relay
from tests.faults.rig.scene import SECRET, SMTP_PASSWORD, Scene, Side, campaign_uuid
from tests.faults.rig.servers import Cluster, OwnValkey, environment
from tests.faults.rig.waiting import Late, free_port, wait_until
from tests.smtp_sink import make_certificate
from tests.worlds import PASSWORD, World


@dataclass
class Refusal:
    """A stop or an opt-out that was answered at a moment: what may still arrive after it is promised (I6)."""

    side: Side
    campaign: str
    at: float
    address: str = ""  # "": everybody
    stopped_at: float = 0.0


@dataclass
class Facts:
    """What a scenario tells the checker."""

    kills: int = 0
    in_flight: int = 0
    cuts: int = 0
    unanswered: int = 0  # messages that the sink took without an answer, on purpose
    refusals: list[Refusal] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    may_stay_open: set[str] = field(default_factory=set)  # addresses; "*" for all
    secrets: list[str] = field(default_factory=list)
    rates: dict[int, int] = field(default_factory=dict)  # port -> messages a minute
    called_again: set[str] = field(default_factory=set)  # addresses for which a shop called more than once, on purpose
    restored: bool = False  # the ledger is older than what was sent, on purpose
    slower: set[str] = field(default_factory=set)  # names of sides that are checked against the baseline


class Stage:
    """Use as a context manager."""

    roles = Role

    def __init__(
        self, cluster: Cluster, scene: Scene, dice: Dice, *, pg_proxy: bool = False, redis_proxy: bool = False, smtp_proxy: bool = False,
        pace_s: float = 0.003, tls: bool = False, look_every_s: float = 0.2, environ: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.cluster, self.scene, self.dice = cluster, scene, dice
        self.a, self.b = (replace(side, people=dict(side.people)) for side in scene.sides)
        self.sides = (self.a, self.b)
        self.facts = Facts()
        self.home = Path(tempfile.mkdtemp(prefix="csn-f-", dir="/tmp"))
        self._exits = contextlib.ExitStack()
        self._pg_proxy, self._redis_proxy, self._tls, self._environ = pg_proxy, redis_proxy, tls, environ or {}
        self._pace_s, self._smtp_proxy, self._look_every_s = pace_s, smtp_proxy, look_every_s
        self.shops: list[Shop] = []
        self.due: set[str] = set()  # campaigns that were let begin
        self.began_at = 0.0

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _set_up(self) -> None:
        out = self._exits
        out.callback(shutil.rmtree, self.home, ignore_errors=True)
        self.database = self.cluster.clone(self.scene.database)
        out.callback(self._drop)
        self.valkey = OwnValkey(self.home)
        out.callback(self.valkey.end)
        self.valkey.start()
        self.sink = Relay(self.home, ports=3, chain=make_certificate(self.home / "tls").chain if self._tls else None)
        out.callback(self.sink.end)
        self.sink.mode(pace_s=self._pace_s)
        self.pg = out.enter_context(Proxy(self.cluster.socket, speaks_sql=True)) if self._pg_proxy else None
        self.redis = out.enter_context(Proxy(str(self.valkey.socket))) if self._redis_proxy else None
        self.smtp = (
            [out.enter_context(Proxy(("127.0.0.1", port))) for port in self.sink.ports[:2]] if self._smtp_proxy else []
        )
        self.web_port = free_port()
        self.environ = self._environment()
        self.crew = Crew(self.home, self.environ, self.web_port)
        out.callback(self._end_crew)
        self.connect()
        self._wire_up()
        self.looker = Looker(self.cluster.direct(self.database), self.sides, every_s=self._look_every_s)
        self.looker.start()
        out.callback(self.looker.end)

    def _environment(self) -> dict[str, str]:
        database = self.cluster.through(self.database, self.pg.port) if self.pg else self.cluster.direct(self.database)
        redis = f"redis://127.0.0.1:{self.redis.port}/0" if self.redis else self.valkey.url
        more = {
            "CSN_HOME": str(self.home / "data"), "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", "LOG_JSON": "1",
            "PUBLIC_URL": f"http://127.0.0.1:{self.web_port}", "EGRESS_ALLOW": ",".join(f"127.0.0.1:{port}" for port in [*self.sink.ports, *self.relays()]),
        }  # fmt: skip
        return environment(database, redis, **{**more, **self._environ})

    def relays(self) -> list[int]:
        """The ports to which the tenants' channels lead."""
        return [proxy.port for proxy in self.smtp] or self.sink.ports

    @property
    def data(self) -> Path:
        return self.home / "data"

    def connect(self) -> None:
        """Connect the checker (again, after the server was down)."""
        self._admin = self._exits.enter_context(self.cluster.admin(self.database))
        self.books = Books(self._admin)

    def _wire_up(self) -> None:
        """Lead each tenant's channels to its port of the sink."""
        for side in self.sides:
            self.books.run(
                "UPDATE channel_configuration SET port = %s WHERE tenant_id = %s",
                self.relays()[side.port],
                side.place.tenant_id,
            )

    def _drop(self) -> None:
        with contextlib.suppress(Exception):
            self._admin.close()
        self.cluster.start()
        self.cluster.drop(self.database)

    def _end_crew(self) -> None:
        for shop in self.shops:
            shop.ending.set()
        self.left = self.crew.end()

    # ---- the cast

    def start(self, *, bulk: int = 1, transactional: int = 1, web: bool = True, **environ: str) -> "Stage":
        """Start everything; `environ` (FAULT) goes to the bulk senders. Returns when all of it works."""
        if web:
            self.web_program = self.crew.web()
        self.dispatcher = self.crew.dispatcher()
        self.maintenance = self.crew.maintenance()
        self.bulk = self.crew.senders(Queue.BULK, processes=bulk, **environ) if bulk else None
        self.direct = self.crew.senders(Queue.TRANSACTIONAL, processes=transactional) if transactional else None
        self.await_senders(bulk + transactional)
        if web:
            wait_until(self.web(self.a).ready, what="the web server answers")
        return self

    def await_senders(self, count: int) -> None:
        wait_until(lambda: len(self.books.owners()) >= count, what=f"{count} senders are in the register")

    def web(self, side: Side, **options: float) -> Web:
        return Web(self.web_port, side.place.key, **options)

    def begin(self, *sides: Side, marketing: bool = True, transactional: bool = True) -> "Stage":
        """Let the campaigns start now, whatever their lead time, and call the transactional ones for everybody."""
        chosen = sides or self.sides
        for side in chosen:
            for campaign, wanted in ((side.marketing, marketing), (side.transactional, transactional)):
                if wanted:
                    self.make_due(campaign)
        self.ring(Queue.MAINTENANCE)
        self.began_at = monotonic()
        if marketing:
            entered = "SELECT count(DISTINCT campaign_id) FROM entry WHERE campaign_id = ANY(%s)"
            begun = [campaign_uuid(side.marketing) for side in chosen]
            wait_until(lambda: self.books.one(entered, begun) == len(begun), what="the campaigns begin")
        if transactional:
            for side in chosen:
                self._shop(side)
        return self

    def _shop(self, side: Side) -> None:
        ready = "SELECT count(*) FROM run WHERE campaign_id = %s AND state = 'running'"
        wait_until(lambda: self.books.one(ready, campaign_uuid(side.transactional)), what="the calls' run is open")
        shop = Shop(self.web(side), side)
        self.shops.append(shop)
        shop.start()

    def make_due(self, campaign: str) -> None:
        """Move the effective start of a signed campaign to a second ago."""
        self.due.add(campaign)
        self.start_at(campaign, "1 s")
        self.books.run(
            "UPDATE agenda SET due_at = now() - interval '1 s' WHERE subject = %s", str(campaign_uuid(campaign))
        )

    def start_at(self, campaign: str, ago: str) -> None:
        """Move the effective start of a signed campaign; no step of it begins before that, nor before its own time."""
        self.books.run(
            "UPDATE revision SET effective_at = now() - %s::interval, not_before = now() - %s::interval"
            " WHERE campaign_id = %s",
            ago, ago, campaign_uuid(campaign),
        )  # fmt: skip

    def ring(self, queue: Queue) -> None:
        with contextlib.suppress(Exception), self.valkey.client() as redis:
            Bell(redis).ring(queue)

    def world(self) -> World:
        """The people of the scene on the application in this process, over the same connections as the others'."""
        app = create_app(Settings.from_env(self.environ, embedded=True))
        app.testing, app.config["PROPAGATE_EXCEPTIONS"] = True, False
        with app.app_context():
            engine = db.engine
        self._exits.callback(engine.dispose)
        scene = self.scene.world
        return World(app, engine, scene.agency_id, scene.owner_email, self.a.place, self.b.place)

    def script(self, side: Side, indexes: Iterable[int], word: str) -> list[str]:
        """Give some people addresses to which the sink answers so (see sink.py). Returns the new addresses."""
        vault, found = Vault(base64.b64decode(KEY)), []
        contacts = list(side.people)
        for index in indexes:
            if index >= len(contacts):
                continue
            address = f"{side.name}{index}.{word}@example.org"
            self.books.run(
                "UPDATE contact SET email = %s, email_key = %s, address_hash = %s WHERE contact_id = %s",
                address, address, vault.address_hash(address), contacts[index],
            )  # fmt: skip
            side.people[contacts[index]] = address
            found.append(address)
        return found

    # ---- what happens

    def sent(self, count: int, *, port: int | None = None, limit_s: float = 60.0) -> int:
        """Wait until the sink has so many messages (of a tenant)."""
        wait_until(lambda: self.sink.count(port) >= count, what=f"{count} messages in the sink", limit_s=limit_s)
        return self.sink.count(port)

    def expect(self, true: object, text: str) -> None:
        if not true:
            self.facts.wrong.append(text)

    def within(self, true, limit_s: float, text: str) -> float:
        """Wait for something; what comes too late is a finding, not the end of the fault."""
        try:
            return wait_until(true, what=text, limit_s=limit_s)
        except Late as late:
            self.facts.wrong.append(str(late))
            return limit_s

    def note(self, text: str) -> None:
        self.facts.notes.append(text)

    @property
    def has_journals(self) -> bool:
        found = looks(self.data)
        for look in found:
            look.close()
        return bool(found)

    def flight(self, program: Program) -> int:
        """Wait until one of a pool's workers has a message in flight. Returns its pid."""
        if self.has_journals:
            return await_flight(self.data, program.workers)[0]
        before = self.sink.count()
        self.sent(before + 3)
        return program.workers()[0]

    @contextlib.contextmanager
    def death_of(self, pids: list[int]) -> Iterator[None]:
        """Kill these processes within; what was in flight on them is counted."""
        with Death(self.data, pids) as death:
            yield
        self.facts.kills += 1
        self.facts.in_flight += death.in_flight if self.has_journals or death.journals else len(pids)
        self.note(f"{death.in_flight} in flight" if death.journals else "held no journal yet")

    def kill_worker(self, program: Program) -> int:
        """SIGKILL a worker that has a message in flight. Returns its pid."""
        pid = self.flight(program)
        with self.death_of([pid]):
            os.kill(pid, signal.SIGKILL)
        return pid

    def kill_pool(self, program: Program, *, group: bool) -> None:
        """SIGKILL the parent alone, or its whole group."""
        self.flight(program)
        with self.death_of(program.workers()):
            program.tell_group(signal.SIGKILL) if group else program.tell(signal.SIGKILL)
        program.process.wait()

    # ---- the end

    def campaigns(self) -> list[tuple[Side, str]]:
        return [(side, campaign) for side in self.sides for campaign in (side.marketing, side.transactional)]

    def open(self) -> dict[str, int]:
        """How many people nobody has decided about yet, by campaign that began; those who may stay open are left out."""
        found = {}
        for side, campaign in self.campaigns():
            if "*" not in self.facts.may_stay_open:
                people = self.books.people(side, campaign)
                count = sum(p.state == "open" and p.email not in self.facts.may_stay_open for p in people)
                if (
                    not people
                    and campaign == side.marketing
                    and campaign in self.due
                    and self.books.state(campaign) in {"scheduled", "active"}
                ):
                    count = len(side.people)  # they have not even entered
                if count:
                    found[f"{side.name}:{campaign[-4:]}"] = count
        return found

    def left(self) -> int:
        """How many people the marketing runs still have before them."""
        return sum(person.state == "open" for side in self.sides for person in self.books.people(side, side.marketing))

    def hurry(self) -> None:
        """Let the relays answer at once from now on."""
        self.sink.mode(pace_s=0.0)

    def finish(self, limit_s: float = 60.0) -> float:
        """Wait until the shops are through and nobody is open (I2). Returns how many seconds it took."""
        started = monotonic()
        for shop in self.shops:
            shop.join(limit_s)
            if shop.is_alive():
                self.facts.late.append(f"{shop.name} still calls after {limit_s:.0f} s: {shop.answers[-3:]}")
                shop.ending.set()
        try:
            wait_until(
                lambda: not self.open(),
                what="nobody is open",
                limit_s=max(2.0, limit_s - (monotonic() - started)),
                every_s=0.1,
            )
        except Late:
            self.facts.late.append(f"open after {limit_s:.0f} s: {self.open()}")
        return monotonic() - started

    def secrets(self) -> list[str]:
        """Words that must stand in no log (I13)."""
        return [
            KEY,
            ROLES.app.password,
            SECRET,
            PASSWORD,
            SMTP_PASSWORD,
            self.a.place.key,
            self.b.place.key,
            *self.facts.secrets,
        ]

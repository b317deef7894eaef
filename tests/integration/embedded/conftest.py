import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from saas.platform.embedded.paths import locked, places_of
from saas.platform.embedded.services import Services


@pytest.fixture
def home():
    # Not tmp_path: pytest keeps that private, and as root the servers run as another account.
    with _home(0o711) as path:
        yield path


@pytest.fixture
def private_home():
    with _home(0o700) as path:
        yield path


@contextlib.contextmanager
def _home(mode):
    path = Path(tempfile.mkdtemp(prefix="csn-test-", dir="/tmp")).resolve()
    path.chmod(mode)
    try:
        yield path
    finally:
        with contextlib.suppress(Exception):
            Services(path, fast=True).down()
        _kill(path)
        if (path / "instance").exists():
            with locked(path):
                shutil.rmtree(places_of(path).socket_dir)
            shutil.rmtree(Path("/var/lib/countersign") / (path / "instance").read_text()[:16], ignore_errors=True)
        shutil.rmtree(path)


@pytest.fixture
def server_pids():
    """Ids of the living processes that work in a folder: postmaster, its children, Valkey."""
    return _pids


@pytest.fixture
def kill_servers_of():
    """SIGKILL for all of them at once."""
    return _kill


def _pids(folder):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if folder in (entry / "cwd").readlink().parents:
                    found.append(int(entry.name))
    return found


def _kill(folder):
    pids = _pids(folder)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return pids

"""Importing the product and building the application reads no environment and connects to nothing."""

import subprocess
import sys

from tests.architecture.trees import ROOT

PROGRAM = """
import importlib, pkgutil, sys

CONNECTS = {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"}

def watch(event, args):
    if event in CONNECTS:
        raise SystemExit(f"{event} {args} while importing")

sys.addaudithook(watch)
import saas
names = [m.name for m in pkgutil.walk_packages(saas.__path__, "saas.") if not m.name.endswith("__main__")]
for name in names:
    if not name.startswith("saas.content.jail.child"):
        importlib.import_module(name)
from saas.platform.settings import Settings
from saas.app.factory import create_app
key = "A" * 43 + "="
create_app(Settings.from_env({"DATABASE_URL": "postgresql+psycopg://x@127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1",
                              "SECRET_KEY": key, "MASTER_KEY": key}))
print(len(names))
"""


def test_nothing_connects_at_import(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], cwd=ROOT, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 100

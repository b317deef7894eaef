"""`make check`: every step prints one line with its time; a failing step prints what it said. Exit code 1 on any."""
# ruff: noqa: INP001  a program of its own, no package

import contextlib
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SAAS = (sys.executable, "-m", "saas.cli.main")
NODE_NEEDED = (20, 11)


class Failed(Exception):
    """A step found something; the text says what."""


class Left(Exception):
    """A step cannot run here; the text says why. In CI that is a failure."""


def run(*words: str | Path, cwd: Path = ROOT, **environ: str) -> str:
    """Run a program and return what it printed. Raises Failed with its output."""
    done = subprocess.run(  # noqa: S603  our own words, no shell
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(done.stdout.strip() or f"exit code {done.returncode}")
    return done.stdout


def program(*words: str) -> Callable[[], object]:
    """Return a step that runs a program of the virtual environment."""
    return lambda: run(BIN / words[0], *words[1:])


def migrations() -> None:
    """Build a database from the migrations on fresh embedded servers, and compare it with the models."""
    home = Path(tempfile.mkdtemp(prefix="csn-check-"))
    home.chmod(0o711)  # for root the servers run as another account, which must get through
    own = {name: "" for name in os.environ if name.endswith(("DATABASE_URL", "REDIS_URL", "_OWNER_URL", "_ADMIN_URL"))}
    own["CSN_HOME"] = str(home)
    try:
        run(*SAAS, "db", "migrate", **own)
        run(*SAAS, "db", "check", **own)
    finally:
        with contextlib.suppress(Failed):
            run(*SAAS, "services", "down", **own)
        shutil.rmtree(home, ignore_errors=True)


def assets() -> None:
    """Compare the committed files with their manifest, and with a build made anew where Node is."""
    run(sys.executable, "-m", "saas.web.assets", "check")
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm or _version(run(node, "--version")) < NODE_NEEDED:
        raise Left("no Node 20.11 on PATH: the built files are compared with their manifest only")
    with tempfile.TemporaryDirectory(prefix="csn-assets-") as folder:
        frontend, dist = Path(folder) / "frontend", Path(folder) / "saas" / "web" / "static" / "dist"
        shutil.copytree(ROOT / "frontend", frontend, ignore=shutil.ignore_patterns("node_modules"))
        run(npm, "ci", "--ignore-scripts", cwd=frontend)
        run(npm, "run", "build", cwd=frontend)
        differing = _differing(dist, ROOT / "saas" / "web" / "static" / "dist")
    if differing:
        raise Failed(f"A new build differs in: {', '.join(differing)}. Run: make assets")


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:2]))


def _differing(left: Path, right: Path) -> list[str]:
    names = {path.name for folder in (left, right) for path in folder.iterdir()}
    _, mismatch, missing = filecmp.cmpfiles(left, right, sorted(names), shallow=False)
    return sorted(mismatch + missing)


def locks() -> None:
    """See that the lock files carry a hash for each package and no address, and that they cover what we ask for."""
    for path in sorted((ROOT / "requirements").glob("*.lock")):
        text = path.read_text()
        if "://" in text or "--index-url" in text or "--find-links" in text:
            raise Failed(f"{path.name} names an address; run: make lock")
        blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
        if bare := [block.split()[0] for block in blocks if "--hash=sha256:" not in block]:
            raise Failed(f"{path.name}: no hash for {', '.join(bare)}; run: make lock")
    run(sys.executable, "-m", "pip", "check")


STEPS: tuple[tuple[str, Callable[[], object]], ...] = (
    ("format", program("ruff", "format", "--check", "--output-format=concise", ".")),
    ("lint", program("ruff", "check", "--output-format=concise", ".")),
    ("types", program("mypy")),
    ("imports", program("lint-imports", "--no-logo")),
    ("spelling", program("codespell")),
    ("architecture", program("python", "-m", "pytest", "-q", "tests/architecture")),
    ("locks", locks),
    ("api snapshot", program("python", ".ci/snapshot.py", "check")),
    ("migrations", migrations),
    ("assets", assets),
)


def main() -> int:
    """Run all steps, or those named on the command line; each runs although an earlier one failed."""
    wanted = sys.argv[1:]
    if unknown := set(wanted) - {name for name, _ in STEPS}:
        sys.stderr.write(f"no such step: {', '.join(sorted(unknown))}\n")
        return 2
    failed = [name for name, step in STEPS if (not wanted or name in wanted) and not _passes(name, step)]
    sys.stdout.write(f"check: {', '.join(failed)} failed\n" if failed else "check: all is well\n")
    return 1 if failed else 0


def _passes(name: str, step: Callable[[], object]) -> bool:
    started = monotonic()
    said, word = "", "ok"
    try:
        step()
    except Failed as fault:
        said, word = f"{fault}\n", "FAILED"
    except OSError as error:
        said, word = f"{error}\n", "FAILED"
    except Left as why:
        said, word = f"  {why}\n", "FAILED" if os.environ.get("CI") == "1" else "in part"
    sys.stdout.write(f"{name:<14}{word:<8}{monotonic() - started:6.1f} s\n{said}")
    sys.stdout.flush()
    return word != "FAILED"


if __name__ == "__main__":
    sys.exit(main())

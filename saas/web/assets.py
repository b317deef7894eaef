"""Addresses of the built front-end files, icons from the sprite, and the check that build and sources belong together.

`frontend/build.mjs` writes `static/dist` and its `manifest.json`; both are committed, so running the product needs no
Node. The address of a file carries the hash of its content, so that it may be cached for ever.
"""

import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from flask import Flask, current_app, has_app_context
from markupsafe import Markup

DIST = Path(__file__).parent / "static" / "dist"
FRONTEND = Path(__file__).parents[2] / "frontend"
URL_PREFIX = "/static/dist/"
MANIFEST = "manifest.json"

# frontend/build.mjs reads the same list and counts the same hash; change both together.
SOURCES = (
    ".npmrc",
    "build.mjs",
    "package-lock.json",
    "package.json",
    "src",
    "static",
    "styles",
    "tsconfig.json",
)

_SYMBOL = re.compile(r'<symbol id="i-([a-z0-9-]+)"')


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the last build read and wrote: SHA-256 of the sources, and 16 hex digits of each file's."""

    sources_sha256: str
    files: Mapping[str, str]

    @classmethod
    def read(cls, dist: Path) -> "Manifest":
        """Return the manifest of a build's folder."""
        found = json.loads((dist / MANIFEST).read_text(encoding="utf-8"))
        return cls(found["sources_sha256"], found["files"])


@functools.cache
def _manifest() -> Manifest:
    return Manifest.read(DIST)


@functools.cache
def symbols() -> frozenset[str]:
    """Return the names of all icons in the sprite, without their prefix `i-`."""
    return frozenset(_SYMBOL.findall((DIST / "icons.svg").read_text(encoding="utf-8")))


def asset(name: str) -> str:
    """Return the address of a built file.

    Raises:
        KeyError: the build has no such file.
    """
    return f"{URL_PREFIX}{name}?v={_manifest().files[name]}"


def icon(name: str, cls: str = "") -> Markup:
    """Return an icon of the sprite; it is decoration, so the word beside it carries the meaning.

    Raises:
        LookupError: no such icon, while debugging or testing. In production the page is worth more than the picture.
    """
    if name not in symbols() and not _forgiving():
        message = f"no icon {name!r} in frontend/static/icons.svg"
        raise LookupError(message)
    classes = f"ico {cls}".strip()
    return Markup('<svg class="{}" aria-hidden="true"><use href="{}#i-{}"></use></svg>').format(
        classes, asset("icons.svg"), name
    )


def _forgiving() -> bool:
    return has_app_context() and not (current_app.debug or current_app.testing)


def initials(name: str) -> str:
    """Return one or two capital letters for a person: the first of the first and of the last word."""
    words = [word for word in re.split(r"[\s@._-]+", name.strip()) if word]
    letters = [words[0], words[-1]] if len(words) > 1 and "@" not in name else words[:1]
    return "".join(word[0] for word in letters).upper() or "?"


def register(app: Flask) -> None:
    """Give templates `asset`, `icon` and `initials`; let browsers keep what an address with a hash leads to."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = timedelta(days=365)
    app.jinja_env.globals.update(asset=asset, icon=icon, initials=initials)


def _source_paths(frontend: Path) -> Iterator[str]:
    for name in SOURCES:
        path = frontend / name
        if path.is_file():
            yield name
        yield from (child.relative_to(frontend).as_posix() for child in path.rglob("*") if child.is_file())


def sources_hash(frontend: Path) -> str:
    """Return the SHA-256 over path, length and bytes of every source, by path in ASCII order."""
    digest = hashlib.sha256()
    for path in sorted(_source_paths(frontend)):
        content = (frontend / path).read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def faults(*, dist: Path, frontend: Path) -> list[str]:
    """Return what is wrong between sources, manifest and built files, one sentence each; empty when all is right.

    An installed package carries no sources; there only the built files are checked.
    """
    if not (dist / MANIFEST).is_file():
        return [f"{dist / MANIFEST} is missing."]
    manifest = Manifest.read(dist)
    found = []
    if frontend.is_dir() and sources_hash(frontend) != manifest.sources_sha256:
        found.append("frontend/ has changed since static/dist was built.")
    built = {path.name: path for path in dist.iterdir() if path.name != MANIFEST}
    found += [f"static/dist/{name} is missing." for name in sorted(manifest.files.keys() - built.keys())]
    found += [f"static/dist/{name} is not in the manifest." for name in sorted(built.keys() - manifest.files.keys())]
    for name in sorted(manifest.files.keys() & built.keys()):
        if hashlib.sha256(built[name].read_bytes()).hexdigest()[:16] != manifest.files[name]:
            found.append(f"static/dist/{name} is not what the build wrote.")
    return found


def main(arguments: list[str]) -> int:
    """Run `check`: 0 when sources and build belong together, 1 when not, 2 when called wrongly."""
    if arguments != ["check"]:
        sys.stderr.write("usage: python -m saas.web.assets check\n")
        return 2
    found = faults(dist=DIST, frontend=FRONTEND)
    for fault in found:
        sys.stderr.write(f"{fault}\n")
    if found:
        sys.stderr.write("Build again: cd frontend && npm ci --ignore-scripts && npm run build\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

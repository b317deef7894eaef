"""docs/openapi.json: `write` makes it from the application, `check` says whether it is what the application answers."""
# ruff: noqa: INP001  a program of its own, no package

import base64
import difflib
import json
import sys
from pathlib import Path

from saas.app.factory import create_app
from saas.platform.settings import Settings

SNAPSHOT = Path(__file__).parent.parent / "docs" / "openapi.json"
NOWHERE = {  # nothing connects before its first use
    "DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": base64.b64encode(bytes(32)).decode(),
    "MASTER_KEY": base64.b64encode(bytes(32)).decode(),
}


def described() -> str:
    """Return the API's description as the application serves it, in a form that reads well in a difference."""
    app = create_app(Settings.from_env(NOWHERE))
    api = app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    return json.dumps(api.spec.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Write or check."""
    if sys.argv[1:] == ["write"]:
        SNAPSHOT.write_text(described(), encoding="utf-8")
        return 0
    if sys.argv[1:] != ["check"]:
        sys.stderr.write("usage: snapshot.py check|write\n")
        return 2
    kept = SNAPSHOT.read_text(encoding="utf-8") if SNAPSHOT.exists() else ""
    lines = list(
        difflib.unified_diff(
            kept.splitlines(), described().splitlines(), "docs/openapi.json", "application", lineterm="", n=2
        )
    )
    if lines:
        sys.stderr.write(
            "\n".join([*lines[:60], "The API differs from docs/openapi.json. If it should: make snapshot", ""])
        )
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())

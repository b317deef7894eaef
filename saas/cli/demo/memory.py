"""What one demo leaves for the next: who owns the agency, and which runs there were, with their sign-ins.

The file lies in the state directory and is readable by its owner only, like the embedded mode's own secrets.
"""

import json
import secrets
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from saas.platform.embedded.paths import write_private

AGENCY: Final = "Lantern Agency"
_FILE: Final = "demo.json"
# An agency's people, and those of its client who approve and watch.
_PEOPLE: Final = (
    ("admin", "Astrid Lund", "lantern.example"),
    ("manager", "Milan Novak", "lantern.example"),
    ("approver", "Priya Raman", "northwind.example"),
    ("viewer", "Theo Berg", "northwind.example"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in."""

    role: str
    name: str
    email: str
    password: str


@dataclass(slots=True)
class Run:
    """One run of the demo. `final`: nothing of it is open any more; `complete`: it came to its good end."""

    no: int
    workspace_id: str
    workspace_name: str
    people: dict[str, Person]
    campaigns: dict[str, str] = field(default_factory=dict)
    final: bool = False
    complete: bool = False


class Memory:
    """demo.json, read once; each change is on disk before it is relied on."""

    def __init__(self, home: Path) -> None:
        self._path = home / _FILE
        found: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.owner = Person(**found["owner"]) if found else _owner()
        self.runs = [_run(raw) for raw in found.get("runs", ())]

    def save(self) -> None:
        """Write everything down."""
        kept = {"owner": asdict(self.owner), "runs": [asdict(run) for run in self.runs]}
        write_private(self._path, json.dumps(kept, indent=1, ensure_ascii=False))

    def latest(self) -> Run | None:
        """Return the newest run that came to its good end."""
        return next((run for run in reversed(self.runs) if run.complete), None)

    def keep_runs(self, workspaces: AbstractSet[str]) -> None:
        """Forget runs whose workspace is gone, with the database that held it."""
        self.runs = [run for run in self.runs if run.workspace_id in workspaces]
        self.save()


def invited(no: int) -> dict[str, Person]:
    """Return the people of a run, by role; their addresses carry its number, so that every invitation is a new one."""
    return {role: Person(role, name, f"{role}-{no}@{host}", _password()) for role, name, host in _PEOPLE}


def free_memory(home: Path) -> Memory:
    """Return the memory of a state directory, empty where there was no demo yet."""
    return Memory(home)


def _owner() -> Person:
    return Person("agency owner", "Ingrid Solheim", "owner@lantern.example", _password())


def _password() -> str:
    return secrets.token_urlsafe(12)


def _run(raw: dict[str, Any]) -> Run:
    return Run(**{**raw, "people": {role: Person(**person) for role, person in raw["people"].items()}})

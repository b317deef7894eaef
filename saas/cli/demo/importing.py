"""Step 3: a list, and a file of contacts whose counts are known beforehand."""

import csv
import io
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from saas.cli.demo.screen import Bar, agree, insist
from saas.cli.demo.world import World

_IMPORT_S: Final = 600.0
_OPEN: Final = frozenset({"queued", "running"})
# What the file's own expectations are called in the counts of an import.
_COUNTS: Final = {
    "rows": "rows",
    "invalid_email_rows": "invalid",
    "duplicate_rows": "duplicates",
    "contacts": "contacts",
}
LOYAL: Final[Mapping[str, Any]] = {
    "all": [{"consent": "newsletter", "is": "given"}, {"attribute": "orders", "op": "gte", "value": 10}]
}
_AUDIENCES: Final[Mapping[str, Mapping[str, Any]]] = {
    "newsletter_yes_contacts": {"all": [{"consent": "newsletter", "is": "given"}]},
    "newsletter_yes_and_orders_ge_10": LOYAL,
    "language_fr_contacts": {"all": [{"attribute": "language", "op": "eq", "value": "fr"}]},
}


def import_contacts(world: World) -> None:
    """Import the file and compare every count with what its description says."""
    manager = world.callers["manager"]
    world.screen.step("3  A list and its contacts")
    made = manager.post("/lists", {"name": "Customers", "project_id": world.project_id}, expect=201)
    world.list_id = made["list_id"]
    done = _import(world)
    counts = done["counts"]
    for named, count in _COUNTS.items():
        agree(f"{world.file.name}, {count}", found=counts[count], expected=world.file.expected[named])
    members = manager.get(f"/lists/{world.list_id}")["member_count"]
    agree("Members of the list", found=members, expected=world.file.expected["contacts"])
    world.screen.tick(
        f"{world.file.name}: {counts['rows']:,} rows, {counts['invalid']:,} invalid, {counts['duplicates']:,} "
        f"duplicates, {counts['contacts']:,} contacts; exactly as expected"
    )
    errors = _errors(world, done["import_id"])
    agree("Rows with an error in the error file", found=errors, expected=world.file.expected["invalid_email_rows"])
    world.screen.tick(f"the error file can be downloaded and names {errors:,} refused rows")
    for named, rule in _AUDIENCES.items():
        found = manager.post("/audiences:count", {"list_id": world.list_id, "rule": rule}, expect=200)
        agree(f"People of the audience {named}", found=found["count"], expected=world.file.expected[named])
    world.screen.tick(f"{len(_AUDIENCES)} audience rules count exactly what the file's description says")


def _import(world: World) -> dict[str, Any]:
    manager = world.callers["manager"]
    query = urlencode({"list_id": world.list_id, "file_name": world.file.name})
    answer = manager.expect(
        "POST", f"/imports?{query}", 202, body=world.file.content, headers={"Content-Type": "text/csv"}
    )
    path = f"/imports/{answer.body['import_id']}"
    with world.screen.bar("importing", total=len(world.file.content)) as bar:
        done = world.until("The import", lambda: _finished(manager.get(path), bar), timeout_s=_IMPORT_S)
    insist(f"The import ended as {done['state']}: {done['failure']}", holds=done["state"] == "done")
    return done


def _finished(row: dict[str, Any], bar: Bar) -> dict[str, Any] | None:
    bar.at(row["done_bytes"] or 0)
    return None if row["state"] in _OPEN else row


def _errors(world: World, import_id: str) -> int:
    """Return how many rows the error file refuses."""
    answer = world.callers["manager"].expect("GET", f"/imports/{import_id}/errors", 200)
    insist("The error file is not sent as a download.", holds="attachment" in answer.headers["content-disposition"])
    rows = csv.DictReader(io.StringIO(answer.body, newline=""))
    return len({row["row"] for row in rows if row["level"] == "error"})

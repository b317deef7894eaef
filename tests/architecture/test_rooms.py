"""Files keep their size and their names (docs/architecture.md)."""

from tests.architecture.trees import SAAS, modules, name, tree

MOST_LINES = 350
# Longer by design, with their own limit.
LONGER = {
    "saas/content/jail/child.py": 580,  # runs in an interpreter of its own, which can import nothing of ours
}
FEATURES = (
    "accounts", "audiences", "audit", "campaigns", "channels", "content", "intake", "journeys", "ledger", "notices",
    "permissions", "reports", "sending", "tenants",
)  # fmt: skip
ROOMS = {"routes", "jobs", "schemas", "service", "queries", "policy", "models", "rules", "types"}
# What a package may hold beside the rooms, each for its reason.
EXTRAS = {
    "accounts": {"login"},  # Flask-Login's loader: the glue between cookie and account
    "campaigns": {"steps", "desk"},  # the pure half of each step kind; tables and reads of what campaigns are sorted by
    "channels": {"adapters"},  # one folder for each kind of channel
    "content": {"jail", "current"},  # the process in which strangers' templates run, and the one of this process
    "journeys": {"steps", "sets"},  # the half of each step kind that works on sets, and the statements that they share
    "permissions": {"principal"},  # the bridge to Flask-Principal
}
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "data", "info"}
ALLOWED_BASE = {"saas/channels/adapters/base.py"}


def test_no_file_grows_beyond_its_room():
    """A room that passes about 300 lines becomes a folder of the same name."""
    sizes = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert len(sizes) > 100
    assert {file: lines for file, lines in sizes.items() if lines > LONGER.get(file, MOST_LINES)} == {}


def test_a_feature_holds_rooms_and_known_extras_only():
    strange = []
    for feature in FEATURES:
        known = ROOMS | EXTRAS.get(feature, set()) | {"__init__", "__pycache__"}
        strange += [name(path) for path in (SAAS / feature).iterdir() if path.stem not in known]
    assert strange == [], "give the code a room, or name the extra with its reason in EXTRAS"


def test_packages_are_known():
    packages = {path.name for path in SAAS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert packages == {*FEATURES, "app", "cli", "http", "kernel", "platform", "web"}


def test_no_homeless_code():
    found = [name(path) for path in modules() if path.stem in FORBIDDEN or path.parent.name in FORBIDDEN]
    assert set(found) <= ALLOWED_BASE


def test_packages_export_nothing():
    """Callers import the leaf; an `__init__` holds a docstring at most."""
    assert [name(path) for path in modules() if path.name == "__init__.py" and len(tree(path).body) > 1] == []

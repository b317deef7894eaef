"""No wall clock and no randomness outside the kernel; time is an argument, in SQL too."""

import ast
import re

from tests.architecture.trees import calls, dotted, modules, name, texts, tree

KERNEL = {"saas/kernel/clock.py", "saas/kernel/ids.py"}
CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.date.today",
    "time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.monotonic",
}  # fmt: skip
CHANCE = {"uuid1", "uuid4", "uuid.uuid1", "uuid.uuid4", "os.urandom"}
# Secrets, unlike ids and choices, come from the operating system where they are made.
SQL_NOW = re.compile(
    r"\b(?:now|statement_timestamp|transaction_timestamp|clock_timestamp|timeofday)\s*\(\s*\)"
    r"|\bcurrent_(?:timestamp|date|time)\b|\blocaltimestamp\b|\b(?:random|gen_random_uuid|uuidv[47])\s*\(",
    re.IGNORECASE,
)
# Files that must ask a server for its time, each for its reason.
ASKS_THE_SERVER = {
    "saas/platform/skew.py": "a process whose clock differs stops claiming",
}
# The embedded servers and the inbox run beside the product and decide nothing in it.
BESIDE = "saas/platform/embedded/"


def _chance(path):
    # Passing the function on is as good as calling it: default_factory=uuid4.
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Name | ast.Attribute) and dotted(node) in CHANCE:
            yield node.lineno, dotted(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            if "random" in names:
                yield node.lineno, "random"


def test_no_clock_and_no_chance():
    bad = {}
    for path in modules():
        if name(path) not in KERNEL:
            found = [(line, called) for line, called, _ in calls(path) if called in CLOCKS]
            bad |= {name(path): where} if (where := [*found, *_chance(path)]) else {}
    assert bad == {}, "time is an argument (saas.kernel.clock), ids come from saas.kernel.ids"


def test_sql_is_given_its_time():
    bad = [
        (name(path), line, text)
        for path in modules()
        if name(path) not in ASKS_THE_SERVER and not name(path).startswith(BESIDE)
        for line, text in texts(path)
        if SQL_NOW.search(text)
    ]
    assert bad == [], "bind :now"


def test_sqlalchemy_is_given_its_time():
    words = {"now", "random", "current_timestamp", "clock_timestamp", "gen_random_uuid"}
    bad = [
        (name(path), line, called)
        for path in modules()
        for line, called, _ in calls(path)
        if called.split(".")[-1] in words and called.split(".")[-2:-1] == ["func"]
    ]
    assert bad == []


def test_this_test_sees():
    assert SQL_NOW.search("SELECT now()")
    assert SQL_NOW.search("due <= CURRENT_TIMESTAMP")
    assert not SQL_NOW.search("due <= :now AND known = 1")

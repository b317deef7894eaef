"""Shells commit, services flush (docs/adr/0003)."""

from tests.architecture.trees import calls, modules, name

SHELLS = {"saas/http/shell.py", "saas/platform/agenda/work.py", "saas/cli/shell.py"}
# Beside the shells, each for its reason; beginnings of names.
BY_DESIGN = {
    "saas/accounts/routes/accounts.py": "a wrong try at signing in is counted although the request is refused",
    "saas/web/campaigns/link.py": "a wrong try at a code word is counted although the request is refused",
    "saas/audiences/jobs.py": "an import commits part by part: a million rows are not one transaction",
    "saas/sending/service/": "a claim is committed before the first byte leaves, an outcome as soon as it is known",
    "saas/platform/seal/service.py": "the file is written after the table's commit, never before",
    "saas/channels/adapters/webhook/wire.py": "begins to read an answer to HTTP; it knows no database",
    "saas/journeys/jobs.py": "answers of other systems are written down when they come, long after the visit's commit",
    "saas/notices/jobs.py": "a system mail is marked before it leaves",
}


def allowed(file: str) -> bool:
    return file in SHELLS or file.startswith(tuple(BY_DESIGN))


def test_commits_are_where_they_belong():
    found = {name(path) for path in modules() for _, called, _ in calls(path) if called.split(".")[-1] == "commit"}
    assert found >= SHELLS
    assert {file for file in found if not allowed(file)} == set()


def test_services_open_no_transactions_of_their_own():
    """`begin` hands a commit to whoever leaves the block, so it counts as one; savepoints (`begin_nested`) are free."""
    begun = {
        name(path)
        for path in modules()
        for _, called, node in calls(path)
        if called.split(".")[-1] == "begin" and not node.args and not node.keywords
    }
    assert {file for file in begun if not allowed(file)} == set()

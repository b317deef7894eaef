"""Known-bad engines: each is the engine that stands here with one named thing replaced, in the process of a test.

What is replaced must be where it is said to be, or the run fails: a variant that no longer bites proves nothing.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from saas.campaigns.rules.schedule import at_wall_time
from saas.campaigns.service import submission
from saas.http import idempotency
from saas.http import shell as http_shell
from saas.http.models import IdempotentAnswer
from saas.platform.db import bound_tenant
from saas.sending.rules import endings
from saas.sending.service import chunks, claim, deliver, journal, recovery
from saas.sending.service.watch import ChunkWatch
from saas.sending.types import Mark


class Moved(RuntimeError):
    """What a variant replaces is not there any more: the variant has to be written anew."""


@dataclass(frozen=True)
class Variant:
    """no: of all. directed: a test for what lives meet too seldom, by its pytest id."""

    no: int
    name: str
    does: str
    apply: Callable[[], None]
    directed: str = ""


def swap(holder: Any, name: str, new: Any) -> Any:
    """Put something in another's place. Returns what stood there."""
    if name not in vars(holder):
        raise Moved(f"{getattr(holder, '__name__', holder)} has no {name}")
    old = vars(holder)[name]
    setattr(holder, name, new)
    return old


def reword(holder: Any, name: str, *changes: tuple[str, str]) -> None:
    """Change a text constant of a module, SQLAlchemy's or plain."""
    found = vars(holder).get(name)
    text = found.text if isinstance(found, sa.TextClause) else found
    if not isinstance(text, str):
        raise Moved(f"{holder.__name__} has no text {name}")
    for old, new in changes:
        if text.count(old) != 1:
            raise Moved(f"{holder.__name__}.{name} holds {text.count(old)} times: {old}")
        text = text.replace(old, new)
    setattr(holder, name, sa.text(text) if isinstance(found, sa.TextClause) else text)


def cursor_at_fetch() -> None:
    swap(recovery, "_endings", lambda *args, **kwargs: [])


def one_commit_for_all() -> None:
    def all_again(claimed, watch, **facts):
        found = right(claimed, watch, **facts)
        if not any(ending.exc == "rejected" for ending in found):
            return found
        return [endings.given_back(person.entry_id, again_in_s=1) for person in claimed.people]

    right = swap(deliver, "_endings", all_again)


@contextmanager
def _proven(engine, owner):
    yield True


def _unlocked(self, home, owner) -> None:
    self.path = journal.path_of(home, owner)
    self._file = journal.os.open(self.path, journal.os.O_RDWR | journal.os.O_CLOEXEC)


def take_over_the_living() -> None:
    one_lock_journal()
    one_lock_database()


def one_lock_journal() -> None:
    swap(recovery, "_nothing_commits", _proven)


def one_lock_database() -> None:
    swap(journal.Evidence, "__init__", _unlocked)


def uncertain_resent() -> None:
    def unknown(entry_id, *, attempt, marketing, reason, chance):
        return right(entry_id, attempt=attempt, marketing=False, reason=reason, chance=chance)

    right = swap(endings, "unknown", unknown)
    swap(recovery, "unknown", unknown)


def tries_counted_after() -> None:
    """By whoever lives to do it: what a dead sender tried is not counted."""

    def by_mark(entry_id, mark, **facts):
        ending = right(entry_id, mark, **facts)
        return replace(ending, counts=False) if ending is not None and mark == Mark.OFFERED else ending

    right = swap(recovery, "ending_by_mark", by_mark)


def suppression_at_planning() -> None:
    reason = vars(claim).get("SKIP_REASON")
    if reason is None:
        raise Moved("saas.sending.service.claim has no SKIP_REASON")
    planned = "(SELECT r.started_at FROM run r WHERE r.tenant_id = :tenant AND r.run_id = :run)"
    newest = "greatest(coalesce(sp.at, '-infinity'), coalesce(cs.at, '-infinity'))"
    swap(claim, "SKIP_REASON", f"CASE WHEN ct.email IS NULL OR {newest} <= {planned} THEN ({reason}) END")
    swap(ChunkWatch, "may_still_get", lambda self, index: True)


def failed_on_commit_error() -> None:
    swap(deliver.SenderProcess, "_find_out", lambda self, hand, backend: None)


def occurrence_by_utc_date() -> None:
    swap(submission, "at_wall_time", lambda wall, zone: at_wall_time(wall, "UTC"))


def stop_per_chunk() -> None:
    swap(ChunkWatch, "_is_active", lambda self, session: True)


def claim_without_share() -> None:
    """Nor does what prepares it, in the same transaction."""
    for holder, name in ((claim, "_STATEMENT"), (chunks, "_NEXT_TOO_LARGE"), (chunks, "_GATHER")):
        reword(holder, name, (" FOR SHARE OF c", ""))


def idempotency_after() -> None:
    """Look, act, and write the row in the end."""

    def answer_once(context, scope, act):
        key = idempotency.request.headers.get("Idempotency-Key", "")
        if not key:
            return act()
        ours = (bound_tenant(context.session), idempotency._caller(context), key)
        if context.session.get(IdempotentAnswer, ours) is not None:
            return idempotency._stored(context, key)
        response = act()
        idempotency._reserve(context, key)
        idempotency._store(context, key, response)
        return response

    swap(http_shell, "answer_once", answer_once)


def hash_at_start() -> None:
    reword(
        claim,
        "_STATEMENT",
        ("AND 'v1:' || encode(sha256(v.document), 'hex') = r.content_hash", ""),
        ("AND {fingerprint} = r.channel_fingerprint", ""),
        ("WHERE {approved} AND ", "WHERE "),
    )
    swap(deliver, "why_shut", lambda session, run: None)


RACES = "tests/lives/test_races.py::"
VARIANTS = (
    Variant(1, "cursor_at_fetch", "who was fetched counts as done (listmonk#3022)", cursor_at_fetch),
    Variant(2, "one_commit_for_all", "one refusal, and the whole batch is sent again (mautic#7226)", one_commit_for_all),
    Variant(3, "take_over_the_living", "a silent sender's chunk is taken from it", take_over_the_living),
    Variant(4, "uncertain_resent", "marketing of unknown fate is sent again", uncertain_resent),
    Variant(5, "tries_counted_after", "a try is counted by whoever survives it", tries_counted_after),
    Variant(6, "suppression_at_planning", "opt-outs are looked up when the run is planned", suppression_at_planning),
    Variant(7, "failed_on_commit_error", "an error at COMMIT is taken for a failure", failed_on_commit_error),
    Variant(8, "occurrence_by_utc_date", "a local date is taken for one in UTC", occurrence_by_utc_date),
    Variant(9, "stop_per_chunk", "a stop is looked at between chunks only", stop_per_chunk),
    Variant(10, "claim_without_share", "a claim does not lock the campaign", claim_without_share,
            RACES + "test_a_stop_waits_for_a_claim"),
    Variant(11, "one_lock_journal", "recovery asks the journal's lock only", one_lock_journal,
            RACES + "test_a_dead_sender_whose_claim_may_still_commit_is_not_buried"),
    Variant(11, "one_lock_database", "recovery asks the database's lock only", one_lock_database,
            RACES + "test_a_living_sender_without_a_database_is_not_buried"),
    Variant(12, "idempotency_after", "the idempotency row is written after the effect", idempotency_after,
            RACES + "test_one_key_at_the_same_time_has_one_effect"),
    Variant(13, "hash_at_start", "what was signed is compared at the start only", hash_at_start),
)  # fmt: skip


def apply(name: str) -> None:
    """Turn this process's engine into a known-bad one. Raises KeyError, Moved."""
    from tests.mutants.flows import FLOW_VARIANTS

    {variant.name: variant for variant in (*VARIANTS, *FLOW_VARIANTS)}[name].apply()
    if hasattr(claim, "_statement"):
        claim._statement.cache_clear()

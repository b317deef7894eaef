"""The flow engine's sets: an exact split, an engagement split, waits that move, against the same by hand.

People are entered by SQL here; what entering them costs is the job freeze.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg
import sqlalchemy as sa

from bench.context import Context
from bench.jobs.segment import add_months
from bench.mail import merge_content
from bench.measure import in_turns
from bench.result import Line, Result, at_most, compare, fact
from bench.world import Place
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import read
from saas.journeys.sets.moves import MOST, Spot, leave_by
from saas.journeys.steps import engagement_split, random_split
from saas.journeys.steps.kind import StepWork, Visit
from saas.kernel.clock import monotonic
from saas.kernel.ids import uuid7
from saas.ledger.models import Run
from saas.ledger.types import RunState, WaitStage

_GOAL: Final = at_most(1.5)
_WEIGHTS: Final = {"a": 50, "b": 30, "c": 20}
_FAR: Final = 10**12  # numbers of our own chunks begin here

_ENTRIES: Final = """
    INSERT INTO entry (tenant_id, entry_id, campaign_id, occurrence, contact_id, entry_key, single, entered_at)
    SELECT m.tenant_id, nextval('entry_id_seq'), %(campaign)s, '', m.contact_id, '', false, now() - interval '21 days'
    FROM list_member m WHERE m.tenant_id = %(tenant)s AND m.list_id = %(list)s ORDER BY m.contact_id
"""
_NUMBERED: Final = """
    CREATE TABLE bench_numbered AS SELECT entry_id, contact_id, row_number() OVER (ORDER BY entry_id) AS place
    FROM entry WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s
"""
_CHUNKS: Final = """
    INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state)
    SELECT %(tenant)s, %(run)s, %(far)s + (place - 1) / 500, array_agg(entry_id ORDER BY place),
      now() - interval '21 days', 'closed' FROM bench_numbered GROUP BY (place - 1) / 500
"""
_DELIVERIES: Final = """
    INSERT INTO delivery (tenant_id, entry_id, step_no, run_id, chunk_no, contact_id, token, attempt, claimed_at)
    SELECT %(tenant)s, entry_id, 1, %(run)s, %(far)s + (place - 1) / 500, contact_id, 1, 1, now() - interval '21 days'
    FROM bench_numbered
"""
# Of every two people one did something, about ten times.
_EVENTS: Final = """
    INSERT INTO event (tenant_id, occurred_at, event_id, kind, contact_id, campaign_id, entry_id, step_no, facts)
    SELECT %(tenant)s, now() - make_interval(secs => (g %% 1700000) * 1.0), substr(sha256(('flow' || g)::bytea), 1, 16),
      CASE WHEN g %% 5 = 0 AND p.place %% 3 = 0 THEN 'clicked' ELSE 'opened' END, p.contact_id, %(campaign)s,
      p.entry_id, 1, '{}'
    FROM generate_series(1, %(events)s) AS g
    JOIN bench_numbered p ON p.place = 1 + (g::bigint * 7919) %% (%(people)s / 2)
"""
_SPLIT_BY_HAND: Final = """
    SELECT hash FROM (
      SELECT sha256(%(seed)s || int8send(entry_id)) AS hash,
        row_number() OVER (ORDER BY sha256(%(seed)s || int8send(entry_id)), entry_id) AS place
      FROM entry WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s AND occurrence = ''
    ) ranked WHERE place = ANY(%(marks)s) ORDER BY place
"""
_REACTED: Final = """
    EXISTS (SELECT FROM event ev WHERE ev.tenant_id = e.tenant_id AND ev.contact_id = e.contact_id
      AND ev.kind = '{kind}' AND ev.entry_id = e.entry_id AND ev.step_no = 1 AND ev.occurred_at <= now())
"""
_ENGAGED_BY_HAND: Final = f"""
    INSERT INTO bench_passage (tenant_id, entry_id, step_no, exit, at, facts)
    SELECT e.tenant_id, e.entry_id, 2,
      CASE WHEN NOT s.sent THEN 'remaining' WHEN {_REACTED.format(kind="clicked")} THEN 'clicked'
        WHEN {_REACTED.format(kind="opened")} THEN 'opened' ELSE 'remaining' END,
      now(), jsonb_build_object('sent', s.sent)
    FROM entry e CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM delivery d
      WHERE d.tenant_id = e.tenant_id AND d.entry_id = e.entry_id AND d.step_no = 1
        AND (d.exc = 'uncertain' OR d.exc IS NULL AND (SELECT k.state FROM chunk k
          WHERE k.tenant_id = d.tenant_id AND k.run_id = d.run_id AND k.no = d.chunk_no) = 'closed')) AS sent) s
    WHERE e.tenant_id = %(tenant)s AND e.campaign_id = %(campaign)s AND e.occurrence = ''
"""
_WAITS: Final = """
    INSERT INTO {table} (tenant_id, entry_id, step_no, campaign_id, contact_id, due_at, stage)
    SELECT %(tenant)s, entry_id, 1, %(campaign)s, contact_id, now() - make_interval(secs => place %% 3600), 'waiting'
    FROM bench_numbered
"""
_MOVED_BY_HAND: Final = """
    WITH due AS (
      SELECT entry_id FROM bench_wait WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s AND step_no = 1
        AND stage = 'waiting' AND due_at <= %(now)s ORDER BY due_at, entry_id {limit} FOR UPDATE
    ), gone AS (
      DELETE FROM bench_wait w USING due WHERE w.tenant_id = %(tenant)s AND w.entry_id = due.entry_id AND w.step_no = 1
      RETURNING w.entry_id, w.contact_id
    ), passed AS (
      INSERT INTO bench_passage (tenant_id, entry_id, step_no, exit, at, facts)
      SELECT %(tenant)s, entry_id, 1, 'done', %(now)s, '{{}}' FROM gone
    )
    INSERT INTO bench_wait (tenant_id, entry_id, step_no, campaign_id, contact_id, due_at, stage)
    SELECT %(tenant)s, entry_id, 2, %(campaign)s, contact_id, %(now)s, 'arrived' FROM gone
"""
_EXITS: Final = "SELECT exit, count(*) FROM {table} GROUP BY exit"


@dataclass
class _Ground:
    """Where all lines are measured: a workspace whose people are in two campaigns, and how many statements it took."""

    context: Context
    admin: psycopg.Connection[Any]
    place: Place
    values: dict[str, Any]
    split: UUID
    engaged: UUID
    statements: dict[str, int] = field(default_factory=dict)

    def of(self, campaign: UUID, **more: Any) -> dict[str, Any]:
        """Return what the statements by hand are given."""
        return self.values | {"campaign": campaign} | more


def run(context: Context) -> Result:
    """Do each in turns with the same by hand; both must find the same."""
    place, list_id = context.large_list()
    with context.world.at.admin() as admin:
        ground = _prepare(context, admin, place, list_id)
        split = in_turns(
            context.sizes.repeats, {"ours": partial(_split, ground), "by_hand": partial(_split_by_hand, ground)}
        )
        engaged = in_turns(
            context.sizes.repeats, {"ours": partial(_engaged, ground), "by_hand": partial(_engaged_by_hand, ground)}
        )
        moved = in_turns(
            context.sizes.repeats,
            {
                "ours": partial(_moved, ground),
                "by_hand": partial(_moved_by_hand, ground, f"LIMIT {MOST}"),
                "at_once": partial(_moved_by_hand, ground, ""),
            },
        )
        _clean(admin)
    return Result(
        "flow",
        _lines(ground, split, engaged, moved),
        {"split": split, "engaged": engaged, "moved": moved, "statements": ground.statements},
    )


def _lines(
    ground: _Ground, split: dict[str, list[float]], engaged: dict[str, list[float]], moved: dict[str, list[float]]
) -> list[Line]:
    people, events = f"{ground.context.sizes.rows:,}", f"{ground.context.sizes.events:,}"
    lines = [
        compare(
            f"exact split of {people} in three", split["ours"], split["by_hand"], unit="s", goal=_GOAL,
            against="row_number() OVER (ORDER BY sha256) by hand", key="flow_split",
        ),
        compare(
            f"engagement split of {people} over {events} events", engaged["ours"], engaged["by_hand"], unit="s",
            goal=_GOAL, against="INSERT..SELECT EXISTS by hand", key="flow_engaged",
        ),
        compare(
            f"{people} due waits moved", moved["ours"], moved["by_hand"], unit="s", goal=_GOAL,
            against=f"DELETE..RETURNING, INSERT by hand, {MOST:,} at once", key="flow_moved",
        ),
        compare(
            f"{people} due waits moved", moved["ours"], moved["at_once"], unit="s", goal=None,
            against="the same by hand, all at once",
        ),
    ]  # fmt: skip
    return lines + [fact(f"statements: {name}", found, unit="") for name, found in ground.statements.items()]


def _prepare(context: Context, admin: psycopg.Connection[Any], place: Place, list_id: UUID) -> _Ground:
    world, sizes = context.world, context.sizes
    channel = world.add_channel(place, 9)
    branches = [{"key": key, "weight": weight} for key, weight in _WEIGHTS.items()]
    split = world.flow(place, list_id, channel, merge_content(), kind="random_split", branches=branches)
    engaged = world.flow(
        place, list_id, channel, merge_content(), kind="engagement_split", message=1, interactions=["opened", "clicked"]
    )
    values = {"tenant": place.tenant_id, "list": list_id, "run": uuid7(), "far": _FAR, "people": sizes.rows}
    ground = _Ground(context, admin, place, values | {"events": sizes.events}, split, engaged)
    context.tell(f"filling in {sizes.events:,} events of {sizes.rows:,} people in a campaign")
    _clean(admin)
    add_months(admin)
    for campaign in (split, engaged):
        admin.execute(_ENTRIES, ground.of(campaign))
    for statement in (_NUMBERED, _CHUNKS, _DELIVERIES, _EVENTS):
        admin.execute(statement, ground.of(engaged))
    for table in ("passage", "wait"):
        admin.execute(f"CREATE TABLE bench_{table} (LIKE {table} INCLUDING ALL)")
    admin.execute("VACUUM ANALYZE entry, chunk, delivery, event, bench_numbered")
    return ground


def _clean(admin: psycopg.Connection[Any]) -> None:
    for table in ("numbered", "passage", "wait"):
        admin.execute(f"DROP TABLE IF EXISTS bench_{table}")
    admin.execute("TRUNCATE passage, wait")


@contextmanager
def _counted(ground: _Ground, name: str) -> Iterator[None]:
    """Count the statements of ours."""
    found = 0

    def note(*_: object) -> None:
        nonlocal found
        found += 1

    engine = ground.context.world.at.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
        ground.statements[name] = found


def _visited(ground: _Ground, name: str, campaign_id: UUID, work: StepWork) -> tuple[Run, float]:
    """Do a step for its cohort, as the campaign's worker does it when the step's time has come."""
    if work.cohort is None:
        raise TypeError(f"{work.name} has no cohort")
    world = ground.context.world
    with world.session(ground.place) as session:
        campaign = session.get_one(Campaign, (ground.place.tenant_id, campaign_id))
        revision = campaigns.published(session, campaign_id)
        if revision is None:
            raise LookupError(campaign_id)
        document = read(revision.document or b"", expected_hash=revision.content_hash or "")
        run = Run(occurrence="", step_no=2, state=RunState.RUNNING.value, facts={})
        visit = Visit(session, campaign, revision, document, document.step(2), run, world.now(), too_late=False)
        with _counted(ground, name):
            started = monotonic()
            work.cohort(visit)
            session.commit()
            return run, monotonic() - started


def _split(ground: _Ground) -> float:
    run, took = _visited(ground, "exact split", ground.split, random_split.WORK)
    found = [bytes.fromhex(branch["upto"]) for branch in run.facts["split"].values()]
    wanted = _marks(ground)
    if found != wanted:
        raise ValueError("the split by hand found other boundaries")
    return took


def _marks(ground: _Ground) -> list[bytes]:
    """Return the boundaries of the branches, found by hand."""
    people, marks, total = ground.context.sizes.rows, [], 0
    for weight in _WEIGHTS.values():
        total += weight
        marks.append(people * total // 100)
    seed = ground.split.bytes + (2).to_bytes(4, "big")
    rows = ground.admin.execute(_SPLIT_BY_HAND, ground.of(ground.split, seed=seed, marks=marks)).fetchall()
    return [bytes(row[0]) for row in rows]


def _split_by_hand(ground: _Ground) -> float:
    started = monotonic()
    _marks(ground)
    return monotonic() - started


def _engaged(ground: _Ground) -> float:
    ground.admin.execute("TRUNCATE passage")
    ground.admin.execute("CHECKPOINT")
    _, took = _visited(ground, "engagement split", ground.engaged, engagement_split.WORK)
    _agree(ground, "passage")
    return took


def _engaged_by_hand(ground: _Ground) -> float:
    ground.admin.execute("TRUNCATE bench_passage")
    return _timed(ground, lambda: ground.admin.execute(_ENGAGED_BY_HAND, ground.of(ground.engaged)))


def _agree(ground: _Ground, table: str) -> None:
    """Raise unless the exits are those that the statement by hand finds; the first of us has nothing to compare."""
    ours = ground.admin.execute(_EXITS.format(table=table)).fetchall()
    by_hand = ground.admin.execute(_EXITS.format(table="bench_passage")).fetchall()
    if by_hand and dict(ours) != dict(by_hand):
        raise ValueError(f"the exits do not agree: {ours} and {by_hand}")


def _moved(ground: _Ground) -> float:
    """Let everybody who is due go on, as the turns of a step do."""
    _fill_waits(ground, "")
    world, now = ground.context.world, ground.context.world.now()
    spot = Spot(ground.engaged, 1, {"done": (2,)}, writes=True, together=(1,))
    moved, took = 0, 0.0
    with _counted(ground, "waits"):
        started = monotonic()
        while True:
            with world.session(ground.place) as session:
                gone = leave_by(session, spot, stage=WaitStage.WAITING, word=sa.literal("done"), now=now)
                session.commit()
            if not gone:
                break
            moved += gone["done"]
        took = monotonic() - started
    _check(ground, moved)
    return took


def _moved_by_hand(ground: _Ground, limit: str) -> float:
    _fill_waits(ground, "bench_")
    statement, values = _MOVED_BY_HAND.format(limit=limit), ground.of(ground.engaged, now=ground.context.world.now())
    moved = 0

    def move() -> None:
        nonlocal moved
        while found := ground.admin.execute(statement, values).rowcount:
            moved += found

    took = _timed(ground, move)
    _check(ground, moved)
    return took


def _fill_waits(ground: _Ground, prefix: str) -> None:
    ground.admin.execute(f"TRUNCATE {prefix}wait, {prefix}passage")
    ground.admin.execute(_WAITS.format(table=f"{prefix}wait"), ground.of(ground.engaged))
    ground.admin.execute(f"VACUUM ANALYZE {prefix}wait")
    ground.admin.execute("CHECKPOINT")


def _check(ground: _Ground, moved: int) -> None:
    if moved != ground.context.sizes.rows:
        raise ValueError(f"{moved} people moved instead of {ground.context.sizes.rows}")


def _timed(ground: _Ground, act: Callable[[], object]) -> float:
    ground.admin.execute("CHECKPOINT")
    started = monotonic()
    act()
    return monotonic() - started

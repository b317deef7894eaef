"""Rules as SQL: compared with a plain evaluator over people with odd values, and nothing can make them fail."""

import re
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from saas.audiences.queries.segment import count, members_select
from saas.audiences.rules.segment import EVERYBODY, All, AnyOf, Consented, Not, parse
from saas.audiences.rules.segment import Test as Question
from saas.audiences.types import AttributeKind, ConsentWord, Op
from saas.kernel.clock import SystemClock
from saas.kernel.ids import uuid7
from tests.integration.audiences.conftest import Office, make_list
from tests.worlds import bound, make_world

pytestmark = pytest.mark.integration

KINDS = {
    "plan": AttributeKind.TEXT,
    "orders": AttributeKind.NUMBER,
    "vip": AttributeKind.BOOLEAN,
    "birthday": AttributeKind.DATE,
    "seen": AttributeKind.DATETIME,
}
BLANKS = " \t\n\r\v\f\u00a0\u2003\u2009\u202f\u3000\u2028\u2029\u0085"
ODD = [
    None, True, False, 0, -0.0, 10, 10.0, 10.5, -3, 1e15, 0.1, "", " ", "\u00a0", "pro", " Pro\t", "PRO", "free", "%", "_", "p%o",
    "it's", '"', "\\", "10", "ЖУК", "жук", "2020-01-01", "2020-02-31", "2020-01-01T00:00:00Z", "2020-06-01T12:00:00Z",
    "0000-99-99", [], ["pro"], {}, {"plan": "pro"}, "true", "null",
]  # fmt: skip
DATES = ["2020-01-01", "2019-12-31", "2021-07-01"]
MOMENTS = ["2020-01-01T00:00:00Z", "2020-06-01T12:00:00Z", "2022-01-01T00:00:00Z"]
TEXTS = ["pro", " PRO", "p", "%", "_", "p%o", "it's", '"', "\\", "Жук", "10", "x"]
NUMBERS = [10, 10.0, 0, -3, 0.1, 10.5, 1e15]


class People:
    """Everybody with every odd value somewhere, and every consent."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.known: dict[object, tuple[dict, str | None]] = {}
        now = SystemClock().now()
        with office.session() as session:
            for no, key in enumerate([*KINDS] * 2):
                for value in ODD:
                    said = (None, "given", "withdrawn")[(len(self.known) + no) % 3]
                    attributes = (
                        {key: value, "orders": len(self.known)}
                        if no >= len(KINDS) and key != "orders"
                        else {key: value}
                    )
                    contact = uuid7()
                    self.known[contact] = (attributes, said)
                    self._add(session, contact, attributes, said, now)
            gone = uuid7()
            self._add(session, gone, {}, "given", now)
            session.execute(
                sa.text("UPDATE contact SET erased_at = :now WHERE contact_id = :id"), {"now": now, "id": gone}
            )
            session.commit()

    def _add(self, session, contact, attributes, said, now):
        values = {"t": self.office.place.tenant_id, "c": contact, "now": now, "l": self.office.list_id, "s": said}
        session.execute(
            sa.text(
                "INSERT INTO contact (tenant_id, contact_id, attributes, created_at, updated_at, version)"
                " VALUES (:t, :c, :a, :now, :now, 1)"
            ).bindparams(sa.bindparam("a", type_=sa.dialects.postgresql.JSONB())),
            {**values, "a": attributes},
        )
        session.execute(sa.text("INSERT INTO list_member VALUES (:t, :l, :c, :now)"), values)
        if said:
            session.execute(sa.text("INSERT INTO consent VALUES (:t, :c, 'newsletter', :s, 'test', :now)"), values)

    def found(self, rule) -> set:
        with self.office.session() as session:
            return set(session.scalars(members_select(session, list_id=self.office.list_id, rule=rule)))

    def expected(self, rule) -> set:
        return {contact for contact, (attributes, said) in self.known.items() if holds(rule, attributes, said)}


@pytest.fixture(scope="module")
def people(app, engine):
    world = make_world(app, engine)
    with bound(engine, world.a) as session:
        row = make_list(session, world.a, "Odd people")
        session.commit()
    return People(Office(engine, world.a, row.list_id))


def holds(rule, attributes, said) -> bool:
    match rule:
        case All(parts):
            return all(holds(part, attributes, said) for part in parts)
        case AnyOf(parts):
            return any(holds(part, attributes, said) for part in parts)
        case Not(part):
            return not holds(part, attributes, said)
        case Consented(topic, word):
            return (said if topic == "newsletter" else None) == (None if word is ConsentWord.NONE else word.value)
        case Question():
            return answer(rule, value_of(rule.kind, attributes.get(rule.attribute)))
    raise AssertionError(rule)


def value_of(kind, value):
    if kind is AttributeKind.TEXT and isinstance(value, str):
        return fold(value) or None
    if kind is AttributeKind.NUMBER and isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    if kind is AttributeKind.BOOLEAN and isinstance(value, bool):
        return value
    form = {AttributeKind.DATE: "dddd-dd-dd", AttributeKind.DATETIME: "dddd-dd-ddTdd:dd:ddZ"}.get(kind)
    if form and isinstance(value, str) and "".join("d" if c.isdigit() else c for c in value) == form:
        return value
    return None


def fold(text):
    return text.strip(BLANKS).lower()


def answer(rule, value) -> bool:
    asked = rule.value
    if rule.kind is AttributeKind.TEXT and asked is not None:
        asked = tuple(map(fold, asked)) if isinstance(asked, tuple) else fold(asked)
    if rule.op is Op.IS_EMPTY:
        return value is None
    if rule.op is Op.NE:
        return value != asked
    if value is None:
        return False
    return {
        Op.IS_SET: lambda: True,
        Op.EQ: lambda: value == asked,
        Op.IN: lambda: value in asked,
        Op.BETWEEN: lambda: asked[0] <= value <= asked[1],
        Op.CONTAINS: lambda: asked in value,
        Op.STARTS_WITH: lambda: value.startswith(asked),
        Op.LT: lambda: value < asked,
        Op.BEFORE: lambda: value < asked,
        Op.LTE: lambda: value <= asked,
        Op.ON_OR_BEFORE: lambda: value <= asked,
        Op.GT: lambda: value > asked,
        Op.AFTER: lambda: value > asked,
        Op.GTE: lambda: value >= asked,
        Op.ON_OR_AFTER: lambda: value >= asked,
    }[rule.op]()


def question(key, op, value=None):
    return {"attribute": key, "op": op} | ({} if value is None else {"value": value})


def one(key, ops, values):
    single = st.builds(question, st.just(key), st.sampled_from(ops), st.sampled_from(values))
    empty = st.builds(question, st.just(key), st.sampled_from(["is_empty", "is_set"]))
    return single | empty


MOMENT_OPS = ["eq", "before", "after", "on_or_before", "on_or_after"]
LEAVES = st.one_of(
    one("plan", ["eq", "ne", "contains", "starts_with"], TEXTS),
    st.builds(question, st.just("plan"), st.just("in"), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)),
    one("orders", ["eq", "ne", "lt", "lte", "gt", "gte"], NUMBERS),
    st.builds(question, st.just("orders"), st.just("in"), st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3)),
    st.builds(
        question, st.just("orders"), st.just("between"), st.lists(st.sampled_from(NUMBERS), min_size=2, max_size=2)
    ),
    one("vip", ["eq"], [True, False]),
    one("birthday", MOMENT_OPS, DATES),
    one("seen", MOMENT_OPS, MOMENTS),
    st.builds(
        lambda topic, word: {"consent": topic, "is": word},
        st.sampled_from(["newsletter", "events"]),
        st.sampled_from(["given", "withdrawn", "none"]),
    ),
)
RULES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(RULES)
def test_sql_finds_whom_the_plain_evaluator_finds(people, rule):
    found = parse(rule, kinds=KINDS)
    assert people.found(found) == people.expected(found)


@pytest.mark.parametrize("key", [*KINDS])
def test_every_question_about_every_value(people, key):
    values = {"plan": TEXTS, "orders": NUMBERS, "vip": [True, False], "birthday": DATES, "seen": MOMENTS}[key]
    ops = {"plan": ["eq", "ne", "contains", "starts_with"], "orders": ["eq", "ne", "lt", "gte"], "vip": ["eq"]}
    for op in ops.get(key, MOMENT_OPS):
        for value in values:
            for rule in (question(key, op, value), {"not": question(key, op, value)}):
                found = parse(rule, kinds=KINDS)
                assert people.found(found) == people.expected(found), rule


def test_count_and_everybody(people):
    with people.office.session() as session:
        assert count(session, list_id=people.office.list_id, rule=None) == len(people.known)
        assert count(session, list_id=people.office.list_id, rule=EVERYBODY) == len(people.known)
        assert count(session, list_id=people.office.list_id, rule=AnyOf(())) == 0


def test_the_statement_fills_other_tables(people):
    rule = parse({"consent": "newsletter", "is": "given"}, kinds=KINDS)
    with people.office.session() as session:
        members = members_select(session, list_id=people.office.list_id, rule=rule)
        assert [column.name for column in members.selected_columns] == ["contact_id"]
        session.execute(sa.text("CREATE TEMPORARY TABLE chosen (contact_id uuid) ON COMMIT DROP"))
        chosen = sa.table("chosen", sa.column("contact_id"))
        session.execute(sa.insert(chosen).from_select(["contact_id"], members))
        assert session.scalar(sa.text("SELECT count(*) FROM chosen")) == len(people.expected(rule))


def test_a_new_workspace_is_filled_and_counted_quickly_whatever_the_statistics_say(people, office, owner_engine):
    """With statistics about tenants, each look-up walked through the whole new workspace: minutes instead of seconds."""
    with owner_engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE contact, consent, list_member")
    lines = b"".join(b"user%d@example.com,%s\n" % (no, (b"yes", b"no")[no % 2]) for no in range(20_000))
    row = office.run(b"E-mail,Newsletter\n" + lines)
    assert (row.finished_at - row.started_at).total_seconds() < 120
    looked_up = (
        "EXPLAIN SELECT 1 FROM contact WHERE tenant_id = :t AND email_key = 'user7@example.com'",
        "EXPLAIN SELECT 1 FROM consent WHERE tenant_id = :t AND contact_id = :t AND topic = 'newsletter'",
    )
    with office.session() as session:
        for statement, column in zip(looked_up, ("email_key", "contact_id"), strict=True):
            plan = "\n".join(session.scalars(sa.text(statement), {"t": office.place.tenant_id}))
            assert re.search(rf"Index Cond: .*{column} = ", plan), plan
    rule = parse({"not": {"consent": "newsletter", "is": "none"}}, kinds=KINDS)
    with office.session() as session:
        session.execute(sa.text("SET LOCAL statement_timeout = '20s'"))
        assert count(session, list_id=office.list_id, rule=rule) == 10_000

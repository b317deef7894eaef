"""The builder's rows and the rule they stand for, there and back."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.audiences.rules.segment import parse
from saas.audiences.types import AttributeKind
from saas.kernel.errors import Fault, Invalid
from saas.web.audiences.rule_form import Row, faults_by_row, form_of, ops_for, rows_of_form, rule_of, settled

OSLO = ZoneInfo("Europe/Oslo")
KINDS = {
    "city": AttributeKind.TEXT, "orders": AttributeKind.NUMBER, "club": AttributeKind.BOOLEAN,
    "birthday": AttributeKind.DATE, "signed_up": AttributeKind.DATETIME,
}  # fmt: skip


def rule(*rows, join="all"):
    return rule_of(rows, join=join, kinds=KINDS, zone=OSLO)


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (Row("consent", "given", "newsletter"), {"consent": "newsletter", "is": "given"}),
        (Row("attribute:orders", "gte", "10"), {"attribute": "orders", "op": "gte", "value": 10}),
        (Row("attribute:orders", "lt", "10,5"), {"attribute": "orders", "op": "lt", "value": 10.5}),
        (Row("attribute:orders", "between", "1", "9"), {"attribute": "orders", "op": "between", "value": [1, 9]}),
        (Row("attribute:city", "not:in", "Oslo, Bodø,"), {"not": {"attribute": "city", "op": "in", "value": ["Oslo", "Bodø"]}}),
        (Row("attribute:city", "is_empty", "left over"), {"attribute": "city", "op": "is_empty"}),
        (Row("attribute:club", "eq", "true"), {"attribute": "club", "op": "eq", "value": True}),
        (Row("attribute:birthday", "before", "2000-01-01"), {"attribute": "birthday", "op": "before", "value": "2000-01-01"}),
        (
            Row("attribute:signed_up", "after", "2026-07-01T09:00"),
            {"attribute": "signed_up", "op": "after", "value": "2026-07-01T07:00:00+00:00"},
        ),
    ],
)  # fmt: skip
def test_a_row_is_a_part_of_the_rule(row, part):
    assert rule(row) == {"all": [part]}
    assert parse(rule(row), kinds=KINDS)


def test_empty_rows_say_nothing_and_any_is_any():
    assert rule(Row(), Row("consent", "given", "news"), Row(), join="any") == {
        "any": [{"consent": "news", "is": "given"}]
    }


def test_faults_stand_beside_their_rows_although_empty_rows_lie_between():
    rows = [Row(), Row("attribute:orders", "gte", "many"), Row(), Row("attribute:city", "not:contains", "")]
    with pytest.raises(Invalid) as caught:
        parse(rule(*rows), kinds=KINDS)
    by_row, rest = faults_by_row(caught.value.faults, rows)
    assert by_row == {1: "Write a number.", 3: "Write a text, or use is_empty."}
    assert rest == []
    assert faults_by_row([Fault("/rule", "Too deep.")], rows) == ({}, ["Too deep."])


def test_another_subject_gets_an_operator_that_fits():
    assert settled(Row("attribute:orders", "contains", "1"), KINDS) == Row("attribute:orders", "eq", "1")
    assert settled(Row("consent", "eq"), KINDS) == Row("consent", "given", "newsletter")
    assert settled(Row("attribute:gone", "eq"), KINDS) == Row("attribute:gone", "")


@pytest.mark.parametrize(
    "deep",
    [
        {"all": [{"any": [{"consent": "news", "is": "given"}]}]},
        {"not": {"any": []}},
        {"all": [{"not": {"not": {"consent": "news", "is": "given"}}}]},
        {"all": [{"not": {"consent": "news", "is": "given"}}]},
    ],
)
def test_what_the_form_cannot_show_is_not_shown(deep):
    assert form_of(deep, kinds=KINDS, zone=OSLO) is None


def test_the_form_reads_its_rows_in_order_and_no_endless_number():
    form = {f"row-{no}-subject": "consent" for no in range(200)}
    assert len(rows_of_form(form)) == 50
    assert rows_of_form({"row-0-subject": "", "row-2-subject": "consent"}) == [Row()]


PLAIN = st.text("abcæøå 9", min_size=1).map(str.strip).filter(bool)
ROWS = st.one_of(
    st.builds(Row, st.just("consent"), st.sampled_from(["given", "withdrawn", "none"]), st.just("news")),
    st.builds(Row, st.just("attribute:city"), st.sampled_from(["eq", "ne", "contains", "not:contains", "in", "not:in"]), PLAIN),
    st.builds(Row, st.just("attribute:orders"), st.sampled_from(["eq", "lt", "gte"]), st.integers(-999, 999).map(str)),
    st.builds(Row, st.just("attribute:club"), st.just("eq"), st.sampled_from(["true", "false"])),
    st.builds(Row, st.just("attribute:birthday"), st.just("on_or_after"), st.dates().map(str)),
    st.builds(Row, st.just("attribute:city"), st.sampled_from(["is_empty", "is_set"])),
)  # fmt: skip


@given(st.lists(ROWS, max_size=6), st.sampled_from(["all", "any"]))
def test_a_rule_made_by_rows_comes_back_as_these_rows(rows, join):
    made = rule(*rows, join=join)
    parse(made, kinds=KINDS)
    assert form_of(made, kinds=KINDS, zone=OSLO) == (join, rows)
    assert all(row.op in ops_for(row, KINDS) for row in rows)

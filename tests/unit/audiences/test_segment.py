"""Rules of audiences: what may stand in them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.audiences.rules.segment import EVERYBODY, All, Consented, Not, parse
from saas.audiences.rules.segment import Test as Question
from saas.audiences.types import AttributeKind, ConsentWord, Op
from saas.kernel.errors import Invalid

KINDS = {
    "plan": AttributeKind.TEXT,
    "orders": AttributeKind.NUMBER,
    "vip": AttributeKind.BOOLEAN,
    "birthday": AttributeKind.DATE,
    "seen": AttributeKind.DATETIME,
}


def faults(rule):
    with pytest.raises(Invalid) as caught:
        parse(rule, kinds=KINDS)
    return [fault.pointer for fault in caught.value.faults]


def test_a_whole_rule():
    rule = {
        "all": [{"consent": "newsletter", "is": "given"}, {"not": {"attribute": "plan", "op": "eq", "value": " Pro"}}]
    }
    assert parse(rule, kinds=KINDS) == All(
        (Consented("newsletter", ConsentWord.GIVEN), Not(Question("plan", AttributeKind.TEXT, Op.EQ, "Pro")))
    )


def test_nothing_asked_means_everybody():
    assert parse({"all": []}, kinds=KINDS) == EVERYBODY


@pytest.mark.parametrize(
    ("rule", "pointers"),
    [
        (None, ["/rule"]),
        ({}, ["/rule"]),
        ({"all": {}}, ["/rule/all"]),
        ({"all": [], "any": []}, ["/rule/any"]),
        ({"all": [{"attribute": "nope", "op": "eq", "value": 1}, 7]}, ["/rule/all/0/attribute", "/rule/all/1"]),
        ({"attribute": ["orders"], "op": "eq"}, ["/rule/attribute"]),
        ({"attribute": "orders", "op": "contains", "value": "1"}, ["/rule/op"]),
        ({"attribute": "orders", "op": ["eq"], "value": 1}, ["/rule/op"]),
        ({"attribute": "orders", "op": "eq", "value": "10"}, ["/rule/value"]),
        ({"attribute": "orders", "op": "eq", "value": True}, ["/rule/value"]),
        ({"attribute": "orders", "op": "eq", "value": float("nan")}, ["/rule/value"]),
        ({"attribute": "orders", "op": "eq", "value": 10**400}, ["/rule/value"]),
        ({"attribute": "orders", "op": "between", "value": [1]}, ["/rule/value"]),
        ({"attribute": "orders", "op": "in", "value": []}, ["/rule/value"]),
        ({"attribute": "plan", "op": "in", "value": ["a"] * 101}, ["/rule/value"]),
        ({"attribute": "plan", "op": "eq", "value": "a\0b"}, ["/rule/value"]),
        ({"attribute": "plan", "op": "eq", "value": "\ud800"}, ["/rule/value"]),
        ({"attribute": "plan", "op": "eq", "value": " "}, ["/rule/value"]),
        ({"attribute": "plan", "op": "eq"}, ["/rule/value"]),
        ({"attribute": "plan", "op": "is_set", "value": "x"}, ["/rule/value"]),
        ({"attribute": "vip", "op": "eq", "value": 1}, ["/rule/value"]),
        ({"attribute": "birthday", "op": "before", "value": "2020-02-31"}, ["/rule/value"]),
        ({"attribute": "seen", "op": "before", "value": "2020-02-01T00:00:00"}, ["/rule/value"]),
        ({"consent": "Newsletter", "is": "given"}, ["/rule/consent"]),
        ({"consent": "newsletter", "is": "maybe"}, ["/rule/is"]),
        ({"consent": "newsletter", "is": "given", "sql": "1"}, ["/rule/sql"]),
        ({"not": {"a/b~c": 1}}, ["/rule/not"]),
    ],
)
def test_each_fault_has_its_place(rule, pointers):
    assert faults(rule) == pointers


def test_depth_and_size_are_bounded():
    deep = {"all": []}
    for _ in range(7):
        deep = {"not": deep}
    parse(deep, kinds=KINDS)
    assert faults({"not": deep}) == ["/rule" + "/not" * 8]
    parse({"any": [{"all": []}] * 199}, kinds=KINDS)
    assert faults({"any": [{"all": []}] * 200}) == ["/rule/any/199"]
    assert len(faults({"any": [{"all": []}] * 100_000})) == 1


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["all", "any", "not", "attribute", "op", "value", "consent", "is", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=12,
)


@given(JSON)
def test_nothing_but_invalid_comes_out(rule):
    with suppress(Invalid):
        parse(rule, kinds=KINDS)

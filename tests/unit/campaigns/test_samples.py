"""The sample pack (U15): what can differ is found in the texts and the rule, and shown by few people."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.samples import (
    MAX_FACETS,
    Ask,
    Condition,
    Facet,
    FacetKind,
    choose,
    conditions,
    facets,
    holds,
)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{% if contact.vip %}", [Condition("vip", Ask.IS_SET)]),
        ("{%- unless contact.vip -%}", [Condition("vip", Ask.IS_SET)]),
        ("{% if contact.tier == 'gold' %}", [Condition("tier", Ask.EQUALS, "gold")]),
        ("{% if contact.tier=='gold' %}", [Condition("tier", Ask.EQUALS, "gold")]),
        ('{% elsif contact.tier != "gold and silver" %}', [Condition("tier", Ask.EQUALS, "gold and silver")]),
        ("{% if contact.age >= 18 and contact.age < 65.5 %}",
         [Condition("age", Ask.AT_LEAST, 18), Condition("age", Ask.LESS, 65.5)]),
        ("{% if contact.city contains 'Os' or contact.club == true %}",
         [Condition("city", Ask.CONTAINS, "Os"), Condition("club", Ask.EQUALS, True)]),
        ("{% case contact.tier %}{% when 'a', 'b' or 'c' %}",
         [Condition("tier", Ask.EQUALS, "a"), Condition("tier", Ask.EQUALS, "b"), Condition("tier", Ask.EQUALS, "c")]),
        ("{% if contact.city != nil %}{% if contact.city == blank %}", [Condition("city", Ask.IS_SET)] * 2),
    ],
)  # fmt: skip
def test_u15_conditions_are_read_from_a_template(source, found):
    assert list(conditions(source)) == found


@pytest.mark.parametrize(
    "source",
    [
        "{% if context.order %}", "{{ contact.tier }}", "{% raw %}{% if contact.vip %}{% endraw %}",
        "{% comment %}{% if contact.vip %}{% endcomment %}", "{% if contact.email %}", "{% if contact.a == contact.b %}",
        "{% if contact.name.size > 3 %}", "{% case context.kind %}{% when 'a' %}", "{% if", "{% if %}", "{% if 'x' %}",
        "{% if contact.age < 'old' %}", "{% if contact.x == %}", "{% for x in contact.list %}",
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_left_out(source):
    assert list(conditions(source)) == []


@given(st.text(alphabet="{}%- 'ifcontact.tier=<>\"and", max_size=200))
def test_no_template_breaks_the_reading(source):
    for one in conditions(source):
        assert one.attribute


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        (Condition("x", Ask.IS_SET), ["", "a", 0, True], [None, False]),
        (Condition("x", Ask.EQUALS, "gold"), ["gold"], ["Gold", "", None, 1, True]),
        (Condition("x", Ask.EQUALS, 1), [1, 1.0], [2, "1", True, None]),
        (Condition("x", Ask.EQUALS, True), [True], [1, False, None]),
        (Condition("x", Ask.CONTAINS, "sl"), ["Oslo"], ["Bergen", None, 5]),
        (Condition("x", Ask.LESS, 5), [4, 4.9], [5, "4", None, False]),
        (Condition("x", Ask.AT_MOST, 5), [5], [6]),
        (Condition("x", Ask.MORE, 5), [6], [5]),
        (Condition("x", Ask.AT_LEAST, 5), [5], [4]),
    ],
)
def test_conditions_hold_as_liquid_says(condition, yes, no):
    assert [holds(condition, value) for value in yes] == [True] * len(yes)
    assert [holds(condition, value) for value in no] == [False] * len(no)


def test_u15_facets_of_texts_and_rule():
    gold = {"attribute": "tier", "op": "eq", "value": "gold"}
    oslo = {"attribute": "city", "op": "eq", "value": "Oslo"}
    found = facets(
        sources=["{% if contact.vip %}", "{% if contact.vip %}"],
        used=["first_name", "email"],
        rule={"all": [{"any": [gold, oslo]}, {"not": {"attribute": "age", "op": "lt", "value": 18}}]},
        languages=["de", None],
    )
    assert [(one.kind, one.value) for one in found[:2]] == [(FacetKind.LANGUAGE, "de"), (FacetKind.LANGUAGE, None)]
    assert [(one.attribute, one.holds) for one in found if one.kind is FacetKind.CONDITION] == [
        ("vip", True), ("vip", False),
    ]  # fmt: skip
    assert [json.loads(one.rule) for one in found if one.kind is FacetKind.BRANCH] == [gold, oslo]
    assert [one.attribute for one in found if one.kind is FacetKind.MISSING] == ["age", "city", "first_name", "tier"]


def test_facets_are_bounded():
    source = "".join(f"{{% if contact.a{no} %}}" for no in range(500))
    assert len(facets(sources=[source], used=[], rule=None, languages=[])) == MAX_FACETS


LETTERS = [Facet(FacetKind.MISSING, name) for name in "abcdefgh"]
HELD = st.dictionaries(st.integers(0, 40), st.frozensets(st.sampled_from(LETTERS)), max_size=12)


@given(HELD)
def test_u15_every_facet_that_anybody_holds_is_shown(held):
    pack = choose(held, LETTERS, most=len(LETTERS))
    shown = frozenset().union(*(held[one.key] for one in pack.people)) if pack.people else frozenset()
    assert shown == frozenset().union(*held.values()) if held else shown == frozenset()
    assert pack.left_out == ()
    assert len({one.key for one in pack.people}) == len(pack.people)
    reasons = [facet for one in pack.people for facet in one.why]
    assert len(reasons) == len(set(reasons)) == len(shown)
    assert all(one.why for one in pack.people)


@given(HELD, st.randoms(use_true_random=False))
def test_the_same_people_give_the_same_pack(held, chance):
    keys = list(held)
    chance.shuffle(keys)
    assert choose({key: held[key] for key in keys}, LETTERS, most=4) == choose(held, LETTERS, most=4)


def test_what_finds_no_place_is_told():
    held = {no: frozenset({facet}) for no, facet in enumerate(LETTERS)}
    pack = choose(held, LETTERS, nobody=LETTERS[:0], most=3)
    assert len(pack.people) == 3
    assert pack.left_out == tuple(LETTERS[3:])

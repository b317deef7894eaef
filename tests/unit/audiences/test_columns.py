"""Which column fills what."""

import pytest

from saas.audiences.rules.attributes import BUILT_IN
from saas.audiences.rules.columns import check_mapping, new_attributes, plan_columns
from saas.audiences.types import AttributeKind, BadFile, Known

SHOE = Known("shoe_size", "Size of shoe", AttributeKind.NUMBER)
KNOWN = {**BUILT_IN, "shoe_size": SHOE}


def targets(header, asked=None):
    return [str(c.target) if c.target else None for c in plan_columns(header, asked=asked, known=KNOWN)]


def test_by_header_words():
    header = ["E-mail", "First name", "Time zone", "Orders", "Newsletter", "size of shoe", "Colour", "Customer ID"]
    assert targets(header) == [
        "email", "attribute:first_name", "attribute:time_zone", "attribute:orders", "consent:newsletter",
        "attribute:shoe_size", None, "external_id",
    ]  # fmt: skip


def test_by_russian_words():
    assert targets(["Электронная почта", "Имя", "Дата рождения", "Рассылка"]) == [
        "email", "attribute:first_name", "attribute:birthday", "consent:newsletter",
    ]  # fmt: skip


def test_what_is_left_out_has_a_note():
    column = plan_columns(["E-mail", "Colour"], asked=None, known=KNOWN)[1]
    assert column.target is None and "left out" in column.note


def test_as_asked():
    asked = {"Post": "email", "Colour": "attribute:colour", "Count": "attribute:count:number", "E-mail": None}
    columns = plan_columns(["Post", "Colour", "Count", "E-mail"], asked=asked, known=KNOWN)
    assert [str(c.target) if c.target else None for c in columns] == [
        "email", "attribute:colour", "attribute:count", None,
    ]  # fmt: skip
    assert [(new.key, new.kind) for new in new_attributes(columns, KNOWN)] == [
        ("colour", AttributeKind.TEXT),
        ("count", AttributeKind.NUMBER),
    ]


@pytest.mark.parametrize(
    ("header", "asked", "words"),
    [
        (["ann@example.com", "Ann"], None, "must name the columns"),
        (["Name", "City"], None, "No column holds the address"),
        (["E-mail", "Mail"], None, "mean the same"),
        (["E-mail"], {"E-mail": "email", "Gone": None}, "does not have"),
        (["E-mail", "N"], {"E-mail": "email", "N": "attribute:shoe_size:text"}, "of the kind number"),
        (["E-mail", "N"], {"E-mail": "email", "N": "attribute:email"}, "write email"),
    ],
)
def test_refused(header, asked, words):
    with pytest.raises(BadFile, match=words):
        plan_columns(header, asked=asked, known=KNOWN)


@pytest.mark.parametrize("given", [[], "x", {"a": "drop table"}, {"a": 1}, {"a": "attribute:Bad Key"}])
def test_mappings_of_the_wrong_form(given):
    with pytest.raises(BadFile):
        check_mapping(given)
